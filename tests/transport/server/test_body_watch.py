"""Bodies that come too slowly are given up, once, with the reason."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.causes import Cause
from regbroker.errors import BodyTooSlow
from regbroker.transport.server.body_watch import BodyWatch
from regbroker.transport.server.pace import Pace


class BodyWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.given_up: list[BodyTooSlow] = []
        self.watch = BodyWatch(self.clock, Pace(60, 30, 500), self.given_up.append)

    def assert_given_up(self, cause: Cause, words: str) -> None:
        """It was, once, and nothing is left to happen."""
        (error,) = self.given_up
        self.assertEqual((error.status, error.cause), (408, cause))
        self.assertIn(words, error.message)
        self.assertEqual(error.header(b"Connection"), "close")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silent(self) -> None:
        """Nothing came."""
        self.watch.resume()
        self.clock.advance(59)
        self.assertEqual(self.given_up, [])
        self.clock.advance(1)
        self.assert_given_up(Cause.CLIENT_IDLE, "nothing of its body for 60 s")

    def test_drip(self) -> None:
        """Too little came."""
        self.watch.resume()
        while not self.given_up and self.clock.seconds() < 1000:
            self.clock.advance(29.5)
            self.watch.received(1)
        self.assertLess(self.clock.seconds(), 160)
        self.assert_given_up(Cause.CLIENT_SLOW, "more slowly than 500 bytes per second")

    def test_not_whole(self) -> None:
        """A body that is read whole comes soon, however fast it begins."""
        self.watch.resume()
        self.watch.read_whole()
        self.watch.read_whole()
        for _ in range(30):
            self.assertEqual(self.given_up, [])
            self.watch.received(1000)
            self.clock.advance(1)
        self.assert_given_up(Cause.CLIENT_SLOW, "not complete after 30 s")

    def test_not_asked_for(self) -> None:
        """A client that waits for 100 may be silent."""
        self.clock.advance(1000)
        self.watch.resume()
        self.clock.advance(59)
        self.assertEqual(self.given_up, [])

    def test_paused(self) -> None:
        """A client that is not read from loses nothing, for however long."""
        self.watch.resume()
        self.clock.advance(50)
        self.watch.pause()
        self.clock.pump([50] * 100)
        self.watch.resume()
        self.clock.advance(59)
        self.assertEqual(self.given_up, [])
        self.clock.advance(1)
        self.assertEqual(len(self.given_up), 1)

    def test_stopped(self) -> None:
        """Nothing is watched after the end."""
        self.watch.resume()
        self.watch.read_whole()
        self.watch.stop()
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
