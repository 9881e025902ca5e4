"""Reads into memory that connections share."""

from __future__ import annotations

import gc
import socket
from typing import Any
from weakref import ref

from twisted.internet import reactor
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.internet.unix import Server as UnixServer
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.backpressure import READ_BYTES
from regbroker.transport.direct_reads import read_directly, read_no_more


class Taking:
    """Takes what is read, and keeps a copy."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def take(self, data: memoryview) -> None:
        self.taken.append(bytes(data))


class Looking(ProtocolWrapper):
    """Looks at what is read."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)


class DirectReadsTests(SynchronousTestCase):
    def connected(self, kind: Any = Server) -> tuple[Any, socket.socket]:
        """A connection's transport, and its peer's socket."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.addCleanup(theirs.close)
        loop: Any = reactor
        port: Any = None
        transport: Any = kind(ours, Protocol(), ("", 0), port, 0, loop)
        self.addCleanup(transport.connectionLost, Failure(ConnectionDone()))
        return transport, theirs

    def wrapped(self, transport: Any, kind: Any = ProtocolWrapper) -> Any:
        """A wrapper in front of a transport."""
        wrapper: Any = kind(WrappingFactory(Factory()), Protocol())
        wrapper.transport = transport
        return wrapper

    def test_takes(self) -> None:
        """All bytes come in order, at most so many at once."""
        transport, theirs = self.connected()
        taking = Taking()
        read_directly(self.wrapped(transport), taking.take)
        data = bytes(range(256)) * 1024
        theirs.setblocking(False)
        sent = 0
        while len(b"".join(taking.taken)) < len(data):
            if sent < len(data):
                sent += theirs.send(data[sent : sent + READ_BYTES + 1])
            self.assertIsNone(transport.doRead())
        self.assertEqual(b"".join(taking.taken), data)
        self.assertLessEqual(max(map(len, taking.taken)), READ_BYTES)

    def test_nothing_there(self) -> None:
        """Nothing is taken when nothing has come."""
        transport, _ = self.connected()
        taking = Taking()
        read_directly(transport, taking.take)
        self.assertIsNone(transport.doRead())
        self.assertEqual(taking.taken, [])

    def test_ends(self) -> None:
        """The end is told in Twisted's way: in order, or not."""
        transport, theirs = self.connected()
        read_directly(transport, Taking().take)
        theirs.close()
        self.assertIs(transport.doRead(), CONNECTION_DONE)
        transport, theirs = self.connected()
        transport.getHandle().send(b"unread")
        read_directly(transport, Taking().take)
        theirs.close()
        self.assertIs(transport.doRead(), CONNECTION_LOST)

    def test_aborted(self) -> None:
        """What is aborted reads no more."""
        transport, theirs = self.connected()
        taking = Taking()
        read_directly(transport, taking.take)
        theirs.send(b"too late")
        transport.abortConnection()
        self.addCleanup(self.flush)
        self.assertIsNone(transport.doRead())
        self.assertEqual(taking.taken, [])

    def flush(self) -> None:
        """Let the reactor end what was aborted."""
        loop: Any = reactor
        for call in loop.getDelayedCalls():
            if call.args and isinstance(call.args[0], Failure):
                self.assertTrue(call.args[0].check(ConnectionAborted))
                call.cancel()

    def test_elsewhere(self) -> None:
        """Where something looks at what is read, or has its own way, it stays so."""
        tcp, _ = self.connected()
        local, _ = self.connected(UnixServer)
        for transport, below in (
            (self.wrapped(self.wrapped(tcp, Looking)), tcp),
            (local, local),
        ):
            read_directly(transport, Taking().take)
            self.assertNotIn("doRead", vars(below))
            read_no_more(transport)
        read_directly(StringTransport(), Taking().take)
        read_no_more(StringTransport())

    def test_let_go(self) -> None:
        """What is gone does not keep who has taken from it."""
        transport, _ = self.connected()
        taking = Taking()
        wrapper = self.wrapped(transport)
        read_directly(wrapper, taking.take)
        gone = ref(taking)
        gc.disable()
        self.addCleanup(gc.enable)
        del taking
        self.assertIsNotNone(gone())
        read_no_more(wrapper)
        self.assertIsNone(gone())
