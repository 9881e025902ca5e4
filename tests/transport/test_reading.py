"""A transport that is paused, and resumed only where it is paused."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regbroker.transport.reading import Reading


class Told:
    """A transport that notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")

    def unregisterProducer(self) -> None:
        self.calls.append("unregister")


class ReadingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told = Told()
        self.reading = Reading(self.told)

    def test_interface(self) -> None:
        """It is a producer, as the transport is."""
        verifyObject(IPushProducer, self.reading)

    def test_resume(self) -> None:
        """To resume what is not paused asks nobody."""
        self.reading.resumeProducing()
        self.assertEqual(self.told.calls, [])
        self.reading.pauseProducing()
        self.assertTrue(self.reading.is_paused)
        for _ in range(2):
            self.reading.resumeProducing()
        self.assertFalse(self.reading.is_paused)
        self.assertEqual(self.told.calls, ["pause", "resume"])

    def test_others(self) -> None:
        """The end, and no more news of the client, are passed on."""
        self.reading.unregisterProducer()
        self.reading.stopProducing()
        self.assertEqual(self.told.calls, ["unregister", "stop"])
