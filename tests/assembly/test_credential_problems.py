"""Passwords of our own accounts that cannot be ones."""

from __future__ import annotations

from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.credential_problems import (
    credential_warnings,
    problems_with_credentials,
)
from regbroker.settings.ini import parse_config

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

    def test_warnings(self) -> None:
        """What is beside the password is told, and not shown; a key as JSON is one."""
        options = [URL, "username = robot", f"password-file = {self.file}"]
        for text, words in (
            ("r0bot\n", ""),
            ("r0 bot\r\n", ""),
            ('{\n  "type": "service_account"\n}\n', ""),
            ("r0bot\nnote: r0bot\n", "several lines"),
            ("robot:r0bot\n", "begins with the user"),
            ("r0bot \n", "blanks"),
            ("   \n", "blanks"),
        ):
            self.file.write_text(text)
            said = list(credential_warnings(config(self.directory, *options)))
            self.assertEqual(len(said), bool(words), text)
            for line in said:
                start = f"[upstream up] password-file: {self.file}: "
                self.assertTrue(line.startswith(start), line)
                self.assertIn(words, line)
                self.assertIn("the password alone, on one line", line)
                self.assertNotIn("r0bot", line)

    def test_directory(self) -> None:
        """The password for a directory is looked at in the same way."""
        self.file.write_text("r0bot\r\n\n")
        text = (
            "[accounts own]\nldap = ldaps://a.test/dc=a\nldap-bind-dn = cn=a\n"
            "ldap-bind-password-file = password\n[access own]\na = **: pull\n"
            "[registry *]\nnamespaces = * = *\nupstream = up\naccounts = own\n"
            "[upstream up]\nurl = https://up.test\n"
        )
        parsed = parse_config(text, PurePath(self.directory), lambda path: None)
        (line,) = credential_warnings(parsed)
        start = "[accounts own] ldap-bind-password-file: "
        self.assertTrue(line.startswith(start), line)
