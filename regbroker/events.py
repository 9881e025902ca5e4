"""
The record of a request: the access log and everything that is counted come from it.

Nothing else does: what is decided about a request is decided by other values. How a
line is written is in `regbroker.runtime.logfmt`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import urandom
from time import time

from twisted.logger import Logger, LogLevel

from regbroker.causes import Cause
from regbroker.runtime.logfmt import MAX_TEXT, Fields, LineFormat, in_seconds

__all__ = [
    "FIELDS",
    "MAX_TEXT",
    "NAMESPACE",
    "Event",
    "Fields",
    "LineFormat",
    "emit",
    "new_request_id",
    "publish",
]

#: The namespace of the log events that are records of requests, and of no others.
NAMESPACE = "regbroker.events"

_log = Logger(NAMESPACE)

#: 48 bits tell a day's requests apart, and can be read out on the telephone.
_REQUEST_ID_BYTES = 6

#: What a log event's fields are called, in a line, in JSON and as keywords of the
#: Twisted log event, with their meaning; in this order.
FIELDS = {
    "client": "the client's address, as far as trusted proxies tell",
    "user": "who the client says it is, or whose token it has",
    "registry": "the host that was asked for, or the section that serves it",
    "method": "the method of the request",
    "path": "the path, without the query, which may hold secrets",
    "name": "the repository as clients call it; at the token service maybe several",
    "upstream": "the `[upstream NAME]` that was asked, or would have been",
    "upstream_name": "the repository as the upstream calls it",
    "upstream_method": "the method that the upstream was asked with: `HEAD` where a "
    "manifest came from memory, `HEAD,GET` where it had to be fetched after that",
    "status": "the status of the answer",
    "bytes_in": "bytes of the request's body",
    "bytes_out": "bytes of the answer's body",
    "upstream_seconds": "how long the upstream took to begin its answer",
    "seconds": "how long the request took in all",
    "tls": "the version of TLS on the connection",
    "request_id": "the request's id, as in its `X-Request-ID`",
    "cause": "why it ended, in one word of a closed list",
    "outcome": "the same in a sentence",
}


def new_request_id() -> str:
    """Return an id that no other request has: 12 hexadecimal digits."""
    return urandom(_REQUEST_ID_BYTES).hex()


@dataclass(slots=True)
class Event:
    """
    What is known of one request; filled in as it goes along.

    Times are seconds on `clock`. `path` is without the query, which may hold
    secrets. `cause` is why it ended, and `outcome` says it for people: both
    are ``done`` when the client has got its reply. `request_id` is what the client and
    the upstream are told, too, and `tls` the version of TLS, empty without.

    The last ones are for counting and for the audit log, and not in the line: the
    ``[registry HOST]`` that serves (empty where none does), the endpoint (that of the
    API in lower case, ``token`` or ``search``; empty for what is none), what the client
    shows (``password``, ``token``, ``robot-token``, ``identity``, ``other`` or
    nothing), and for an error its OCI code and its sentence; of what was pushed or
    mounted, its digest; the repository that a blob is mounted from; the id of the robot
    token that was shown, or that the client's token was issued for; why a signed login
    was refused; of somebody whom an issuer vouches for, the ``[identity NAME]``,
    ``iss`` and ``sub``, and what else the rules look at, as JSON.
    """

    clock: Callable[[], float]
    # What is known as a request begins comes first.
    client: str = ""
    method: str = ""
    path: str = ""
    tls: str = ""
    request_id: str = ""
    user: str = ""
    registry: str = ""
    public_name: str = ""
    upstream: str = ""
    upstream_name: str = ""
    upstream_method: str = ""
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
    digest: str = ""
    mounted_from: str = ""
    token_id: str = ""
    login_problem: str = ""
    identity: str = ""
    issuer: str = ""
    subject: str = ""
    claims: str = ""
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def seconds(self) -> float:
        """How long the request has taken so far."""
        return self.clock() - self.started

    @property
    def summary(self) -> str:
        """What was asked, and the status, for logs that write the fields themselves."""
        return f"{self.method} {self.path} {self.status}"

    @contextmanager
    def upstream_time(self, more: bool = False) -> Iterator[None]:
        """
        Note in `upstream_seconds` how long the block takes.

        With `more`, the time is added to what was noted before. What is on the way of
        each pull sets `upstream_seconds` itself, which takes fewer steps.
        """
        started = self.clock()
        try:
            yield
        finally:
            before = (self.upstream_seconds or 0.0) if more else 0.0
            self.upstream_seconds = before + self.clock() - started

    def asks_with(self, method: str) -> None:
        """Note a method that the upstream is asked with."""
        before = self.upstream_method
        if not before:
            self.upstream_method = method
        elif not before.endswith(method):
            self.upstream_method = f"{before},{method}"

    def ended(self, cause: Cause, outcome: str) -> None:
        """Note why the request ended; what comes of that later changes nothing."""
        if self.cause is Cause.DONE:
            self.cause, self.outcome = cause, outcome

    def fields(self, seconds: float | None = None) -> Fields:
        """
        Return the event's `FIELDS`; None for what is not known.

        Times are in seconds, rounded to milliseconds. A text is as the client wrote it.
        The request has taken `seconds`, or all the time until now.
        """
        if seconds is None:
            seconds = self.seconds
        upstream_seconds = self.upstream_seconds
        # `round` to three digits goes over the number's text.
        return {
            "client": self.client or None,
            "user": self.user or None,
            "registry": self.registry or None,
            "method": self.method or None,
            "path": self.path or None,
            "name": self.public_name or None,
            "upstream": self.upstream or None,
            "upstream_name": self.upstream_name or None,
            "upstream_method": self.upstream_method or None,
            "status": self.status or None,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "upstream_seconds": upstream_seconds
            and round(upstream_seconds * 1000) / 1000,
            "seconds": round(seconds * 1000) / 1000,
            "tls": self.tls or None,
            "request_id": self.request_id or None,
            "cause": self.cause.word,
            "outcome": self.outcome or None,
        }

    def line(self, seconds: float | None = None) -> str:
        """
        Return the event as one line of the log: its `fields` in a `LineFormat`.

        If none of them is odd, the line is made without them, in one step.
        """
        if seconds is None:
            seconds = self.seconds
        upstream = self.upstream_seconds
        line = (
            f"client={self.client or '-'} user={self.user or '-'}"
            f" registry={self.registry or '-'} method={self.method or '-'}"
            f" path={self.path or '-'} name={self.public_name or '-'}"
            f" upstream={self.upstream or '-'}"
            f" upstream_name={self.upstream_name or '-'}"
            f" upstream_method={self.upstream_method or '-'}"
            f" status={self.status or '-'} bytes_in={self.bytes_in}"
            f" bytes_out={self.bytes_out} upstream_seconds="
            f"{'-' if upstream is None else in_seconds(round(upstream * 1000))}"
            f" seconds={in_seconds(round(seconds * 1000))} tls={self.tls or '-'}"
            f" request_id={self.request_id or '-'} cause={self.cause.word}"
            f" outcome={self.outcome or '-'}"
        )
        return line if _line_of.is_plain(line) else _line_of(self.fields(seconds))


_line_of = LineFormat(FIELDS)


def emit(event: Event) -> None:
    """
    Tell the operator about a request that is over.

    Observers get the line, the event, and its fields as keywords; `summary` is for
    those that write the fields themselves.
    """
    seconds = event.seconds
    fields = event.fields(seconds)
    fields["event"] = event
    publish(_log, event.line(seconds), event.summary, fields)


def publish(log: Logger, line: str, summary: str, fields: Fields) -> None:
    """
    Have a logger's observers told of a record: `fields` become a log event, ``info``.

    As `twisted.logger.Logger.info`, without what it looks at each time.
    """
    # One by one: a call of `update` would make another dict of them first.
    fields["line"] = line
    fields["summary"] = summary
    fields["log_logger"] = log
    fields["log_level"] = LogLevel.info
    fields["log_namespace"] = log.namespace
    fields["log_source"] = log.source
    fields["log_format"] = "{line}"
    fields["log_time"] = time()
    log.observer(fields)
