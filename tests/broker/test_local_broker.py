"""The token service with our own accounts: who comes in, and with what."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.access import AccessRules
from regbroker.accounts.access_section import parse_access
from regbroker.accounts.key_file import make_key
from regbroker.accounts.principals import Account
from regbroker.accounts.signing import SigningKeys, TokenSigner
from regbroker.broker.local_broker import LocalBroker
from regbroker.broker.principal import Principal, WrongToken
from regbroker.errors import (
    AccountsUnavailable,
    BadRequest,
    Unauthorized,
)
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.names import Action
from regbroker.protocol.token_requests import TokenRequest, parse_get, parse_post
from tests.brokercase import ALICE, BOB

T = TypeVar("T")

HOST = "registry.test:5000"
ADDRESS = "192.0.2.1"
APP = "team/app"

RIGHTS = {
    "alice": "team/**: pull, push",
    "@staff": "lib/**: pull, catalog",
    "authenticated": "home/${user}/**: pull, push, delete",
    "anonymous": "lib/open: pull",
}


class FakeChecks:
    """Knows alice and bob, and what they may be asked for."""

    def __init__(self) -> None:
        self.accounts = {
            "alice": Account("alice", password_version="1"),
            "bob": Account("bob", frozenset({"staff"}), "1"),
            "versionless": Account("versionless"),
        }
        self.passwords = {"alice": "wonderland", "bob": "builder", "versionless": "x"}
        self.addresses: list[str] = []
        self.down = False

    async def check(self, user: str, password: str, address: str) -> Account | None:
        self.addresses.append(address)
        if self.down:
            raise AccountsUnavailable("down")
        return self.accounts[user] if self.passwords.get(user) == password else None

    async def look_up(
        self, user: str, password_version: str | None = None
    ) -> Account | None:
        if self.down:
            raise AccountsUnavailable("down")
        found = self.accounts.get(user)
        return (
            found
            if found and password_version in (None, found.password_version)
            else None
        )


class LocalBrokerTestCase(SynchronousTestCase):
    host = "registry.test"

    def setUp(self) -> None:
        self.now = 1_000_000.5
        self.checks = FakeChecks()
        self.keys = SigningKeys(make_key(Path(self.mktemp())), lambda: self.now)
        self.signer = TokenSigner(self.keys, "regbroker", lambda: self.now)
        self.rules = parse_access(RIGHTS)
        self.broker = self.make(self.host)

    def make(self, host: str, rules: AccessRules | None = None) -> LocalBroker:
        """The broker of a registry."""
        given = ("team = acme_team", "lib/* = mirror/lib_*", "home = people")
        checks: Any = self.checks
        return LocalBroker(
            host,
            checks,
            rules or self.rules,
            self.signer,
            NameMapping([parse_rule(rule) for rule in given], ["up"]),
            lambda: self.now,
        )

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """What some work returns at once."""
        done: T = self.successResultOf(Deferred.fromCoroutine(work))
        return done

    async def grant(self, request: TokenRequest) -> bytes:
        """What the token endpoint answers."""
        account = await self.broker.account(request, HOST, ADDRESS)
        return self.broker.issue(request, account, HOST)

    def ask(self, request: TokenRequest) -> Any:
        """The reply's document."""
        return json.loads(self.result(self.grant(request)))

    def get(self, query: str, user: str | None = ALICE) -> Any:
        """Ask by GET."""
        return self.ask(parse_get(query, user))

    def post(self, **form: str) -> Any:
        """Ask by POST."""
        text = "&".join(f"{name}={value}" for name, value in form.items())
        return self.ask(parse_post(text.encode()))

    def granted(self, document: Any) -> dict[str, tuple[str, ...]]:
        """What a reply's token is good for."""
        token = self.signer.check_access(document["token"], self.broker.service(HOST))
        return {scope.name: scope.actions for scope in token.access}

    def principal(self, authorization: str | None) -> Principal | None:
        """Who brings this."""
        return self.result(self.broker.identify(authorization, HOST, ADDRESS))

    def some_principal(self, authorization: str | None) -> Principal:
        """Who brings this, which is good."""
        principal = self.principal(authorization)
        assert principal is not None
        return principal

    def assert_fails(self, work: Coroutine[Any, Any, object], kind: type[Any]) -> Any:
        """The work fails at once; the error."""
        return self.failureResultOf(Deferred.fromCoroutine(work), kind).value


class GrantTests(LocalBrokerTestCase):
    def test_intersection(self) -> None:
        """What was asked for and is allowed, by whichever name it was asked for."""
        everything = "pull,push,delete"
        query = "&".join(
            f"scope=repository:{name}:{everything}"
            for name in (APP, "mirror/lib_open", "home/alice/x", "home/bob/x", "no/x")
        )
        alice = {
            APP: ("pull", "push"),
            "lib/open": ("pull",),
            "home/alice/x": ("pull", "push", "delete"),
        }
        self.assertEqual(self.granted(self.get(query)), alice)
        bob = {"lib/open": ("pull",), "home/bob/x": ("pull", "push", "delete")}
        self.assertEqual(self.granted(self.get(query, BOB)), bob)
        self.assertEqual(self.granted(self.get(query, None)), {"lib/open": ("pull",)})

    def test_refused_pulls(self) -> None:
        """A token says where to pull was asked for in vain, for mounts."""

        def refused(query: str, user: str | None = ALICE) -> tuple[bool, ...]:
            text = self.get(query, user)["token"]
            token = self.signer.check_access(text, "registry.test")
            return tuple(map(token.refuses_pull, (APP, "home/bob/x", "lib/open")))

        mount = f"scope=repository:{APP}:pull,push%20repository:people/bob/x:"
        self.assertEqual(refused(mount + "pull"), (False, True, False))
        self.assertEqual(refused(mount + "*"), (False, True, False))
        self.assertEqual(refused(mount + "push"), (False, False, False))
        self.assertEqual(refused(mount + "pull", BOB), (True, False, False))
        self.assertEqual(refused(mount + "pull", None), (True, True, False))
        # Nobody mounts with a token for one repository alone.
        one = "scope=repository:home/bob/x:pull"
        self.assertEqual(refused(one), (False, False, False))

    def test_scope_in_reply(self) -> None:
        """POST is told what was granted, by the names that it wrote."""
        reply = self.post(
            grant_type="password",
            username="alice",
            password="wonderland",
            scope="repository:acme_team/app:pull,delete repository:no/x:pull",
        )
        self.assertEqual(reply["scope"], "repository:acme_team/app:pull")
        self.assertEqual(self.granted(reply), {APP: ("pull",)})

    def test_time(self) -> None:
        """It lives for as long as it says, from when it says."""
        reply = self.get("")
        self.assertEqual(reply["expires_in"], 300)
        self.assertEqual(reply["issued_at"], "1970-01-12T13:46:40Z")
        token = self.signer.check_access(reply["token"], "registry.test")
        self.assertEqual(token.expires - token.issued, 300)

    def test_host_in_scope(self) -> None:
        """Some write our host before the name."""
        reply = self.get(f"scope=repository:{HOST}/{APP}:pull")
        self.assertEqual(self.granted(reply), {APP: ("pull",)})

    def test_other_scopes(self) -> None:
        """The catalog is its own right; of others nothing is known."""
        query = "scope=registry:catalog:*&scope=aws&scope=repository(plugin):x:pull"
        self.assertEqual(self.granted(self.get(query)), {})
        self.assertEqual(self.granted(self.get(query, BOB)), {"catalog": ("*",)})

    def test_no_name(self) -> None:
        """What is no name is granted nothing, and does not stop a login."""
        for scope in ("repository:UPPER:pull", "repository::pull"):
            self.assertEqual(self.granted(self.get(f"scope={scope}")), {})

    def test_wrong_password(self) -> None:
        """401 with a challenge for Basic; the address is the client's."""
        request = parse_get("", "Basic YWxpY2U6d3Jvbmc=")
        error = self.assert_fails(self.grant(request), Unauthorized)
        self.assertEqual(
            error.headers, ((b"WWW-Authenticate", b'Basic realm="registry.test:5000"'),)
        )
        self.assertNotIn("alice", error.message)
        self.assertEqual(self.checks.addresses, [ADDRESS])

    def test_down(self) -> None:
        """That nothing can be said about passwords is said, and is no 401."""
        self.checks.down = True
        request = parse_get("", ALICE)
        work = self.grant(request)
        self.assert_fails(work, AccountsUnavailable)
        self.assertEqual(self.granted(self.get("", None)), {})


class IdentityTokenTests(LocalBrokerTestCase):
    def identity(self, user: str = ALICE) -> str:
        """A new one."""
        token: str = self.get("offline_token=true", user)["refresh_token"]
        return token

    def renew(self, token: str) -> Any:
        """Ask with one."""
        scope = f"repository:{APP}:pull,push"
        return self.post(grant_type="refresh_token", refresh_token=token, scope=scope)

    def assert_refused(self, token: str) -> None:
        """It is good for nothing."""
        request = TokenRequest("POST", refresh_token=token)
        self.assert_fails(self.grant(request), Unauthorized)

    def test_renewed(self) -> None:
        """It brings access tokens without a password, with the rights of now."""
        token = self.identity()
        self.assertEqual(self.granted(self.renew(token)), {APP: ("pull", "push")})
        self.assertEqual(len(self.checks.addresses), 1)
        self.broker = self.make(self.host, parse_access({"alice": "team/**: pull"}))
        self.assertEqual(self.granted(self.renew(token)), {APP: ("pull",)})

    def test_renewed_for_good(self) -> None:
        """It may be had anew with an old one."""
        request = TokenRequest("POST", refresh_token=self.identity(), offline=True)
        token = self.ask(request)["refresh_token"]
        self.assertEqual(self.granted(self.renew(token)), {APP: ("pull", "push")})

    def test_password_changed(self) -> None:
        """It dies with the password, and with the user."""
        alice, bob = self.identity(), self.identity(BOB)
        self.checks.accounts["alice"] = Account("alice", password_version="2")
        self.assert_refused(alice)
        self.renew(bob)
        del self.checks.accounts["bob"]
        self.assert_refused(bob)

    def test_unstamped(self) -> None:
        """An account whose password may change unseen gets none."""
        versionless = "Basic dmVyc2lvbmxlc3M6eA=="
        self.assertNotIn("refresh_token", self.get("offline_token=true", versionless))
        self.assertNotIn("refresh_token", self.get("offline_token=true", None))
        forged = self.signer.issue_identity("versionless", "registry.test", "")
        self.assert_refused(forged)

    def test_nonsense(self) -> None:
        """What is none, or is for access, or for another registry."""
        other = self.signer.issue_identity("alice", "other.test", "1")
        for token in ("nonsense", self.get("")["token"], other):
            self.assert_refused(token)

    def test_why_refused(self) -> None:
        """The record says what was wrong, and whose it was where that is known."""
        other = self.signer.issue_identity("alice", "other.test", "1")
        old = self.signer.issue_identity("alice", "registry.test", "0")
        kind, gone = "the token is of another kind", "there is no such user any more"
        for token, user, why in (
            (self.get("")["token"], "", kind),
            (other, "", "the token is for another service"),
            (old, "alice", f"the password has changed, or {gone}"),
        ):
            event = Event(lambda: 0.0)
            request = TokenRequest("POST", refresh_token=token)
            asking = self.broker.account(request, HOST, ADDRESS, event)
            error = self.assert_fails(asking, Unauthorized)
            self.assertNotIn(why, error.message)
            self.assertEqual(event.user, user)
            self.assertIn("an identity token", event.login_problem)
            self.assertTrue(event.login_problem.endswith(why), event.login_problem)

    def test_down(self) -> None:
        """A directory that is down is 503 here, too."""
        request = TokenRequest("POST", refresh_token=self.identity())
        self.checks.down = True
        work = self.grant(request)
        self.assert_fails(work, AccountsUnavailable)


class IdentifyTests(LocalBrokerTestCase):
    def test_nobody(self) -> None:
        """Without anything, one is anonymous, and may what everybody may."""
        principal = self.some_principal(None)
        self.assertTrue(principal.is_anonymous)
        self.assertTrue(principal.may(Action.PULL, "lib/open"))
        self.assertFalse(principal.may(Action.PULL, APP))
        self.assertFalse(principal.may_list)

    def test_empty_credentials(self) -> None:
        """Some clients write that they have nothing as Basic; nobody is asked."""
        principal = self.some_principal("Basic Og==")
        self.assertTrue(principal.is_anonymous)
        self.assertEqual(principal.may_list, self.some_principal(None).may_list)
        self.assertEqual(self.checks.addresses, [])

    def test_basic(self) -> None:
        """The account's own rights."""
        alice = self.some_principal(ALICE)
        self.assertEqual((alice.user, alice.has_token), ("alice", False))
        self.assertTrue(alice.may(Action.PUSH, APP))
        self.assertFalse(alice.may(Action.DELETE, APP))
        self.assertTrue(self.some_principal(BOB).may_list)
        self.assertIsNone(self.principal("Basic YWxpY2U6d3Jvbmc="))
        self.assertEqual(self.checks.addresses, [ADDRESS] * 3)

    def test_who_is_refused(self) -> None:
        """The record has the user whose password is wrong, or cannot be checked."""
        wrong = "Basic YWxpY2U6d3Jvbmc="
        event = Event(lambda: 0.0)
        self.result(self.broker.identify(wrong, HOST, ADDRESS, event))
        self.assertEqual(event.user, "alice")
        self.checks.down = True
        event = Event(lambda: 0.0)
        work = self.broker.identify(wrong, HOST, ADDRESS, event)
        self.assert_fails(work, AccountsUnavailable)
        self.assertEqual(event.user, "alice")

    def test_token_as_the_user(self) -> None:
        """A token in the place of the user is a secret, and in no record."""
        robot = "Basic " + b64encode(b"rbrobot_x:secret").decode()
        event = Event(lambda: 0.0)
        self.result(self.broker.identify(robot, HOST, ADDRESS, event))
        self.assertEqual(event.user, "-")

    def test_token(self) -> None:
        """What the token says, however much more the account may."""
        token = self.get(f"scope=repository:{APP}:pull")["token"]
        for scheme in ("Bearer", "bearer"):
            principal = self.some_principal(f"{scheme} {token}")
            self.assertEqual((principal.user, principal.has_token), ("alice", True))
            self.assertTrue(principal.may(Action.PULL, APP))
            self.assertFalse(principal.may(Action.PUSH, APP))
            self.assertFalse(principal.may(Action.PULL, "team/b"))
            self.assertFalse(principal.may_list)
        nobody = self.some_principal(f"Bearer {self.get('', None)['token']}")
        self.assertFalse(nobody.is_anonymous)

    def test_wrong_token(self) -> None:
        """Nonsense, what has expired, and what is for somebody else."""
        token = self.get("")["token"]
        other = self.signer.issue_access("alice", "other.test", ())
        for text in ("Bearer nonsense", "Bearer ", "Bearer", f"Bearer {other}"):
            work = self.broker.identify(text, HOST, ADDRESS)
            self.assert_fails(work, WrongToken)
        self.now += 400
        work = self.broker.identify(f"Bearer {token}", HOST, ADDRESS)
        self.assert_fails(work, WrongToken)

    def test_other_schemes(self) -> None:
        """They are as good as a wrong password; damaged ones are an error."""
        self.assertIsNone(self.principal("Negotiate abc"))
        self.assertIsNone(self.principal(""))
        work = self.broker.identify("Basic !", HOST, ADDRESS)
        self.assert_fails(work, BadRequest)


class VisibleTests(LocalBrokerTestCase):
    def seen(self, authorization: str | None) -> list[str]:
        """What somebody sees in the catalog."""
        visible = self.result(self.broker.visible(self.some_principal(authorization)))
        return [name for name in ("lib/open", "lib/x", APP) if visible(name)]

    def test_basic_and_token(self) -> None:
        """Those names for which one has the right, groups included."""
        token = self.get("scope=registry:catalog:*", BOB)["token"]
        for authorization in (BOB, f"Bearer {token}"):
            self.assertEqual(self.seen(authorization), ["lib/open", "lib/x"])
        self.assertEqual(self.seen(ALICE), [])
        self.assertEqual(self.seen(None), [])

    def test_gone(self) -> None:
        """Who is not there any more has no groups."""
        token = self.get("scope=registry:catalog:*", BOB)["token"]
        del self.checks.accounts["bob"]
        self.assertEqual(self.seen(f"Bearer {token}"), [])


class DefaultRegistryTests(LocalBrokerTestCase):
    host = "*"

    def test_audience(self) -> None:
        """Tokens of the default registry are for the host that was asked."""
        self.assertEqual(self.broker.service(HOST), HOST)
        token = self.get("")["token"]
        self.assertEqual(self.some_principal(f"Bearer {token}").user, "alice")
        work = self.broker.identify(f"Bearer {token}", "other.test", ADDRESS)
        self.assert_fails(work, WrongToken)
