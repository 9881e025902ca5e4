"""``regbroker token revoke``: an id is added to the file of those not taken."""

from __future__ import annotations

import time
from pathlib import Path

from regbroker.accounts.robot_tokens import ID, PREFIX, id_of
from regbroker.cli.printing import complain, say
from regbroker.cli.token.listing import Unreadable, read_list, read_revoked
from regbroker.cli.token.record import Record, day
from regbroker.runtime.appended_file import append_line
from regbroker.runtime.unreadable import why_unwritable
from regbroker.settings.config import Config


def revoke(config: Config, given: str) -> int:
    """
    Add the id of a token to the file; returns the exit status.

    `given` is the id, or the token itself: who finds one somewhere has no id.
    """
    token_id = id_of(given) if given.startswith(PREFIX) else given
    if ID.fullmatch(token_id) is None:
        complain(
            "error: this is neither the id of a robot token nor a robot token; "
            "regbroker token list has the ids"
        )
        return 1
    try:
        path = config.revoked_tokens
        revoked = read_revoked(config)
        records = read_list(config) if config.robot_token_list else None
    except Unreadable as error:
        complain(f"error: {error}")
        return 1
    assert path is not None
    if token_id in revoked:
        say(f"{token_id} is revoked already")
        return 0
    record = next((r for r in records or () if r.id == token_id), None)
    try:
        append_line(Path(path), f"{token_id}  # {_comment(record)}", 0o644)
    except OSError as error:
        complain(f"error: [regbroker] revoked-tokens: {path}: {why_unwritable(error)}")
        return 1
    if records is not None and record is None:
        complain(f"warning: {token_id} is not in {config.robot_token_list}")
    say(f"{token_id} is revoked; every process that reads {path} refuses it now")
    return 0


def _comment(record: Record | None) -> str:
    said = f"revoked {day(time.time())}"
    if record is None:
        return said
    return f"{said}: {record.user}, expires {day(record.expires)}"
