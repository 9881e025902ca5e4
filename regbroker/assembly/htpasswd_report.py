"""
What is wrong with an htpasswd file, line by line, and what is weak in it.

Nothing of a line is quoted but its number: a password may stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from regbroker.accounts.htpasswd_file import (
    Contents,
    DamagedLines,
    parse,
    read,
)
from regbroker.accounts.line_numbers import lines


def htpasswd_problems(path: Path) -> Iterator[str]:
    """Yield what keeps a file, or all its users, from being used at all."""
    try:
        contents = parse(read(path))
    except OSError:
        # That the file cannot be read has been said already.
        return
    except DamagedLines as error:
        for reason, numbers in _by_reason(error.damaged):
            yield f"{path}: {lines(numbers)}: {reason}"
    except ValueError as error:
        yield f"{path}: {error}"
    else:
        if contents.refused and not contents.hashes:
            for reason, numbers in _refused(contents):
                yield f"{path}: {lines(numbers)}: {reason}"
            yield (
                f"{path}: nobody in it can log in; set a password with "
                f"'htpasswd -B {path} USER'"
            )


def htpasswd_warnings(path: Path) -> Iterator[str]:
    """Yield what some users of a file that can be used will not like."""
    try:
        contents = parse(read(path))
    except (OSError, ValueError):
        return
    if not contents.hashes:
        if not contents.refused:
            yield f"{path}: it has no line with a user; nobody in it can log in"
        return
    for reason, numbers in _refused(contents):
        yield (
            f"{path}: {lines(numbers)}: {reason}, which is not supported; these users "
            f"cannot log in; write 'htpasswd -B {path} USER'"
        )
    if contents.repeated:
        yield (
            f"{path}: {lines(contents.repeated)}: the user has a line above, and the "
            "first counts; take these out"
        )
    weak: dict[str, list[str]] = {}
    for user, stored in contents.hashes.items():
        if stored.weakness is not None:
            weak.setdefault(stored.weakness, []).append(user)
    for weakness, users in weak.items():
        count = f"{len(users)} users" if len(users) > 1 else f"'{users[0]}'"
        yield (
            f"{path}: for {count} it holds {weakness}; write 'htpasswd -B {path} USER' "
            "for bcrypt"
        )


def _refused(contents: Contents) -> list[tuple[str, list[int]]]:
    return _by_reason((line.number, line.kind) for line in contents.refused)


def _by_reason(numbered: Iterable[tuple[int, str]]) -> list[tuple[str, list[int]]]:
    grouped: dict[str, list[int]] = {}
    for number, reason in numbered:
        grouped.setdefault(reason, []).append(number)
    return list(grouped.items())
