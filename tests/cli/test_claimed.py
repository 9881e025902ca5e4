"""Accounts of files with claims."""

import json
from pathlib import Path, PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.claimed import NoClaims, account_of
from regbroker.settings.ini import parse_config
from tests.assembly.test_rights_report import CONFIG


class ClaimedTests(SynchronousTestCase):
    def setUp(self) -> None:
        text = CONFIG.format(tests="tests", registry="")
        self.config = parse_config(text, PurePath("/"), lambda path: None)
        self.path = Path(self.mktemp())

    def write(self, value: object) -> str:
        self.path.write_text(json.dumps(value))
        return str(self.path)

    def test_account(self) -> None:
        """The claims are those of the file, the identity that of the rules."""
        claims = {"sub": "repo:acme/app", "repository_owner": "acme", "n": [1]}
        account = account_of(self.config, self.write(claims))
        self.assertEqual((account.user, account.identity), ("repo:acme/app", "github"))
        self.assertEqual(account.claims, claims)
        self.assertEqual(account_of(self.config, self.write({})).user, "github")

    def test_unknown_identity(self) -> None:
        """One without rights here is a mistake."""
        with self.assertRaises(NoClaims) as caught:
            account_of(self.config, self.write({}), "gitlab")
        self.assertIn("have rights here: github", str(caught.exception))

    def test_no_claims(self) -> None:
        """What is no JSON object is said to be so."""
        self.assertRaises(NoClaims, account_of, self.config, str(self.path))
        odd: list[object] = [[], "x", None]
        for value in odd:
            self.assertRaises(NoClaims, account_of, self.config, self.write(value))
        self.path.write_text("[" * 50_000)
        self.assertRaises(NoClaims, account_of, self.config, str(self.path))
