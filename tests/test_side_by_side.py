"""Test modules in several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.peers.nursery import environment
from tests.side_by_side import LONG, ordered

ROOT = Path(__file__).resolve().parents[1]

MODULE = """\
import unittest
from pathlib import Path

class Tests(unittest.TestCase):
    def test_it(self):
        {line}

    def test_directory(self):
        Path("here").write_text("")
"""


class SideBySideTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def run_modules(self, **lines: str) -> tuple[int, str]:
        """Run modules whose tests are these lines; return exit status and output."""
        for name, line in lines.items():
            (self.directory / f"{name}.py").write_text(MODULE.format(line=line))
        paths = os.pathsep.join([str(ROOT), str(self.directory)])
        done = subprocess.run(
            [sys.executable, "-m", "tests.side_by_side", "-j", "2", *lines],
            cwd=self.directory,
            env=environment() | {"PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout

    def test_passed(self) -> None:
        """Each module is run once, and tests are in directories of trial."""
        names = [f"one{number}" for number in range(5)]
        status, output = self.run_modules(**dict.fromkeys(names, "pass"))
        self.assertEqual(status, 0, output)
        for name in names:
            self.assertEqual(output.count(f"{name}\n"), 1, output)
        self.assertEqual(output.count("[OK]"), 10, output)
        self.assertEqual(output.count("PASSED"), 2, output)
        self.assertFalse((self.directory / "here").exists())

    def test_failed(self) -> None:
        """One test that fails is enough."""
        status, output = self.run_modules(good="pass", bad="self.fail('no luck')")
        self.assertEqual(status, 1)
        self.assertIn("no luck", output)
        self.assertIn("FAILED (failures=1", output)

    def test_not_loaded(self) -> None:
        """A module that cannot be loaded is an error, and others are run."""
        status, output = self.run_modules(good="pass", bad="(")
        self.assertEqual(status, 1)
        self.assertIn("SyntaxError", output)
        self.assertIn("[OK]", output)

    def test_ended(self) -> None:
        """A process that ends in the middle is an error."""
        status, _ = self.run_modules(good="pass", bad="import os; os._exit(0)")
        self.assertEqual(status, 1)


class OrderTests(SynchronousTestCase):
    def test_long_first(self) -> None:
        """What takes long is taken first; nothing is lost, and nothing is added."""
        self.assertEqual(ordered(["a", LONG[1], "b", LONG[0]]), [*LONG[:2], "a", "b"])

    def test_there(self) -> None:
        """The modules that take long are there."""
        for name in LONG:
            self.assertTrue((ROOT / f"{name.replace('.', '/')}.py").exists(), name)
