"""
Clients that see how the other side ends: its end of the stream, and what comes after.

An ordinary protocol of Twisted closes its own side as soon as the other one has; these
go on, so that a test can tell an end that is sent from a connection that is closed.
"""

from __future__ import annotations

import ssl
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from zope.interface import implementer

from tests.wire import RawClient


@implementer(IHalfCloseableProtocol)
class PatientClient(RawClient):
    """Keeps its own side open; `ended` says that the other side's FIN is here."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = False

    def readConnectionLost(self) -> None:
        self.ended = True
        self._wake()

    def writeConnectionLost(self) -> None:
        """Be told by nobody."""

    async def until_fin(self) -> bytes:
        """Read up to the other side's FIN."""
        await self.wait(lambda: self.ended)
        return self._take(len(self._unread))


class PatientTLSClient(PatientClient):
    """The same in TLS, spoken by hand; `close_notify` says that one has come."""

    def __init__(self) -> None:
        super().__init__()
        self.close_notify = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._ready = False
        self._unsent = b""

    def connectionMade(self) -> None:
        self._shake_hands()

    def dataReceived(self, data: bytes) -> None:
        self._incoming.write(data)
        if not self._ready:
            self._shake_hands()
        while self._ready and not self.close_notify:
            try:
                plain = self._tls.read(65536)
            except ssl.SSLWantReadError:
                break
            self.close_notify = not plain
            super().dataReceived(plain)

    def send(self, data: bytes) -> None:
        if self._ready:
            self._tls.write(data)
            self._flush()
        else:
            self._unsent += data

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
            self._ready = True
        except ssl.SSLWantReadError:
            pass
        self._flush()
        if self._ready and self._unsent:
            self.send(self._unsent)

    def _flush(self) -> None:
        self.socket.write(self._outgoing.read())


async def connected(kind: type[PatientClient], port: int) -> Any:
    """Connect to a port of 127.0.0.1."""
    factory: Any = Factory.forProtocol(kind)
    factory.noisy = False
    return await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
