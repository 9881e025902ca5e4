"""What is noted of each robot token: one JSON object a line, and never the token."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from regbroker.accounts.tokens import RobotToken


@dataclass(frozen=True)
class Record:
    """A robot token that was made; times are in seconds since 1970."""

    id: str
    registry: str
    user: str
    rights: tuple[str, ...]
    created: int
    expires: int
    note: str = ""

    @classmethod
    def of(cls, token: RobotToken, note: str) -> Record:
        """Return what is noted of a token."""
        return cls(
            token.id,
            token.audience,
            token.user,
            token.rights,
            token.issued,
            token.expires,
            note,
        )

    def line(self) -> str:
        """Return the record as a line of the list."""
        document = asdict(self)
        document["created"], document["expires"] = day(self.created), day(self.expires)
        return json.dumps(document)

    def state(self, revoked: Iterable[str], now: float) -> str:
        """Return whether the token is ``valid``, ``revoked`` or ``expired``."""
        if self.id in revoked:
            return "revoked"
        return "expired" if now >= self.expires else "valid"


def day(seconds: float) -> str:
    """Return a time for people and programs, in UTC."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_list(text: str) -> Iterator[Record | int]:
    """Yield the records of a list; for a line that is none, its number."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            record = _parse(line)
            yield number if record is None else record


def _parse(line: str) -> Record | None:
    try:
        document: dict[str, Any] = json.loads(line)
        record = Record(
            document["id"],
            document["registry"],
            document["user"],
            tuple(document["rights"]),
            _seconds(document["created"]),
            _seconds(document["expires"]),
            document["note"],
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    texts = (record.id, record.registry, record.user, record.note, *record.rights)
    return record if all(isinstance(text, str) for text in texts) else None


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
