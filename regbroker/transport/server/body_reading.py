"""The body of a request, taken piece by piece, or read whole within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer, IProducer
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IRequest
from zope.interface import implementer

from regbroker.errors import BodyTooLarge
from regbroker.transport.server.request_bodies import StreamedBody, request_body


@implementer(IConsumer)
class _Receiver:
    """Gives the pieces of a body to `take`, until that raises."""

    def __init__(self, body: IBodyProducer, take: Callable[[bytes], object]) -> None:
        self._body = body
        self._take = take
        self._finished: Deferred[None] = Deferred()

    def receive(self) -> Deferred[None]:
        """Fire after the last piece, or fail as `receive_body` says."""

        def end(result: Any) -> None:
            if not self._finished.called:
                self._finished.callback(result)

        self._body.startProducing(self).addBoth(end)
        return self._finished

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Not needed: `take` is done with a piece when it returns."""

    def unregisterProducer(self) -> None:
        """Not needed, as `registerProducer`."""

    def write(self, data: bytes) -> None:
        """Give a piece, unless one has failed already."""
        if self._finished.called:
            return
        try:
            self._take(data)
        except Exception:
            self._body.stopProducing()
            self._finished.errback(Failure())


def receive_body(request: IRequest, take: Callable[[bytes], object]) -> Deferred[None]:
    """
    Give a request's body to `take`, piece by piece, as it arrives.

    Fails with what `take` raises, and then reads no more; with `ClientGone` when the
    client closes the connection before the end, with `BodyTooSlow` when it does not
    send all in time.
    """
    body = request_body(request)
    return succeed(None) if body is None else _Receiver(body, take).receive()


def read_body(request: IRequest, limit: int) -> Deferred[bytes]:
    """
    Read a request's whole body.

    Fails with `BodyTooLarge` above `limit` bytes, with `ClientGone` when the
    client closes the connection before the end, with `BodyTooSlow` when it does not
    send all in time.
    """
    body = request_body(request)
    if body is None:
        return succeed(b"")
    if body.length is not UNKNOWN_LENGTH and body.length > limit:
        return fail(_body_too_large(limit))
    if isinstance(body, StreamedBody):
        body.read_whole()
    whole = bytearray()

    def take(data: bytes) -> None:
        if len(whole) + len(data) > limit:
            raise _body_too_large(limit)
        whole.extend(data)

    return _Receiver(body, take).receive().addCallback(lambda _: bytes(whole))


def _body_too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"this endpoint takes a body of at most {limit} bytes")
