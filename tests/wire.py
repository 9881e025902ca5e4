"""
Either end of a connection as a test has it: the bytes, and when it ends.

Nothing here is forgiving: what came is kept as it came, and a connection that
ends while a test waits for more fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


class Ended(Exception):
    """The connection ended before what was waited for had come."""


@dataclass
class Message:
    """A request or a reply: first line, headers in their order, body."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = field(default=b"", repr=False)

    @property
    def status(self) -> int:
        """The status of a reply."""
        return int(self.line.split(b" ")[1])

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def header(self, name: bytes) -> bytes | None:
        """The value of a header that may stand there once."""
        values = self.all(name)
        assert len(values) < 2, values
        return values[0] if values else None

    def json(self) -> Any:
        """The body, a JSON document."""
        return json.loads(self.body)

    @property
    def code(self) -> Any:
        """The code of an OCI error document."""
        assert self.header(b"Content-Type") == b"application/json", self
        (error,) = self.json()["errors"]
        return error["code"]

    @property
    def message(self) -> str:
        """The message of an OCI error document."""
        text: str = self.json()["errors"][0]["message"]
        return text


def parse_head(raw: bytes) -> Message:
    """Take a head, blank line included, apart."""
    line, *lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    pairs = [header.partition(b":") for header in lines]
    return Message(line, [(name, value.strip()) for name, _, value in pairs])


class Wire(Protocol):
    """One end of a connection; `seen` is all that ever came."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.lost: Failure | None = None
        self._unread = bytearray()
        self._waiters: list[Deferred[None]] = []

    # What the reactor tells.

    def connectionMade(self) -> None:
        """Be told by nobody, so far."""

    def dataReceived(self, data: bytes) -> None:
        self.seen += data
        self._unread += data
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    # What a test does.

    @property
    def socket(self) -> Any:
        """The transport, of whatever kind."""
        return cast(Any, self.transport)

    def send(self, data: bytes) -> None:
        """Write these bytes."""
        self.socket.write(data)

    def close(self) -> None:
        """Close in order."""
        self.socket.loseConnection()

    def reset(self) -> None:
        """Close at once: without close_notify in TLS, and with unsent bytes lost."""
        self.socket.abortConnection()

    def pause(self) -> None:
        """Stop reading, so that the kernel's buffers fill up."""
        self.socket.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        self.socket.resumeProducing()

    async def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready` says so, asked whenever something came."""
        while not ready():
            if self.lost is not None:
                reason = self.lost.getErrorMessage()
                raise Ended(f"{reason}; unread: {bytes(self._unread[:500])!r}")
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            await waiter

    async def until(self, marker: bytes) -> bytes:
        """Read up to `marker`, included."""
        await self.wait(lambda: marker in self._unread)
        return self._take(self._unread.index(marker) + len(marker))

    async def read(self, size: int) -> bytes:
        """Read so many bytes."""
        await self.wait(lambda: len(self._unread) >= size)
        return self._take(size)

    async def end(self) -> bytes:
        """Read what still comes before the connection's end, however it ends."""
        while self.lost is None:
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            await waiter
        return self._take(len(self._unread))

    @property
    def closed_in_order(self) -> bool:
        """Whether the connection was closed as it should be."""
        return self.lost is not None and bool(self.lost.check(ConnectionDone))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    # Messages.

    async def head(self) -> Message:
        """Read a message up to its blank line."""
        return parse_head(await self.until(b"\r\n\r\n"))

    async def chunk(self) -> bytes:
        """Read one chunk; empty at the end of a chunked body."""
        size = int((await self.until(b"\r\n")).split(b";")[0], 16)
        data = await self.read(size)
        assert await self.read(2) == b"\r\n"
        return data

    async def body(self, message: Message, without: bytes = b"") -> bytes:
        """Read a message's body; `without` is what it is when nothing says so."""
        if (message.header(b"Transfer-Encoding") or b"").lower() == b"chunked":
            body = b""
            while data := await self.chunk():
                body += data
            return body
        length = message.header(b"Content-Length")
        return without if length is None else await self.read(int(length))


@implementer(IPushProducer)
class Flood:
    """Writes to a wire for as long as it takes anything; `sent` is in bytes."""

    def __init__(self, wire: Wire) -> None:
        self.sent = 0
        self.paused = False
        self._wire = wire
        wire.socket.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        while not self.paused:
            self.sent += 65536
            self._wire.send(bytes(65536))

    def stopProducing(self) -> None:
        self.paused = True

    def stop(self) -> None:
        """Write no more, and break the connection."""
        self.paused = True
        self._wire.socket.unregisterProducer()
        self._wire.reset()


class RawClient(Wire):
    """A client that sends what it is told to, and shows what came back."""

    async def reply(self, method: str = "GET") -> Message:
        """Read one reply, which may be an interim one."""
        reply = await self.head()
        if method == "HEAD" or reply.status in (204, 304) or reply.status < 200:
            return reply
        chunked = reply.header(b"Transfer-Encoding") is not None
        if not chunked and reply.header(b"Content-Length") is None:
            reply.body = await self.end()
        else:
            reply.body = await self.body(reply)
        return reply

    async def ask(
        self, method: str, target: str, *headers: str, body: bytes | None = None
    ) -> Message:
        """Send a request, and read its reply."""
        self.request(method, target, *headers, body=body)
        return await self.reply(method)

    def request(
        self, method: str, target: str, *headers: str, body: bytes | None = None
    ) -> None:
        """Send a request; `body` brings its own Content-Length."""
        given = list(headers)
        if not any(header.lower().startswith("host:") for header in given):
            given.insert(0, "Host: registry.test")
        if body is not None:
            given.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *given, "", ""])
        self.send(head.encode("latin-1") + (body or b""))
