"""JWTs as logins of one registry."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.logins import IdentityLogins
from regbroker.accounts.identity.users import parse_template
from regbroker.accounts.identity.verifier import Verifier
from regbroker.accounts.principals import Account, LoginRefused
from tests.accounts.identity.test_verifier import FixedKeys, expected
from tests.issuers import NOW, claims, ec_key, jwk, token

OTHER = "https://other.test"


class LoginsTests(SynchronousTestCase):
    def setUp(self) -> None:
        # Both have a key with the same kid.
        one = Verifier(expected(), FixedKeys(jwk(ec_key())), lambda: float(NOW))
        other = Verifier(
            expected(name="other", issuer=OTHER, user=parse_template("o-${sub}")),
            FixedKeys(jwk(ec_key("b"))),
            lambda: float(NOW),
        )
        self.logins = IdentityLogins([one, other])

    def account(self, text: str) -> Account:
        asking = Deferred.fromCoroutine(self.logins.account("oidc", text))
        account: Account = self.successResultOf(asking)
        return account

    def refusal(self, text: str) -> str:
        asking = Deferred.fromCoroutine(self.logins.account("", text))
        return str(self.failureResultOf(asking, LoginRefused).value)

    def test_issuer_picks(self) -> None:
        """The issuer picks the section, whatever the user beside it."""
        self.assertEqual(self.account(token(claims())).identity, "ci")
        text = token(claims(iss=OTHER), ec_key("b"))
        self.assertEqual(self.account(text).identity, "other")

    def test_other_issuers_key(self) -> None:
        """A key of one issuer signs nothing of another's, with the same kid, too."""
        for text in (token(claims(iss=OTHER)), token(claims(), ec_key("b"))):
            self.assertIn("the signature is wrong", self.refusal(text))

    def test_unknown_issuer(self) -> None:
        """Issuers are compared byte for byte."""
        for issuer in (
            "https://issuer.test/",
            "https://ISSUER.test",
            "http://issuer.test",
            "https://issuer.test:443",
            " https://issuer.test",
            "",
            None,
            7,
            ["https://issuer.test"],
        ):
            self.assertIn("iss is", self.refusal(token({**claims(), "iss": issuer})))

    def test_takes(self) -> None:
        """Every JWT is taken, so that nobody else sees it."""
        self.assertTrue(self.logins.takes(token(claims(iss="https://unknown.test"))))
        self.assertFalse(self.logins.takes("password"))

    def test_holds(self) -> None:
        """A JWT is none's password, with text beside it or when it is our own."""
        ours = token(claims(iss="regbroker registry.test"))
        for text in (token(claims()), f" {token(claims())}\n", ours):
            self.assertTrue(self.logins.holds(text), text)
        self.assertFalse(self.logins.holds("password"))

    def test_owns(self) -> None:
        """Names that claims make are nobody else's."""
        for user, owned in (("ci:x", True), ("o-alice", True), ("alice", False)):
            self.assertEqual(self.logins.owns(user), owned)
