"""
What is the same for every request: its record, its errors, a client that leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from regbroker import audit
from regbroker.causes import Cause
from regbroker.errors import HTTPError, Stopping, UpstreamRefused, code_for_status
from regbroker.events import Event, emit
from regbroker.runtime.at_once import Driven
from regbroker.transport.bodies.download import TransferBroken, abort_client
from regbroker.transport.server.departures import Companion
from regbroker.transport.server.replies import reply_header, send_error
from regbroker.transport.server.request_bodies import ClientGone
from regbroker.transport.twisted_private.http import is_disconnected

_log = Logger()


@dataclass(frozen=True)
class Progress:
    """
    How far a request has come: bytes of its body and of its reply.

    Lengths are in bytes, and None where nobody knows them.
    """

    event: Event
    bytes_in: int
    length_in: int | None
    bytes_out: int
    length_out: int | None


class UnderWay:
    """
    The requests that are being answered, so that they can be ended.

    They have begun here, or in a part: an `UnderWay` that has this one as its `whole`.
    """

    def __init__(self, whole: UnderWay | None = None) -> None:
        self._requests: set[_Serving] = set()
        self._waiting: list[Deferred[None]] = []
        self._parts: WeakSet[UnderWay] = WeakSet()
        if whole is not None:
            whole._parts.add(self)
        self._whole = self if whole is None else whole
        #: Logs the event of each request that is over.
        self.log: Callable[[Event], None] = emit
        #: Whether requests are told to the audit log, too.
        self.is_audited = True
        #: Called with the event of each request that is over, after its log line.
        self.observers: list[Callable[[Event], None]] = []

    def add(self, serving: _Serving) -> None:
        """Note that a request has begun, and waits."""
        self._requests.add(serving)

    def ended(self, serving: _Serving, event: Event) -> None:
        """Log a request that has ended; tell the observers, then who waits for none."""
        self._requests.discard(serving)
        whole = self._whole
        try:
            whole.log(event)
            if whole.is_audited:
                audit.tell_request(event)
            for observer in whole.observers:
                observer(event)
        finally:
            # Who waits may end the process: the record is written by then.
            if self._waiting and not self._requests:
                waiting, self._waiting = self._waiting, []
                for each in waiting:
                    each.callback(None)

    def requests(self) -> list[_Serving]:
        """Return those that have not ended."""
        return [one for each in (self, *self._parts) for one in each._requests]

    def __len__(self) -> int:
        return sum(len(each._requests) for each in (self, *self._parts))

    def when_none(self) -> Deferred[None]:
        """Return what fires when no request is being answered; maybe at once."""
        return Deferred.fromCoroutine(self._until_none())

    async def _until_none(self) -> None:
        while len(self):
            for each in (self, *self._parts):
                if each._requests:
                    waiting: Deferred[None] = Deferred(each._waiting.remove)
                    each._waiting.append(waiting)
                    await waiting

    def progress(self) -> list[Progress]:
        """Return how far each request has come, the oldest first."""
        progress = [serving.progress() for serving in self.requests()]
        return sorted(progress, key=lambda one: one.event.started)

    def stop(self) -> None:
        """
        End every request: regbroker is being stopped.

        A client whose reply has not begun gets 503; a transfer is broken off.
        """
        for serving in self.requests():
            serving.end(Stopping())


class _Serving(Driven, Companion):
    """One request while it is answered."""

    def __init__(self, request: Request, event: Event, under_way: UnderWay) -> None:
        self._request = request
        self._event = event
        self._under_way = under_way
        #: Why regbroker itself has ended it.
        self._ended_with: HTTPError | None = None

    def wait(self) -> None:
        """Be under way until the work is over, or the client goes away."""
        self._under_way.add(self)
        self.accompany(self._request)
        if is_disconnected(self._request):
            self.client_gone(Failure(ClientGone()))

    def end(self, error: HTTPError) -> None:
        """End the work now; the client gets this error if no reply has begun."""
        self._event.ended(error.cause, error.message)
        self._ended_with = error
        self.cancel()

    def client_gone(self, reason: Failure) -> None:
        """End the work: the client has gone away."""
        error: Any = reason.value
        self._gone(error if isinstance(error, ClientGone) else ClientGone())
        self.cancel()

    def returned(self, value: None) -> None:
        """Complete the record, and tell about the request."""
        request, event = self._request, self._event
        if request.startedWriting:
            event.status = request.code
            if request.code == 201 and event.endpoint in ("manifest", "uploads"):
                digest = reply_header(request, b"Docker-Content-Digest") or b""
                event.digest = digest.decode("latin-1")
        event.bytes_out = request.sentLength
        body: Any = getattr(request, "body", None)
        if body is not None:
            event.bytes_in = body.bytes_received
        self._under_way.ended(self, event)

    def raised(self, error: BaseException) -> None:
        """Send the error; if that cannot be, break off."""
        try:
            self._render(error)
        except Exception:
            _log.failure("rendering an error")
            self._event.ended(Cause.FAILED, "broken off")
            abort_client(self._request)
        self.returned(None)

    def progress(self) -> Progress:
        """Return how far the request has come."""
        body: Any = getattr(self._request, "body", None)
        return Progress(
            self._event,
            body.bytes_received if body is not None else 0,
            _length(body.length) if body is not None else None,
            self._request.sentLength,
            _length(reply_header(self._request, b"Content-Length")),
        )

    def _gone(self, gone: ClientGone) -> None:
        if gone.status:
            self._event.status = gone.status
        self._event.ended(gone.cause, str(gone))

    def _render(self, raised: BaseException) -> None:
        """Send the error that the work has raised."""
        request, event = self._request, self._event
        error: Any = self._ended_with or raised
        if isinstance(error, TransferBroken):
            event.ended(error.cause, str(error))
            return
        # Who is there waits: what was cancelled under them is a mistake of ours.
        if is_disconnected(request) or isinstance(error, ClientGone):
            self._gone(error if isinstance(error, ClientGone) else ClientGone())
            return
        if not isinstance(error, HTTPError):
            _log.failure(
                "{method} {path}",
                Failure(raised),
                method=event.method,
                path=event.path,
                request_id=event.request_id,
            )
            error = HTTPError(
                "regbroker failed at this request; its log says why",
                cause=Cause.FAILED,
            )
        refuse(request, event, error)


def refuse(request: Request, event: Event, error: HTTPError) -> None:
    """
    Answer a request with an error, and note it in the record.

    A reply that has begun is broken off.
    """
    if error.cause is not Cause.DONE:
        event.ended(error.cause, error.message)
    event.refusal = error.message
    event.code = error.code
    if isinstance(error, UpstreamRefused):
        # Its own code is in the upstream's document, in whatever words.
        event.code = code_for_status(error.status)
    if request.startedWriting:
        event.ended(Cause.FAILED, "broken off")
        abort_client(request)
        return
    send_error(request, error, event.request_id)


def _length(length: Any) -> int | None:
    """Return a length, or a Content-Length, as a number."""
    if isinstance(length, bytes):
        length = int(length)
    return length if isinstance(length, int) else None


def serve(
    request: Request,
    event: Event,
    answering: Coroutine[Any, Any, None],
    under_way: UnderWay | None = None,
) -> None:
    """
    Run `answering`, which is to finish `request`, and write the record in the end.

    What it raises becomes the reply. When the client goes away it is cancelled, and
    when `under_way` is stopped.
    """
    if under_way is None:
        under_way = UnderWay()
    serving = _Serving(request, event, under_way)
    serving.begin(answering)
    if serving.awaited is not None:
        serving.wait()
