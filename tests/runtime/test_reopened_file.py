"""A file of a log that is renamed while it is written to."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.reopened_file import ReopenedFile


class ReopenedFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "log"
        self.file = ReopenedFile(self.path)
        self.addCleanup(self.file.close)

    def write(self, text: str) -> None:
        """Write a text that can be read at once."""
        self.file.write(text)
        self.file.flush()

    def test_renamed(self) -> None:
        """It goes on in the old file until it is opened again, and loses nothing."""
        self.write("one\n")
        self.path.rename(self.directory / "log.1")
        self.write("two\n")
        self.assertFalse(self.path.exists())
        self.file.reopen()
        self.write("three\n")
        self.assertEqual((self.directory / "log.1").read_text(), "one\ntwo\n")
        self.assertEqual(self.path.read_text(), "three\n")

    def test_appended(self) -> None:
        """What is there already stays."""
        self.write("one\n")
        ReopenedFile(self.path).close()
        self.file.reopen()
        self.write("two\n")
        self.assertEqual(self.path.read_text(), "one\ntwo\n")

    def test_not_for_everybody(self) -> None:
        """Others on the machine cannot read it."""
        self.assertEqual(self.path.stat().st_mode & 0o007, 0)

    def test_cannot(self) -> None:
        """A name that cannot be opened leaves the file before in use."""
        self.path.rename(self.directory / "log.1")
        self.path.mkdir()
        with self.assertRaises(OSError):
            self.file.reopen()
        self.write("one\n")
        self.assertEqual((self.directory / "log.1").read_text(), "one\n")

    def test_odd(self) -> None:
        """What cannot be encoded is written as an escape."""
        self.write("\udce9é\n")
        self.assertEqual(self.path.read_bytes(), b"\\udce9\xc3\xa9\n")
