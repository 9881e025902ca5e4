"""
Endpoints that options may hold, where regbroker listens: text in, value out.

Each function raises `regbroker.settings.values.InvalidValue` with a sentence that says
what would be right, also for what is written for other servers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv6Address, ip_address

from regbroker.settings.invalid import InvalidValue, parse_each
from regbroker.settings.values import LONG_SOCKET_PATH, is_socket_path, lines
from regbroker.transport.listening.listeners import COLON, Listener

#: An address with colons, in brackets or without, which may want backslashes.
_IPV6 = re.compile(r":interface=(\[?(?:[0-9A-Fa-f.]|\\?:)+\]?)(?=$|:)")

#: A backslash that stands before nothing: Twisted has no words for it.
_LAST_BACKSLASH = re.compile(r"(?<!\\)(?:\\\\)*\\$")

#: What may stand behind the port of an endpoint, or behind its path.
_ARGUMENTS = {
    "tcp": {"interface": "ADDRESS", "backlog": "NUMBER"},
    "unix": {
        "mode": "660",
        "user": "NAME",
        "group": "NAME",
        "backlog": "NUMBER",
        "lockfile": "0",
    },
}
_NUMBERS = {"backlog": "[1-9][0-9]{0,4}", "lockfile": "[01]"}


def listeners(text: str) -> tuple[Listener, ...]:
    """Parse ``listen``: one endpoint a line."""
    endpoints = lines(text)
    if not endpoints:
        raise InvalidValue("empty; write for example tls:443 or tcp:8080")
    repeated = sorted({line for line in endpoints if endpoints.count(line) > 1})
    if repeated:
        raise InvalidValue(f"'{repeated[0]}' stands twice; once is right")
    return parse_each(endpoints, listener)


def listener(line: str, scheme: str = "tls") -> Listener:
    """
    Parse one line of ``listen``.

    `scheme` is what is advised where a line has none.
    """
    text, proxy_protocol = line, line.startswith("proxy:")
    line = line.removeprefix("proxy:")
    _check_habits(line, scheme)
    kind, _, rest = line.partition(":")
    tls, redirects = kind == "tls", kind == "redirect"
    if tls or redirects:
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
        forms = "tls:PORT, tcp:PORT, redirect:PORT, unix:PATH, or tls:"
        if scheme == "tcp":
            forms = "tcp:PORT, unix:PATH, or "
        raise InvalidValue(
            f"'{line}' is not understood; write {forms}systemd:domain=INET:index=0"
        )
    if endpoint.startswith("systemd:"):
        _check_systemd(line, endpoint)
    else:
        _check_arguments(line, endpoint)
    endpoint, owner = _without_owner(line, endpoint)
    found = Listener(text, endpoint, tls, proxy_protocol, redirects=redirects, **owner)
    if found.where.path is not None and not is_socket_path(str(found.where.path)):
        raise InvalidValue(f"'{line}': {LONG_SOCKET_PATH}")
    return found


def _check_systemd(line: str, endpoint: str) -> None:
    """Refuse what names no socket of systemd's, which only the start would show."""
    words = [word.partition("=")[::2] for word in endpoint.split(":")[1:]]
    named = dict(words)
    which = {"index", "name"} & set(named)
    if (
        named.get("domain") not in ("INET", "INET6", "UNIX")
        or len(which) != 1
        or len(words) != 2
        or not re.fullmatch("[0-9]{1,4}", named.get("index", "0"))
        or not named.get("name", "x")
    ):
        raise InvalidValue(
            f"'{line}' names no socket of systemd's; write "
            "systemd:domain=INET6:name=NAME, with the FileDescriptorName of the socket "
            "unit, or :index=0 in place of the name; the domain is INET, INET6 or UNIX"
        )


def _check_arguments(line: str, endpoint: str) -> None:
    """Refuse what stands behind a port or a path, and which only the start would."""
    kind, *words = COLON.split(endpoint)
    known = _ARGUMENTS[kind]
    for word in words[1:]:
        name, equals, value = word.partition("=")
        form = _NUMBERS.get(name)
        if equals and name in known and (not form or re.fullmatch(form, value)):
            continue
        hint = ""
        if kind == "tcp" and "=" not in "".join(words):
            address = _address(":".join(words[1:]))
            port = line.partition(f":{words[0]}:")[0] + f":{words[0]}"
            hint = f"; write {port}:interface={address}" if address else ""
        raise InvalidValue(
            f"'{line}' is not understood at '{word}'"
            + (hint or f"; there may be {_listed(known)}")
        )


def _address(text: str) -> str:
    """Return an address as an endpoint has it; empty for something else."""
    try:
        return str(ip_address(text.strip("[]"))).replace(":", r"\:")
    except ValueError:
        return ""


def _listed(known: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in known.items())


def _check_habits(line: str, scheme: str) -> None:
    """Refuse what is written for other servers, with what to write here."""
    if _LAST_BACKSLASH.search(line):
        raise InvalidValue(
            f"'{line}' ends with a backslash; take it out: each endpoint has one line"
        )
    _check_ipv6(line)
    if re.match(r"(?:tls|tcp|redirect):proxy:", line):
        kind, _, rest = line.partition(":")
        rest = rest.removeprefix("proxy:")
        raise InvalidValue(f"'{line}': proxy: comes first; write proxy:{kind}:{rest}")
    kind = line.partition(":")[0]
    if kind not in ("tls", "tcp", "redirect"):
        kind = scheme
    parts = re.split(r"[\s:,]+", line)
    for protocol in ("http2", "h2", "http3", "quic"):
        if protocol in parts:
            raise InvalidValue(
                f"'{line}': regbroker speaks HTTP/1.1, as all clients of registries "
                f"do; take {protocol} out, as in tls:443"
            )
    words = line.split()
    if len(words) == 2 and words[0].isdigit() and words[1] == "ssl":
        raise InvalidValue(f"'{line}' is nginx's; write tls:{words[0]}")
    bare = re.fullmatch(
        r"(?:(?:tls|tcp|redirect):)?([0-9A-Fa-f:]*:.*):([0-9]{1,5})", line
    )
    if bare is not None and _address(bare[1]):
        raise InvalidValue(
            f"'{line}': the port comes first; write {kind}:{bare[2]}:interface="
            + _address(bare[1])
        )
    if re.fullmatch("[0-9]{1,5}", line):
        plain = "" if scheme == "tcp" else f", or tcp:{line} for plain HTTP"
        raise InvalidValue(f"'{line}': write {scheme}:{line}{plain}")
    several = [word for word in words if ":" in word]
    if len(several) > 1 and "," not in line and not line.startswith("unix:"):
        raise InvalidValue(
            f"'{line}': write each endpoint on a line of its own: "
            + " and ".join(several)
        )
    if "," in line and not line.startswith("unix:"):
        parts = [part.strip() for part in line.split(",") if part.strip()]
        raise InvalidValue(
            f"'{line}' has a comma; write each endpoint on a line of its own: "
            + " and ".join(parts)
        )
    match = re.fullmatch(
        r"(?:(?:tls|tcp|redirect):)?(\[[0-9A-Fa-f:.]+\]|[0-9]+(?:\.[0-9]+){3}|\*)"
        r":([0-9]{1,5})(?:\s+ssl)?",
        line,
    )
    if match is not None:
        host, port = match[1].strip("[]").replace(":", r"\:"), match[2]
        where = "" if host == "*" else f":interface={host}"
        raise InvalidValue(
            f"'{line}': the port comes first; write {kind}:{port}{where}"
        )


def _check_ipv6(line: str) -> None:
    """Refuse an address as other files have it: with bare colons, or in brackets."""
    for match in _IPV6.finditer(line):
        try:
            address = str(IPv6Address(match[1].strip("[]").replace("\\", "")))
        except ValueError:
            continue
        written = address.replace(":", r"\:")
        if match[1].startswith("[") or re.search(r"(?<!\\):", match[1]):
            raise InvalidValue(
                f"'{line}': a colon of an address needs a backslash, and there are no "
                f"brackets; write interface={written}"
            )


def _without_owner(line: str, endpoint: str) -> tuple[str, dict[str, str]]:
    """Return an endpoint as Twisted knows it, and who owns its socket's file."""
    if not endpoint.startswith("unix:"):
        return endpoint, {}
    owner: dict[str, str] = {}
    kept = []
    for part in COLON.split(endpoint):
        name, equals, value = part.partition("=")
        if equals and name in ("user", "group"):
            if not value or name in owner:
                raise InvalidValue(f"'{line}': write one name behind {name}=")
            owner[name] = value
            continue
        if equals and name == "mode" and not re.fullmatch("0?[0-7]{3}", value):
            raise InvalidValue(
                f"'{line}': '{value}' is no mode; write three digits from 0 to 7, as "
                "in mode=660"
            )
        kept.append(part)
    return ":".join(kept), owner


def admin_listeners(text: str) -> tuple[Listener, ...]:
    """Parse ``admin-listen``: one endpoint a line, on loopback by default."""
    return parse_each(lines(text), _admin_listener)


def _admin_listener(line: str) -> Listener:
    bare = line.removeprefix("public:")
    if bare.startswith(("tls:", "proxy:", "redirect:")):
        raise InvalidValue(
            f"'{line}': there is plain HTTP alone; write tcp:PORT or unix:PATH"
        )
    parsed = listener(bare, "tcp")
    endpoint = parsed.endpoint
    if endpoint.startswith("tcp:"):
        address = re.search(r":interface=((?:[^:\\]|\\.)*)", endpoint)
        if bare == line and address is None:
            endpoint += ":interface=127.0.0.1"
        elif bare == line and address and not _is_loopback(address[1]):
            raise InvalidValue(
                f"'{line}' is reached from other machines, and anybody there could "
                f"read it; write public:{line} if that is meant"
            )
    elif endpoint.startswith("unix:") and ":mode=" not in endpoint:
        # The default of Twisted lets every user of the machine read.
        endpoint += ":mode=660"
    return replace(parsed, text=line, endpoint=endpoint)


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text.replace("\\", "")).is_loopback
    except ValueError:
        return False
