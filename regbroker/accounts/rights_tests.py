"""
What rights are meant to be, one expectation a line, to be compared with the rules.

::

    # who, in which groups, what, where: what is meant
    alice pull library/nginx: allowed
    alice @staff @dev pull,push team/app team/web: allowed
    anonymous pull team/app: denied
    authenticated pull library/nginx: allowed
    github{repository=acme/app, ref=refs/heads/main} push acme/app/web: allowed

The subject is a user, ``anonymous``, ``authenticated`` (somebody who has logged in, and
whom no rule names), or an identity with its claims in braces. A claim may have several
values, with ``|`` between them; a word without ``=`` is a named condition that holds
whatever the claims say.
Quotes, double ones, are for what has spaces in it, or braces, commas and colons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from regbroker.accounts.access import ACTIONS, Kind
from regbroker.accounts.principals import Account

VERDICTS = {"allowed": True, "denied": False}

#: A word, or a text in quotes, or some of both without a space between them.
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')

_IDENTITY = re.compile(r'(?P<name>[^\s"{}@]+)\{(?P<claims>(?:[^"}]|"[^"]*")*)\}')

_CLAIM = re.compile(r'(?:[^",]|"[^"]*")+')

_EXAMPLE = "alice pull team/app: allowed"


@dataclass(frozen=True)
class Expectation:
    """
    One line: whether somebody may do something to a repository.

    `who` is for people. `account` is None for somebody without a login. `name` is as
    clients write it.
    """

    line: int
    who: str
    account: Account | None
    action: str
    name: str
    allowed: bool


@dataclass(frozen=True)
class WrongLine:
    """A line that is no expectation, and why."""

    line: int
    problem: str


def parse_tests(text: str) -> Iterator[Expectation | WrongLine]:
    """Yield what the lines of a file expect; a line may expect several things."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            yield from _parse_line(number, line)
        except ValueError as error:
            yield WrongLine(number, str(error))


def _parse_line(number: int, line: str) -> Iterator[Expectation]:
    before, colon, verdict = line.rpartition(":")
    allowed = VERDICTS.get(verdict.strip())
    if not colon or allowed is None:
        raise ValueError(f"the line ends in ': allowed' or ': denied'; as '{_EXAMPLE}'")
    who, account, rest = _parse_subject(before.strip())
    words = _words(rest)
    while words and words[0].startswith("@"):
        group = words.pop(0)
        if account is None or len(group) < 2:
            raise ValueError(f"'{group}': {who} has no groups")
        who += f" {group}"
        groups = account.groups | {group[1:]}
        account = replace(account, groups=groups)
    if len(words) < 2:
        raise ValueError(f"write who, what and where, as '{_EXAMPLE}'")
    actions, *names = words
    for action in _actions(actions):
        for name in names:
            yield Expectation(number, who, account, action, name, allowed)


def _parse_subject(text: str) -> tuple[str, Account | None, str]:
    """Return who it is, for people and for the rules, and what stands after it."""
    identity = _IDENTITY.match(text)
    if identity is not None:
        claims, conditions = _claims(identity["claims"])
        account = Account(
            "", identity=identity["name"], claims=claims, conditions=conditions
        )
        return identity[0], account, text[identity.end() :]
    word = _WORD.match(text)
    if word is None:
        raise ValueError(f"write who, what and where, as '{_EXAMPLE}'")
    user, rest = word[0].replace('"', ""), text[word.end() :]
    if word[0] == Kind.ANONYMOUS.value:
        return user, None, rest
    if word[0] == Kind.AUTHENTICATED.value:
        # No user has this name, so no rule is about it alone.
        return user, Account(""), rest
    if user.startswith("@"):
        raise ValueError(
            f"'{user}' is a group; write a user before it, as 'alice {user} pull …'"
        )
    if "," in word[0] and '"' not in word[0]:
        raise ValueError(
            f"'{user}': groups stand after the user, as 'alice @staff @dev pull …'; "
            "quote a name that has a comma in it"
        )
    return user, Account(user), rest


def _claims(text: str) -> tuple[dict[str, object], frozenset[str]]:
    claims: dict[str, object] = {}
    conditions = set()
    for each in _CLAIM.findall(text):
        name, equals, value = each.partition("=")
        name, value = name.strip(), value.strip()
        if not name:
            raise ValueError(f"'{each.strip()}' is no claim; write claim=text")
        if not equals:
            conditions.add(name)
        elif value.startswith('"'):
            claims[name] = value.replace('"', "")
        else:
            values = tuple(one.strip() for one in value.split("|"))
            claims[name] = values[0] if len(values) == 1 else values
    return claims, frozenset(conditions)


def _words(text: str) -> list[str]:
    if text.count('"') % 2:
        raise ValueError("a quote is open")
    return [word.replace('"', "") for word in _WORD.findall(text)]


def _actions(text: str) -> tuple[str, ...]:
    actions = tuple(filter(None, text.split(",")))
    if not actions:
        # A line that expects nothing would always be right.
        raise ValueError(f"write who, what and where, as '{_EXAMPLE}'")
    for action in actions:
        if action not in ACTIONS:
            known = ", ".join(ACTIONS)
            raise ValueError(f"'{action}' is no action; there are: {known}")
    return actions
