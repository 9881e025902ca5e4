"""Sources of accounts, tried without being opened."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from regbroker.accounts.htpasswd import HtpasswdAccounts
from regbroker.assembly.account_sources import build_source, problems_with_accounts

from .accountscase import LocalAccountsTestCase


class SourceTests(LocalAccountsTestCase):
    def test_htpasswd(self) -> None:
        """A file of htpasswd is a source that is not open yet."""
        clock: Any = Clock()
        (source,) = self.config("a.test").accounts["staff"].sources
        self.assertIsInstance(build_source(source, clock), HtpasswdAccounts)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_problems(self) -> None:
        """A key that is none is told without starting anything."""
        self.assertEqual(list(problems_with_accounts(self.config("a.test"))), [])
        (self.directory / "token-key.pem").write_text("no key")
        (problem,) = problems_with_accounts(self.config("a.test"))
        self.assertTrue(problem.startswith("[regbroker] signing-key: "), problem)
