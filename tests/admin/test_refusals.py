"""The last requests that were refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.refusals import MAX_KEPT, MAX_TEXT, RecentRefusals
from regbroker.events import Event


class RefusalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1e9
        self.refusals = RecentRefusals(lambda: self.now)

    def refuse(self, path: str) -> None:
        """A request is refused."""
        self.now += 1
        event = Event(lambda: 0.0, path=path, status=403)
        event.code, event.refusal = "DENIED", "alice may not push here"
        self.refusals.note(event)

    def test_kept(self) -> None:
        """With time and reason, the latest first; what is no refusal is not."""
        self.refuse("/one")
        self.refusals.note(Event(lambda: 0.0, path="/fine", status=200))
        self.refuse("/two")
        found = self.refusals.latest()
        self.assertEqual([one.path for one in found], ["/two", "/one"])
        self.assertEqual(
            (found[0].at, found[0].reason), (1e9 + 2, "alice may not push here")
        )

    def test_wrong_password(self) -> None:
        """That an upstream takes no password is said in words, not as a status."""
        event = Event(lambda: 0.0, endpoint="token", credentials="password", status=401)
        event.code, event.refusal = "UNAUTHORIZED", "the upstream answered with 401"
        event.upstream_seconds = 0.1
        self.refusals.note(event)
        (found,) = self.refusals.latest()
        self.assertEqual(
            found.reason, "the upstream does not take this user and password"
        )

    def test_bounded(self) -> None:
        """No more than a page's worth, with texts of a line at most."""
        for number in range(MAX_KEPT + 10):
            self.refuse(f"/{number}" + "x" * 1000)
        found = self.refusals.latest()
        self.assertEqual(len(found), MAX_KEPT)
        self.assertEqual(found[0].path[:3], f"/{MAX_KEPT + 9}")
        self.assertEqual(len(found[0].path), MAX_TEXT)
