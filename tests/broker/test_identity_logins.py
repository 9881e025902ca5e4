"""JWTs at a registry with accounts: how long they are good for, and their names."""

from __future__ import annotations

from urllib.parse import urlencode

from regbroker.accounts.access_section import parse_access
from regbroker.accounts.identity.logins import IdentityLogins
from regbroker.accounts.identity.verifier import Verifier
from regbroker.accounts.principals import Account
from regbroker.accounts.tokens import ACCESS_LIFE, LEEWAY
from regbroker.broker.local_broker import LocalBroker
from regbroker.broker.principal import WrongToken
from regbroker.errors import ExchangeRefused, Unauthorized
from regbroker.protocol.names import Action
from regbroker.protocol.token_requests import (
    EXCHANGE,
    TokenRequest,
    parse_get,
    parse_post,
)
from tests.accounts.identity.test_verifier import FixedKeys, expected
from tests.broker.test_local_broker import ADDRESS, APP, HOST, LocalBrokerTestCase
from tests.broker.test_robot_logins import basic
from tests.issuers import claims, ec_key, jwk, token

SCOPE = f"repository:{APP}:pull"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"


class IdentityTestCase(LocalBrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.rules = parse_access({"ci[]": f"{APP}: pull"})
        #: When the JWT ends by its issuer's clock.
        self.end = int(self.now) + 100

    def use(self, leeway: float) -> str:
        """Take JWTs with some leeway; returns one of a job."""
        verifier = Verifier(
            expected(leeway=leeway), FixedKeys(jwk(ec_key())), lambda: self.now
        )
        self.broker = LocalBroker(
            self.host,
            self.checks,
            self.rules,
            self.signer,
            self.broker._mapping,
            lambda: self.now,
            [IdentityLogins([verifier])],
        )
        return token(claims(self.now, exp=self.end))


class LifeTests(IdentityTestCase):
    def exchange(self, jwt: str) -> TokenRequest:
        """A token exchange."""
        form = {
            "grant_type": EXCHANGE,
            "subject_token": jwt,
            "subject_token_type": JWT_TYPE,
            "scope": SCOPE,
        }
        return parse_post(urlencode(form).encode(), exchanges=True)

    def issued(self, jwt: str) -> list[str]:
        """A token of ours for each way to get one."""
        ways = parse_get(f"scope={SCOPE}", basic("oidc", jwt)), self.exchange(jwt)
        return [str(self.ask(way)["token"]) for way in ways]

    def assert_good(self, *texts: str) -> None:
        """Each of them may pull."""
        for text in texts:
            self.assertTrue(self.some_principal(f"Bearer {text}").may(Action.PULL, APP))

    def assert_over(self, jwt: str, *texts: str) -> None:
        """Neither the JWT nor what it was good for is good any more."""
        for text in (jwt, *texts):
            work = self.broker.identify(f"Bearer {text}", HOST, ADDRESS)
            self.assert_fails(work, WrongToken)
        self.assertIsNone(self.principal(basic("oidc", jwt)))
        login = parse_get(f"scope={SCOPE}", basic("oidc", jwt))
        self.assert_fails(self.grant(login), Unauthorized)
        self.assert_fails(self.grant(self.exchange(jwt)), ExchangeRefused)

    def test_no_leeway(self) -> None:
        """Without leeway, all ends with the second that the issuer has written."""
        jwt = self.use(0.0)
        texts = self.issued(jwt)
        self.now = self.end - 0.25
        self.assert_good(jwt, *texts)
        self.now = float(self.end)
        self.assert_over(jwt, *texts)

    def test_before_its_end(self) -> None:
        """With leeway, what was issued before the JWT's end still ends there."""
        jwt = self.use(LEEWAY)
        texts = self.issued(jwt)
        self.now = self.end - 0.25
        self.assert_good(jwt, *texts)
        self.now = float(self.end)
        for text in texts:
            work = self.broker.identify(f"Bearer {text}", HOST, ADDRESS)
            self.assert_fails(work, WrongToken)
        # The JWT itself does not, as the issuer's clock may be behind.
        self.assert_good(jwt)

    def test_after_its_end(self) -> None:
        """What is issued within the leeway ends with that."""
        jwt = self.use(LEEWAY)
        self.now = self.end + LEEWAY - 1
        texts = self.issued(jwt)
        self.now = self.end + LEEWAY - 0.25
        self.assert_good(jwt, *texts)
        self.now = self.end + LEEWAY
        self.assert_over(jwt, *texts)

    def test_long(self) -> None:
        """A JWT of hours makes our tokens no longer."""
        self.end += 86400
        jwt = self.use(0.0)
        texts = self.issued(jwt)
        issued = int(self.now)
        self.now = issued + ACCESS_LIFE + LEEWAY - 0.25
        self.assert_good(jwt, *texts)
        self.now = issued + ACCESS_LIFE + LEEWAY
        for text in texts:
            work = self.broker.identify(f"Bearer {text}", HOST, ADDRESS)
            self.assert_fails(work, WrongToken)


class ImitationTests(IdentityTestCase):
    """Somebody with a password has a name that claims could make."""

    def setUp(self) -> None:
        super().setUp()
        self.checks.accounts["ci:x"] = Account("ci:x", password_version="1")
        self.checks.passwords["ci:x"] = "secret"

    def renew(self, token: str) -> bytes:
        """Ask for a token with an identity token."""
        request = TokenRequest("POST", refresh_token=token)
        return self.result(self.grant(request))

    def test_password(self) -> None:
        """The password is right, and opens nothing."""
        # Basic has no colon in a user's name, but a form has.
        request = TokenRequest("POST", username="ci:x", password="secret")
        self.assertIn("token", self.ask(request))
        self.use(0.0)
        self.assert_fails(self.grant(request), Unauthorized)

    def test_identity_token(self) -> None:
        """Nor does an identity token that was issued before there was the issuer."""
        texts = []
        for user in ("ci:x", "alice"):
            password = self.checks.passwords[user]
            login = TokenRequest("POST", username=user, password=password, offline=True)
            texts.append(str(self.ask(login)["refresh_token"]))
        for text in texts:
            self.renew(text)
        self.use(0.0)
        renewing = self.grant(TokenRequest("POST", refresh_token=texts[0]))
        self.assert_fails(renewing, Unauthorized)
        self.renew(texts[1])
