"""Whether something can be kept in a directory."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.state_directory import no_place, state_problem


class StateDirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def test_good(self) -> None:
        """One that is there, or can be made; nothing stays of the trial."""
        self.assertIsNone(state_problem(self.directory))
        self.assertIsNone(state_problem(self.directory / "not" / "made"))
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_bad(self) -> None:
        """Files and links in its place, and names that no file system takes."""
        file, link = self.directory / "file", self.directory / "link"
        file.write_text("")
        link.symlink_to("link")
        for directory, problem in (
            (file, "Not a directory"),
            (file / "state", "Not a directory"),
            (link, "Too many levels of symbolic links"),
            (self.directory / ("x" * 256), "File name too long"),
            (self.directory / "not" / ("x" * 256) / "made", "File name too long"),
            (self.directory.joinpath(*["x" * 200] * 25), "File name too long"),
        ):
            self.assertEqual(state_problem(directory), problem)

    def test_words(self) -> None:
        """The option, the reason, what to do, and what it is for."""
        self.assertEqual(
            no_place(Path("/s"), "Not a directory", "a key is kept"),
            "[regbroker] state-directory: /s: Not a directory; name a directory that "
            "the user that regbroker runs as may write to; a key is kept there",
        )
