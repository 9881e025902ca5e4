"""Lines that are added to a file."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.appended_file import append_line


class AppendTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_new(self) -> None:
        """A file that is missing is made, for its owner alone."""
        append_line(self.path, "one")
        append_line(self.path, "zwei ü")
        self.assertEqual(self.path.read_text("utf-8"), "one\nzwei ü\n")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_closed(self) -> None:
        """Nothing of it stays open."""
        opened = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            append_line(self.path, "x")
        self.assertEqual(len(os.listdir("/proc/self/fd")), opened)

    def test_rights_stay(self) -> None:
        """Whose a file is that is there already, and who may read it, stays."""
        self.path.write_text("one\n")
        os.chmod(self.path, 0o640)
        append_line(self.path, "two")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)

    def test_without_an_end(self) -> None:
        """A last line that somebody has left open does not swallow the next."""
        self.path.write_text("one")
        append_line(self.path, "two")
        self.assertEqual(self.path.read_text(), "one\ntwo\n")

    def test_surrogates(self) -> None:
        """What no encoding takes is written as an escape."""
        append_line(self.path, "a\udcff")
        self.assertEqual(self.path.read_text(), "a\\udcff\n")

    def test_fails(self) -> None:
        """A directory that is missing is the caller's to tell of."""
        self.assertRaises(OSError, append_line, self.path / "x" / "y", "one")
