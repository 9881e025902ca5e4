"""Sources of accounts, tried without being opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Any

from twisted.internet.task import Clock

from regbroker.accounts.htpasswd import HtpasswdAccounts
from regbroker.assembly.account_sources import build_source, problems_with_accounts
from regbroker.settings.ini import parse_config

from .accountscase import CONFIG, LocalAccountsTestCase


class SourceTests(LocalAccountsTestCase):
    def test_htpasswd(self) -> None:
        """A file of htpasswd is a source that is not open yet."""
        clock: Any = Clock()
        (source,) = self.config("a.test").accounts["staff"].sources
        self.assertIsInstance(build_source(source, clock), HtpasswdAccounts)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_password_of_a_directory(self) -> None:
        """The password is read from its file, and what is wrong with that is told."""
        clock: Any = Clock()
        file = self.directory / "password"
        text = CONFIG.format(host="a.test").replace(
            "htpasswd = htpasswd",
            "ldap = ldap://dc.test/dc=test\nldap-bind-dn = cn=reader,dc=test\n"
            "ldap-bind-password-file = password",
        )
        config = parse_config(text, PurePath(self.directory), lambda path: None)
        file.write_text("s3cret\n")
        self.assertEqual(list(problems_with_accounts(config)), [])
        (source,) = config.accounts["staff"].sources
        directory: Any = build_source(source, clock)
        self.assertEqual(directory._bind_password(), "s3cret")
        file.write_text("")
        (problem,) = problems_with_accounts(config)
        start = "[accounts staff] ldap-bind-password-file: "
        self.assertTrue(problem.startswith(start), problem)

    def test_revoked_tokens(self) -> None:
        """A list that nobody can read is told; one that is not there, elsewhere."""
        revoked = self.directory / "revoked"
        config = replace(self.config("a.test"), revoked_tokens=PurePath(revoked))
        self.assertEqual(list(problems_with_accounts(config)), [])
        revoked.write_text("id-1  # stolen\n")
        self.assertEqual(list(problems_with_accounts(config)), [])
        revoked.write_text("id-1\n", encoding="utf-16")
        self.assertEqual(
            list(problems_with_accounts(config)),
            [f"[regbroker] revoked-tokens: {revoked}: UTF-16 text; save it as UTF-8"],
        )

    def test_problems(self) -> None:
        """A key that is none is told without starting anything."""
        self.assertEqual(list(problems_with_accounts(self.config("a.test"))), [])
        (self.directory / "token-key.pem").write_text("no key")
        (problem,) = problems_with_accounts(self.config("a.test"))
        self.assertTrue(problem.startswith("[regbroker] signing-key: "), problem)
