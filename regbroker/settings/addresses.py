"""
Hosts, URLs, networks and paths that options may hold: text in, value out.

Each function raises `regbroker.settings.values.InvalidValue` with a sentence that says
what would be right.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv6Address, ip_network
from pathlib import PurePath
from typing import Literal, NamedTuple

from regbroker.accounts.ldap.url import LdapUrl, parse_ldap_url
from regbroker.protocol.headers import UNIX, Network
from regbroker.protocol.origins import UNIX_ORIGIN, Origin, parse_origin
from regbroker.protocol.own_redirects import is_prefix
from regbroker.protocol.urls import Url, parse_url
from regbroker.settings.invalid import InvalidValue, parse_each, shown
from regbroker.settings.values import LONG_SOCKET_PATH, is_socket_path, lines

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")


def is_host(text: str) -> bool:
    """Tell whether a text is a host: lower case, no port, IPv6 in brackets."""
    if text.startswith("["):
        try:
            return text == f"[{IPv6Address(text[1:-1]).compressed}]"
        except ValueError:
            return False
    return len(text) <= 253 and all(map(_LABEL.fullmatch, text.split(".")))


def networks(text: str) -> tuple[Network, ...]:
    """Parse addresses, networks, and ``unix``, separated by spaces or commas."""
    return parse_each(text.replace(",", " ").split(), _network)


def _network(word: str) -> Network:
    if word == UNIX:
        return UNIX
    try:
        return ip_network(word)
    except ValueError:
        pass
    hint = ""
    with suppress(ValueError):
        # An address in the network, or brackets.
        meant = ip_network(re.sub(r"[\[\]]", "", word), strict=False)
        hint = f"; write {meant}"
    raise InvalidValue(
        f"'{word}' is no address or network such as 10.0.0.0/8, and is not unix{hint}"
    )


def token_path(text: str) -> str:
    """Parse the path of the token service."""
    return _path(text, "/auth")


def health_path(text: str) -> str:
    """Parse the path of health checks."""
    return _path(text, "/healthz")


def _path(text: str, example: str) -> str:
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", text) or re.match(
        r"/v[12](?:/|$)", text
    ):
        raise InvalidValue(f"write a path such as {example}, outside /v1 and /v2")
    return text


def server_url(text: str) -> Url | None:
    """Parse a URL; None, too, for one whose host no name server can know."""
    url = parse_url(text)
    if url is None:
        return None
    host = url.origin.host
    return url if ":" in host or is_host(host.removesuffix(".")) else None


class Place(NamedTuple):
    """Where an upstream is; no `origin`: the sandbox."""

    origin: Origin | None
    base_path: str = ""
    socket: PurePath | None = None


def upstream_url(text: str) -> Place:
    """Parse an upstream's URL."""
    if text == "sandbox:":
        return Place(None)
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or path.startswith("//"):
            raise InvalidValue("write unix:/PATH, the whole path of the socket")
        if not is_socket_path(path):
            raise InvalidValue(LONG_SOCKET_PATH)
        return Place(UNIX_ORIGIN, socket=PurePath(path))
    if re.match(r"https?://[^/]*@", text):
        # It may have a password in it, so it is not shown.
        raise InvalidValue(
            "has a user in it; write https://HOST, and username and password-file "
            "beside it"
        )
    if text == "sandbox":
        raise InvalidValue("write sandbox: with a colon")
    if "://" not in text and parse_origin("https", text.partition("/")[0]):
        raise InvalidValue("begins with no scheme; write https:// before the host")
    match = re.fullmatch(r"(https?)://([^/?#]+)(/[^?#]*)?", text)
    origin = match and parse_origin(match[1], match[2])
    if not match or origin is None or not is_host(origin.bare_netloc):
        raise InvalidValue(
            "write https://HOST, https://HOST:PORT, unix:/PATH, or sandbox:"
        )
    # Any text so far, so that the problem can name it.
    path = (match[3] or "").rstrip("/").removesuffix("/v2")
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)*", path):
        raise InvalidValue(f"the path '{path}' is not one that a registry can have")
    return Place(origin, path)


def proxy(text: str) -> Origin | Literal["environment"]:
    """Parse the proxy of an upstream."""
    if text == "environment":
        return "environment"
    if "@" in text:
        raise InvalidValue(
            "has a user in it; write http://HOST:PORT, and user:password into a file "
            "that proxy-credentials-file names"
        )
    scheme, mark, _ = text.partition("://")
    if mark and scheme.lower() != "http":
        raise InvalidValue(
            f"{scheme}:// is not supported on the way to a proxy; write "
            "http://HOST:PORT: what goes through to an https upstream is encrypted "
            "all the same"
        )
    url = server_url(text)
    if url is None or url.target != "/":
        raise InvalidValue("write http://HOST:PORT, or environment")
    return url.origin


def realm(text: str) -> str:
    """Check a realm that the operator has written."""
    if server_url(text) is None:
        raise InvalidValue("write the URL of the token service, https://HOST/PATH")
    return text


def public_url(text: str) -> Origin:
    """Parse the URL by which clients reach a registry."""
    url = server_url(text)
    if url is None or url.target != "/":
        raise InvalidValue("write https://HOST, or https://HOST:PORT, without a path")
    return url.origin


def search_url(text: str) -> str:
    """Parse the URL of a search service, with ``/v1`` at its end or without."""
    url = server_url(text)
    if url is None or not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)*/?", url.target):
        raise InvalidValue("write https://HOST, for Docker Hub https://index.docker.io")
    path = url.path.removesuffix("/")
    before, slash, last = path.rpartition("/")
    if slash and last == "search":
        raise InvalidValue(f"write it without /search: {url.origin}{before}")
    return f"{url.origin}{path.removesuffix('/v1')}/v1"


def cors_origins(text: str) -> tuple[str, ...]:
    """Parse the origins of web pages, ``scheme://host[:port]``, or ``*``."""
    origins = tuple(text.replace(",", " ").split())
    if origins == ("*",):
        return origins
    return parse_each(origins, _cors_origin)


def _cors_origin(word: str) -> str:
    url = parse_url(word)
    # An origin has not even a slash at its end.
    if url is None or url.target != "/" or word.endswith("/"):
        raise InvalidValue(
            f"'{shown(word)}' is no origin; write https://HOST, https://HOST:PORT, "
            "or * alone"
        )
    return str(url.origin)


def mirrors(text: str) -> dict[str, str]:
    """Parse ``ns``: one ``SOURCE = HOST`` a line."""
    table: dict[str, str] = {}

    def add(line: str) -> None:
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

    parse_each(lines(text), add)
    return table


def ldap_url(text: str) -> LdapUrl:
    """Parse an LDAP URL."""
    try:
        return parse_ldap_url(text)
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def hosts(text: str) -> tuple[str, ...]:
    """Parse host names, separated by spaces or commas."""
    return parse_each(text.lower().replace(",", " ").split(), _host)


def _host(host: str) -> str:
    if not is_host(host):
        raise InvalidValue(
            f"'{shown(host)}' is no host name; write it without scheme or port"
        )
    return host.strip("[]")


def public_hosts(text: str) -> tuple[str, ...]:
    """Parse hosts that clients use, ``*.DOMAIN`` among them."""
    hosts = tuple(text.lower().replace(",", " ").split())
    if not hosts:
        raise InvalidValue("names no host; take it out to serve every host")
    return parse_each(hosts, _public_host)


def _public_host(host: str) -> str:
    if not is_host(host.removeprefix("*.")):
        raise InvalidValue(
            f"'{shown(host)}' is no host name; write HOST or *.DOMAIN, without scheme "
            "or port"
        )
    return host


def path_prefixes(text: str) -> tuple[str, ...]:
    """Parse the beginnings of paths, separated by spaces or commas."""
    return parse_each(text.replace(",", " ").split(), _path_prefix)


def _path_prefix(prefix: str) -> str:
    if not is_prefix(prefix):
        raise InvalidValue(
            f"'{prefix}' is not the beginning of a path outside /v2; write for example "
            "/artifacts-downloads/"
        )
    return prefix


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
