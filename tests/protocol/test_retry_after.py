"""How long to wait: written, passed on and read."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import TooManyRequests
from regbroker.protocol.retry_after import (
    parse_retry_after,
    passed_on,
    retry_after,
    wait_told,
)


class WritingTests(SynchronousTestCase):
    def test_whole_seconds(self) -> None:
        """Seconds are whole, and never none: clients would come back at once."""
        for seconds, value in ((0, b"1"), (0.2, b"1"), (1, b"1"), (89.6, b"90")):
            self.assertEqual(retry_after(seconds), (b"Retry-After", value))

    def test_passed_on(self) -> None:
        """What somebody else has said is said as it was; nothing stays nothing."""
        date = b"Thu, 01 Jan 1970 00:10:00 GMT"
        self.assertEqual(passed_on(date), [(b"Retry-After", date)])
        self.assertEqual((passed_on(None), passed_on(b"")), ([], []))


class ErrorTests(SynchronousTestCase):
    def test_of_an_error(self) -> None:
        """The wait that an error carries, if it carries one."""
        error = TooManyRequests("later", headers=[(b"retry-after", b"30")])
        self.assertEqual(wait_told(error, 0.0), 30.0)
        self.assertIsNone(wait_told(TooManyRequests("later"), 0.0))


class RetryAfterTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        """A number is seconds."""
        self.assertEqual(parse_retry_after(" 120 ", 0.0), 120.0)

    def test_date(self) -> None:
        """A date is counted from now; one that is over is now."""
        date = "Thu, 01 Jan 1970 00:10:00 GMT"
        self.assertEqual(parse_retry_after(date, 500.0), 100.0)
        self.assertEqual(parse_retry_after(date, 700.0), 0.0)
        for zone, seconds in (("+0001", 40.0), ("-0001", 160.0), ("-0000", 100.0)):
            date = f"Thu, 01 Jan 1970 00:10:00 {zone}"
            self.assertEqual(parse_retry_after(date, 500.0), seconds)

    def test_nonsense(self) -> None:
        """Anything else says nothing."""
        overflowing = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
        for text in (
            overflowing,
            None,
            "",
            "-1",
            "1.5",
            "soon",
            "Thu, 99 Jan 1970",
            "9" * 10,
        ):
            self.assertIsNone(parse_retry_after(text, 0.0))
