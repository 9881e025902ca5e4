"""
Words, numbers and lists that options may hold: text in, value out.

Each function raises `InvalidValue` with a sentence that says what would be right.
`regbroker.settings.addresses` has those for hosts, URLs and paths.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import PurePath

from regbroker.protocol.names import is_name
from regbroker.protocol.token_replies import MIN_LIFE_SECONDS
from regbroker.settings.invalid import InvalidValue, parse_each

#: Twelve days: what is longer was meant in other units.
MAX_SECONDS = 1_000_000

#: Of the 108 bytes that the kernel has for the path of a socket, one is the end.
MAX_SOCKET_PATH = 107

#: What is said of a longer one.
LONG_SOCKET_PATH = f"the path of a socket has {MAX_SOCKET_PATH} bytes at most"

#: What stands behind a user in a line of htpasswd.
_HASH = re.compile(r":(?:\$[0-9a-z]+\$|\{S)")

#: A byte each nanosecond: no client comes near it.
MAX_RATE = 1_000_000_000


def lines(text: str) -> list[str]:
    """Return the lines of a list that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def path(text: str) -> PurePath:
    """Parse a path."""
    if not text:
        raise InvalidValue("empty; write a path")
    # What was pasted may be a key, so it is not shown.
    if "-----BEGIN " in text:
        raise InvalidValue("PEM text itself; write the path of a file that holds it")
    if len(text.splitlines()) > 1:
        raise InvalidValue("more than one line; write one path")
    if _HASH.search(text):
        raise InvalidValue("a line of htpasswd itself; write the path of its file")
    if text.startswith("~"):
        raise InvalidValue("~ has no meaning here; write the whole path")
    return PurePath(text)


def is_socket_path(text: str) -> bool:
    """Tell whether a path is short enough for a unix socket."""
    return len(text.encode("utf-8", "surrogateescape")) <= MAX_SOCKET_PATH


def paths(text: str) -> tuple[PurePath, ...]:
    """Parse paths, one a line."""
    return parse_each(lines(text) or [""], path)


def log_destination(text: str) -> PurePath | str:
    """Parse the path of a log; ``-`` is the log that all else is in."""
    return "-" if text == "-" else path(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that takes one of a few words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise InvalidValue(f"'{text}' is not known; write {' or '.join(choices)}")
        return text

    return parse


def service(text: str) -> str:
    """Parse the name by which a token service knows the registry."""
    if not text or not text.isprintable():
        raise InvalidValue(
            "write the name in the upstream's own challenge, on one line, or take it "
            "out"
        )
    return text


def namespace(text: str) -> str:
    """Parse a namespace, the beginning of repository names."""
    if not is_name(text):
        raise InvalidValue(f"'{text}' is no namespace; write for example library")
    return text


def extensions(text: str) -> tuple[str, ...]:
    """Parse the extensions that are relayed, ``_NAME`` each."""
    return parse_each(dict.fromkeys(text.replace(",", " ").split()), _extension)


def _extension(name: str) -> str:
    if name == "_catalog" or not re.fullmatch(r"_[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InvalidValue(
            f"'{name}' is no extension of the API; write the part of the path that "
            "begins with _, for example _oci"
        )
    return name


def shared_actions(text: str) -> frozenset[str]:
    """Parse ``anonymous``: ``shared``, with actions after a colon."""
    match = re.fullmatch(r"shared(?:\s*:\s*(?P<actions>.+))?", text)
    if match is None:
        raise InvalidValue(
            "write shared, or 'shared: pull, push' to share more than pull"
        )
    actions = frozenset((match["actions"] or "pull").replace(",", " ").split())
    if not actions <= {"pull", "push", "delete"}:
        raise InvalidValue("the actions are pull, push and delete")
    return actions


def pattern(text: str) -> re.Pattern[str] | None:
    """Parse regular expressions, one a line; None for no line."""
    expressions = lines(text)
    parse_each(expressions, lambda each: _compile(each, each))
    if not expressions:
        return None
    # Each may be right alone, and not beside the others: groups have names.
    return _compile(
        "|".join(f"(?:{expression})" for expression in expressions), expressions[-1]
    )


def _compile(expression: str, shown: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidValue(f"'{shown}' is no regular expression: {error}") from None


def is_basic(text: str) -> bool:
    """Parse ``challenge``."""
    return one_of("bearer", "basic")(text) == "basic"


def yes_or_no(text: str) -> bool:
    """Parse a switch."""
    if text not in ("yes", "no"):
        raise InvalidValue(f"'{text}' is not known; write yes or no")
    return text == "yes"


def username(text: str) -> str:
    """Parse the user of an account; Basic credentials end it at a colon."""
    if not text:
        raise InvalidValue("empty; write the name of the user")
    if ":" in text or any(ord(c) < 32 or c == "\x7f" for c in text):
        raise InvalidValue("a user name has no colon, and no control characters")
    return text


def distinguished_name(text: str) -> str:
    """Parse the DN of an account in a directory; the directory knows what is one."""
    if not text:
        raise InvalidValue("empty; write the DN of an account, or take it out")
    return text


def robots(text: str) -> tuple[str, ...]:
    """Parse the names of users, one a line."""
    names = tuple(lines(text))
    if not names:
        raise InvalidValue("empty; write the name of a user, one a line")
    return parse_each(names, _robot)


def _robot(name: str) -> str:
    try:
        username(name)
    except InvalidValue as error:
        raise InvalidValue(f"'{name}': {error}") from None
    if name.split() != [name]:
        raise InvalidValue(f"'{name}': write one name a line, without spaces")
    return name


def variable(text: str) -> str:
    """Parse the name of an environment variable."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise InvalidValue("write the name of an environment variable, as PASSWORD")
    return text


def helper_name(text: str) -> str:
    """Parse the name of a credential helper."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        raise InvalidValue(
            "write NAME for a program docker-credential-NAME, without a path"
        )
    return text


def seconds(text: str) -> float:
    """Parse a time."""
    value = _number(text)
    if value is None or not 0 < value <= MAX_SECONDS:
        raise InvalidValue(
            f"'{text}' is not a number of seconds above 0, up to {MAX_SECONDS}"
            + _in_seconds(text)
        )
    return value


def _in_seconds(text: str) -> str:
    """Return what to write in place of a time with a unit, as systemd has it."""
    match = re.fullmatch(r"([0-9]{1,6}) *(s|sec|m|min|h)", text)
    if match is None:
        return ""
    factor = {"s": 1, "m": 60, "h": 3600}[match[2][0]]
    return f"; write {int(match[1]) * factor}"


def rate(text: str) -> float:
    """Parse a number of bytes per second; 0 is for none."""
    value = _number(text)
    if value is None or value > MAX_RATE:
        raise InvalidValue(
            f"'{text}' is not a number of bytes per second, up to {MAX_RATE}; "
            "write 0 for no limit"
        )
    return value


def size(text: str) -> int:
    """Parse a number of bytes, 0 for none; ``K``, ``M``, ``G`` are powers of 1024."""
    match = re.fullmatch(r"([0-9]{1,12})([KMG]?)", text)
    if match is None:
        raise InvalidValue(
            f"'{text}' is not a number of bytes; write '64M' for 64 MiB, with K, M or G"
        )
    return int(match[1]) << 10 * " KMG".index(match[2] or " ")


def _number(text: str) -> float | None:
    """Return a number in digits, with a fraction or without; None for others."""
    # float() takes 1_0, +5, inf, and the digits of every script.
    return float(text) if re.fullmatch(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", text) else None


def count(text: str) -> int:
    """Parse a number of things of which there is at least one."""
    if not re.fullmatch("[0-9]{1,7}", text) or not int(text):
        raise InvalidValue(f"'{text}' is not a number from 1 to 9999999")
    return int(text)


def workers(text: str) -> int:
    """Parse a number of processes; 0 stands for as many as there are cores."""
    if text == "auto":
        return 0
    if not re.fullmatch("[0-9]{1,3}", text) or not int(text):
        raise InvalidValue(f"'{text}' is neither a number from 1 to 999 nor auto")
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
