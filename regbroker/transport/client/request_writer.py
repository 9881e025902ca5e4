"""A request on its way to a server: its head, and a body in the framing of that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IConsumer, IProducer
from twisted.web.iweb import IBodyProducer
from zope.interface import Attribute, implementer

from regbroker.protocol.fields import is_sound
from regbroker.protocol.headers import Header

#: RFC 9110, 8.6: such a request says that it has no body.
_WITH_BODY = (b"POST", b"PUT")


class IStreamingBody(IBodyProducer):
    """A body that is sent as it comes, and not a second time."""

    moved: float = Attribute("The time at which something of it has moved last.")

    def upstream_continues() -> None:
        """Note that the server has said ``100 Continue``, once or more often."""

    def why_stalled(seconds: float) -> Exception:
        """Return the error of a request in which nothing has moved for so long."""


class WrongLength(Exception):
    """A body is not as long as its request says."""


def request_head(
    method: bytes,
    target: bytes,
    host: bytes,
    headers: Iterable[Header],
    body: IBodyProducer | None,
) -> bytes:
    """
    Return the head of a request.

    The body goes in chunks where its length is not known. Raises `ValueError` for what
    would not be one head.
    """
    first = b"%b %b HTTP/1.1" % (method, target)
    lines = [first, b"Host: " + host, *map(b": ".join, headers)]
    if body is None:
        if method in _WITH_BODY:
            lines.append(b"Content-Length: 0")
    elif isinstance(body.length, int):
        lines.append(b"Content-Length: %d" % body.length)
    else:
        lines.append(b"Transfer-Encoding: chunked")
    # No line brings a line end, or another control character, along.
    if not is_sound(b"".join(lines)) or target.split() != [target]:
        raise ValueError("a control character, or a space in a request's target")
    return b"\r\n".join(lines) + b"\r\n\r\n"


@implementer(IConsumer)
class BodyWriter:
    """
    Writes a body to a transport: as it is, or in chunks.

    `length` is that of an `IBodyProducer`. `write` raises `WrongLength` for too much.
    """

    def __init__(self, transport: Any, length: int | object) -> None:
        self._transport = transport
        self._left = length if isinstance(length, int) else None

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Do nothing: the transport knows the producer already."""

    def unregisterProducer(self) -> None:
        """Do nothing, as `registerProducer`."""

    def write(self, data: bytes) -> None:
        """Write the next piece."""
        if self._left is not None:
            if len(data) > self._left:
                raise WrongLength("a body is longer than its request says")
            self._left -= len(data)
            self._transport.write(data)
        elif data:
            self._transport.writeSequence((b"%x\r\n" % len(data), data, b"\r\n"))

    def end(self) -> None:
        """Write what ends the body. Raises `WrongLength` when there should be more."""
        if self._left is None:
            self._transport.write(b"0\r\n\r\n")
        elif self._left:
            raise WrongLength("a body is shorter than its request says")
