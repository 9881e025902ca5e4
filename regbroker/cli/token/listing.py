"""``regbroker token list``: which robot tokens were made, and which are good still."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

from regbroker.accounts.robot_tokens import MAX_REVOKED_BYTES, parse_revoked
from regbroker.cli.printing import complain, say, say_json
from regbroker.cli.token.record import Record, day, parse_list
from regbroker.runtime.unreadable import why_unreadable
from regbroker.runtime.utf16 import refuse_utf16
from regbroker.runtime.watched_file import read_file
from regbroker.settings.config import Config

#: Some ten thousand tokens.
MAX_LIST_BYTES = 16 * 1024 * 1024


class Unreadable(Exception):
    """A file that the command needs cannot be read; says which option names it."""


def show(config: Config, *, as_json: bool = False) -> int:
    """Print what is known of each token that was made; returns the exit status."""
    try:
        records = read_list(config)
        revoked = read_revoked(config) if config.revoked_tokens else frozenset()
    except Unreadable as error:
        complain(f"error: {error}")
        return 1
    now = time.time()
    if as_json:
        say_json([_document(record, revoked, now) for record in records])
    else:
        for record in records:
            say("\n".join(_lines(record, revoked, now)))
    return 0


def read_list(config: Config) -> list[Record]:
    """
    Return the tokens that were made, the oldest first.

    What is no record is complained of. Raises `Unreadable`.
    """
    path = config.robot_token_list
    if path is None:
        raise Unreadable(
            "[regbroker] robot-token-list: missing; write the file that tokens are "
            "noted in when they are made"
        )
    if not Path(path).exists():
        # The first token makes it.
        return []
    records = []
    data = _read(path, "robot-token-list", MAX_LIST_BYTES)
    try:
        refuse_utf16(data)
    except ValueError as error:
        raise Unreadable(f"[regbroker] robot-token-list: {path}: {error}") from None
    for each in parse_list(data.decode("utf-8-sig", "surrogateescape")):
        if isinstance(each, Record):
            records.append(each)
        else:
            complain(f"warning: {path}, line {each}: this is no token")
    return records


def read_revoked(config: Config) -> frozenset[str]:
    """Return the ids that are revoked; raises `Unreadable`."""
    path = config.revoked_tokens
    if path is None:
        raise Unreadable(
            "[regbroker] revoked-tokens: missing; write the file of ids that are not "
            "taken any more"
        )
    try:
        return parse_revoked(_read(path, "revoked-tokens", MAX_REVOKED_BYTES))
    except ValueError as error:
        raise Unreadable(f"[regbroker] revoked-tokens: {path}: {error}") from None


def _read(path: PurePath, option: str, max_bytes: int) -> bytes:
    try:
        return read_file(Path(path), max_bytes)[0]
    except OSError as error:
        raise Unreadable(
            f"[regbroker] {option}: {path}: {why_unreadable(error)}"
        ) from None
    except ValueError as error:
        raise Unreadable(f"[regbroker] {option}: {path}: {error}") from None


def _document(record: Record, revoked: frozenset[str], now: float) -> dict[str, Any]:
    return {
        **asdict(record),
        "created": day(record.created),
        "expires": day(record.expires),
        "state": record.state(revoked, now),
    }


def _lines(record: Record, revoked: frozenset[str], now: float) -> Iterator[str]:
    state = record.state(revoked, now)
    yield f"{record.id} {state}: {record.user} at {record.registry}"
    for line in record.rights:
        yield f"  rights: {line}"
    yield f"  made {day(record.created)}, expires {day(record.expires)}"
    if record.note:
        # A second line could look like another token.
        yield f"  note: {' '.join(record.note.splitlines())}"
