"""TLS connections of regbroker's, and pyOpenSSL itself at their other end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from select import select
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.flow.backpressure import READ_BYTES, Budget
from regbroker.transport.tls.factory import TLSFactory
from regbroker.transport.tls.sockets import SocketTLSProtocol
from tests.certificates import Looking, issued

VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


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
    the peer speaks, and `chain` how many certificates the server shows.
    """

    def __init__(
        self,
        is_client: bool = False,
        version: int = SSL.TLS1_3_VERSION,
        budget: Budget | None = None,
        chain: int = 1,
    ) -> None:
        pair = issued("a.test")
        server = certificate_options(pair.certificate * chain, pair.key)
        looking = Looking("a.test", newest=version)
        self.clock = self.make_clock()
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
        self.text = b""
        #: What ended the stream for the peer.
        self.end: SSL.Error | None = None
        self.open()

    def make_clock(self) -> Any:
        """The time of the protocol under test."""
        return Clock()

    def open(self) -> None:
        """Make the protocol under test, and its transport."""
        self.tls: Any = self.factory.buildProtocol(None)
        self.transport: Any = StringTransport()

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

    def feed(self, data: bytes) -> None:
        """Give the protocol under test bytes from the wire."""
        self.tls.dataReceived(data)

    def sent(self) -> bytes:
        """Return what was sent and waits for `to_peer`."""
        sent: bytes = self.transport.value()
        return sent

    def take_sent(self) -> bytes:
        """Take what was sent."""
        sent = self.sent()
        self.transport.clear()
        return sent

    @property
    def is_closed(self) -> bool:
        """Whether the transport below was told to close, or to break off."""
        return bool(self.transport.disconnecting or self.transport.disconnected)

    def to_peer(self) -> int:
        """Let the peer read what was sent to it; return how many bytes that were."""
        sent = self.take_sent()
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
                self.feed(data)
            if not (sent or data):
                return

    def hang_up(self) -> None:
        """Close the transport below, in order."""
        self.lose(ConnectionDone())

    def lose(self, why: Exception) -> None:
        """Have the transport below tell that it has gone."""
        self.tls.connectionLost(Failure(why))


class Endless:
    """Writes chunks until it is paused; `pauses` counts how often it was."""

    def __init__(self, tls: Any, most: int = 10_000_000) -> None:
        self.pauses = self.resumes = self.stops = self.written = 0
        self.is_paused = False
        self._tls = tls
        self._most = most

    def run(self) -> None:
        while not self.is_paused and self.written < self._most:
            self.written += READ_BYTES
            self._tls.write(bytes(READ_BYTES))

    def pauseProducing(self) -> None:
        self.pauses += 1
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.resumes += 1
        self.is_paused = False

    def stopProducing(self) -> None:
        self.stops += 1


class Descriptors(Clock):
    """A reactor of sockets that does what can be done when it is told to `run`."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard

    def run(self, seconds: float = 0) -> bool:
        """
        Do what can be done, as a reactor does it; return whether that is any.

        So many seconds are waited for it.
        """
        read, write, _ = select(self.readers, self.writers, (), seconds)
        for each in read:
            self._tell(each, each.doRead)
        for each in write:
            if each in self.writers:
                self._tell(each, each.doWrite)
        return bool(read or write)

    def _tell(self, descriptor: Any, act: Any) -> None:
        try:
            why = act()
        except Exception as error:
            self._disconnect(descriptor, error)
            raise
        if why is not None:
            self._disconnect(descriptor, why)

    def _disconnect(self, descriptor: Any, why: Exception) -> None:
        self.readers.discard(descriptor)
        self.writers.discard(descriptor)
        descriptor.connectionLost(Failure(why))


class SocketLink(Link):
    """The same over a pair of sockets."""

    def make_clock(self) -> Descriptors:
        self.reactor = Descriptors()
        return self.reactor

    def open(self) -> None:
        self.factory.protocol = SocketTLSProtocol
        self.tls = self.factory.buildProtocol(None)
        ours, self.socket = socket.socketpair()
        self.socket.setblocking(False)
        self.transport = Connection(ours, self.tls, self.clock)

    def connect(self) -> Link:
        """Connect, without a byte from the peer."""
        self.transport.connected = 1
        self.transport.startReading()
        return super().connect()

    def feed(self, data: bytes) -> None:
        """Send bytes over the wire, as far as they are read."""
        while not self.is_closed:
            with suppress(BlockingIOError):
                data = data[self.socket.send(data) :] if data else b""
            if not self.reactor.run():
                break

    def sent(self) -> bytes:
        """Return what was sent and waits for `to_peer`."""
        with suppress(BlockingIOError):
            return self.socket.recv(2**20, socket.MSG_PEEK)
        return b""

    def take_sent(self) -> bytes:
        """Take what was sent."""
        sent = b""
        with suppress(BlockingIOError, ConnectionResetError):
            while data := self.socket.recv(2**20):
                sent += data
                self.reactor.run()
        return sent

    @property
    def is_closed(self) -> bool:
        """Whether the transport below was told to close, or to break off."""
        self.clock.advance(0)
        return bool(self.transport.disconnected)

    def settle(self) -> None:
        """Carry bytes in both directions until both sides are silent."""
        while True:
            super().settle()
            if not self.reactor.run():
                return

    def hang_up(self) -> None:
        """Close the peer's socket."""
        self.socket.close()
        while self.reactor.run():
            pass
        self.clock.advance(0)

    def lose(self, why: Exception) -> None:
        """Nothing: the transport has told it already."""
        assert self.is_closed

    def close(self) -> None:
        """Leave nothing open, whatever the state."""
        self.socket.close()
        self.transport.connectionLost(Failure(ConnectionDone()))


def each_way(test: Callable[[Any, Link], None]) -> Callable[[Any], None]:
    """Run a test as `in_memory` does, and over a socket."""
    through_memory = in_memory(test)

    def run(case: Any) -> None:
        through_memory(case)
        for is_client in (False, True):
            for version in VERSIONS:
                link = SocketLink(is_client, version)
                try:
                    test(case, link)
                finally:
                    link.close()

    run.__doc__ = test.__doc__
    return run


def in_memory(test: Callable[[Any, Link], None]) -> Callable[[Any], None]:
    """Run a test as server and as client, with TLS 1.2 and 1.3."""

    def run(case: Any) -> None:
        for is_client in (False, True):
            for version in VERSIONS:
                test(case, Link(is_client, version))

    run.__doc__ = test.__doc__
    return run
