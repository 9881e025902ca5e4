"""A file of secrets that changes while it is used."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.watched_file import (
    LOOK_INTERVAL,
    MAX_BYTES,
    MOST_LOOKS,
    WatchedFile,
    parse_file,
)


class WatchedFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.write(b"one")
        self.clock = Clock()
        self.parsed: list[bytes] = []
        self.file = WatchedFile(self.path, self.parse, self.clock.seconds)
        captured = capturedLogs()
        self.events: Sequence[LogEvent] = captured.__enter__()
        self.addCleanup(captured.__exit__, None, None, None)

    def write(self, contents: bytes, mode: int = 0o600) -> None:
        """Put another file in its place."""
        new = self.path.with_name("new")
        new.unlink(missing_ok=True)
        new.write_bytes(contents)
        new.chmod(mode)
        os.utime(new, (0, 0))
        new.replace(self.path)

    def overwrite(self, contents: bytes) -> None:
        """Rewrite the file in place; its time stamp says nothing, as clocks differ."""
        self.path.write_bytes(contents)
        os.utime(self.path, (time.time() + 3600,) * 2)

    def parse(self, contents: bytes) -> str:
        """Take everything but what begins with a bang."""
        self.parsed.append(contents)
        if contents.startswith(b"!"):
            raise ValueError("it begins with a bang")
        return contents.decode()

    def later(self) -> str | None:
        """What counts after the next look."""
        self.clock.advance(LOOK_INTERVAL)
        return self.file.latest()

    def logged(self) -> list[str]:
        """What has been logged so far, without what says that it was read."""
        texts = [formatEvent(event) for event in self.events]
        return [text for text in texts if not text.endswith(": read")]

    def test_changes(self) -> None:
        """What changes counts a second later, whoever changed it how."""
        self.assertEqual(self.file.latest(), "one")
        self.write(b"two")
        self.assertEqual(self.file.latest(), "one")
        self.assertEqual(self.later(), "two")
        self.overwrite(b"three")
        self.assertEqual([self.later(), self.later()], ["two", "three"])
        self.assertEqual(self.logged(), [])

    def test_left_alone(self) -> None:
        """A change whose time stamp is older than a look counts with the next look."""
        self.file.latest()
        self.path.write_bytes(b"two")
        os.utime(self.path, (time.time() - LOOK_INTERVAL,) * 2)
        self.assertEqual(self.later(), "two")

    def test_half_written(self) -> None:
        """What somebody writes is not read until it stays as it is."""
        self.file.latest()
        for half in (b"", b"!"):
            self.overwrite(half)
            self.assertEqual(self.later(), "one")
        self.overwrite(b"two")
        self.assertEqual([self.later(), self.later()], ["one", "two"])
        self.assertEqual((self.parsed, self.logged()), ([b"one", b"two"], []))

    def test_always_changing(self) -> None:
        """What never stays as it is counts all the same, now and then."""
        self.file.latest()
        for number in range(2 * MOST_LOOKS):
            self.overwrite(b"%d" % number)
            self.later()
        read = [b"one", b"%d" % (MOST_LOOKS - 1), b"%d" % (2 * MOST_LOOKS - 1)]
        self.assertEqual(self.parsed, read)

    def test_gone_for_a_moment(self) -> None:
        """An editor that removes the file before it writes anew goes unnoticed."""
        self.file.latest()
        self.path.unlink()
        self.assertEqual(self.later(), "one")
        self.write(b"two")
        self.assertEqual(self.later(), "two")
        self.assertEqual(self.logged(), [])

    def test_bad_once(self) -> None:
        """What is bad is read once, and again when it has changed."""
        self.write(b"!")
        for _ in range(5):
            self.later()
        self.assertEqual(self.parsed, [b"!"])
        self.write(b"two")
        self.assertEqual(self.later(), "two")

    def test_at_once(self) -> None:
        """Who cannot wait does not wait."""
        self.file.latest()
        self.overwrite(b"two")
        self.assertEqual(self.file.latest(at_once=True), "two")

    def test_same_file(self) -> None:
        """A file that stays as it is is read once."""
        for _ in range(5):
            self.later()
        self.file.latest(at_once=True)
        self.assertEqual(self.parsed, [b"one"])

    def test_clock_set_back(self) -> None:
        """A clock that is set back does not stop anybody from looking."""
        self.clock.advance(1000)
        self.file.latest()
        self.write(b"two")
        self.clock.rightNow = 0.0
        self.assertEqual(self.file.latest(), "two")

    def test_keeps_the_last_good(self) -> None:
        """A file that is bad or gone leaves what was, and one line in the log."""
        self.file.latest()
        self.write(b"!")
        self.assertEqual([self.later(), self.later()], ["one", "one"])
        self.path.unlink()
        self.assertEqual([self.later(), self.later()], ["one", "one"])
        kept = "; what it held before still counts"
        self.assertEqual(
            self.logged(),
            [
                f"{self.path}: it begins with a bang{kept}",
                f"{self.path}: No such file or directory{kept}",
            ],
        )
        self.write(b"two")
        self.assertEqual(self.later(), "two")

    def test_never_good(self) -> None:
        """A file that was never good gives nothing, until it is good."""
        self.path.unlink()
        self.assertEqual([self.later(), self.later()], [None, None])
        self.assertEqual(self.logged(), [f"{self.path}: No such file or directory"])
        self.write(b"two")
        self.assertEqual(self.later(), "two")

    def test_read(self) -> None:
        """Who needs the file now is told what is wrong with it."""
        self.assertEqual(self.file.read(), "one")
        self.write(b"!")
        with self.assertRaisesRegex(ValueError, "begins with a bang"):
            self.file.read()
        self.path.unlink()
        with self.assertRaisesRegex(ValueError, "No such file"):
            self.file.read()
        self.assertEqual(self.logged(), [])

    def test_read_bad_then_looked_at(self) -> None:
        """What was bad when it was read is still looked at again."""
        self.write(b"!")
        self.assertRaises(ValueError, self.file.read)
        self.assertIsNone(self.later())
        self.assertEqual(self.logged(), [f"{self.path}: it begins with a bang"])

    def test_other_files(self) -> None:
        """What is no small file is not read, and nobody waits for it."""
        self.path.unlink()
        os.mkfifo(self.path)
        with self.assertRaisesRegex(ValueError, "no regular file"):
            self.file.read()
        self.path.unlink()
        self.path.mkdir()
        with self.assertRaisesRegex(ValueError, "no regular file"):
            self.file.read()
        self.path.rmdir()
        self.write(b"a" * (MAX_BYTES + 1))
        with self.assertRaisesRegex(ValueError, "larger than"):
            self.file.read()
        self.assertEqual(self.parsed, [])

    def test_symbolic_links(self) -> None:
        """A link that leads elsewhere is a change (as in Kubernetes)."""
        link = self.path.with_name("link")
        link.symlink_to(self.path.name)
        self.file = WatchedFile(link, self.parse, self.clock.seconds)
        self.assertEqual(self.file.latest(), "one")
        other = self.path.with_name("other")
        other.write_bytes(b"two")
        os.utime(other, (0, 0))
        link.with_name("link2").symlink_to("other")
        link.with_name("link2").replace(link)
        self.assertEqual(self.later(), "two")

    def test_mode(self) -> None:
        """A file that everybody can read counts, and is complained of once."""
        self.write(b"one", 0o640)
        self.assertEqual(self.later(), "one")
        self.assertEqual(self.logged(), [])
        for contents in (b"two", b"three"):
            self.write(contents, 0o644)
            self.assertEqual(self.later(), contents.decode())
        self.assertEqual(len(self.logged()), 1)
        self.assertIn("every user of this machine", self.logged()[0])

    def test_mode_of_what_is_no_secret(self) -> None:
        """What everybody may read, nobody else may change."""
        now = self.clock.seconds
        self.file = WatchedFile(self.path, self.parse, now, is_secret=False)
        self.write(b"one", 0o664)
        self.assertEqual(self.later(), "one")
        self.assertNotIn("every user", "".join(self.logged()))
        self.write(b"two", 0o646)
        self.assertEqual(self.later(), "two")
        (line,) = [each for each in self.logged() if "every user" in each]
        self.assertIn("can change it; take that right away (chmod o-w)", line)

    def test_not_watched(self) -> None:
        """Who looks at a file once, to say what is wrong with it, logs nothing."""
        self.write(b"one", 0o644)
        self.assertEqual(parse_file(self.path, self.parse), "one")
        with self.assertRaisesRegex(ValueError, f"{self.path}: larger than 2 bytes"):
            parse_file(self.path, self.parse, max_bytes=2)
        self.path.unlink()
        with self.assertRaisesRegex(ValueError, f"{self.path}: No such file"):
            parse_file(self.path, self.parse)
        self.assertEqual(self.logged(), [])

    def test_cheap(self) -> None:
        """Within a second nobody asks the file system."""
        self.file.latest()
        self.patch(os, "stat", None)
        for _ in range(3):
            self.file.latest()
