"""How much is read at once."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.flow.wide_reads import STEADY_BYTES, WIDE_BYTES, WideReads
from regbroker.transport.flow.wrapping import Wrapper, WrapperFactory


class WideReadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        factory: Any = WrapperFactory(Factory())
        below: Any = StringTransport()
        below.bufferSize = 1
        self.below = below
        self.connection: Any = WideReads(factory, Protocol())
        self.connection.transport = self.below
        self.connection.read_from(self.below)

    def read(self, reads: int) -> None:
        """Have so many full reads."""
        for _ in range(reads):
            self.connection.has_read(self.below.bufferSize)

    def test_steady(self) -> None:
        """When much has come in full reads, more is read at once, and goes on so."""
        self.assertEqual(self.below.bufferSize, READ_BYTES)
        self.read((STEADY_BYTES - 1) // READ_BYTES)
        self.assertEqual(self.below.bufferSize, READ_BYTES)
        self.read(1)
        self.assertEqual(self.below.bufferSize, WIDE_BYTES)
        self.read(100)
        self.assertEqual(self.below.bufferSize, WIDE_BYTES)

    def test_pause(self) -> None:
        """A pause counts against it: somebody does not take what was read."""
        self.read(STEADY_BYTES // READ_BYTES + 1)
        self.connection.pauseProducing()
        self.assertEqual(self.below.producerState, "paused")
        self.assertEqual(self.below.bufferSize, READ_BYTES)

    def test_slow_peer(self) -> None:
        """A connection that is paused again and again is not wide, or not for long."""
        for _ in range(3 * STEADY_BYTES // READ_BYTES):
            self.read(2)
            self.connection.pauseProducing()
        self.assertEqual(self.below.bufferSize, READ_BYTES)
        self.read(100 * STEADY_BYTES // READ_BYTES)
        for _ in range(8):
            self.assertEqual(self.below.bufferSize, WIDE_BYTES)
            self.connection.pauseProducing()
        self.assertEqual(self.below.bufferSize, READ_BYTES)

    def test_little(self) -> None:
        """A read that is not full counts against what came before it."""
        self.read(STEADY_BYTES // READ_BYTES)
        self.connection.has_read(READ_BYTES - 1)
        self.read(STEADY_BYTES // 2 // READ_BYTES)
        self.assertEqual(self.below.bufferSize, READ_BYTES)
        self.read(2)
        self.assertEqual(self.below.bufferSize, WIDE_BYTES)
        self.read(4 * STEADY_BYTES // WIDE_BYTES)
        for size in (WIDE_BYTES, WIDE_BYTES, READ_BYTES):
            self.connection.has_read(1)
            self.assertEqual(self.below.bufferSize, size)

    def test_small_messages(self) -> None:
        """A connection that carries little is never wide."""
        for _ in range(3 * STEADY_BYTES // READ_BYTES):
            self.read(1)
            self.connection.has_read(300)
        self.assertEqual(self.below.bufferSize, READ_BYTES)

    def test_below_wrappers(self) -> None:
        """The transport is found below wrappers; one without buffer is left alone."""
        wrapper: Any = Wrapper(WrapperFactory(Factory()), Protocol())
        wrapper.transport = self.below
        self.below.bufferSize = 1
        self.connection.read_from(wrapper)
        self.assertEqual(self.below.bufferSize, READ_BYTES)
        plain: Any = StringTransport()
        other: Any = WideReads(WrapperFactory(Factory()), Protocol())
        other.transport = plain
        other.read_from(plain)
        other.has_read(STEADY_BYTES)
        other.pauseProducing()
        self.assertFalse(hasattr(plain, "bufferSize"))
