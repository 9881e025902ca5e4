"""Whether files can be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.readable import problem_with_file


class ReadableTests(SynchronousTestCase):
    def test_files(self) -> None:
        """Files that cannot be read; a pipe is not waited for."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        path = directory / "pipe"
        os.mkfifo(path)
        self.assertIsNone(problem_with_file(path))
        self.assertIn("Is a directory", problem_with_file(directory) or "")
        self.assertIn("No such file", problem_with_file(PurePath("/nowhere")) or "")
        denied = PermissionError(errno.EACCES, "Permission denied")
        self.patch(os, "open", lambda path, flags: self.fail_with(denied))
        said = problem_with_file(path) or ""
        self.assertIn("cannot be read: Permission denied; let the user ", said)

    def fail_with(self, error: OSError) -> None:
        raise error

    def test_no_path(self) -> None:
        """A path that no file can have."""
        self.assertIn("NUL", problem_with_file(PurePath("a\0b")) or "")
