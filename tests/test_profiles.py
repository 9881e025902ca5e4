"""The property tests have fixed examples by default, and random ones when asked."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """\
import tests
from hypothesis import settings
from tests.grammar import EXAMPLES
print(settings().derandomize, EXAMPLES.max_examples)
"""


def settings_with(profile: str | None) -> list[str]:
    """Return what a process of its own has as settings."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("HYPOTHESIS_PROFILE", None)
    if profile is not None:
        environment["HYPOTHESIS_PROFILE"] = profile
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.check_output(command, env=environment, text=True).split()


class ProfileTests(SynchronousTestCase):
    def test_fixed(self) -> None:
        """Without a word, each run has the same examples."""
        self.assertEqual(settings_with(None), ["True", "100"])

    def test_random(self) -> None:
        """`make fuzz` has other examples on every run, and more of them."""
        self.assertEqual(settings_with("random"), ["False", "2000"])
