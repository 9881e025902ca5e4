"""What an upstream has said to a login of ours."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.upstream.login_record import (
    FIRST_PAUSE_SECONDS,
    LACKING_SECONDS,
    LAST_PAUSE_SECONDS,
    MAX_LACKING,
    LoginRecord,
)


class LoginRecordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.record = LoginRecord(lambda: self.now, 15.0)

    def refuse(self, *about: str) -> float | None:
        """Have the login refused now."""
        return self.record.refused(401, about, self.now)

    def pause(self) -> float:
        """Refuse the login when its pause is over; returns the next one."""
        self.assertTrue(self.record.may_show())
        seconds = self.refuse()
        assert seconds is not None
        self.now += seconds
        return seconds

    def test_confirmed(self) -> None:
        """That it was taken counts for a while."""
        self.assertFalse(self.record.is_confirmed(10))
        self.assertFalse(self.record.confirmed(self.now))
        self.now += 9
        self.assertTrue(self.record.is_confirmed(10))
        self.now += 1
        self.assertFalse(self.record.is_confirmed(10))

    def test_pauses_grow(self) -> None:
        """Up to a quarter of an hour."""
        pauses = [self.pause() for _ in range(9)]
        self.assertEqual(pauses[:4], [FIRST_PAUSE_SECONDS * n for n in (1, 2, 4, 8)])
        self.assertEqual(pauses[-1], LAST_PAUSE_SECONDS)

    def test_rests(self) -> None:
        """Before the pause is over nobody shows it, and after that one does."""
        self.refuse()
        self.assertFalse(self.record.may_show())
        self.now += FIRST_PAUSE_SECONDS
        self.assertEqual([self.record.may_show() for _ in range(2)], [True, False])
        self.record.abandoned(self.now)
        self.assertTrue(self.record.may_show())

    def test_late_news(self) -> None:
        """What was asked before the refusal does not end it."""
        started = self.now
        self.now += 1
        self.refuse()
        self.assertFalse(self.record.confirmed(started))
        self.assertTrue(self.record.is_refused)
        self.assertFalse(self.record.is_confirmed(10))

    def test_late_refusal(self) -> None:
        """What was taken later counts for more."""
        started = self.now
        self.now += 1
        self.record.confirmed(self.now)
        self.assertIsNone(self.record.refused(401, ["a"], started))
        self.assertFalse(self.record.is_refused)

    def test_many_see_one_refusal(self) -> None:
        """It is one still."""
        started = self.now
        self.now += 1
        self.assertIsNotNone(self.refuse())
        self.assertIsNone(self.record.refused(401, (), started))

    def test_lacking(self) -> None:
        """A login that proves good, and is refused again about the same name."""
        self.refuse("a", "b")
        self.now += FIRST_PAUSE_SECONDS
        self.assertTrue(self.record.may_show())
        self.assertTrue(self.record.confirmed(self.now))
        # It may have been mended upstream.
        self.assertFalse(self.record.is_lacking(["a"]))
        self.assertIsNone(self.refuse("a"))
        self.assertFalse(self.record.is_refused)
        self.assertTrue(self.record.is_lacking(["c", "a"]))
        self.assertFalse(self.record.is_lacking(["b", "c"]))
        self.now += LACKING_SECONDS
        self.assertFalse(self.record.is_lacking(["a"]))
        self.assertIsNotNone(self.refuse("a"))

    def test_bounded(self) -> None:
        """Of very many names the last are remembered."""
        names = [str(number) for number in range(MAX_LACKING + 5)]
        for name in names:
            self.refuse(name)
            self.now += LAST_PAUSE_SECONDS / 1e6
        self.now += LAST_PAUSE_SECONDS
        self.record.confirmed(self.now)
        kept = [name for name in names if self.record._suspected.get(name)]
        self.assertEqual(len(kept), MAX_LACKING)
