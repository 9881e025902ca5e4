"""Whose credentials go up."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.scopes import CATALOG_SCOPE, repository_scope
from regbroker.upstream.policy import CLIENTS_OWN, OURS, CredentialOwner, Policy

PULL = (repository_scope("acme_team/app", "pull"),)
PUSH = (repository_scope("acme_team/app", "pull", "push"),)

SHARED = Policy(clients=True, shared=frozenset({"pull"}))
STRANGERS = Policy(clients=False, shared=frozenset({"pull"}))


class OwnerTests(SynchronousTestCase):
    def test_whose_refusal(self) -> None:
        """A refusal is the client's affair where it is asked for the client alone."""
        ours = [owner for owner in CredentialOwner if owner.is_ours]
        self.assertEqual(ours, [CredentialOwner.OURS, CredentialOwner.NOBODY])

    def test_clients_own(self) -> None:
        """Where nothing is shared, clients without credentials are refused."""
        for given in ("Bearer abc", None):
            self.assertIs(CLIENTS_OWN.owner(given, PULL), CredentialOwner.CLIENT)

    def test_ours(self) -> None:
        """What clients bring is for us, where accounts are ours."""
        for given in ("Bearer abc", None):
            self.assertIs(OURS.owner(given, (CATALOG_SCOPE,)), CredentialOwner.OURS)

    def test_lent(self) -> None:
        """Clients without credentials use our account, for what is shared."""
        self.assertIs(SHARED.owner(None, PULL), CredentialOwner.OURS)
        self.assertIs(SHARED.owner(None, ()), CredentialOwner.OURS)
        more = Policy(clients=True, shared=frozenset({"pull", "push"}))
        self.assertIs(more.owner(None, PUSH), CredentialOwner.OURS)

    def test_not_lent(self) -> None:
        """More than that nobody gets: not in part, and not the catalog."""
        both = (*PULL, repository_scope("acme_team/b", "pull", "push"))
        for needed in (PUSH, both, (CATALOG_SCOPE,), (*PULL, CATALOG_SCOPE)):
            self.assertIs(SHARED.owner(None, needed), CredentialOwner.CLIENT)
            self.assertIs(STRANGERS.owner(None, needed), CredentialOwner.NOBODY)

    def test_ones_own(self) -> None:
        """Who brings something, right or wrong, speaks for himself."""
        for given in ("Basic Ym9iOmI=", "", "nonsense"):
            self.assertIs(SHARED.owner(given, PULL), CredentialOwner.CLIENT)

    def test_no_account_there(self) -> None:
        """What is for another upstream never goes to this one."""
        nothing = Policy(clients=False)
        for given in ("Basic Ym9iOmI=", None):
            self.assertIs(STRANGERS.owner(given, PULL), CredentialOwner.OURS)
            self.assertIs(nothing.owner(given, PULL), CredentialOwner.NOBODY)
            self.assertIs(nothing.owner(given, ()), CredentialOwner.NOBODY)


class LendTests(SynchronousTestCase):
    def test_cut(self) -> None:
        """Actions that are not shared go, and with the last one the scope."""
        self.assertEqual(SHARED.share(PUSH), PULL)
        self.assertEqual(SHARED.share((repository_scope("a", "delete"),)), ())
        self.assertEqual(SHARED.share((repository_scope("a", "*"),)), ())
        listing = (repository_scope("a", "metadata_read"),)
        self.assertEqual(SHARED.share(listing), listing)
        self.assertEqual(CLIENTS_OWN.share(listing), ())
        everything = Policy(clients=True, shared=frozenset({"*"}))
        self.assertEqual(everything.share((CATALOG_SCOPE,)), ())

    def test_whether(self) -> None:
        """An account that is shared for something is one to be careful with."""
        found = [policy.shares for policy in (SHARED, OURS, CLIENTS_OWN, STRANGERS)]
        self.assertEqual(found, [True, True, False, True])
