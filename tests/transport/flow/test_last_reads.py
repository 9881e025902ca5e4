"""What has come is read before a connection is lost for another reason."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.client.protocol import MAX_EARLY_REPLY_BYTES
from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.flow.last_reads import MOST_READS, read_before_loss
from regbroker.transport.flow.wrapping import Wrapper, WrapperFactory


class Broken:
    """A transport that notes what it does; the last of its reads meets the end."""

    disconnecting = False

    def __init__(self, reads: int = 3) -> None:
        self.reads = reads
        self.done: list[str] = []

    def doRead(self) -> object:
        self.done.append("read")
        self.reads -= 1
        return None if self.reads else ConnectionDone()

    def connectionLost(self, reason: Failure) -> None:
        self.done.append(type(reason.value).__name__)


class LastReadsTests(SynchronousTestCase):
    def lost(self, transport: Any, error: Exception) -> list[str]:
        """End the connection for this reason; return what the transport did."""
        read_before_loss(transport)
        transport.connectionLost(Failure(error))
        done: list[str] = transport.done
        return done

    def test_lost(self) -> None:
        """All is read up to the end; the reason stays what it was."""
        done = self.lost(Broken(), ConnectionLost())
        self.assertEqual(done, ["read", "read", "read", "ConnectionLost"])

    def test_ended(self) -> None:
        """Nothing is read where the end was read, or where we have made it."""
        for error in (ConnectionDone(), ConnectionAborted()):
            done = self.lost(Broken(), error)
            self.assertEqual(done, [type(error).__name__])

    def test_closed_meanwhile(self) -> None:
        """Nothing more is read when who reads has closed the connection."""
        transport = Broken()
        read = transport.doRead

        def close() -> object:
            transport.disconnecting = True
            return read()

        transport.doRead = close  # type: ignore[method-assign]
        done = self.lost(transport, ConnectionLost())
        self.assertEqual(done, ["read", "ConnectionLost"])

    def test_mistake(self) -> None:
        """A mistake of who reads is told, and the connection ends all the same."""

        def fail() -> object:
            raise KeyError("a mistake")

        transport = Broken()
        transport.doRead = fail  # type: ignore[method-assign]
        with self.assertRaises(KeyError):
            self.lost(transport, ConnectionLost())
        self.assertEqual(transport.done, ["ConnectionLost"])

    def test_without_end(self) -> None:
        """Reads without an end end: after more than an early reply may have."""
        done = self.lost(Broken(reads=-1), ConnectionLost())
        self.assertEqual(done, ["read"] * MOST_READS + ["ConnectionLost"])
        self.assertGreater(MOST_READS * READ_BYTES, MAX_EARLY_REPLY_BYTES)

    def test_wrapped(self) -> None:
        """What wraps a transport is looked through."""
        transport: Any = Broken()
        factory = WrapperFactory(Factory.forProtocol(Protocol))
        wrapper: Any = Wrapper(factory, Protocol())
        wrapper.transport = transport
        read_before_loss(wrapper)
        transport.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(transport.done, ["read", "read", "read", "ConnectionLost"])

    def test_without_socket(self) -> None:
        """A transport that reads from no socket stays as it is."""
        transport = StringTransport()
        before = dict(vars(transport))
        read_before_loss(transport)
        self.assertEqual(vars(transport), before)

    def test_no_cycle(self) -> None:
        """A transport that is lost is gone at once."""
        transport = Broken()
        self.lost(transport, ConnectionLost())
        gone = ref(transport)
        del transport
        self.assertIsNone(gone())

    def test_told_later(self) -> None:
        """Whoever is to tell a transport later, as Twisted when it aborts, keeps it."""
        transport: Any = Broken()
        done = transport.done
        read_before_loss(transport)
        tell = transport.connectionLost
        del transport
        gc.collect()
        for _ in range(2):
            tell(Failure(ConnectionAborted()))
        self.assertEqual(done, ["ConnectionAborted"] * 2)
