"""
``WWW-Authenticate``: challenges parsed and written.

Grammar: RFC 9110, 11.6.1. What clients can read is less: one challenge per
header line, Bearer first, its realm first, and no empty parameter (docker and
podman stop reading at the first one). `format_challenge` writes only that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from regbroker.errors import Unauthorized
from regbroker.protocol.headers import Header

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(
    rf"(?P<name>{_TOKEN})[ \t]*=[ \t]*"
    rf'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_TOKEN}))'
)
_SCHEME = re.compile(rf"(?P<scheme>{_TOKEN})(?=[ \t,]|$)")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")
_SEPARATORS = re.compile(r"[ \t,]*")
_ESCAPED = re.compile(r"\\(.)")


#: An upstream challenges each request for one repository alike, and each challenge is
#: read twice. Longer ones are parsed each time.
MAX_REMEMBERED = 256
MAX_REMEMBERED_VALUE = 1024


@dataclass(frozen=True)
class Challenge:
    """One challenge: the scheme in lower case, the parameters in their order."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Return a parameter's value, or None."""
        return dict(self.parameters).get(name)

    @property
    def realm(self) -> str | None:
        """The realm: for Bearer, the URL of the token service."""
        return self.get("realm")


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """
    Parse the values of all ``WWW-Authenticate`` headers of one reply.

    A value may hold several challenges. Parsing a value ends where it stops
    making sense; what was understood before that is kept.
    """
    challenges: list[Challenge] = []
    for value in values:
        is_short = len(value) <= MAX_REMEMBERED_VALUE
        challenges.extend((_remembered if is_short else _parse_value)(value))
    return tuple(challenges)


def _parse_value(value: str) -> tuple[Challenge, ...]:
    parsed: list[tuple[str, dict[str, str]]] = []
    position = _skip(value, 0)
    while position < len(value):
        parameter = _PARAMETER.match(value, position)
        if parameter is not None and parsed:
            text = parameter["plain"]
            if text is None:
                text = _ESCAPED.sub(r"\1", parameter["quoted"])
            parsed[-1][1].setdefault(parameter["name"].lower(), text)
            position = _skip(value, parameter.end())
            continue
        scheme = _SCHEME.match(value, position)
        if scheme is None:
            break
        parsed.append((scheme["scheme"].lower(), {}))
        position = _skip(value, scheme.end())
        token68 = _TOKEN68.match(value, position)
        if token68 is not None and value[scheme.end() : position].isspace():
            position = _skip(value, token68.end())
    return tuple(
        [Challenge(scheme, tuple(parameters.items())) for scheme, parameters in parsed]
    )


_remembered = lru_cache(MAX_REMEMBERED)(_parse_value)


def _skip(value: str, position: int) -> int:
    match = _SEPARATORS.match(value, position)
    return match.end() if match else position


def find_bearer(challenges: Iterable[Challenge]) -> Challenge | None:
    """Return the first Bearer challenge that names a realm."""
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.realm:
            return challenge
    return None


def format_challenge(
    scheme: str, parameters: Iterable[tuple[str, str | None]]
) -> bytes:
    """Write one challenge, leaving out parameters that are empty or None."""
    quoted = ((name, _quote(value or "")) for name, value in parameters)
    written = ",".join(f'{name}="{value}"' for name, value in quoted if value)
    return f"{scheme} {written}".rstrip().encode()


def basic_challenge(realm: str) -> bytes:
    """Write a challenge for a user name and a password."""
    return format_challenge("Basic", [("realm", realm)])


def bearer_challenge(
    realm: str, service: str | None, scope: str = "", error: str | None = None
) -> bytes:
    """Write a challenge for a token; `realm` is the URL of the token service."""
    return format_challenge(
        "Bearer",
        [("realm", realm), ("service", service), ("scope", scope), ("error", error)],
    )


def challenge_headers(challenges: Iterable[bytes]) -> list[Header]:
    """Return the headers of challenges, one for each."""
    return [(b"WWW-Authenticate", challenge) for challenge in challenges]


def unauthorized(
    challenges: Iterable[bytes], message: str = "authentication is required"
) -> Unauthorized:
    """Return the error that asks a client for credentials, in one of these ways."""
    return Unauthorized(message, headers=challenge_headers(challenges))


def _quote(value: str) -> str:
    printable = value
    if not (value.isascii() and value.isprintable()):
        printable = "".join(c for c in value if " " <= c <= "~")
    return printable.replace("\\", "\\\\").replace('"', '\\"')
