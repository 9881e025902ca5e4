"""What is kept of who vouches for an account."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access_section import parse_access
from regbroker.accounts.principals import Account
from regbroker.broker.vouching import note, vouched_of
from regbroker.events import Event

RULES = parse_access(
    {
        "github[a.b=x, ref=main, release]": "${repository}/**: push",
        "gitlab[secret=x]": "x: pull",
        "@team:a": "y: pull",
    }
)

CLAIMS = {
    "iss": "https://github.test",
    "sub": "repo:acme/app",
    "a": {"b": "x"},
    "repository": "acme/app",
    "secret": "s",
}


class VouchingTests(SynchronousTestCase):
    def test_kept(self) -> None:
        """What the rules look at, issuer and subject, and nothing else."""
        account = Account(
            "ci:x",
            frozenset({"team:a", "team:b"}),
            identity="github",
            claims=CLAIMS,
            conditions=frozenset({"release"}),
            expires=1200.5,
        )
        vouched = vouched_of(account, RULES)
        assert vouched is not None
        self.assertEqual(
            vouched.claims,
            {
                "iss": "https://github.test",
                "sub": "repo:acme/app",
                "a.b": "x",
                "repository": "acme/app",
            },
        )
        self.assertEqual((vouched.groups, vouched.expires), ({"team:a"}, 1200.5))
        event = Event(lambda: 0.0)
        note(event, vouched)
        self.assertEqual((event.identity, event.issuer), ("github", CLAIMS["iss"]))
        self.assertEqual(event.subject, "repo:acme/app")
        self.assertEqual(event.claims, '{"a.b": "x", "repository": "acme/app"}')

    def test_nobody(self) -> None:
        """Nobody vouches for an account of ours."""
        self.assertIsNone(vouched_of(Account("alice"), RULES))
        self.assertIsNone(vouched_of(None, RULES))
        event = Event(lambda: 0.0)
        note(event, None)
        self.assertEqual(event.issuer, "")
