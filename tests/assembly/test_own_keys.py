"""The keys of our own tokens: from which option, and what is said of it."""

from __future__ import annotations

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import KEY_NAME, make_key
from regbroker.accounts.key_ring import KeyRing
from regbroker.assembly.own_keys import open_keys, problem_with_keys
from regbroker.errors import StateError
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config


class OwnKeysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def config(self, main: str) -> Config:
        """A configuration with these options."""
        text = (
            f"[regbroker]\nlisten = tcp:0\n{main}\n[upstream up]\nurl = sandbox:\n"
            "[registry *]\nnamespaces = * = *\nupstream = up\n"
        )
        return parse_config(text, PurePath(self.directory), lambda path: None)

    def test_made(self) -> None:
        """Without the option it is in the state directory; only serving makes it."""
        config = self.config("state-directory = state")
        self.assertIsNone(problem_with_keys(config))
        self.assertFalse((self.directory / "state").exists())
        path = open_keys(config, lambda path: path)
        self.assertEqual(path, self.directory / "state" / KEY_NAME)
        self.assertIsNone(problem_with_keys(config))

    def test_named(self) -> None:
        """The option names the file, and the state directory stays as it is."""
        config = self.config(f"signing-key = {make_key(self.directory)}")
        self.assertIsNone(problem_with_keys(config))
        self.assertTrue(open_keys(config, lambda path: path).exists())
        self.assertFalse((self.directory / "var").exists())

    def test_problems(self) -> None:
        """A file that holds no key is told with its option, before and at the start."""
        (self.directory / KEY_NAME).write_text("none")
        (self.directory / "file").write_text("none")
        for main, start in (
            (f"signing-key = {KEY_NAME}", f"signing-key: {self.directory}/{KEY_NAME}"),
            ("state-directory = .", f"state-directory: {self.directory}/{KEY_NAME}"),
            ("state-directory = file", f"state-directory: {self.directory}/file"),
        ):
            config = self.config(main)
            problem = problem_with_keys(config)
            assert problem is not None
            self.assertTrue(problem.startswith(f"[regbroker] {start}: "), problem)
            with self.assertRaises(StateError) as caught:
                open_keys(config, lambda path: KeyRing(path, lambda: 0.0))
            said = str(caught.exception)
            self.assertTrue(said.startswith(f"[regbroker] {start}: "), said)
