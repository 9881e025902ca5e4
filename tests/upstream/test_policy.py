"""Who speaks at an upstream."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.scopes import CATALOG_SCOPE, repository_scope
from regbroker.upstream.policy import CLIENTS_OWN, OURS, Policy, Speaker

PULL = (repository_scope("acme_team/app", "pull"),)
PUSH = (repository_scope("acme_team/app", "pull", "push"),)

LENT = Policy(clients=True, lent=frozenset({"pull"}))
STRANGERS = Policy(clients=False, lent=frozenset({"pull"}))


class SpeakerTests(SynchronousTestCase):
    def test_clients_own(self) -> None:
        """Where nothing is lent, whoever brings nothing is told so."""
        for given in ("Bearer abc", None):
            self.assertIs(CLIENTS_OWN.speaker(given, PULL), Speaker.CLIENT)

    def test_ours(self) -> None:
        """What clients bring is for us, where accounts are ours."""
        for given in ("Bearer abc", None):
            self.assertIs(OURS.speaker(given, (CATALOG_SCOPE,)), Speaker.OURS)

    def test_lent(self) -> None:
        """Who brings nothing speaks as we do, for what is lent."""
        self.assertIs(LENT.speaker(None, PULL), Speaker.OURS)
        self.assertIs(LENT.speaker(None, ()), Speaker.OURS)
        more = Policy(clients=True, lent=frozenset({"pull", "push"}))
        self.assertIs(more.speaker(None, PUSH), Speaker.OURS)

    def test_not_lent(self) -> None:
        """More than that nobody gets: not in part, and not the catalog."""
        both = (*PULL, repository_scope("acme_team/b", "pull", "push"))
        for needed in (PUSH, both, (CATALOG_SCOPE,), (*PULL, CATALOG_SCOPE)):
            self.assertIs(LENT.speaker(None, needed), Speaker.CLIENT)
            self.assertIs(STRANGERS.speaker(None, needed), Speaker.NOBODY)

    def test_ones_own(self) -> None:
        """Who brings something, right or wrong, speaks for himself."""
        for given in ("Basic Ym9iOmI=", "", "nonsense"):
            self.assertIs(LENT.speaker(given, PULL), Speaker.CLIENT)

    def test_no_account_there(self) -> None:
        """What is for another upstream never goes to this one."""
        nothing = Policy(clients=False)
        for given in ("Basic Ym9iOmI=", None):
            self.assertIs(STRANGERS.speaker(given, PULL), Speaker.OURS)
            self.assertIs(nothing.speaker(given, PULL), Speaker.NOBODY)
            self.assertIs(nothing.speaker(given, ()), Speaker.NOBODY)


class LendTests(SynchronousTestCase):
    def test_cut(self) -> None:
        """Actions that are not lent go, and with the last one the scope."""
        self.assertEqual(LENT.lend(PUSH), PULL)
        self.assertEqual(LENT.lend((repository_scope("a", "delete"),)), ())
        self.assertEqual(LENT.lend((repository_scope("a", "*"),)), ())
        listing = (repository_scope("a", "metadata_read"),)
        self.assertEqual(LENT.lend(listing), listing)
        self.assertEqual(CLIENTS_OWN.lend(listing), ())
        everything = Policy(clients=True, lent=frozenset({"*"}))
        self.assertEqual(everything.lend((CATALOG_SCOPE,)), ())

    def test_whether(self) -> None:
        """An account that is lent for something is one to be careful with."""
        found = [policy.lends for policy in (LENT, OURS, CLIENTS_OWN, STRANGERS)]
        self.assertEqual(found, [True, True, False, True])
