"""A login of our own is tried for nothing else."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import (
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.upstream.credentials import TOKEN_USER, Login
from regbroker.upstream.own_login import TRIAL_SECONDS, OwnLoginRefused
from regbroker.upstream.own_proof import LoginProof
from regbroker.upstream.own_tokens import OwnTokens
from tests.upstream.test_own_account import (
    BASIC,
    BEARER,
    EXPIRED,
    ROBOT,
    ROBOT_BASIC,
    TAGS,
    FakeTokens,
    FakeUpstream,
    reply,
)

ABOUT = frozenset({"acme_team/app"})


class LoginProofTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def prove(
        self,
        upstream: FakeUpstream,
        tokens: FakeTokens | None = None,
        login: Login = ROBOT,
        about: frozenset[str] = ABOUT,
    ) -> Deferred[None]:
        """Try a login."""
        own = OwnTokens(cast(Any, tokens or FakeTokens(self.clock)))
        proof = LoginProof(cast(Any, upstream), own, self.clock)
        return Deferred.fromCoroutine(proof.prove(login, about))

    def test_ping(self) -> None:
        """A ping that asks for Basic gets it; 401 refuses the login."""
        upstream = FakeUpstream(BASIC)
        self.assertIsNone(self.successResultOf(self.prove(upstream)))
        self.assertEqual(upstream.shown, [ROBOT_BASIC])
        upstream.good.clear()
        error: Any = self.failureResultOf(self.prove(upstream), OwnLoginRefused).value
        self.assertEqual(error.status, 401)

    def test_repository(self) -> None:
        """Where the ping passes, the repository that the login is for is read."""
        upstream = FakeUpstream(())
        upstream.challenged(BASIC)
        self.assertEqual(upstream.discovered.proof, TAGS)
        self.assertIsNone(self.successResultOf(self.prove(upstream)))
        self.assertEqual(upstream.shown, [ROBOT_BASIC])

    def test_expired(self) -> None:
        """403 refuses a login only where it says that the login has run out."""
        upstream = FakeUpstream(BASIC)
        upstream.good.clear()
        upstream.refusal = (403, EXPIRED.encode())
        error: Any = self.failureResultOf(self.prove(upstream), OwnLoginRefused).value
        self.assertEqual(error.status, 403)
        upstream.refusal = (403, b"{}")
        self.assertIsNone(self.successResultOf(self.prove(upstream)))

    def test_failure(self) -> None:
        """500 says nothing of the login."""
        upstream = FakeUpstream(BASIC)
        upstream.good.clear()
        upstream.refusal = (500, b"")
        self.failureResultOf(self.prove(upstream), UpstreamUnavailable)

    def test_timeout(self) -> None:
        """Who does not answer in time says nothing of it, either."""
        upstream = FakeUpstream(BASIC)
        upstream.waiting = []
        proving = self.prove(upstream)
        self.clock.advance(TRIAL_SECONDS - 0.1)
        self.assertNoResult(proving)
        self.clock.advance(0.2)
        self.failureResultOf(proving, UpstreamTimeout)

    def test_token_service(self) -> None:
        """A token service is asked for a token without scopes."""
        tokens = FakeTokens(self.clock)
        upstream = FakeUpstream(BEARER)
        self.assertIsNone(self.successResultOf(self.prove(upstream, tokens)))
        ((_, scopes),) = tokens.asked
        self.assertEqual((scopes, upstream.shown), ((), []))

    def test_token_refused(self) -> None:
        """401 and 403 of a token service refuse the login."""
        for status in (401, 403):
            tokens = FakeTokens(self.clock, reply(status))
            proving = self.prove(FakeUpstream(BEARER), tokens)
            error: Any = self.failureResultOf(proving, OwnLoginRefused).value
            self.assertEqual(error.status, status)

    def test_nothing_to_prove(self) -> None:
        """Where nobody asks for a login, and for an identity token, nothing is sent."""
        open_to_all, basic = FakeUpstream(()), FakeUpstream(BASIC)
        self.assertIsNone(self.successResultOf(self.prove(open_to_all)))
        identity = Login(TOKEN_USER, "identity")
        self.assertIsNone(self.successResultOf(self.prove(basic, login=identity)))
        self.assertEqual((open_to_all.shown, basic.shown), ([], []))
