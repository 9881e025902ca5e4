"""The broker of several upstreams, with token services that the test plays."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.broker.composite_broker import (
    EMPTY_LIFE_SECONDS,
    CompositeBroker,
    failed_token_service,
)
from regbroker.broker.upstream_broker import Broker
from regbroker.broker.wanted_scopes import WantedScopes
from regbroker.errors import (
    NameUnknown,
    TooManyRequests,
    Unauthorized,
    UpstreamUnavailable,
)
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.composite_token import CompositeTokens, token_for
from regbroker.protocol.token_replies import IssuedToken
from regbroker.protocol.token_requests import TokenRequest, parse_get, parse_post
from regbroker.runtime.in_time import TimedOut
from regbroker.settings.config import DEFAULT_ANSWER_TIMEOUT, UpstreamConfig
from regbroker.upstream.circuit_breaker import FIRST_PAUSE_SECONDS
from regbroker.upstream.failover import Fault
from regbroker.upstream.registry import Upstream

ALICE = "Basic YWxpY2U6d29uZGVybGFuZA=="
HOST = "registry.test"
NOW = 1_000_000.0
ONE, TWO = "scope=repository:one/a:pull", "scope=repository:two/b:pull"
BOTH = "scope=repository:both/c:pull"


class HashedAlike(str):
    """A text that Python hashes as all others of its kind."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 1


class PlayedBroker(Broker):
    """Maps as a broker does; `answers` are those of its token service."""

    def __init__(self, upstream: str, mapping: NameMapping) -> None:
        tokens: Any = None
        super().__init__(upstream, tokens, mapping, lambda: NOW)
        self.requests: list[TokenRequest] = []
        self.scopes: list[str] = []
        self.answer: Any = IssuedToken(f"{upstream}-token", NOW + 300, None)
        self.at_hand: IssuedToken | None = None

    def token_at_hand(
        self, request: TokenRequest, wanted: WantedScopes, public_host: str
    ) -> IssuedToken | None:
        return self.at_hand

    async def token_if_issued(
        self, request: TokenRequest, wanted: WantedScopes, public_host: str
    ) -> IssuedToken | None:
        self.requests.append(request)
        self.scopes.append(" ".join(map(str, wanted.scopes)))
        answer = self.answer
        if isinstance(answer, Deferred):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        issued: IssuedToken | None = answer
        return issued

    async def check(self) -> None:
        raise UpstreamUnavailable("down")


class CompositeBrokerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        rules = ("one/* = one:a/*", "two/* = two:b/*", "both/* = c/*")
        mapping = NameMapping(map(parse_rule, rules), ["one", "two"])
        self.one, self.two = (PlayedBroker(name, mapping) for name in ("one", "two"))
        clock: Any = self.clock
        self.upstreams = {
            name: Upstream(UpstreamConfig(name=name, origin=None), clock)
            for name in ("one", "two")
        }
        self.composite_tokens = CompositeTokens(b"key", lambda: NOW)
        self.new_broker = partial(
            CompositeBroker,
            [self.one, self.two],
            self.upstreams,
            mapping,
            self.composite_tokens,
            clock,
            lambda: NOW,
        )
        self.broker = self.new_broker()

    def begin(self, request: TokenRequest) -> Deferred[bytes]:
        """Ask for a token."""
        wanted = self.broker.wanted(request, HOST)
        return Deferred.fromCoroutine(self.broker.grant(request, wanted, HOST))

    def reply(self, query: str, user: str | None = ALICE) -> Any:
        """The reply to a GET, which is at once."""
        asking = self.begin(parse_get(query, user))
        return json.loads(self.successResultOf(asking))

    def unavailable(self, token: str, upstream: str) -> int | None:
        """The status for which a composite token has no token of an upstream."""
        why = self.composite_tokens.unavailable(token, upstream)
        return None if why is None else why[0]

    def test_each_its_own(self) -> None:
        """Each upstream is asked for its own scopes, in its words."""
        token = self.reply(f"{ONE}&{TWO}&service=x")["token"]
        self.assertEqual(self.one.scopes, ["repository:a/a:pull"])
        self.assertEqual(self.two.scopes, ["repository:b/b:pull"])
        for broker in (self.one, self.two):
            self.assertEqual(broker.requests[0].service, "")
            name = broker.upstream
            self.assertEqual(token_for(token, name), f"{name}-token")

    def test_login(self) -> None:
        """A login without a scope goes to the first; who brings nothing, nowhere."""
        self.reply("")
        self.assertEqual((self.one.scopes, self.two.scopes), ([""], []))
        reply = self.reply("scope=repository:ONE:pull", user=None)
        self.assertEqual((self.one.scopes, self.two.scopes), ([""], []))
        self.assertEqual(reply["expires_in"], EMPTY_LIFE_SECONDS)
        with self.assertRaises(NameUnknown):
            self.broker.wanted(parse_get("scope=repository:x:pull", None), HOST)

    def test_refresh_token(self) -> None:
        """It is the first one's: the second does not see it, and gives none."""
        form = f"grant_type=refresh_token&refresh_token=r&{ONE}&{TWO}".encode()
        self.one.answer = IssuedToken("t", NOW + 300, "repository:one/a:pull", "new")
        self.two.answer = IssuedToken("u", NOW + 300, None, "other")
        reply = json.loads(self.successResultOf(self.begin(parse_post(form))))
        self.assertEqual(self.one.requests[0].refresh_token, "r")
        self.assertEqual(self.two.requests[0].refresh_token, "")
        self.assertEqual(self.two.requests[0].method, "GET")
        self.assertEqual(reply["refresh_token"], "new")

    def test_life(self) -> None:
        """It lives as long as the first of its tokens to end."""
        self.two.answer = IssuedToken("u", NOW + 200, None)
        self.assertEqual(self.reply(f"{ONE}&{TWO}")["expires_in"], 200)

    def test_without_token_service(self) -> None:
        """One that wants no token gives none, and is not said to be down."""
        self.one.answer = None
        token = self.reply(f"{ONE}&{TWO}")["token"]
        self.assertIsNone(token_for(token, "one"))
        self.assertIsNone(self.unavailable(token, "one"))

    def test_down_alone(self) -> None:
        """One that alone has the names must answer: its error is the reply."""
        self.one.answer = UpstreamUnavailable("down")
        asking = self.begin(parse_get(ONE, ALICE))
        self.failureResultOf(asking, UpstreamUnavailable)
        self.assertEqual(self.upstreams["one"].circuits.state, "closed")

    def test_down(self) -> None:
        """Where another has the names, the token says that one is missing."""
        self.one.answer = UpstreamUnavailable("down")
        reply = self.reply(BOTH)
        self.assertEqual(self.unavailable(reply["token"], "one"), 503)
        self.assertEqual(token_for(reply["token"], "two"), "two-token")
        self.assertEqual(reply["expires_in"], 60)
        # While its circuit is open, it is not asked, and the token says the same.
        token = self.reply(BOTH)["token"]
        self.assertEqual(len(self.one.requests), 1)
        self.assertEqual(self.unavailable(token, "one"), 503)
        self.one.answer = IssuedToken("back", NOW + 300, None)
        self.clock.advance(FIRST_PAUSE_SECONDS)
        token = self.reply(BOTH)["token"]
        self.assertEqual(token_for(token, "one"), "back")

    def test_at_hand(self) -> None:
        """A token that is at hand is given out, and its token service is not asked."""
        self.one.at_hand = IssuedToken("kept", NOW + 300, None)
        token = self.reply(BOTH)["token"]
        self.assertEqual(token_for(token, "one"), "kept")
        self.assertEqual(token_for(token, "two"), "two-token")
        self.assertEqual((len(self.one.requests), len(self.two.requests)), (0, 1))

    def test_at_hand_while_down(self) -> None:
        """It is good while the circuit is open, and says nothing of who is down."""
        self.one.answer = UpstreamUnavailable("down")
        self.reply(BOTH)
        circuits = self.upstreams["one"].token_circuits
        self.assertEqual(circuits.state, "open")
        self.one.at_hand = IssuedToken("kept", NOW + 300, None)
        token = self.reply(BOTH)["token"]
        self.assertEqual(token_for(token, "one"), "kept")
        self.assertIsNone(self.unavailable(token, "one"))
        self.clock.advance(FIRST_PAUSE_SECONDS)
        self.reply(BOTH)
        self.assertEqual(circuits.state, "half-open")

    def test_limit(self) -> None:
        """A limit is for who has met it."""
        self.one.answer = TooManyRequests("limit", headers=[(b"Retry-After", b"100")])
        token = self.reply(BOTH)["token"]
        self.assertEqual(self.composite_tokens.unavailable(token, "one"), (429, 100.0))
        self.reply(BOTH, user=None)
        self.assertEqual(len(self.one.requests), 2)
        self.reply(BOTH)
        self.assertEqual(len(self.one.requests), 2)

    def test_limit_of_others(self) -> None:
        """A limit is for the whole of the credentials that have met it."""
        limit = TooManyRequests("limit", headers=[(b"Retry-After", b"100")])
        request = parse_get(BOTH, ALICE)
        for field in ("username", "password", "refresh_token"):
            for value in ("one", "two"):
                changed: dict[str, Any] = {field: HashedAlike(f"{field} {value}")}
                self.one.answer, self.one.requests = limit, []
                for _ in range(2):
                    self.successResultOf(self.begin(request._replace(**changed)))
                self.assertEqual(len(self.one.requests), 1)

    def test_limit_at_both(self) -> None:
        """Registries in front of one upstream know of the same limits."""
        self.one.answer = TooManyRequests("limit", headers=[(b"Retry-After", b"100")])
        self.reply(BOTH)
        self.broker = self.new_broker()
        self.reply(BOTH)
        self.assertEqual(len(self.one.requests), 1)

    def test_slow(self) -> None:
        """One that is slow is not waited for, where another has the names."""
        self.one.answer = Deferred()
        asking = self.begin(parse_get(BOTH, ALICE))
        self.assertNoResult(asking)
        self.clock.advance(DEFAULT_ANSWER_TIMEOUT)
        token = json.loads(self.successResultOf(asking))["token"]
        self.assertEqual(self.unavailable(token, "one"), 504)
        # That was this client's login; others are not kept from theirs.
        self.one.answer = IssuedToken("quick", NOW + 300, None)
        token = self.reply(BOTH, user=None)["token"]
        self.assertEqual(token_for(token, "one"), "quick")

    def test_wrong_password(self) -> None:
        """A refusal is an answer: it opens no circuit, and one token is enough."""
        self.one.answer = Unauthorized("wrong")
        token = self.reply(BOTH)["token"]
        self.assertEqual(token_for(token, "two"), "two-token")
        self.assertIsNone(self.unavailable(token, "one"))
        self.two.answer = Unauthorized("wrong")
        self.failureResultOf(self.begin(parse_get(BOTH, ALICE)), Unauthorized)
        self.assertEqual(len(self.one.requests), 2)

    def test_remembered(self) -> None:
        """It is known who was given it, and for what; of an empty one it is not."""
        token = self.reply(f"{ONE}&{TWO}")["token"]
        self.assertEqual(self.broker.users.find(token), "alice")
        self.assertTrue(self.broker.has_asked(token, ("two", "b/b")))
        self.assertFalse(self.broker.has_asked(token, ("one", "b/b")))
        self.one.answer = None
        empty = self.reply(ONE)["token"]
        self.assertIsNone(self.broker.users.find(empty))


class JudgedTests(SynchronousTestCase):
    def test_slow(self) -> None:
        """A login that is slowed down is the account's affair."""
        slow = TimedOut(CancelledError())
        for account, fault in (("alice", Fault.ACCOUNT), ("", Fault.UPSTREAM)):
            failed = failed_token_service("up", slow, account)
            assert failed is not None
            self.assertEqual((failed.fault, failed.error.status), (fault, 504))

    def test_errors(self) -> None:
        """A limit, an outage, an answer, and what is about no token service."""
        for error, fault, is_final in (
            (TooManyRequests("limit"), Fault.ACCOUNT, False),
            (UpstreamUnavailable("down"), Fault.UPSTREAM, False),
            (Unauthorized("wrong"), Fault.NOBODY, True),
        ):
            failed = failed_token_service("up", error, "alice")
            assert failed is not None
            self.assertEqual((failed.fault, failed.is_final), (fault, is_final))
        self.assertIsNone(failed_token_service("up", CancelledError(), "alice"))
