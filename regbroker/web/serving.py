"""
Around every request: its event, its errors, its client that may go away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from regbroker.causes import Cause
from regbroker.errors import HTTPError, Stopping
from regbroker.events import Event, emit
from regbroker.transport.download_bodies import TransferBroken, abort_client
from regbroker.transport.replies import send_error
from regbroker.transport.request_bodies import ClientGone

_log = Logger()


class UnderWay:
    """The requests that are being answered, so that they can be ended."""

    def __init__(self) -> None:
        self._requests: set[_Serving] = set()

    def add(self, serving: _Serving) -> None:
        """Note that a request has begun."""
        self._requests.add(serving)

    def remove(self, serving: _Serving) -> None:
        """Note that it is over."""
        self._requests.discard(serving)

    def stop(self) -> None:
        """
        End every request: regbroker is being stopped.

        A client whose reply has not begun is told so; a transfer is broken off.
        """
        for serving in list(self._requests):
            serving.end(Stopping())


class _Serving:
    """One request while it is answered."""

    def __init__(self, request: Request, event: Event, under_way: UnderWay) -> None:
        self._request = request
        self._event = event
        self._under_way = under_way
        #: Why regbroker itself has ended it.
        self._ended_with: HTTPError | None = None
        self._work: Deferred[None]

    def begin(self, answer: Callable[[], Awaitable[None]]) -> None:
        """Run what is to finish the request, and tell about it in the end."""

        async def run() -> None:
            await answer()

        finished = self._request.notifyFinish()
        self._under_way.add(self)
        self._work = Deferred.fromCoroutine(run())
        finished.addErrback(self._client_gone)
        self._work.addErrback(self._render)
        self._work.addErrback(self._last_resort)
        self._work.addBoth(lambda _: self._tell())

    def end(self, error: HTTPError) -> None:
        """End the work now, with this error for the client if that can be."""
        self._event.ended(error.cause, error.message)
        self._ended_with = error
        self._work.cancel()

    def _client_gone(self, reason: Failure) -> None:
        error: Any = reason.value
        self._gone(error if isinstance(error, ClientGone) else ClientGone())
        self._work.cancel()

    def _gone(self, gone: ClientGone) -> None:
        if gone.status:
            self._event.status = gone.status
        self._event.ended(gone.cause, str(gone))

    def _render(self, failure: Failure) -> None:
        request, event = self._request, self._event
        error: Any = self._ended_with or failure.value
        if isinstance(error, TransferBroken):
            event.ended(error.cause, str(error))
            return
        if isinstance(error, CancelledError | ClientGone) or request._disconnected:
            self._gone(error if isinstance(error, ClientGone) else ClientGone())
            return
        if not isinstance(error, HTTPError):
            _log.failure(
                "{method} {path}", failure, method=event.method, path=event.path
            )
            error = HTTPError(
                "regbroker failed at this request; its log says why",
                cause=Cause.FAILED,
            )
        if error.cause is not Cause.DONE:
            event.ended(error.cause, error.message)
        if request.startedWriting:
            event.ended(Cause.FAILED, "broken off")
            abort_client(request)
            return
        send_error(request, error)

    def _last_resort(self, failure: Failure) -> None:
        _log.failure("rendering an error", failure)
        self._event.ended(Cause.FAILED, "broken off")
        abort_client(self._request)

    def _tell(self) -> None:
        request, event = self._request, self._event
        self._under_way.remove(self)
        if request.startedWriting:
            event.status = request.code
        event.bytes_out = request.sentLength
        body: Any = getattr(request, "body", None)
        if body is not None:
            event.bytes_in = body.bytes_received
        emit(event)


def serve(
    request: Request,
    event: Event,
    answer: Callable[[], Awaitable[None]],
    under_way: UnderWay | None = None,
) -> None:
    """
    Run `answer`, which is to finish `request`, and tell about it in the end.

    What it raises becomes the reply. When the client goes away it is cancelled, and
    when `under_way` is stopped.
    """
    _Serving(request, event, under_way or UnderWay()).begin(answer)
