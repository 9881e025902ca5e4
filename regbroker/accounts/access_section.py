"""
An ``[access NAME]`` section: text in, rules out.

One option for each subject, and in it one grant a line, patterns before the
colon and actions after it, with commas or spaces between them::

    alice = team/**: pull, push
    @staff =
        library/**, tools/**: pull
        ${user}/**: pull, push, delete
    authenticated = **: catalog
    anonymous = library/**: pull
    github[repository_owner=acme, ref=refs/heads/main] =
        acme/${repository}/**: pull, push

What the rules mean is said in `regbroker.accounts.access`.
"""

from __future__ import annotations

from collections.abc import Mapping

from regbroker.accounts.access import ACTIONS, AccessRules, Grant, Kind, Subject
from regbroker.accounts.claims import parse_condition
from regbroker.accounts.patterns import parse_pattern


class InvalidAccess(ValueError):
    """
    An access section that cannot be served.

    `problems` holds every problem, each a line that begins with the subject.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


def parse_access(options: Mapping[str, str]) -> AccessRules:
    """
    Parse a section: subjects, as they are written, and their grants.

    A subject may have no grants, and a section no subjects: all lines may be comments
    for a while. Raises `InvalidAccess` with every problem.
    """
    problems: list[str] = []
    grants: list[Grant] = []
    for text, value in options.items():
        try:
            subject = parse_subject(text)
        except ValueError as error:
            problems.append(f"{text}: {error}")
            continue
        lines = [line.strip() for line in value.splitlines() if line.strip()]
        if not lines:
            grants.append(Grant(subject, (), frozenset()))
        for line in lines:
            try:
                grants.append(parse_grant(subject, line))
            except ValueError as error:
                problems.append(f"{text}: {error}")
    if problems:
        raise InvalidAccess(problems)
    return AccessRules(tuple(grants))


def parse_subject(text: str) -> Subject:
    """Parse a subject; raises `ValueError`."""
    text = text.strip()
    if text in (Kind.ANONYMOUS.value, Kind.AUTHENTICATED.value):
        return Subject(Kind(text))
    if text.startswith("@"):
        if text == "@":
            raise ValueError("write the group's name after the @")
        return Subject(Kind.GROUP, text[1:])
    name, bracket, rest = text.partition("[")
    if bracket and rest.endswith("]"):
        return _parse_identity(name.strip(), rest.removesuffix("]"))
    if bracket:
        raise ValueError("write ] behind the conditions, as in github[ref=main]")
    if not text or ":" in text:
        raise ValueError(
            "this is nobody: nobody can log in without a name, or with a colon in it"
        )
    return Subject(Kind.USER, text)


def _parse_identity(name: str, conditions: str) -> Subject:
    if not name:
        raise ValueError("write the name of an [identity NAME] section before the [")
    parsed = [parse_condition(each) for each in conditions.split(",") if each.strip()]
    return Subject(Kind.IDENTITY, name, tuple(parsed))


def parse_grant(subject: Subject, line: str) -> Grant:
    """Parse ``pattern, pattern: action, action``; raises `ValueError`."""
    before, colon, after = line.rpartition(":")
    patterns = before.replace(",", " ").split()
    actions = after.replace(",", " ").split()
    if not (colon and patterns and actions):
        raise ValueError(
            f"'{line}' is not 'patterns: actions'; write for example "
            "team/**: pull, push"
        )
    for action in actions:
        if action not in (*ACTIONS, "*"):
            known = ", ".join(ACTIONS)
            raise ValueError(
                f"'{action}' is no action; there are: {known}, or * for all of them"
            )
    parsed = tuple(parse_pattern(pattern) for pattern in patterns)
    for pattern in parsed:
        if pattern.claims and subject.kind is not Kind.IDENTITY:
            raise ValueError(
                f"'{pattern}': only an identity has claims, as in github[...]; others "
                "have ${user}"
            )
    return Grant(subject, parsed, frozenset(ACTIONS if "*" in actions else actions))
