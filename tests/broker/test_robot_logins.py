"""Robot tokens at a registry with accounts: what they open, and what they leave."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from twisted.logger import capturedLogs, formatEvent

from regbroker.accounts.robot_tokens import PREFIX, RevokedTokens, RobotTokens
from regbroker.broker.local_broker import LocalBroker
from regbroker.broker.principal import WrongToken
from regbroker.errors import Unauthorized
from regbroker.events import Event
from regbroker.protocol.names import Action
from regbroker.protocol.token_requests import parse_get, parse_post
from tests.broker.test_local_broker import ADDRESS, APP, HOST, LocalBrokerTestCase


def basic(user: str, password: str) -> str:
    """An Authorization with a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class RobotLoginTests(LocalBrokerTestCase):
    rights: tuple[str, ...] = ("team/**, lib/a: pull", "lib/a: catalog")

    def setUp(self) -> None:
        super().setUp()
        self.revoked_file = Path(self.mktemp())
        self.revoked_file.write_text("")
        self.robots = RobotTokens(
            self.signer,
            self.host,
            RevokedTokens(self.revoked_file, lambda: self.now),
            self.checks.look_up,
            lambda: self.now,
        )
        self.broker = LocalBroker(
            self.host,
            self.checks,
            self.rules,
            self.signer,
            self.broker._mapping,
            lambda: self.now,
            [self.robots],
            self.robots.is_revoked,
        )
        self.event = Event(lambda: self.now)

    def token(self, user: str = "alice", life: float = 86400.0) -> str:
        text, told = self.signer.issue_robot(user, self.host, self.rights, life)
        self.token_id = told.id
        return PREFIX + text

    def revoke(self) -> None:
        """Revoke the token that was made last."""
        self.revoked_file.write_text(f"{self.token_id}\n")
        self.now += 1
        self.robots.is_revoked("")
        self.now += 1

    def access(self, query: str, **extra: Any) -> dict[str, Any]:
        """What alice gets for a robot token."""
        document: dict[str, Any] = self.get(
            query, basic("alice", extra.pop("token", None) or self.token())
        )
        return document

    def test_token_endpoint(self) -> None:
        """What was asked for, is in the token, and is the user's right, is granted."""
        query = "scope=repository:team/app:pull,push&scope=repository:home/alice/x:pull"
        self.assertEqual(self.granted(self.access(query)), {APP: ("pull",)})
        document = self.post(
            grant_type="password",
            username="alice",
            password=quote(self.token()),
            scope="repository:team/app:pull,push",
        )
        self.assertEqual(document["scope"], "repository:team/app:pull")

    def test_no_identity_token(self) -> None:
        """docker login keeps the robot token, which is less than an identity token."""
        self.assertNotIn("refresh_token", self.access("offline_token=true"))
        self.assertIn("refresh_token", self.get("offline_token=true"))

    def test_never_a_password(self) -> None:
        """Good or not, no source of accounts and no throttle sees it."""
        self.access("")
        for text in (self.token()[:-3], PREFIX, self.token("bob")):
            request = parse_get("", basic("alice", text))
            self.assert_fails(self.grant(request), Unauthorized)
        self.assertEqual(self.checks.addresses, [])

    def test_basic(self) -> None:
        """As Basic with each request it opens what it would as a token."""
        principal = self.some_principal(basic("alice", self.token()))
        self.assertEqual(principal.user, "alice")
        self.assertTrue(principal.may(Action.PULL, APP))
        self.assertFalse(principal.may(Action.PUSH, APP))
        self.assertFalse(principal.may(Action.PULL, "home/alice/x"))
        self.assertFalse(principal.may_list)
        self.assertTrue(self.some_principal(basic("bob", self.token("bob"))).may_list)

    def test_catalog(self) -> None:
        """The catalog shows what the token's rights leave, also with our own token."""
        given = basic("bob", self.token("bob"))
        document = self.get("scope=registry:catalog:*", given)
        bearer = f"Bearer {document['token']}"
        for authorization in (given, bearer):
            principal = self.some_principal(authorization)
            self.assertTrue(principal.may_list)
            visible = self.result(self.broker.visible(principal))
            self.assertTrue(visible("lib/a"))
            self.assertFalse(visible("lib/b"))

    def test_ends_with_the_robot_token(self) -> None:
        """Our own token never outlasts the one it was issued for."""
        document = self.access("", token=self.token(life=120))
        token = self.signer.check_access(document["token"], self.broker.service(HOST))
        self.assertEqual(token.expires - token.issued, 120)
        self.assertLessEqual(document["expires_in"], 120)

    def test_revoked_at_once(self) -> None:
        """What was issued for a token ends with it, whatever time is left."""
        bearer = f"Bearer {self.access('scope=repository:team/app:pull')['token']}"
        other = f"Bearer {self.get('scope=repository:team/app:pull')['token']}"
        self.assertTrue(self.some_principal(bearer).may(Action.PULL, APP))
        self.revoke()
        work = self.broker.identify(bearer, HOST, ADDRESS, self.event)
        error = self.assert_fails(work, WrongToken)
        self.assertIn("revoked", str(error))
        self.assertEqual(self.event.token_id, self.token_id)
        self.assertEqual(self.event.user, "alice")
        self.assertIn(f"{self.token_id}, which its token", self.event.login_problem)
        self.assertTrue(self.some_principal(other).may(Action.PULL, APP))

    def test_record(self) -> None:
        """The record of a request has the token's id, and why it was refused."""
        text = self.token()
        asking = self.broker.identify(basic("alice", text), HOST, ADDRESS, self.event)
        self.result(asking)
        self.assertEqual(self.event.token_id, self.token_id)
        self.assertEqual(self.event.login_problem, "")
        self.revoke()
        request = parse_get("", basic("alice", text))
        with capturedLogs() as logged:
            work = self.broker.account(request, HOST, ADDRESS, self.event)
            error = self.assert_fails(work, Unauthorized)
        said = "a robot token is not good: it is revoked"
        self.assertEqual(self.event.login_problem, said)
        lines = "\n".join(str(formatEvent(each)) for each in logged)
        self.assertIn(said, lines)
        self.assertNotIn(text, lines)
        # The client hears what it would hear of any wrong password.
        self.assertEqual(error.message, "the user name or the password is wrong")

    # Attacks

    def test_other_kinds_of_tokens(self) -> None:
        """No token is good in the place of another kind of token."""
        robot = self.token()
        access = self.get("scope=repository:team/app:pull,push")["token"]
        identity = self.get("offline_token=true")["refresh_token"]
        for text in (access, identity):
            given = basic("alice", PREFIX + text)
            self.assert_fails(self.grant(parse_get("", given)), Unauthorized)
            self.assertIsNone(self.principal(basic("alice", text)))
        for text in (robot.removeprefix(PREFIX), identity):
            work = self.broker.identify(f"Bearer {text}", HOST, ADDRESS)
            self.assert_fails(work, WrongToken)
        for text in (robot, robot.removeprefix(PREFIX), access):
            form = {"grant_type": "refresh_token", "refresh_token": text}
            request = parse_post(urlencode(form).encode())
            self.assert_fails(self.grant(request), Unauthorized)

    def test_as_bearer(self) -> None:
        """With its prefix it is good as Bearer, with the same rights."""
        principal = self.some_principal(f"Bearer {self.token()}")
        self.assertEqual(principal.user, "alice")
        self.assertTrue(principal.may(Action.PULL, APP))
        self.assertFalse(principal.may(Action.PUSH, APP))
