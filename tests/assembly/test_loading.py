"""A file becomes a configuration, or every problem."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.loading import MAX_BYTES, load_config, read_text, warnings_about
from regbroker.errors import ConfigurationError

TEXT = """\
[regbroker]
listen = tcp:0
[registry *]
upstream = up
namespaces = * = *
[upstream up]
url = https://up.test
[upstream spare]
url = sandbox:
"""


class LoadingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def problem(self, data: bytes) -> str:
        """The one problem with a file of these bytes."""
        self.path.write_bytes(data)
        with self.assertRaises(ConfigurationError) as caught:
            load_config(self.path)
        (problem,) = caught.exception.problems
        assert isinstance(problem, str)
        return problem.removeprefix(f"{self.path}: ")

    def test_good(self) -> None:
        """A configuration, and what to be warned of."""
        self.path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
        config = load_config(self.path)
        self.assertEqual(list(config.upstreams), ["up", "spare"])
        (warning,) = warnings_about(config)
        self.assertTrue(warning.startswith("[upstream spare]: "))

    def test_relative(self) -> None:
        """A relative path of a file is as good; paths in it start beside it."""
        self.path.write_text(TEXT.replace("tcp:0", "tcp:0\nstate-directory = s"))
        config = load_config(os.path.relpath(self.path))
        self.assertEqual(Path(config.state_directory), self.path.parent / "s")

    def test_no_text(self) -> None:
        """Bytes that are no UTF-8 text are told with their line."""
        self.assertEqual(
            self.problem(b"a\n\xff"), "line 2: not UTF-8 text; save it as UTF-8"
        )
        self.assertIn("line 3: a NUL", self.problem(b"\n\na\0"))
        self.assertEqual(
            self.problem("[a]".encode("utf-16")), "UTF-16 text; save it as UTF-8"
        )
        self.assertIn("is this a configuration?", self.problem(b";" * (MAX_BYTES + 1)))

    def test_pipe(self) -> None:
        """What a shell writes into a pipe is read; nobody is waited for."""
        text = b"[regbroker]\nlisten = tcp:0\n"
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.write(writer, text)
        os.close(writer)
        self.assertEqual(read_text(f"/dev/fd/{reader}"), text.decode())
        fifo = Path(self.mktemp())
        os.mkfifo(fifo)
        for path in (f"/dev/fd/{reader}", fifo):
            error = self.assertRaises(ConfigurationError, read_text, path)
            (problem,) = error.problems
            self.assertTrue(problem.startswith(f"{path}: a pipe, and nobody"), problem)

    def test_no_file(self) -> None:
        """A file that cannot be opened."""
        for path, words in (
            (self.path, "No such file"),
            (self.path.parent, "Is a directory"),
            ("a\0b", "NUL"),
        ):
            with self.assertRaises(ConfigurationError) as caught:
                load_config(path)
            self.assertIn(words, str(caught.exception))
