"""Who speaks upstream, and what is said when that is refused."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regbroker.challenges import Challenge, parse_challenges
from regbroker.credentials import Login
from regbroker.errors import (
    Denied,
    OwnAccountRefused,
    TokensUnavailable,
    TooManyRequests,
)
from regbroker.grants import Grant, TokenRequest
from regbroker.realms import parse_realm
from regbroker.resting import FIRST_PAUSE_SECONDS
from regbroker.scopes import CATALOG_SCOPE, Scope, repository_scope
from regbroker.speakers import (
    ClientSpeaks,
    RegbrokerSpeaks,
    SharedWithAnonymous,
    lent,
)
from regbroker.tokenservice import TokenReply
from regbroker.upstreams import Knowledge
from regbroker.upstreamtokens import TokenRefused

T = TypeVar("T")

BASIC = parse_challenges(['Basic realm="up"'])
BEARER = parse_challenges(['Bearer realm="https://up.test/token"'])
REALM = parse_realm("https://up.test/token")

PULL = (repository_scope("acme_team/app", "pull"),)
PUSH = (repository_scope("acme_team/app", "pull", "push"),)

ROBOT = Login("robot", "s3cret")
ROBOT_BASIC = "Basic cm9ib3Q6czNjcmV0"


class FakeUpstream:
    """An upstream whose challenge is known."""

    name = "up"

    def __init__(self, challenges: tuple[Challenge, ...] = ()) -> None:
        realm = REALM if challenges == BEARER else None
        self.known = Knowledge(challenges, realm)

    async def knowledge(self) -> Knowledge:
        return self.known


class FakeTokens:
    """A token service: gives `token N`, or what is in `refusals` first."""

    def __init__(self, *refusals: TokenReply) -> None:
        self.refusals = list(refusals)
        self.asked: list[tuple[TokenRequest, tuple[Scope, ...]]] = []
        self.forgotten: list[tuple[TokenRequest, tuple[Scope, ...]]] = []

    async def get(self, request: TokenRequest, scopes: tuple[Scope, ...]) -> Grant:
        self.asked.append((request, scopes))
        if self.refusals:
            raise TokenRefused(self.refusals.pop(0))
        return Grant(f"token-{len(self.asked)}", 1e9)

    def forget(self, request: TokenRequest, scopes: tuple[Scope, ...]) -> None:
        self.forgotten.append((request, scopes))


class FakeCredentials:
    """Gives one login after the other, the next one when one was refused."""

    def __init__(self, *logins: Login) -> None:
        self.logins = list(logins)
        self.refusals: list[Login | None] = []

    async def get(self) -> Login:
        return self.logins[0]

    def refused(self, login: Login | None = None) -> None:
        self.refusals.append(login)
        if len(self.logins) > 1:
            self.logins.pop(0)

    def close(self) -> None:
        """Nothing is open."""


def reply(status: int, **headers: str) -> TokenReply:
    """A refusal of the token service."""
    given = Headers({n.replace("_", "-"): [v] for n, v in headers.items()})
    return TokenReply(status, given, b"{}")


class SpeakerTestCase(SynchronousTestCase):
    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """What some work returns at once."""
        done: T = self.successResultOf(Deferred.fromCoroutine(work))
        return done

    def failure(self, work: Coroutine[Any, Any, object], kind: type[T]) -> T:
        """What some work fails with at once."""
        failed = self.failureResultOf(Deferred.fromCoroutine(work))
        error = failed.value
        assert isinstance(error, kind), error
        return error

    def make(
        self,
        challenges: tuple[Challenge, ...],
        *logins: Login,
        refusals: tuple[TokenReply, ...] = (),
    ) -> RegbrokerSpeaks:
        """Our own account in front of an upstream with these challenges."""
        self.tokens = FakeTokens(*refusals)
        self.credentials = FakeCredentials(*logins) if logins else None
        upstream: Any = FakeUpstream(challenges)
        tokens: Any = self.tokens
        self.now = 100.0
        return RegbrokerSpeaks(upstream, tokens, self.credentials, lambda: self.now)


class ClientSpeaksTests(SpeakerTestCase):
    def test_passed_on(self) -> None:
        """What the client brought goes on, and a 401 is the client's."""
        for given in ("Bearer abc", None):
            spoken = self.result(ClientSpeaks().speak(given, PULL))
            self.assertEqual((spoken.value, spoken.is_ours), (given, False))


class OwnAccountTests(SpeakerTestCase):
    def test_nothing_wanted(self) -> None:
        """An upstream that asks for nothing is told nothing, not even by clients."""
        for logins in ((), (ROBOT,)):
            ours = self.make((), *logins)
            spoken = self.result(ours.speak("Basic Ym9iOmI=", PULL))
            self.assertEqual((spoken.value, spoken.is_ours), (None, True))

    def test_basic(self) -> None:
        """Where there is no token service, it is Basic."""
        spoken = self.result(self.make(BASIC, ROBOT).speak("Bearer abc", PULL))
        self.assertEqual(spoken.value, ROBOT_BASIC)
        self.assertTrue(spoken.is_ours)
        self.assertNotIn(ROBOT_BASIC, repr(spoken))
        self.assertNotIn("s3cret", repr(spoken))

    def test_no_account(self) -> None:
        """Without one, nothing is said, and tokens are asked for as nobody."""
        self.assertIsNone(self.result(self.make(BASIC).speak("x", PULL)).value)
        spoken = self.result(self.make(BEARER).speak("x", PULL))
        self.assertEqual(spoken.value, "Bearer token-1")
        self.assertEqual(self.tokens.asked, [(TokenRequest("GET"), PULL)])

    def test_token(self) -> None:
        """A token is asked for what is needed, with the account."""
        spoken = self.result(self.make(BEARER, ROBOT).speak("Basic x", PUSH))
        self.assertEqual(spoken.value, "Bearer token-1")
        request = TokenRequest("GET", username="robot", password="s3cret")
        self.assertEqual(self.tokens.asked, [(request, PUSH)])

    def test_identity_token(self) -> None:
        """A helper's identity token is posted; it is no password for Basic."""
        login = Login("<token>", "identity")
        self.result(self.make(BEARER, login).speak(None, PULL))
        request = TokenRequest("POST", refresh_token="identity")
        self.assertEqual(self.tokens.asked, [(request, PULL)])
        self.assertIsNone(self.result(self.make(BASIC, login).speak(None, ())).value)

    def test_token_refused_once(self) -> None:
        """Credentials that are refused are asked for anew, and tried once more."""
        ours = self.make(BEARER, ROBOT, Login("robot", "new"), refusals=(reply(401),))
        spoken = self.result(ours.speak(None, PULL))
        self.assertEqual(spoken.value, "Bearer token-2")
        passwords = [request.password for request, _ in self.tokens.asked]
        self.assertEqual(passwords, ["s3cret", "new"])
        assert self.credentials is not None
        self.assertEqual(self.credentials.refusals, [ROBOT])

    def test_token_refused_twice(self) -> None:
        """Then the client hears that it is no fault of his, and the operator more."""
        other = Login("robot", "new s3cret")
        ours = self.make(BEARER, ROBOT, other, refusals=(reply(401), reply(401)))
        with capturedLogs() as events:
            error = self.failure(ours.speak(None, PULL), OwnAccountRefused)
        self.assertEqual(len(self.tokens.asked), 2)
        self.assertEqual(error.headers, ())
        texts = [formatEvent(event) for event in events]
        self.assertEqual(len(texts), 2)
        for words in (*texts, error.message):
            self.assertNotIn("s3cret", words)
        for text in texts:
            self.assertIn("[upstream up]: our own account was refused", text)

    def test_wrong_from_the_start(self) -> None:
        """A login that was never taken is not shown with every request."""
        ours = self.make(BEARER, ROBOT, refusals=(reply(401),) * 9)
        for expected in (1, 1, 1):
            self.failure(ours.speak(None, PULL), OwnAccountRefused)
            self.assertEqual(len(self.tokens.asked), expected)
        self.now += FIRST_PAUSE_SECONDS
        self.failure(ours.speak(None, PULL), OwnAccountRefused)
        self.assertEqual(len(self.tokens.asked), 2)
        # Another password is tried at once.
        assert self.credentials is not None
        self.credentials.logins = [Login("robot", "right")]
        self.tokens.refusals.clear()
        self.assertTrue(self.result(ours.speak(None, PULL)).value)

    def test_wrong_for_once(self) -> None:
        """One that was taken is tried again: it may be about the repository."""
        ours = self.make(BEARER, ROBOT)
        self.result(ours.speak(None, PULL))
        self.tokens.refusals = [reply(401), reply(401)]
        for _ in range(2):
            self.failure(ours.speak(None, PUSH), OwnAccountRefused)
        self.assertEqual(len(self.tokens.asked), 3)
        self.assertTrue(self.result(ours.speak(None, PUSH)).value)

    def test_token_service_busy(self) -> None:
        """A token service that is busy is not a refused account."""
        busy = reply(429, Retry_After="7")
        error = self.failure(
            self.make(BEARER, ROBOT, refusals=(busy,)).speak(None, PULL),
            TooManyRequests,
        )
        self.assertEqual(error.headers, ((b"Retry-After", b"7"),))
        self.failure(
            self.make(BEARER, ROBOT, refusals=(reply(500),)).speak(None, PULL),
            TokensUnavailable,
        )
        assert self.credentials is not None
        self.assertEqual(self.credentials.refusals, [])

    def test_refused(self) -> None:
        """What was said, not what would be said by now, is what was refused."""
        ours = self.make(BASIC, ROBOT)
        spoken = self.result(ours.speak(None, PULL))
        ours.refused(spoken)
        assert self.credentials is not None
        self.assertEqual(self.credentials.refusals, [ROBOT])
        self.assertEqual(len(self.tokens.forgotten), 1)

    def test_refused_token(self) -> None:
        """One token is forgotten, and none of those for other repositories."""
        ours = self.make(BEARER, ROBOT)
        ours.refused(self.result(ours.speak(None, PULL)))
        request = TokenRequest("GET", username="robot", password="s3cret")
        self.assertEqual(self.tokens.forgotten, [(request, PULL)])

    def test_no_right(self) -> None:
        """A token that is refused for its scopes is no refusal of the account."""
        for login, status in ((ROBOT, 400), (ROBOT, 403), (ROBOT, 404), (None, 401)):
            logins = () if login is None else (login,)
            ours = self.make(BEARER, *logins, refusals=(reply(status),))
            self.failure(ours.speak(None, PULL), Denied)
            self.assertEqual(len(self.tokens.asked), 1)
            self.assertEqual(self.tokens.forgotten, [])
        self.failure(
            self.make(BEARER, ROBOT, refusals=(reply(403),)).speak(None, ()),
            OwnAccountRefused,
        )


class SharedTests(SpeakerTestCase):
    def shared(self, *actions: str) -> SharedWithAnonymous:
        """Ours, lent for these actions."""
        return SharedWithAnonymous(
            ClientSpeaks(), self.make(BASIC, ROBOT), frozenset(actions)
        )

    def test_lent(self) -> None:
        """Who brings nothing speaks as we do, for what is lent."""
        spoken = self.result(self.shared("pull").speak(None, PULL))
        self.assertEqual((spoken.value, spoken.is_ours), (ROBOT_BASIC, True))
        more = self.shared("pull", "push")
        self.assertTrue(self.result(more.speak(None, PUSH)).is_ours)

    def test_not_lent(self) -> None:
        """More than that nobody gets: not in part, and not the catalog."""
        both = (*PULL, repository_scope("acme_team/b", "pull", "push"))
        for needed in (PUSH, both, (CATALOG_SCOPE,), (*PULL, CATALOG_SCOPE)):
            spoken = self.result(self.shared("pull").speak(None, needed))
            self.assertEqual((spoken.value, spoken.is_ours), (None, False))

    def test_ones_own(self) -> None:
        """Who brings something, right or wrong, speaks for himself."""
        for given in ("Basic Ym9iOmI=", "", "nonsense"):
            spoken = self.result(self.shared("pull").speak(given, PULL))
            self.assertEqual((spoken.value, spoken.is_ours), (given, False))

    def test_token(self) -> None:
        """A token for nobody is for what of it is lent."""
        ours = self.make(BEARER, ROBOT)
        shared = SharedWithAnonymous(ClientSpeaks(), ours, frozenset({"pull"}))
        self.result(shared.grant((*PUSH, CATALOG_SCOPE)))
        self.assertEqual([scopes for _, scopes in self.tokens.asked], [PULL])

    def test_refused(self) -> None:
        """A refusal is handed on."""
        shared = self.shared("pull")
        shared.refused(self.result(shared.speak(None, PULL)))
        assert self.credentials is not None
        self.assertEqual(self.credentials.refusals, [ROBOT])


class LentTests(SynchronousTestCase):
    def test_cut(self) -> None:
        """Actions that are not lent go, and with the last one the scope."""
        pull = frozenset({"pull"})
        self.assertEqual(lent(PUSH, pull), PULL)
        self.assertEqual(lent((repository_scope("a", "delete"),), pull), ())
        self.assertEqual(lent((repository_scope("a", "*"),), pull), ())
        self.assertEqual(lent((CATALOG_SCOPE,), frozenset({"*"})), ())
