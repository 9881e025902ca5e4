"""Stalls, and bodies on their way up; whole transfers are in `tests.web`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.causes import Cause
from regbroker.transport.bodies.upload import CONTINUE_SECONDS, UploadBody


class Body:
    """A client's body; notes what it is told."""

    length = 5

    def __init__(self) -> None:
        self.told: list[str] = []
        self.consumer: Any = None
        self.done: Deferred[None] = Deferred()

    def startProducing(self, consumer: Any) -> Deferred[None]:
        self.told.append("start")
        self.consumer = consumer
        return self.done

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Consumer:
    """The upstream's connection."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


class UploadBodyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.body: Any = Body()
        self.consumer: Any = Consumer()

    def upload(self, wait: bool = False) -> UploadBody:
        """The body on its way."""
        return UploadBody(self.body, self.clock, wait)

    def test_passed_on(self) -> None:
        """Bytes, length, and the end."""
        upload = self.upload()
        done = upload.startProducing(self.consumer)
        self.body.consumer.write(b"ab")
        self.body.consumer.write(b"cde")
        self.assertEqual((upload.length, upload.bytes_sent), (5, 5))
        self.assertEqual(self.consumer.data, b"abcde")
        self.body.done.callback(None)
        self.successResultOf(done)

    def test_failed(self) -> None:
        """What the client's body fails with."""
        done = self.upload().startProducing(self.consumer)
        self.body.done.errback(Failure(KeyError("x")))
        self.failureResultOf(done, KeyError)

    def test_backpressure(self) -> None:
        """Pauses are the client's."""
        upload = self.upload()
        upload.startProducing(self.consumer)
        upload.pauseProducing()
        upload.resumeProducing()
        self.assertEqual(self.body.told, ["start", "pause", "resume"])

    def test_why_stalled(self) -> None:
        """The side that moved nothing: who does not read, who sends nothing."""
        upload = self.upload(wait=True)

        def cause() -> Cause | None:
            return upload.why_stalled(9).cause

        self.assertIs(cause(), Cause.UPSTREAM_IDLE)
        upload.startProducing(self.consumer)
        # It has not said that it wants the body.
        self.assertIs(cause(), Cause.UPSTREAM_IDLE)
        upload.upstream_continues()
        self.assertIs(cause(), Cause.CLIENT_IDLE)
        upload.pauseProducing()
        self.assertIs(cause(), Cause.UPSTREAM_NOT_READING)
        upload.resumeProducing()
        self.assertIs(cause(), Cause.CLIENT_IDLE)
        self.body.done.callback(None)
        self.assertIs(cause(), Cause.UPSTREAM_IDLE)

    def test_moves(self) -> None:
        """It moves when a side gives, or takes again."""
        upload = self.upload()
        upload.startProducing(self.consumer)
        self.clock.advance(1)
        self.assertEqual(upload.moved, 0)
        self.body.consumer.write(b"ab")
        self.assertEqual(upload.moved, 1)
        upload.pauseProducing()
        self.clock.advance(1)
        self.assertEqual(upload.moved, 1)
        upload.resumeProducing()
        self.assertEqual(upload.moved, 2)

    def test_stopped(self) -> None:
        """Nothing is written, and nobody told, after the upstream lost interest."""
        upload = self.upload()
        done = upload.startProducing(self.consumer)
        upload.stopProducing()
        self.body.consumer.write(b"late")
        self.body.done.callback(None)
        self.assertEqual(self.consumer.data, b"")
        self.assertNoResult(done)

    def test_waits(self) -> None:
        """Nothing is read before the upstream says so, whatever it can take."""
        upload = self.upload(wait=True)
        upload.startProducing(self.consumer)
        upload.resumeProducing()
        self.assertEqual(self.body.told, [])
        upload.upstream_continues()
        upload.upstream_continues()
        self.assertEqual(self.body.told, ["start"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits_not_for_ever(self) -> None:
        """Nor is it waited for without end."""
        upload = self.upload(wait=True)
        upload.startProducing(self.consumer)
        self.clock.advance(CONTINUE_SECONDS)
        self.assertEqual(self.body.told, ["start"])
        upload.upstream_continues()
        self.assertEqual(self.body.told, ["start"])

    def test_continues_before_it_is_written(self) -> None:
        """An upstream may be quicker than we are."""
        upload = self.upload(wait=True)
        upload.upstream_continues()
        upload.startProducing(self.consumer)
        self.assertEqual(self.body.told, ["start"])

    def test_stopped_while_waiting(self) -> None:
        """An early refusal: the client is not asked for the body, which is whole."""
        upload = self.upload(wait=True)
        upload.startProducing(self.consumer)
        upload.stopProducing()
        self.clock.advance(CONTINUE_SECONDS * 2)
        self.assertEqual(self.body.told, [])
        # So the request can be sent again.
        self.upload(wait=False).startProducing(self.consumer)
        self.assertEqual(self.body.told, ["start"])
