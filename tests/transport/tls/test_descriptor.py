"""What stands in the reactor in the place of a transport."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regbroker.transport.tls.descriptor import Descriptor
from tests.tlspeer import Descriptors


class Transport:
    """A transport that is read from, and told that it is lost."""

    def __init__(self) -> None:
        self.reactor = Descriptors()
        self.reactor.addReader(self)
        self.lost: list[Any] = []

    def stopReading(self) -> None:
        self.reactor.removeReader(self)

    def fileno(self) -> int:
        return 7

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason)


class DescriptorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = Transport()
        self.reactor = self.transport.reactor
        self.descriptor = Descriptor(self.transport, lambda: None, lambda: None)

    def test_reads_in_its_place(self) -> None:
        """The transport reads no more, and the descriptor does until it is told."""
        self.assertEqual(self.reactor.readers, {self.descriptor})
        self.assertTrue(self.descriptor.is_reading)
        self.assertEqual(self.descriptor.fileno(), 7)
        self.descriptor.stop_reading()
        self.assertEqual(self.reactor.readers, set())
        self.assertFalse(self.descriptor.is_reading)

    def test_writes(self) -> None:
        """It is asked to write as long as something waits."""
        self.descriptor.start_writing()
        self.assertEqual(self.reactor.writers, {self.descriptor})
        self.descriptor.stop_writing()
        self.assertEqual(self.reactor.writers, set())

    def test_stop(self) -> None:
        """It is asked for nothing more."""
        self.descriptor.start_writing()
        self.descriptor.stop()
        self.assertEqual((self.reactor.readers, self.reactor.writers), (set(), set()))

    def test_lost(self) -> None:
        """The reactor has forgotten it, and the transport hears the reason."""
        asked: list[Any] = []
        self.reactor.removeReader = self.reactor.removeWriter = asked.append
        self.descriptor.start_writing()
        reason = Failure(ConnectionDone())
        self.descriptor.connectionLost(reason)
        self.descriptor.stop()
        self.assertEqual((self.transport.lost, asked), ([reason], []))

    def test_interfaces(self) -> None:
        """It is what reactors ask for."""
        verifyObject(IReadDescriptor, self.descriptor)
        verifyObject(IWriteDescriptor, self.descriptor)
