"""
An upstream that a test plays by hand: it answers with given bytes, or not.

It is a registry and a token service in one, as far as a test wants it to be.
Only regbroker's own pings are answered by themselves, with `ping`; with credentials
they are let in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.protocol import ServerFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.wire import Ended, Message, Wire


def response(status: int, *headers: str, body: bytes = b"") -> bytes:
    """A whole reply; its Content-Length is made unless `headers` have one."""
    names = {header.partition(":")[0].lower() for header in headers}
    lines = [f"HTTP/1.1 {status} Because", *headers]
    if not names & {"content-length", "transfer-encoding"} and status != 304:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Call:
    """One request as the upstream saw it; its body is read by who wants it."""

    def __init__(self, head: Message, wire: ServedWire) -> None:
        self.head = head
        self.wire = wire
        self.finished: Deferred[None] = Deferred()

    def __repr__(self) -> str:
        return f"<Call {self.head.line!r}>"

    @property
    def method(self) -> str:
        """The method."""
        return self.head.line.split(b" ")[0].decode()

    @property
    def target(self) -> str:
        """The request target, byte for byte."""
        return self.head.line.split(b" ")[1].decode()

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's parameters."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name: bytes) -> bytes | None:
        """A header that may stand there once."""
        return self.head.header(name)

    async def body(self) -> bytes:
        """Read the request's body."""
        return await self.wire.body(self.head)

    def send(self, data: bytes) -> None:
        """Write a part of the reply."""
        self.wire.send(data)

    def answer(self, data: bytes) -> None:
        """Write the reply, or its last part, and read the next request."""
        self.send(data)
        self.done()

    def reply(self, status: int, *headers: str, body: bytes = b"") -> None:
        """Answer; see `response`."""
        self.answer(response(status, *headers, body=body))

    def done(self) -> None:
        """Read the next request on this connection."""
        self.finished.callback(None)


class ServedWire(Wire):
    """The upstream's end of one connection."""

    upstream: ScriptedUpstream

    def connectionMade(self) -> None:
        self.upstream.wires.append(self)
        if self.upstream.serves:
            Deferred.fromCoroutine(self._serve()).addErrback(lambda f: f.trap(Ended))

    async def _serve(self) -> None:
        while True:
            call = Call(await self.head(), self)
            self.upstream.take(call)
            await call.finished


class ScriptedUpstream(ServerFactory):
    """
    Listens on a free port of 127.0.0.1.

    Each request is put to `handler`, if there is one; what that leaves
    unanswered waits for `call`. `calls` counts what was not a ping.
    """

    protocol = ServedWire
    noisy = False
    interface = "127.0.0.1"

    def __init__(self, ping: bytes = b"", tls: Any = None) -> None:
        self.ping = ping or response(200)
        self.wires: list[ServedWire] = []
        self.pings: list[Call] = []
        self.calls: list[Call] = []
        self.handler: Callable[[Call], bytes | None] | None = None
        self.serves = True
        self.port = 0
        self._tls = tls
        self._queue: DeferredQueue[Call] = DeferredQueue()
        self._listening: Any = None

    @property
    def connected(self) -> int:
        """How many connections it has."""
        return sum(wire.lost is None for wire in self.wires)

    def buildProtocol(self, addr: Any) -> ServedWire:
        wire = ServedWire()
        wire.upstream = self
        return wire

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.interface}]" if ":" in self.interface else self.interface
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        factory: Any = self
        if self._tls is not None:
            factory = TLSMemoryBIOFactory(self._tls, False, self)
        loop: Any = reactor
        self._listening = loop.listenTCP(self.port, factory, interface=self.interface)
        self.port = self._listening.getHost().port

    async def stop(self) -> None:
        """Close the port and break every connection."""
        if self._listening is not None:
            await self._listening.stopListening()
            self._listening = None
        for wire in self.wires:
            if wire.lost is None:
                wire.reset()
                await wire.end()

    def take(self, call: Call) -> None:
        """Decide what becomes of a request."""
        agent = call.header(b"User-Agent") or b""
        if call.target.endswith("/v2/") and agent.startswith(b"regbroker/"):
            self.pings.append(call)
            if self.ping != b"never":
                is_login = call.header(b"Authorization") is not None
                call.answer(response(200) if is_login else self.ping)
            return
        self.calls.append(call)
        answer = self.handler(call) if self.handler is not None else None
        if answer is not None:
            call.answer(answer)
        else:
            self._queue.put(call)

    async def call(self) -> Call:
        """Wait for the next request."""
        return await self._queue.get()
