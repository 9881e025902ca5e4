"""The command line of ``regbroker token``."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

from regbroker.accounts.robot_tokens import parse_revoked
from regbroker.cli.main import main
from tests.cli.token.case import TokenCase

RIGHTS = ("--user", "deploy", "--rights", "team/**: pull", "--expires", "90d")


class WithoutOptionTests(TokenCase):
    """The file alone, as it was written at first."""

    def test_create(self) -> None:
        """It may stand before the options, behind them, and between them."""
        path = str(self.path)
        for given in (
            (path, *RIGHTS),
            (*RIGHTS, path),
            (*RIGHTS[:2], path, *RIGHTS[2:]),
        ):
            status, out, err = self.run_command("token", "create", *given)
            self.assertEqual(status, 0, err)
            self.assertRegex(out, r"\Arbrobot_\S+\n\Z")
        self.assertEqual(len(self.listed()), 3)

    def test_list(self) -> None:
        """On both sides of an option."""
        for given in ((str(self.path), "--json"), ("--json", str(self.path))):
            self.assertEqual(self.run_command("token", "list", *given), (0, "[]\n", ""))

    def test_revoke(self) -> None:
        """It stands before the id."""
        status, _, _ = self.run_command("token", "revoke", str(self.path), "id-1")
        self.assertEqual(status, 0)
        self.assertEqual(parse_revoked(self.revoked.read_bytes()), {"id-1"})
        status, _, err = self.run_command("token", "revoke", str(self.path), "")
        self.assertEqual(status, 1)
        self.assertIn("neither the id of a robot token", err)


class UsageTests(TokenCase):
    def refused(self, *given: str) -> str:
        """What is said of a command line that is none."""
        err = io.StringIO()
        with redirect_stderr(err):
            error = self.assertRaises(SystemExit, main, ["token", *given])
        self.assertEqual(error.code, 2)
        return err.getvalue()

    def test_no_file(self) -> None:
        """The option is named, with the usage of the command."""
        for given in (("list",), ("create", *RIGHTS), ("revoke", "id")):
            said = self.refused(*given)
            self.assertIn(f"usage: regbroker token {given[0]} ", said)
            self.assertIn("the following arguments are required: --config", said)

    def test_too_much(self) -> None:
        """A word more, or an option that there is not, is told."""
        path = str(self.path)
        for given, wrong in (
            (("list", "-c", path, "x"), "x"),
            (("list", path, "x"), "x"),
            (("list", path, "--all"), "--all"),
            (("revoke", "-c", path, "id", "x"), "x"),
            (("revoke", path, "id", "x"), "x"),
        ):
            said = self.refused(*given)
            self.assertIn(f"unrecognized arguments: {wrong}\n", said)
