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

from regbroker.errors import HTTPError
from regbroker.observe import Event, emit
from regbroker.replies import send_error
from regbroker.requestbody import ClientGone
from regbroker.streams import TransferBroken, abort_client

_log = Logger()


def serve(
    request: Request, event: Event, answer: Callable[[], Awaitable[None]]
) -> None:
    """
    Run `answer`, which is to finish `request`, and tell about it in the end.

    What it raises becomes the reply. When the client goes away it is
    cancelled.
    """

    async def run() -> None:
        await answer()

    finished = request.notifyFinish()
    work: Deferred[None] = Deferred.fromCoroutine(run())
    finished.addErrback(lambda _: work.cancel())
    work.addErrback(_render, request, event)
    work.addErrback(_last_resort, request, event)
    work.addBoth(lambda _: _tell(request, event))


def _render(failure: Failure, request: Request, event: Event) -> None:
    error: Any = failure.value
    if isinstance(error, TransferBroken):
        event.outcome = str(error)
        return
    if isinstance(error, CancelledError | ClientGone) or request._disconnected:
        event.outcome = "the client closed the connection"
        return
    if not isinstance(error, HTTPError):
        _log.failure("{method} {path}", failure, method=event.method, path=event.path)
        error = HTTPError("regbroker failed at this request; its log says why")
    if request.startedWriting:
        event.outcome = "broken off"
        abort_client(request)
        return
    send_error(request, error)


def _last_resort(failure: Failure, request: Request, event: Event) -> None:
    _log.failure("rendering an error", failure)
    event.outcome = "broken off"
    abort_client(request)


def _tell(request: Request, event: Event) -> None:
    event.status = request.code if request.startedWriting else 0
    event.bytes_out = request.sentLength
    body: Any = getattr(request, "body", None)
    if body is not None:
        event.bytes_in = body.bytes_received
    emit(event)
