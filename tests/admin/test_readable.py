"""Numbers as people read them."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.readable import ago, duration, rate, size


class ReadableTests(SynchronousTestCase):
    def test_size(self) -> None:
        """Three digits at most, and a unit."""
        for count, text in (
            (0, "0 B"),
            (999, "999 B"),
            (999.6, "1.0 kB"),
            (1500, "1.5 kB"),
            (99_940, "99.9 kB"),
            (99_960, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (12_345_678, "12.3 MB"),
            (3.2e9, "3.2 GB"),
            (5e18, "5000 PB"),
        ):
            self.assertEqual(size(count), text, count)
        self.assertEqual(rate(2_400_000), "2.4 MB/s")

    def test_duration(self) -> None:
        """The two largest units."""
        for seconds, text in (
            (0.4, "0 s"),
            (59.9, "59 s"),
            (60, "1 min 00 s"),
            (754, "12 min 34 s"),
            (3_600, "1 h 00 min"),
            (86_399, "23 h 59 min"),
            (86_400, "1 day"),
            (200_000, "2 days"),
        ):
            self.assertEqual(duration(seconds), text, seconds)

    def test_ago(self) -> None:
        """The largest unit; what is to come is now."""
        for seconds, text in (
            (-5, "now"),
            (0.9, "now"),
            (1, "1 s ago"),
            (119, "1 min ago"),
            (7_300, "2 h ago"),
            (90_000, "1 day ago"),
            (200_000, "2 days ago"),
        ):
            self.assertEqual(ago(seconds), text, seconds)
