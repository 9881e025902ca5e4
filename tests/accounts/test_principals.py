"""Accounts, and what every source of them has."""

from dataclasses import FrozenInstanceError
from inspect import iscoroutinefunction, signature

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.htpasswd import HtpasswdAccounts
from regbroker.accounts.ldap.source import LdapAccounts
from regbroker.accounts.principals import Account, AccountSource
from regbroker.credchecker import CheckerAccounts


class AccountTests(SynchronousTestCase):
    def test_value(self) -> None:
        """An account is equal to another one with the same contents."""
        account = Account("alice", frozenset({"staff"}), "1")
        self.assertEqual(account, Account("alice", frozenset({"staff"}), "1"))
        for other in (
            Account("Alice", frozenset({"staff"}), "1"),
            Account("alice", frozenset(), "1"),
            Account("alice", frozenset({"staff"}), "2"),
        ):
            self.assertNotEqual(account, other)

    def test_defaults(self) -> None:
        """Without more it has no groups, and nothing that identity tokens need."""
        account = Account("alice")
        self.assertEqual((account.groups, account.password_version), (frozenset(), ""))

    def test_frozen(self) -> None:
        """What a check has answered does not change afterwards."""
        account = Account("alice")
        with self.assertRaises(FrozenInstanceError):
            account.groups = frozenset({"root"})  # type: ignore[misc]


class AccountSourceTests(SynchronousTestCase):
    def test_sources(self) -> None:
        """Each kind of source takes what the protocol says, and waits where it does."""
        for source in (HtpasswdAccounts, LdapAccounts, CheckerAccounts):
            for name in ("open", "close", "authenticate", "look_up"):
                expected = getattr(AccountSource, name)
                method = getattr(source, name)
                self.assertEqual(signature(method), signature(expected), method)
                self.assertEqual(
                    iscoroutinefunction(method), iscoroutinefunction(expected), method
                )
            for name in ("has_groups", "cheap_look_up"):
                self.assertIsInstance(getattr(source, name), bool)
