"""How much is read at once."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.flow import wide_reads
from regbroker.transport.flow.backpressure import READ_BYTES
from regbroker.transport.flow.wide_reads import (
    LATELY_SECONDS,
    READS_OF_A_TURN,
    STEADY_BYTES,
    WIDE_BYTES,
    Turns,
    WideReads,
)
from regbroker.transport.flow.wrapping import Wrapper, WrapperFactory


class WideReadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        below: Any = StringTransport()
        below.bufferSize = 1
        self.below = below
        self.connection = self.made(below)

    def made(self, below: Any) -> Any:
        """A connection over a transport."""
        connection: Any = WideReads(WrapperFactory(Factory()), Protocol())
        connection.makeConnection(below)
        connection.read_from(below)
        return connection

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
        for _ in range(3):
            self.assertEqual(self.below.bufferSize, WIDE_BYTES)
            self.connection.pauseProducing()
        self.assertEqual(self.below.bufferSize, READ_BYTES)

    def test_little(self) -> None:
        """A read that is not full takes an eighth of what came before it."""
        self.read(STEADY_BYTES // READ_BYTES + 1)
        self.connection.has_read(READ_BYTES - 1)
        self.assertEqual(self.below.bufferSize, READ_BYTES)
        self.read(STEADY_BYTES // 8 // READ_BYTES + 1)
        self.assertEqual(self.below.bufferSize, WIDE_BYTES)
        self.connection.has_read(STEADY_BYTES)
        for _ in range(5):
            self.connection.has_read(1)
            self.assertEqual(self.below.bufferSize, WIDE_BYTES)
        self.connection.has_read(1)
        self.assertEqual(self.below.bufferSize, READ_BYTES)
        self.read(100 * STEADY_BYTES // READ_BYTES)
        for _ in range(12):
            self.connection.has_read(300)
        self.assertEqual(self.below.bufferSize, READ_BYTES)

    def test_small_messages(self) -> None:
        """A connection that carries little is never wide."""
        for _ in range(3 * STEADY_BYTES // READ_BYTES):
            self.read(1)
            self.connection.has_read(300)
        self.assertEqual(self.below.bufferSize, READ_BYTES)

    def test_reads_at_once(self) -> None:
        """Who carries much reads more than once in a turn, and shares that."""
        self.patch(wide_reads, "TURNS", Turns())
        # A busy machine may take longer than `LATELY_SECONDS` from one to the next.
        self.patch(wide_reads, "monotonic", lambda: 1000.0)
        self.assertEqual(self.connection.reads_at_once(), 1)
        self.read(STEADY_BYTES // READ_BYTES + 1)
        self.assertEqual(self.connection.reads_at_once(), READS_OF_A_TURN)
        other = self.made(StringTransport())
        other.has_read(STEADY_BYTES)
        for steady in other, self.connection:
            self.assertEqual(steady.reads_at_once(), READS_OF_A_TURN // 2)

    def test_turns(self) -> None:
        """Whoever has asked lately has a share; each has one read at least."""
        turns, now = Turns(), 1000.0
        readers = [object() for _ in range(READS_OF_A_TURN + 2)]
        for together, reader in enumerate(readers, 1):
            expected = max(1, READS_OF_A_TURN // together)
            self.assertEqual(turns.share(reader, now), expected)
            now += LATELY_SECONDS / 100
        # The first who comes does not take it for being alone.
        now += LATELY_SECONDS
        self.assertEqual(turns.share(readers[0], now), 1)
        now += LATELY_SECONDS
        self.assertEqual(turns.share(readers[0], now), READS_OF_A_TURN)

    def test_below_wrappers(self) -> None:
        """The transport is found below wrappers; one without buffer is left alone."""
        wrapper: Any = Wrapper(WrapperFactory(Factory()), Protocol())
        wrapper.transport = self.below
        self.below.bufferSize = 1
        self.connection.read_from(wrapper)
        self.assertEqual(self.below.bufferSize, READ_BYTES)
        plain: Any = StringTransport()
        other = self.made(plain)
        other.has_read(STEADY_BYTES)
        other.pauseProducing()
        self.assertFalse(hasattr(plain, "bufferSize"))
