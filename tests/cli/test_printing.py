"""What commands print does nothing to a terminal, and fails on none."""

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.printing import complain, say, say_json, visible


class PrintingTests(SynchronousTestCase):
    def test_visible(self) -> None:
        """Letters and lines stay; what a terminal obeys is written as an escape."""
        self.assertEqual(visible("bärbel\n日本"), "bärbel\n日本")
        self.assertEqual(
            visible("\x1b[2J\x07\t\0\x7f\udcff\u202e"),
            r"\x1b[2J\x07\t\x00\x7f\udcff\u202e",
        )

    def test_any_terminal(self) -> None:
        """A terminal that knows ASCII only is shown the rest as escapes."""
        raw = io.BytesIO()
        with redirect_stdout(io.TextIOWrapper(raw, "ascii", write_through=True)):
            say("bärbel \udcff")
            say_json({"a": "ä\udcff"})
            sys.stdout.flush()
            self.assertEqual(
                raw.getvalue().decode("ascii"),
                'b\\xe4rbel \\udcff\n{\n  "a": "\\u00e4\\udcff"\n}\n',
            )

    def test_reader_that_leaves(self) -> None:
        """Who reads may have seen enough, as `head` has: the rest goes nowhere."""
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "w") as stream, redirect_stdout(stream):
            say("one")
            say("two")

    def test_full(self) -> None:
        """Where there is no room, a command says so, and has not succeeded."""
        for print_it in (say, say_json):
            errors = io.StringIO()
            with (
                open("/dev/full", "w") as full,
                redirect_stdout(full),
                redirect_stderr(errors),
            ):
                ended = self.assertRaises(SystemExit, print_it, "one")
            self.assertEqual(ended.code, 1)
            self.assertEqual(
                errors.getvalue(),
                "error: standard output cannot be written: No space left on device\n",
            )
        with open("/dev/full", "w") as full, redirect_stderr(full):
            complain("one")
            complain("two")
