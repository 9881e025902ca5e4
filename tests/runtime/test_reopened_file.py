"""A file of a log that is renamed while it is written to."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.reopened_file import ReopenedFile, problem_with_log


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

    def test_full(self) -> None:
        """A disk without room takes a part; what follows begins on a new line."""
        self.write("one\n")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9, before[1]))
        with self.assertRaises(OSError):
            self.write("two\nthree\n")
        with self.assertRaises(OSError):
            self.write("four\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.write("five\n")
        self.write("six\n")
        self.assertEqual(self.path.read_text(), "one\ntwo\nt\nfive\nsix\n")

    def test_full_and_closed(self) -> None:
        """What the disk has no room for is no reason to stay open."""
        file = ReopenedFile(Path("/dev/full"))
        file.write("one\n")
        file.reopen()
        with self.assertRaisesRegex(OSError, "No space left"):
            file.write("two\n")
            file.flush()
        file.flush()
        file.close()
        # Somebody else's file may have its number by now.
        self.assertEqual(self.path.stat().st_size, 0)
        file.close()
        self.write("three\n")

    def test_written_before(self) -> None:
        """What is written belongs into the file that had the name."""
        self.file.write("one\n")
        self.path.rename(self.directory / "log.1")
        self.file.reopen()
        self.assertEqual((self.directory / "log.1").read_text(), "one\n")

    def test_pipe(self) -> None:
        """A pipe without a reader is refused, not waited for; with one it is good."""
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        with self.assertRaisesRegex(OSError, "No such device"):
            ReopenedFile(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        file = ReopenedFile(pipe)
        self.addCleanup(file.close)
        file.write("one\n")
        file.flush()
        self.assertEqual(os.read(reader, 9), b"one\n")

    def test_problems(self) -> None:
        """What keeps a log from being written; nothing is made."""
        directory = self.directory
        (directory / "loop").symlink_to("loop")
        (directory / "far").symlink_to("none/log")
        (directory / "near").symlink_to("made-later")
        os.mkfifo(directory / "pipe")
        for name, problem in (
            ("log", None),
            ("new", None),
            ("near", None),
            (".", "Is a directory"),
            ("none/log", "No such file or directory"),
            ("log/log", "Not a directory"),
            ("far", "No such file or directory"),
            ("loop", "Too many levels of symbolic links"),
            ("pipe", "No such device or address"),
            ("x" * 300, "File name too long"),
        ):
            self.assertEqual(problem_with_log(directory / name), problem, name)
        self.assertEqual(
            {each.name for each in directory.iterdir()},
            {"log", "loop", "far", "near", "pipe"},
        )
        self.patch(os, "access", lambda path, mode: False)
        self.assertEqual(problem_with_log(directory / "new"), "Permission denied")
        self.assertIsNone(problem_with_log(Path("/dev/null")))
