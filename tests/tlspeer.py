"""A TLS connection of regbroker's in memory, and pyOpenSSL itself at its other end."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.flow.backpressure import Budget
from regbroker.transport.tls.factory import TLSFactory
from tests.certificates import Looking, issued


@implementer(IHandshakeListener)
class Inner(Protocol):
    """What speaks through TLS: notes all that it is told."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.handshakes = 0
        self.lost: Failure | None = None
        #: Called with what was received.
        self.on_data: Any = None

    def handshakeCompleted(self) -> None:
        self.handshakes += 1

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)
        if self.on_data is not None:
            self.on_data(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason

    @property
    def text(self) -> bytes:
        """All that was received."""
        return b"".join(self.received)


class Link:
    """
    `tls` is the protocol under test, over `transport`; `peer` is pyOpenSSL's other end.

    What goes from one to the other waits until `turn`. `version` is the newest that
    the peer speaks.
    """

    def __init__(
        self,
        is_client: bool = False,
        version: int = SSL.TLS1_3_VERSION,
        budget: Budget | None = None,
    ) -> None:
        pair = issued("a.test")
        server = certificate_options(pair.certificate, pair.key)
        looking = Looking("a.test", newest=version)
        self.clock = Clock()
        self.inner = Inner()
        factory = Factory.forProtocol(lambda: self.inner)
        self.factory = TLSFactory(
            looking if is_client else server,
            is_client,
            factory,
            self.clock,
            budget or Budget(),
        )
        if is_client:
            self.peer = SSL.Connection(server.getContext(), None)
            self.peer.set_accept_state()
        else:
            self.peer = looking.clientConnectionForTLS(None)
        self.transport: Any = StringTransport()
        self.tls: Any = self.factory.buildProtocol(None)
        self.text = b""
        #: What ended the stream for the peer.
        self.end: SSL.Error | None = None

    def connect(self) -> Link:
        """Connect, without a byte from the peer."""
        self.tls.makeConnection(self.transport)
        return self

    def shake_hands(self) -> Link:
        """Connect, and bring the handshake to its end."""
        self.connect()
        self.settle()
        assert self.inner.handshakes == 1
        return self

    def from_peer(self) -> bytes:
        """Take what the peer sends."""
        sent = b""
        try:
            while True:
                sent += self.peer.bio_read(2**16)
        except SSL.WantReadError:
            return sent

    def to_peer(self) -> int:
        """Let the peer read what was sent to it; return how many bytes that were."""
        sent = self.transport.value()
        self.transport.clear()
        if sent:
            self.peer.bio_write(sent)
        try:
            while True:
                self.text += self.peer.recv(2**14)
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.end = error
        return len(sent)

    def settle(self) -> None:
        """Carry bytes in both directions until both sides are silent."""
        while True:
            self.clock.advance(0)
            sent = self.to_peer()
            data = self.from_peer()
            if data:
                self.tls.dataReceived(data)
            if not (sent or data):
                return

    def hang_up(self) -> None:
        """Close the transport below, in order."""
        self.tls.connectionLost(Failure(ConnectionDone()))
