"""Whose Authorization a request carries, and what follows when it is refused."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import Denied
from regbroker.protocol.challenges import Challenge, parse_challenges
from regbroker.protocol.composite_token import CompositeTokens
from regbroker.protocol.names import PING_PATH
from regbroker.protocol.scopes import Scope, repository_scope
from regbroker.upstream.authorization import Authorization, Refusal
from regbroker.upstream.authorizer import Authorizer
from regbroker.upstream.credentials import Login
from regbroker.upstream.own_requests import proof_target
from regbroker.upstream.policy import CLIENTS_OWN, OURS, CredentialOwner, Policy
from tests.connectionscase import replied

PULL = (repository_scope("acme_team/app", "pull"),)
ROBOT = Login("robot", "s3cret")
BASIC = parse_challenges(['Basic realm="up"'])
SHARED = Policy(clients=True, shared=frozenset({"pull"}))


class FakeReply:
    """A registry's reply."""

    def __init__(
        self, status: int, challenges: tuple[Challenge, ...] = (), body: bytes = b""
    ) -> None:
        self.status = status
        self.challenges = challenges
        self.is_aborted = False
        self.body = body
        self.deliver = replied(status, body=body).deliver

    def with_body(self, body: bytes) -> FakeReply:
        return FakeReply(self.status, self.challenges, body)

    def abort(self) -> None:
        self.is_aborted = True


class FakeAccount:
    """An account that notes what it is told, and says `again` instead."""

    def __init__(self, owner: CredentialOwner) -> None:
        self.owner = owner
        self.answers: list[Authorization] = []
        self.refusals: list[Refusal] = []
        self.again: Authorization | Exception | None = None

    async def authorize(self, needed: tuple[Scope, ...]) -> Authorization:
        return Authorization(self.owner, f"{self.owner.value} for {needed[0].name}")

    def answered(self, authorization: Authorization) -> None:
        self.answers.append(authorization)

    async def reconsider(
        self, authorization: Authorization, needed: tuple[Scope, ...], refusal: Refusal
    ) -> Authorization | None:
        self.refusals.append(refusal)
        if isinstance(self.again, Exception):
            raise self.again
        return self.again


class FakeTokens:
    """Notes which tokens are forgotten."""

    def __init__(self) -> None:
        self.dropped: list[str] = []

    def drop(self, token: str) -> None:
        self.dropped.append(token)


class FakeUpstream:
    """Notes what it is challenged with."""

    name = "up"

    def __init__(self) -> None:
        self.challenges: list[tuple[Any, ...]] = []

    def challenged(self, *challenge: Any) -> None:
        self.challenges.append(challenge)


class AuthorizerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.upstream = FakeUpstream()
        self.tokens = FakeTokens()
        self.ours = FakeAccount(CredentialOwner.OURS)
        self.nobodys = FakeAccount(CredentialOwner.NOBODY)

    def made(self, policy: Policy, composite: bool = False) -> Authorizer:
        """An authorizer."""
        upstream: Any = self.upstream
        tokens: Any = self.tokens
        ours: Any = self.ours
        nobodys: Any = self.nobodys
        return Authorizer(policy, upstream, tokens, ours, nobodys, composite)

    def authorized(
        self, policy: Policy, value: str | None, composite: bool = False
    ) -> Authorization:
        """What a request is to say whose client says this."""
        authorizer = self.made(policy, composite)
        owner = authorizer.policy.owner(value, PULL)
        if not owner.is_ours:
            return Authorization(owner, authorizer.of_client(value))
        return self.successResultOf(
            Deferred.fromCoroutine(authorizer.of_ours(owner, PULL))
        )

    def reconsider(
        self, reply: FakeReply, authorization: Authorization, needed: Any = PULL
    ) -> Deferred[tuple[Any, Authorization | None]]:
        """What is said after a reply."""
        return Deferred.fromCoroutine(
            self.made(SHARED).reconsider(authorization, needed, cast(Any, reply))
        )

    def test_whose(self) -> None:
        """The policy says whose credentials go along."""
        ours, nobodys = "ours for acme_team/app", "nobody for acme_team/app"
        for policy, client, value in (
            (CLIENTS_OWN, "Bearer t", "Bearer t"),
            (CLIENTS_OWN, None, None),
            (OURS, "Basic x", ours),
            (SHARED, None, ours),
            (SHARED, "Basic x", "Basic x"),
            (Policy(clients=False), "Basic x", nobodys),
        ):
            self.assertEqual(self.authorized(policy, client).value, value)

    def test_composite(self) -> None:
        """Out of a composite token this upstream's token is taken, and no other."""
        composite = CompositeTokens(b"key", lambda: 0.0)
        both = composite.write({"up": "mine", "other": "theirs"})
        for client, value in (
            (f"Bearer {both}", "Bearer mine"),
            (f"bearer  {both}", "Bearer mine"),
            (f"Bearer {composite.write({'other': 'theirs'})}", None),
            ("Bearer plain", None),
            ("Basic x", "Basic x"),
        ):
            authorization = self.authorized(CLIENTS_OWN, client, composite=True)
            self.assertEqual(authorization.value, value, client)

    def test_answered(self) -> None:
        """Our account hears of an answer; a failure of the upstream is none."""
        ours = Authorization(CredentialOwner.OURS, "Bearer t")
        for status, is_answer in ((200, True), (404, True), (429, False), (500, False)):
            self.ours.answers.clear()
            reply = FakeReply(status)
            same, again = self.successResultOf(self.reconsider(reply, ours))
            self.assertIs(same, reply)
            self.assertIsNone(again)
            self.assertEqual(self.ours.answers, [ours] if is_answer else [])

    def test_again(self) -> None:
        """What our account says instead is returned, with the refusal that it saw."""
        ours = Authorization(CredentialOwner.OURS, "Bearer t")
        self.ours.again = Authorization(CredentialOwner.OURS, "Bearer new")
        reply = FakeReply(401, BASIC, b"no")
        same, again = self.successResultOf(self.reconsider(reply, ours))
        self.assertIs(same, reply)
        self.assertIs(again, self.ours.again)
        self.assertEqual(self.ours.refusals, [Refusal(401, BASIC, "")])
        self.assertEqual(
            self.upstream.challenges, [(BASIC, proof_target("acme_team/app"), True)]
        )

    def test_challenge_of_the_ping(self) -> None:
        """A challenge without a repository is about the ping."""
        nobodys = Authorization(CredentialOwner.NOBODY, None)
        self.successResultOf(self.reconsider(FakeReply(401, BASIC), nobodys, ()))
        self.assertEqual(self.upstream.challenges, [(BASIC, PING_PATH, False)])

    def test_text(self) -> None:
        """A 403 to our login is read, and can be read once more."""
        ours = Authorization(CredentialOwner.OURS, "Basic x", login=ROBOT)
        reply = FakeReply(403, body=b"it has expired")
        again, _ = self.successResultOf(self.reconsider(reply, ours))
        self.assertEqual(self.ours.refusals, [Refusal(403, (), "it has expired")])
        self.assertEqual(again.body, b"it has expired")

    def test_given_up(self) -> None:
        """The reply is given up where there is nothing else to say."""
        self.ours.again = Denied("no right")
        reply = FakeReply(401)
        ours = Authorization(CredentialOwner.OURS, "Bearer t")
        self.failureResultOf(self.reconsider(reply, ours), Denied)
        self.assertTrue(reply.is_aborted)

    def test_clients_refusal(self) -> None:
        """A refusal of the client's is the client's answer; its token is forgotten."""
        for value, dropped in (
            ("Bearer t0ken", ["t0ken"]),
            ("Basic x", []),
            (None, []),
        ):
            self.tokens.dropped.clear()
            reply = FakeReply(401)
            client = Authorization(CredentialOwner.CLIENT, value)
            same, again = self.successResultOf(self.reconsider(reply, client))
            self.assertIs(same, reply)
            self.assertIsNone(again)
            self.assertEqual(self.tokens.dropped, dropped)
