"""Whether files can be read."""

from __future__ import annotations

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
        self.assertIn("NUL", problem_with_file(PurePath("a\0b")) or "")
