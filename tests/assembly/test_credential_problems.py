"""Passwords of our own accounts that cannot be ones."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.credential_problems import problems_with_credentials

from .test_upstreams import URL, config


class CredentialProblemTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.file = self.directory / "password"
        self.file.write_text("r0bot\n")

    def test_problems(self) -> None:
        """A password that cannot be one is a problem, with section and option."""
        options = [URL, "username = robot", f"password-file = {self.file}"]
        self.assertEqual(
            list(problems_with_credentials(config(self.directory, *options))), []
        )
        self.file.write_text("")
        (problem,) = problems_with_credentials(config(self.directory, *options))
        self.assertTrue(problem.startswith("[upstream up] password-file: "), problem)
        options[2] = "password-env = REGBROKER_TEST_MISSING"
        (problem,) = problems_with_credentials(config(self.directory, *options))
        self.assertTrue(problem.startswith("[upstream up] password-env: "), problem)
