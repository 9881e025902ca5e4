"""A body between the connection that it arrives on and whoever takes it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.client.arriving_body import ArrivingBody


class Notes:
    """Connection and receiver, which note what is done to them."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.body = ArrivingBody(self)

    # The connection.

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def abort(self) -> None:
        self.done.append("abort")

    # The receiver.

    def body_received(self, data: bytes) -> None:
        self.done.append(data)

    def body_ended(self) -> None:
        self.done.append("end")

    def body_broken(self, error: Exception) -> None:
        self.done.append(error)


class ArrivingBodyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.notes = Notes()
        self.body = self.notes.body

    def assertDone(self, *expected: object) -> None:
        """Since the last look this was done."""
        self.assertEqual(self.notes.done, list(expected))
        self.notes.done.clear()

    def test_passed_on(self) -> None:
        """Once somebody takes it, it goes through."""
        self.body.deliver(self.notes)
        self.body.received(b"a")
        self.body.hold()
        self.body.received(b"b")
        self.body.completed()
        self.assertDone(b"a", b"b", "end")

    def test_held(self) -> None:
        """Until then its connection is paused, and what has come is kept."""
        self.body.received(b"a")
        self.body.hold()
        self.body.hold()
        self.assertDone("pause")
        self.body.received(b"b")
        self.assertIsNone(self.body.take())
        self.body.deliver(self.notes)
        self.assertDone(b"ab", "resume")

    def test_ended_before(self) -> None:
        """Its end is told to whoever comes later, and so is its breaking off."""
        self.body.received(b"a")
        self.body.completed()
        self.body.deliver(self.notes)
        self.assertDone(b"a", "end")
        error = ValueError()
        self.setUp()
        self.body.broke_off(error)
        self.assertIsNone(self.body.take())
        self.body.deliver(self.notes)
        self.assertDone(error)

    def test_taken_whole(self) -> None:
        """What is here whole can be taken at once, until somebody has it."""
        for pieces in ((), (b"a",), (b"a", b"b")):
            self.setUp()
            for piece in pieces:
                self.body.received(piece)
            self.body.completed()
            self.assertEqual(self.body.take(), b"".join(pieces))
        self.body.deliver(self.notes)
        self.assertIsNone(self.body.take())

    def test_paused_by_receiver(self) -> None:
        """A receiver pauses and resumes the connection."""
        self.body.deliver(self.notes)
        self.body.pause()
        self.body.resume()
        self.assertDone("pause", "resume")

    def test_paused_at_once(self) -> None:
        """One that pauses with the first bytes is not sent more of them."""
        self.body.received(b"a")
        self.body.hold()
        self.body.pause()
        self.body.deliver(self.notes)
        self.assertDone("pause", b"a")
        self.body.resume()
        self.assertDone("resume")

    def test_connection_of_another(self) -> None:
        """When it is complete, the connection is nothing of its."""
        self.body.completed()
        for act in (
            self.body.abort,
            self.body.hold,
            self.body.pause,
            self.body.resume,
        ):
            act()
        self.assertDone()

    def test_abort(self) -> None:
        """Before, the connection ends with who gives up."""
        self.body.abort()
        self.assertDone("abort")
