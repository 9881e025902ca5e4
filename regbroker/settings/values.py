"""
What the options of the ini file may say: text in, value out.

Each function raises `InvalidValue` with a sentence that says what would be
right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv6Address, ip_network

from regbroker.accounts.ldap.url import LdapUrl, parse_ldap_url
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import InvalidRule, parse_rule
from regbroker.protocol.headers import Network
from regbroker.protocol.names import is_name
from regbroker.protocol.origins import Origin, parse_origin
from regbroker.protocol.own_redirects import is_prefix
from regbroker.protocol.realms import RealmRefused, parse_realm
from regbroker.protocol.token_exchange import MIN_LIFE_SECONDS
from regbroker.transport.listeners import Listener

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")


#: Twelve days: what is longer was meant in other units.
MAX_SECONDS = 1_000_000

#: A byte each nanosecond: no client comes near it.
MAX_RATE = 1_000_000_000


class InvalidValue(ValueError):
    """An option's value is wrong; the text says what would be right."""


def is_host(text: str) -> bool:
    """Tell whether a text is a host: lower case, no port, IPv6 in brackets."""
    if text.startswith("["):
        try:
            return text == f"[{IPv6Address(text[1:-1]).compressed}]"
        except ValueError:
            return False
    return len(text) <= 253 and all(map(_LABEL.fullmatch, text.split(".")))


def lines(text: str) -> list[str]:
    """Return the lines of a list that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def listeners(text: str) -> tuple[Listener, ...]:
    """Parse ``listen``: one endpoint a line."""
    given = lines(text)
    if not given:
        raise InvalidValue("empty; write for example tls:443 or tcp:8080")
    twice = sorted({line for line in given if given.count(line) > 1})
    if twice:
        raise InvalidValue(f"'{twice[0]}' stands twice; once is right")
    return tuple(listener(line) for line in given)


def listener(line: str) -> Listener:
    """Parse one line of ``listen``."""
    text, proxy_protocol = line, line.startswith("proxy:")
    line = line.removeprefix("proxy:")
    kind, _, rest = line.partition(":")
    tls = kind == "tls"
    if tls:
        kind, _, arguments = rest.partition(":")
        endpoint = rest if kind in ("systemd", "tcp", "unix") else f"tcp:{rest}"
    else:
        arguments = rest
        endpoint = line
    if endpoint.startswith("tcp:"):
        port = endpoint.split(":")[1]
        if not (re.fullmatch("[0-9]{1,5}", port) and int(port) < 65536):
            raise InvalidValue(
                f"'{line}' has no port from 0 to 65535; write for example tls:443 or "
                "tls:8443:interface=127.0.0.1"
            )
    elif not endpoint.startswith(("systemd:", "unix:")) or not arguments:
        raise InvalidValue(
            f"'{line}' is not understood; write tls:PORT, tcp:PORT, or "
            "tls:systemd:domain=INET:index=0"
        )
    return Listener(text, endpoint, tls, proxy_protocol)


def networks(text: str) -> tuple[Network, ...]:
    """Parse addresses and networks, separated by spaces or commas."""
    networks = []
    for word in text.replace(",", " ").split():
        try:
            networks.append(ip_network(word))
        except ValueError:
            raise InvalidValue(
                f"'{word}' is no address or network such as 10.0.0.0/8"
            ) from None
    return tuple(networks)


def mapping(
    text: str,
    listed: Iterable[str],
    known: Collection[str],
    default_namespaces: Mapping[str, str],
) -> NameMapping:
    """
    Parse ``namespaces``: one rule a line.

    `listed` are the registry's upstreams, `known` all that there are.
    """
    given = lines(text)
    if not given:
        raise InvalidValue("empty; write 'team = acme_team', or '* = *' for all names")
    rules, problems = [], []
    for line in given:
        try:
            rule = parse_rule(line)
        except InvalidRule as error:
            problems.append(_about_line(line, str(error)))
            continue
        if rule.section and rule.section not in known:
            problems.append(f"'{rule}': {_no_section('upstream', rule.section, known)}")
        rules.append(rule)
    if problems:
        raise InvalidValue("; ".join(problems))
    try:
        return NameMapping(rules, listed, default_namespaces)
    except InvalidRule as error:
        raise InvalidValue(str(error)) from None


def _about_line(line: str, problem: str) -> str:
    """Begin a problem with the line that it is about, unless it names it itself."""
    written = " = ".join(side.strip() for side in line.split("="))
    quoted = f"'{written}'"
    return problem if quoted in problem else f"{quoted}: {problem}"


def token_path(text: str) -> str:
    """Parse the path of the token service."""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", text) or re.match(
        r"/v[12](?:/|$)", text
    ):
        raise InvalidValue("write a path such as /auth, outside /v1 and /v2")
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that takes one of a few words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise InvalidValue(f"'{text}' is not known; write {' or '.join(choices)}")
        return text

    return parse


def one_of_sections(kind: str, names: Collection[str]) -> Callable[[str], str]:
    """Return a parser that takes the name of a section of one kind."""

    def parse(text: str) -> str:
        if not text:
            raise InvalidValue(f"empty; name an [{kind} NAME] section")
        if text not in names:
            raise InvalidValue(_no_section(kind, text, names))
        return text

    return parse


def some_sections(
    kind: str, names: Collection[str]
) -> Callable[[str], tuple[str, ...]]:
    """Return a parser that takes the names of sections of one kind, in order."""
    parse_one = one_of_sections(kind, names)

    def parse(text: str) -> tuple[str, ...]:
        given = text.replace(",", " ").split()
        if not given:
            raise InvalidValue(f"empty; name an [{kind} NAME] section")
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise InvalidValue(f"'{twice[0]}' stands twice; once is right")
        return tuple(map(parse_one, given))

    return parse


def registry_accounts(
    names: Collection[str], upstreams: Collection[str], served: Collection[str]
) -> Callable[[str], tuple[str, tuple[str, ...]]]:
    """
    Return a parser of a registry's ``accounts``.

    It takes the name of an ``[accounts NAME]`` section, or ``upstream``, or
    ``upstream: NAME, NAME`` with those upstreams that clients have accounts at:
    of all `upstreams`, those `served` that the registry's rules lead to.
    """
    right = "write upstream, upstream: NAME, or the name of an [accounts NAME] section"
    if names:
        right += f"; there are: {', '.join(sorted(names))}"
    parse_upstreams = some_sections("upstream", upstreams)

    def parse(text: str) -> tuple[str, tuple[str, ...]]:
        kind, colon, rest = text.partition(":")
        if not text:
            raise InvalidValue(f"empty; {right}")
        if text == "upstream" or text in names:
            return text, ()
        if not (colon and kind.strip() == "upstream"):
            raise InvalidValue(f"there is no [accounts {text}] section; {right}")
        given = parse_upstreams(rest)
        for name in given:
            if name not in served:
                raise InvalidValue(no_rule(name))
        return "upstream", given

    return parse


def no_rule(upstream: str) -> str:
    """Say that no rule of a registry leads to one of its upstreams."""
    return f"no rule leads to '{upstream}'; take it out, or name it in a rule"


def _no_section(kind: str, name: str, names: Collection[str]) -> str:
    known = ", ".join(sorted(names)) or "none yet"
    return f"there is no [{kind} {name}] section; there are: {known}"


def upstream_url(text: str) -> tuple[Origin | None, str]:
    """Parse an upstream's URL into origin and base path; no origin: sandbox."""
    if text == "sandbox:":
        return None, ""
    match = re.fullmatch(r"(https?)://([^/?#]+)(/[^?#]*)?", text)
    origin = match and parse_origin(match[1], match[2])
    if not match or origin is None or not is_host(origin.bare_netloc):
        raise InvalidValue("write https://HOST, https://HOST:PORT, or sandbox:")
    path = (match[3] or "").rstrip("/").removesuffix("/v2")
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)*", path):
        raise InvalidValue(f"the path '{path}' is not one that a registry can have")
    return origin, path


def realm(text: str) -> str | None:
    """Check a realm that the operator has written."""
    try:
        parse_realm(text)
    except RealmRefused:
        raise InvalidValue(
            "write the URL of the token service, https://HOST/PATH"
        ) from None
    return text


def service(text: str) -> str:
    """Parse the name by which a token service knows the registry."""
    if not text or not text.isprintable():
        raise InvalidValue(
            "write the name in the upstream's own challenge, on one line, or take it "
            "out"
        )
    return text


def public_url(text: str) -> Origin:
    """Parse the URL by which clients reach a registry."""
    match = re.fullmatch(r"(https?)://([^/?#]+)/?", text)
    origin = match and parse_origin(match[1], match[2])
    if origin is None:
        raise InvalidValue("write https://HOST, or https://HOST:PORT, without a path")
    return origin


def namespace(text: str) -> str:
    """Parse a namespace, the beginning of repository names."""
    if not is_name(text):
        raise InvalidValue(f"'{text}' is no namespace; write for example library")
    return text


def search_url(text: str) -> str:
    """Parse the URL of a search service, with ``/v1`` at its end or without."""
    match = re.fullmatch(r"(https?)://([^/?#]+)((?:/[A-Za-z0-9._~-]+)*)/?", text)
    origin = match and parse_origin(match[1], match[2])
    if match is None or origin is None:
        raise InvalidValue("write https://HOST, for Docker Hub https://index.docker.io")
    path, slash, last = match[3].rpartition("/")
    if slash and last == "search":
        raise InvalidValue(f"write it without /search: {origin}{path}")
    return f"{origin}{match[3].removesuffix('/v1')}/v1"


def cors_origins(text: str) -> tuple[str, ...]:
    """Parse the origins of web pages, ``scheme://host[:port]``, or ``*``."""
    origins = tuple(text.replace(",", " ").split())
    if origins == ("*",):
        return origins
    parsed = []
    for word in origins:
        match = re.fullmatch(r"(https?)://([^/?#]+)", word)
        origin = match and parse_origin(match[1], match[2])
        if origin is None:
            raise InvalidValue(
                f"'{word}' is no origin; write https://HOST, https://HOST:PORT, or * "
                "alone"
            )
        parsed.append(str(origin))
    return tuple(parsed)


def extensions(text: str) -> tuple[str, ...]:
    """Parse the extensions that are relayed, ``_NAME`` each."""
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for name in names:
        if name == "_catalog" or not re.fullmatch(r"_[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise InvalidValue(
                f"'{name}' is no extension of the API; write the part of the path that "
                "begins with _, for example _oci"
            )
    return names


def sources(text: str) -> dict[str, str]:
    """Parse ``ns``: one ``SOURCE = HOST`` a line."""
    table: dict[str, str] = {}
    for line in lines(text):
        source, equals, host = (part.strip() for part in line.partition("="))
        origin = parse_origin("https", source)
        if not (equals and host) or origin is None or " " in host:
            raise InvalidValue(
                f"'{line}' is not 'SOURCE = HOST'; write for example "
                "docker.io = docker.example.com"
            )
        if source.lower() in table:
            raise InvalidValue(f"'{source}' stands twice; once is right")
        table[source.lower()] = host
    return table


def shared_actions(text: str) -> frozenset[str]:
    """Parse ``anonymous``: ``shared``, with actions after a colon."""
    match = re.fullmatch(r"shared(?:\s*:\s*(?P<actions>.+))?", text)
    if match is None:
        raise InvalidValue(
            "write shared, or 'shared: pull, push' to lend more than pull"
        )
    actions = frozenset((match["actions"] or "pull").replace(",", " ").split())
    if not actions <= {"pull", "push", "delete"}:
        raise InvalidValue("the actions are pull, push and delete")
    return actions


def pattern(text: str) -> re.Pattern[str] | None:
    """Parse regular expressions, one a line; None for no line."""
    given = lines(text)
    try:
        for line in given:
            re.compile(line)
    except re.error as error:
        raise InvalidValue(f"'{line}' is no regular expression: {error}") from None
    return re.compile("|".join(f"(?:{line})" for line in given)) if given else None


def yes_or_no(text: str) -> bool:
    """Parse a switch."""
    if text not in ("yes", "no"):
        raise InvalidValue(f"'{text}' is not known; write yes or no")
    return text == "yes"


def username(text: str) -> str:
    """Parse the user of an account; Basic credentials end it at a colon."""
    if ":" in text or any(ord(c) < 32 or c == "\x7f" for c in text):
        raise InvalidValue("a user name has no colon, and no control characters")
    return text


def variable(text: str) -> str:
    """Parse the name of an environment variable."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise InvalidValue("write the name of an environment variable, as PASSWORD")
    return text


def credential_server(text: str) -> str:
    """Parse what a credential helper is asked for."""
    match = re.fullmatch(
        r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?P<authority>[^/?#]+)(?:/[!-~]*)?", text
    )
    # The log names it, and user names, passwords and queries are no part of it.
    if match is None or "?" in text or "#" in text:
        origin = None
    else:
        origin = parse_origin("https", match["authority"])
    if origin is None:
        raise InvalidValue(
            "write what 'docker-credential-NAME list' shows: HOST, HOST:PORT or "
            "https://HOST/PATH, without a user, a password or a query"
        )
    return text


def helper_name(text: str) -> str:
    """Parse the name of a credential helper."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        raise InvalidValue(
            "write NAME for a program docker-credential-NAME, without a path"
        )
    return text


def ldap_url(text: str) -> LdapUrl:
    """Parse an LDAP URL."""
    try:
        return parse_ldap_url(text)
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def hosts(text: str) -> tuple[str, ...]:
    """Parse host names, separated by spaces or commas."""
    hosts = tuple(text.lower().replace(",", " ").split())
    for host in hosts:
        if not is_host(host):
            raise InvalidValue(
                f"'{host}' is no host name; write it without scheme or port"
            )
    return tuple(host.strip("[]") for host in hosts)


def public_hosts(text: str) -> tuple[str, ...]:
    """Parse hosts that clients use, ``*.DOMAIN`` among them."""
    hosts = tuple(text.lower().replace(",", " ").split())
    if not hosts:
        raise InvalidValue("names no host; take it out to serve every host")
    for host in hosts:
        if not is_host(host.removeprefix("*.")):
            raise InvalidValue(
                f"'{host}' is no host name; write HOST or *.DOMAIN, without scheme or "
                "port"
            )
    return hosts


def path_prefixes(text: str) -> tuple[str, ...]:
    """Parse the beginnings of paths, separated by spaces or commas."""
    prefixes = tuple(text.replace(",", " ").split())
    for prefix in prefixes:
        if not is_prefix(prefix):
            raise InvalidValue(
                f"'{prefix}' is not the beginning of a path outside /v2; write for "
                "example /artifacts-downloads/"
            )
    return prefixes


def seconds(text: str) -> float:
    """Parse a time."""
    value = _number(text)
    if value is None or not 0 < value <= MAX_SECONDS:
        raise InvalidValue(
            f"'{text}' is not a number of seconds above 0, up to {MAX_SECONDS}"
        )
    return value


def rate(text: str) -> float:
    """Parse a number of bytes per second; 0 is for none."""
    value = _number(text)
    if value is None or value > MAX_RATE:
        raise InvalidValue(
            f"'{text}' is not a number of bytes per second, up to {MAX_RATE}; "
            "write 0 for no limit"
        )
    return value


def _number(text: str) -> float | None:
    """Return a number in digits, with a fraction or without; None for others."""
    # float() takes 1_0, +5, inf, and the digits of every script.
    return float(text) if re.fullmatch(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", text) else None


def count(text: str) -> int:
    """Parse a number of things of which there is at least one."""
    if not re.fullmatch("[0-9]{1,7}", text) or not int(text):
        raise InvalidValue(f"'{text}' is not a number from 1 to 9999999")
    return int(text)


def token_life(text: str) -> float:
    """Parse how long a token lives; clients count on `MIN_LIFE_SECONDS`."""
    value = seconds(text)
    if value < MIN_LIFE_SECONDS:
        raise InvalidValue(
            f"'{text}' is too short: clients use a token for {MIN_LIFE_SECONDS} s, "
            "whatever it says"
        )
    return value


def users(text: str) -> dict[str, str]:
    """Parse ``name:password`` lines."""
    users: dict[str, str] = {}
    for line in lines(text):
        name, colon, password = line.partition(":")
        if not (name and colon and password):
            raise InvalidValue("write one 'name:password' a line")
        users[name] = password
    return users
