"""
The record of a request: the access log and everything that is counted come from it.

Nothing else does: what is decided about a request is decided by other values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from twisted.logger import Logger

from regbroker.causes import Cause

_log = Logger()

#: What a line of the log shows of a text that the client has chosen.
_MAX_TEXT = 300

#: What goes into a line as it is: printable ASCII without spaces and quotes.
_PLAIN = re.compile(r"[!#-~]+")


@dataclass
class Event:
    """
    What is known of one request; filled in as it goes along.

    Times are seconds on `clock`. `path` is without the query, which may hold
    secrets. `cause` is why it ended, and `outcome` says it for people: both
    are ``done`` when the client has got its reply.

    The last five are for counting, and not in the line: the ``[registry HOST]`` that
    serves (empty where none does), the endpoint (that of the API in lower case,
    ``token`` or ``search``; empty for what is none), what the client shows
    (``password``, ``token``, ``other`` or nothing), and for an error its OCI code and
    its sentence.
    """

    clock: Callable[[], float]
    client: str = ""
    user: str = ""
    registry: str = ""
    method: str = ""
    path: str = ""
    public_name: str = ""
    upstream: str = ""
    upstream_name: str = ""
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    upstream_seconds: float | None = None
    cause: Cause = Cause.DONE
    outcome: str = "done"
    section: str = ""
    endpoint: str = ""
    credentials: str = ""
    code: str = ""
    refusal: str = ""
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def seconds(self) -> float:
        """How long the request has taken so far."""
        return self.clock() - self.started

    @contextmanager
    def upstream_time(self, more: bool = False) -> Iterator[None]:
        """
        Note in `upstream_seconds` how long the block takes.

        With `more`, the time is added to what was noted before.
        """
        started = self.clock()
        try:
            yield
        finally:
            before = (self.upstream_seconds or 0.0) if more else 0.0
            self.upstream_seconds = before + self.clock() - started

    def ended(self, cause: Cause, outcome: str) -> None:
        """Note why the request ended; what comes of that later changes nothing."""
        if self.cause is Cause.DONE:
            self.cause, self.outcome = cause, outcome

    def line(self) -> str:
        """Return the event as one line of the log."""
        upstream_time = (
            "-" if self.upstream_seconds is None else f"{self.upstream_seconds:.3f}"
        )
        fields = (
            ("client", _text(self.client)),
            ("user", _text(self.user)),
            ("registry", _text(self.registry)),
            ("method", _text(self.method)),
            ("path", _text(self.path)),
            ("name", _text(self.public_name)),
            ("upstream", _text(self.upstream)),
            ("upstream_name", _text(self.upstream_name)),
            ("status", str(self.status or "-")),
            ("in", str(self.bytes_in)),
            ("out", str(self.bytes_out)),
            ("upstream_time", upstream_time),
            ("time", f"{self.seconds:.3f}"),
            ("cause", self.cause.value),
            ("outcome", _text(self.outcome, spaces=True)),
        )
        return " ".join(f"{name}={value}" for name, value in fields)


def _text(text: str, spaces: bool = False) -> str:
    """
    Make a text that the client chose fit for one field of one line.

    `spaces` may stay in a text of our own; it is quoted then.
    """
    if not text:
        return "-"
    if _PLAIN.fullmatch(text):
        return text[:_MAX_TEXT]
    first = " " if spaces else "!"
    safe = "".join(c if first <= c <= "~" and c != '"' else "?" for c in text)
    # A backslash before the closing quote would seem to escape it.
    return '"' + safe[:_MAX_TEXT].replace("\\", "?") + '"'


def emit(event: Event) -> None:
    """Tell the operator about a request that is over."""
    _log.info("{line}", line=event.line(), event=event)
