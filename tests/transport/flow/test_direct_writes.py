"""Writes that go to the socket at once."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.flow.direct_writes import MOST_PIECES, send_now, socket_below
from regbroker.transport.flow.wrapping import Wrapper, WrapperFactory
from regbroker.transport.tls.memory import MemoryTLSProtocol
from regbroker.transport.twisted_private.sockets import may_write_now


class DirectWritesTests(SynchronousTestCase):
    def setUp(self) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.theirs.settimeout(10)
        self.addCleanup(self.theirs.close)
        self.protocol = Protocol()
        loop: Any = reactor
        port: Any = None
        self.transport: Any = Server(ours, self.protocol, ("", 0), port, 0, loop)
        self.transport.startReading()
        self.addCleanup(self.transport.connectionLost, Failure(ConnectionDone()))

    def read(self, size: int) -> bytes:
        """So many bytes, as the peer gets them."""
        data = b""
        while len(data) < size:
            data += self.theirs.recv(size - len(data))
        return data

    def test_at_once(self) -> None:
        """They are with the peer before the reactor runs."""
        send_now(self.transport, [b"abc"])
        self.assertEqual(self.read(3), b"abc")
        self.assertTrue(may_write_now(self.transport))

    def test_full(self) -> None:
        """What the socket does not take is written later, in order, once."""
        data = bytes(range(256)) * 16384
        self.assertTrue(send_now(self.transport, [data]))
        self.assertFalse(may_write_now(self.transport))
        send_now(self.transport, [b"end"])
        got = b""
        while len(got) < len(data) + 3:
            got += self.theirs.recv(1 << 20)
            self.transport.doWrite()
        self.assertEqual(got, data + b"end")

    def test_taking_nothing(self) -> None:
        """A socket that takes nothing now is sound."""
        handle = self.transport.getHandle()
        with self.assertRaises(BlockingIOError):
            while True:
                handle.send(bytes(1 << 20))
        self.assertTrue(send_now(self.transport, [b"end"]))
        self.assertFalse(may_write_now(self.transport))

    def test_no_memory(self) -> None:
        """A socket for which the system has no memory now is sound, too."""

        class Handle:
            def sendmsg(self, data: object) -> int:
                """Raise what Linux does for a Unix socket."""
                raise OSError(errno.ENOBUFS, "No buffer space available")

        self.patch(self.transport, "getHandle", Handle)
        self.assertTrue(send_now(self.transport, [b"1"]))
        self.assertFalse(may_write_now(self.transport))

    def test_pieces(self) -> None:
        """Pieces go out in order, once, however many the socket takes of them."""
        pieces = [bytes([n % 256]) * (n % 700 + 1) for n in range(3 * MOST_PIECES)]
        whole, got = b"".join(pieces), b""
        send_now(self.transport, pieces)
        while len(got) < len(whole):
            got += self.theirs.recv(1 << 20)
            self.transport.doWrite()
        self.assertEqual(got, whole)

    def test_behind_others(self) -> None:
        """Nothing overtakes what the transport holds."""
        self.transport.write(b"1")
        send_now(self.transport, [b"2"])
        self.transport.doWrite()
        self.assertEqual(self.read(2), b"12")

    def test_aborted(self) -> None:
        """After the connection is broken off, the peer gets nothing more."""
        send_now(self.transport, [b"1"])
        self.transport.abortConnection()
        send_now(self.transport, [b"2"])
        self.assertEqual(self.read(1), b"1")
        self.theirs.setblocking(False)
        self.assertRaises(BlockingIOError, self.theirs.recv, 1)

    def test_closed(self) -> None:
        """After the connection is closed, what is written waits with the transport."""
        self.transport.loseConnection()
        send_now(self.transport, [b"1"])
        self.theirs.setblocking(False)
        self.assertRaises(BlockingIOError, self.theirs.recv, 1)

    def test_gone(self) -> None:
        """An error is left to the reactor."""
        self.theirs.close()
        self.assertFalse(send_now(self.transport, [b"1"]))
        send_now(self.transport, [b"2"])
        self.assertFalse(may_write_now(self.transport))
        self.assertIsInstance(self.transport.doWrite(), Exception)

    def test_below(self) -> None:
        """Wrappers that pass bytes on are passed over; TLS sees all that is written."""
        factory: Any = WrapperFactory(Factory())
        wrapper: Any = Wrapper(factory, Protocol())
        wrapper.transport = self.transport
        self.assertIs(socket_below(self.transport), self.transport)
        self.assertIs(socket_below(wrapper), self.transport)
        tls: Any = MemoryTLSProtocol.__new__(MemoryTLSProtocol)
        tls.transport = wrapper
        self.assertIsNone(socket_below(tls))
        self.assertIsNone(socket_below(StringTransport()))
