"""Our own account at an upstream: what is said, and what when that is refused."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regbroker.errors import (
    Denied,
    OwnAccountRefused,
    TokensUnavailable,
    TooManyRequests,
)
from regbroker.protocol.challenges import Challenge, parse_challenges
from regbroker.protocol.origins import Origin
from regbroker.protocol.scopes import Scope, repository_scope
from regbroker.protocol.token_replies import IssuedToken
from regbroker.protocol.token_requests import TokenRequest
from regbroker.upstream.authorization import Authorization, Refusal
from regbroker.upstream.credentials import Login
from regbroker.upstream.discovery import Discovered, Discovery
from regbroker.upstream.login_record import FIRST_PAUSE_SECONDS
from regbroker.upstream.login_turns import TURN_SECONDS
from regbroker.upstream.own_account import PROVED_SECONDS, OwnAccount
from regbroker.upstream.token_service import TokenReply
from regbroker.upstream.tokens import TokenRefused
from tests.connectionscase import replied

T = TypeVar("T")

BASIC = parse_challenges(['Basic realm="up"'])
BEARER = parse_challenges(['Bearer realm="https://up.test/token"'])
EXPIRED = '{"errors":[{"code":"DENIED","message":"Your token has expired."}]}'

PULL = (repository_scope("acme_team/app", "pull"),)
PUSH = (repository_scope("acme_team/app", "pull", "push"),)
TAGS = "/v2/acme_team/app/tags/list?n=1"

ROBOT = Login("robot", "s3cret")
ROBOT_BASIC = "Basic cm9ib3Q6czNjcmV0"
NEW = Login("robot", "new s3cret")
NEW_BASIC = "Basic cm9ib3Q6bmV3IHMzY3JldA=="


class FakeReply:
    """A registry's answer to a login of our own."""

    def __init__(self, status: int, body: bytes = b"") -> None:
        self.status = status
        self.deliver = replied(status, body=body).deliver

    def header(self, name: bytes) -> None:
        return None


class FakeUpstream:
    """An upstream with these challenges; it takes the logins in `good`."""

    name = "up"

    def __init__(self, challenges: tuple[Challenge, ...]) -> None:
        self.discovery = Discovery(Origin("https", "up.test", 443))
        self.discovered: Discovered = self.discovery.pinged(challenges)
        self.good: set[str] = {ROBOT_BASIC, NEW_BASIC}
        self.refusal = (401, b"")
        self.shown: list[str] = []
        self.waiting: list[Deferred[None]] | None = None

    async def discover(self) -> Discovered:
        return self.discovered

    def challenged(self, challenges: tuple[Challenge, ...]) -> None:
        self.discovered = self.discovery.challenged(challenges, TAGS, False)

    async def request(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]]
    ) -> Any:
        assert target == self.discovered.proof
        shown = dict(headers)[b"Authorization"].decode()
        self.shown.append(shown)
        if self.waiting is not None:
            waiter: Deferred[None] = Deferred()
            self.waiting.append(waiter)
            await waiter
        if shown in self.good:
            return FakeReply(200)
        return FakeReply(*self.refusal)


class FakeTokens:
    """A token service: gives `token-N`, or what is in `refusals` first."""

    def __init__(self, clock: Clock, *refusals: TokenReply) -> None:
        self.now = clock.seconds
        self.refusals = list(refusals)
        self.asked: list[tuple[TokenRequest, tuple[Scope, ...]]] = []
        self.dropped: list[str] = []
        self.kept: dict[Any, IssuedToken] = {}
        self.waiting: list[Deferred[None]] | None = None
        self.refuse_for: tuple[Scope, ...] = ()

    def cached(
        self, request: TokenRequest, scopes: tuple[Scope, ...]
    ) -> IssuedToken | None:
        return self.kept.get((request, scopes))

    async def get(
        self,
        request: TokenRequest,
        scopes: tuple[Scope, ...],
        max_age: float | None = None,
        is_own: bool = False,
    ) -> IssuedToken:
        self.asked.append((request, scopes))
        number = len(self.asked)
        if self.waiting is not None:
            waiter: Deferred[None] = Deferred()
            self.waiting.append(waiter)
            await waiter
        if scopes and scopes == self.refuse_for:
            raise TokenRefused(reply(401))
        if self.refusals:
            raise TokenRefused(self.refusals.pop(0))
        grant = IssuedToken(f"token-{number}", 1e9, received=self.now())
        self.kept[request, scopes] = grant
        return grant

    def drop(self, token: str) -> None:
        self.dropped.append(token)
        self.kept = {k: grant for k, grant in self.kept.items() if grant.token != token}


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


class AccountTestCase(SynchronousTestCase):
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
    ) -> OwnAccount:
        """Our own account in front of an upstream with these challenges."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.tokens = FakeTokens(self.clock, *refusals)
        self.upstream = FakeUpstream(challenges)
        self.credentials = FakeCredentials(*logins)
        upstream: Any = self.upstream
        tokens: Any = self.tokens
        given = self.credentials if logins else None
        self.account = OwnAccount(upstream, tokens, given, self.clock)
        return self.account

    def say(self, scopes: tuple[Scope, ...] = PULL) -> Authorization:
        """What a request is to say."""
        return self.result(self.account.authorize(scopes))

    def asking(self, names: str) -> list[Deferred[Authorization]]:
        """Requests about other repositories each, at the same time."""
        return [
            Deferred.fromCoroutine(
                self.account.authorize((repository_scope(name, "pull"),))
            )
            for name in names
        ]

    def reconsider(
        self,
        said: Authorization,
        status: int,
        challenges: tuple[Challenge, ...] = (),
        text: str = "",
        needed: tuple[Scope, ...] = PULL,
    ) -> Coroutine[Any, Any, Authorization | None]:
        """Have the registry refuse a request."""
        refusal = Refusal(status, challenges, text)
        return self.account.reconsider(said, needed, refusal)


class SaidTests(AccountTestCase):
    def test_nothing_wanted(self) -> None:
        """An upstream that asks for nothing is told nothing."""
        for logins in ((), (ROBOT,)):
            self.make((), *logins)
            said = self.say()
            self.assertEqual((said.value, said.owner.is_ours), (None, True))
        self.assertEqual(self.upstream.shown, [])

    def test_basic(self) -> None:
        """Where there is no token service, it is Basic, tried before."""
        self.make(BASIC, ROBOT)
        said = self.say()
        self.assertEqual((said.value, said.owner.is_ours), (ROBOT_BASIC, True))
        self.assertNotIn(ROBOT_BASIC, repr(said))
        self.assertNotIn("s3cret", repr(said))
        self.say()
        self.assertEqual(self.upstream.shown, [ROBOT_BASIC])
        # What the registry answers proves it, too.
        self.clock.advance(PROVED_SECONDS)
        self.account.answered(said)
        self.say()
        self.assertEqual(self.upstream.shown, [ROBOT_BASIC])
        self.clock.advance(PROVED_SECONDS)
        self.say()
        self.assertEqual(self.upstream.shown, [ROBOT_BASIC] * 2)

    def test_no_account(self) -> None:
        """Without one, nothing is said, and tokens are asked for as nobody."""
        self.make(BASIC)
        self.assertIsNone(self.say().value)
        self.make(BEARER)
        self.assertEqual(self.say().value, "Bearer token-1")
        self.assertEqual(self.tokens.asked, [(TokenRequest("GET"), PULL)])

    def test_token(self) -> None:
        """A token is asked for what is needed, with the account, and kept."""
        self.make(BEARER, ROBOT)
        request = TokenRequest("GET", username="robot", password="s3cret")
        for _ in range(2):
            self.assertEqual(self.say(PUSH).value, "Bearer token-1")
        self.assertEqual(self.tokens.asked, [(request, PUSH)])

    def test_identity_token(self) -> None:
        """A helper's identity token is posted; it is no password for Basic."""
        login = Login("<token>", "identity")
        self.make(BEARER, login)
        self.say()
        request = TokenRequest("POST", refresh_token="identity")
        self.assertEqual(self.tokens.asked, [(request, PULL)])
        self.make(BASIC, login)
        self.assertIsNone(self.say(()).value)
        self.assertEqual(self.upstream.shown, [])

    def test_learnt_from_a_repository(self) -> None:
        """What a repository asks for is said, from then on without being told."""
        for challenges, value in ((BEARER, "Bearer token-1"), (BASIC, ROBOT_BASIC)):
            self.make((), ROBOT)
            said = self.say()
            self.upstream.challenged(challenges)
            again = self.result(self.reconsider(said, 401, challenges))
            assert again is not None
            self.assertEqual(again.value, value)
            self.assertEqual(self.say().value, value)


class WrongLoginTests(AccountTestCase):
    def test_token_refused_once(self) -> None:
        """Credentials that are refused are asked for anew, and tried once more."""
        self.make(BEARER, ROBOT, NEW, refusals=(reply(401),))
        self.assertEqual(self.say().value, "Bearer token-2")
        passwords = [request.password for request, _ in self.tokens.asked]
        self.assertEqual(passwords, ["s3cret", "new s3cret"])
        self.assertEqual(self.credentials.refusals, [ROBOT])

    def test_token_refused_twice(self) -> None:
        """Then the client hears that it is no fault of his, and the operator more."""
        self.make(BEARER, ROBOT, NEW, refusals=(reply(401), reply(401)))
        with capturedLogs() as events:
            error = self.failure(self.account.authorize(PULL), OwnAccountRefused)
        self.assertEqual(len(self.tokens.asked), 2)
        self.assertEqual(error.headers, ())
        texts = [formatEvent(event) for event in events]
        self.assertEqual(len(texts), 2)
        for words in (*texts, error.message):
            self.assertNotIn("s3cret", words)
        for text in texts:
            self.assertIn("[upstream up]: our own account was refused", text)

    def test_shown_once(self) -> None:
        """A login that was refused is not shown with every request, nor told of."""
        for taken_before in (False, True):
            self.make(BEARER, ROBOT)
            if taken_before:
                self.say(PUSH)
            before = len(self.tokens.asked)
            self.tokens.refusals = [reply(401)] * 9
            with capturedLogs() as events:
                for _ in range(12):
                    self.failure(self.account.authorize(PULL), OwnAccountRefused)
            self.assertEqual(len(self.tokens.asked), before + 1)
            self.assertEqual(len(events), 1)
            # After a pause it is shown for nothing but to log in.
            self.clock.advance(FIRST_PAUSE_SECONDS)
            for _ in range(3):
                self.failure(self.account.authorize(PULL), OwnAccountRefused)
            self.assertEqual([scopes for _, scopes in self.tokens.asked[-1:]], [()])
            self.assertEqual(len(self.tokens.asked), before + 2)
            # Another password is tried at once.
            self.credentials.logins = [NEW]
            self.tokens.refusals.clear()
            self.assertTrue(self.say().value)

    def test_shown_once_at_the_same_time(self) -> None:
        """Who comes while it is tried waits for how that ends."""
        self.make(BEARER, ROBOT, refusals=(reply(401),) * 8)
        self.tokens.waiting = []
        asking = self.asking("abcdefgh")
        self.assertEqual(len(self.tokens.asked), 1)
        self.tokens.waiting[0].callback(None)
        for one in asking:
            self.failureResultOf(one, OwnAccountRefused)
        self.assertEqual(len(self.tokens.asked), 1)

    def test_good_at_the_same_time(self) -> None:
        """With each answer more go on, so that many need a few rounds."""
        self.make(BEARER, ROBOT)
        self.tokens.waiting = []
        asking = self.asking("abcdefghijklmnopqrstuvwxyz")
        rounds = [1]
        while len(self.tokens.asked) < len(asking):
            pending = [w for w in self.tokens.waiting if not w.called]
            for waiter in pending:
                waiter.callback(None)
            rounds.append(len(self.tokens.asked) - sum(rounds))
        self.assertEqual(rounds, [1, 2, 4, 8, 11])
        for waiter in self.tokens.waiting:
            if not waiter.called:
                waiter.callback(None)
        said = {self.successResultOf(one).value for one in asking}
        self.assertEqual(len(said), 26)

    def test_wrong_at_the_same_time_after_it_was_right(self) -> None:
        """A password that was changed a moment ago is shown once, too."""
        self.make(BEARER, ROBOT)
        self.say(PUSH)
        self.tokens.refusals = [reply(401)] * 12
        self.tokens.waiting = []
        asking = self.asking("abcdefghijkl")
        self.assertEqual(len(self.tokens.asked), 2)
        self.tokens.waiting[0].callback(None)
        for one in asking:
            self.failureResultOf(one, OwnAccountRefused)
        self.assertEqual(len(self.tokens.asked), 2)

    def test_basic_at_the_same_time(self) -> None:
        """Basic, too, goes along with one request first, and more as it is taken."""
        self.make(BASIC, ROBOT)
        self.account.answered(self.say())
        asking = self.asking("abcdefghijklmnopqrstuvwxyz")
        rounds: list[int] = []
        while sum(rounds) < len(asking):
            begun = [one for one in asking if one.called][sum(rounds) :]
            rounds.append(len(begun))
            for one in begun:
                self.account.answered(self.successResultOf(one))
        self.assertEqual(rounds, [1, 2, 4, 8, 11])
        self.assertEqual(self.upstream.shown, [ROBOT_BASIC])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_basic_wrong_at_the_same_time_after_it_was_right(self) -> None:
        """A password that was changed a moment ago is shown once, too."""
        for later in (0.0, PROVED_SECONDS / 2):
            self.make(BASIC, ROBOT)
            self.account.answered(self.say())
            self.clock.advance(later)
            asking = self.asking("abcdefghijkl")
            self.assertEqual([one.called for one in asking], [True] + [False] * 11)
            said = self.successResultOf(asking[0])
            self.failure(self.reconsider(said, 401), OwnAccountRefused)
            for one in asking[1:]:
                self.failureResultOf(one, OwnAccountRefused)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_basic_without_an_answer(self) -> None:
        """Who gets none keeps its turn for a while, or until it is given up."""
        self.make(BASIC, ROBOT)
        self.account.answered(self.say())
        asking = self.asking("abcd")
        self.clock.advance(TURN_SECONDS)
        self.assertEqual([one.called for one in asking], [True, True, False, False])
        # The first one's answer comes late, and counts.
        self.account.answered(self.successResultOf(asking[0]))
        self.assertTrue(asking[2].called)
        asking[3].addErrback(lambda _: None)
        asking[3].cancel()
        for one in asking[1:3]:
            said = self.successResultOf(one)
            said.release()
            said.release()
        first, second = self.asking("ef")
        self.assertEqual((first.called, second.called), (True, False))

    def test_one_who_leaves(self) -> None:
        """A trial that is given up is another's turn."""
        self.make(BEARER, ROBOT)
        self.tokens.waiting = []
        first, second = self.asking("ab")
        first.addErrback(lambda _: None)
        first.cancel()
        self.assertEqual(len(self.tokens.asked), 2)
        self.tokens.waiting[1].callback(None)
        self.assertTrue(self.successResultOf(second).value)

    def test_no_verdict(self) -> None:
        """Who waits for a token service that fails is not kept waiting by turns."""
        self.make(BEARER, ROBOT, refusals=(reply(503),))
        self.tokens.waiting = []
        asking = self.asking("abcd")
        self.tokens.waiting[0].callback(None)
        for one in asking:
            self.failureResultOf(one, TokensUnavailable)
        self.assertEqual(len(self.tokens.asked), 1)
        self.tokens.waiting = None
        self.assertTrue(self.say().value)

    def test_for_want_of_a_right(self) -> None:
        """A login that proves good is not doubted again about the same name."""
        self.make(BEARER, ROBOT, refusals=(reply(401),))
        self.failure(self.account.authorize(PULL), OwnAccountRefused)
        self.clock.advance(FIRST_PAUSE_SECONDS)
        self.tokens.refuse_for = PULL
        for _ in range(3):
            self.failure(self.account.authorize(PULL), Denied)
        self.assertEqual([scopes for _, scopes in self.tokens.asked], [PULL, (), PULL])
        other = (repository_scope("acme_team/b", "pull"),)
        self.assertTrue(self.say(other).value)

    def test_basic(self) -> None:
        """Basic that is refused is shown once, whatever was known of it before."""
        for taken_before in (False, True):
            self.make(BASIC, ROBOT)
            if taken_before:
                said = self.say()
            self.upstream.good.clear()
            if taken_before:
                error = self.failure(self.reconsider(said, 401), OwnAccountRefused)
            else:
                error = self.failure(self.account.authorize(PULL), OwnAccountRefused)
            self.assertNotIn("s3cret", error.message)
            for _ in range(6):
                self.failure(self.account.authorize(PULL), OwnAccountRefused)
            self.assertEqual(self.upstream.shown, [ROBOT_BASIC])
            self.credentials.logins = [NEW]
            self.upstream.good = {NEW_BASIC}
            self.assertEqual(self.say().value, NEW_BASIC)

    def test_basic_for_want_of_a_right(self) -> None:
        """Some say 401 for it: the others rest for a pause, and once."""
        self.make(BASIC, ROBOT)
        said = self.say()
        self.failure(self.reconsider(said, 401), OwnAccountRefused)
        self.clock.advance(FIRST_PAUSE_SECONDS)
        self.failure(self.reconsider(self.say(), 401), Denied)
        self.failure(self.account.authorize(PULL), Denied)
        other = (repository_scope("acme_team/b", "pull"),)
        self.assertEqual(self.say(other).value, ROBOT_BASIC)

    def test_no_account(self) -> None:
        """What nobody gets without one is said as it is."""
        self.make(())
        self.upstream.challenged(BASIC)
        self.failure(self.reconsider(self.say(), 401, BASIC), Denied)
        self.make(BASIC)
        with capturedLogs() as events:
            for _ in range(3):
                self.failure(self.reconsider(self.say(), 401, BASIC), OwnAccountRefused)
        (event,) = events
        self.assertIn("there is none here; write username", formatEvent(event))


class ExpiredLoginTests(AccountTestCase):
    def test_renewed(self) -> None:
        """A login that has run out is asked for anew, and the request is repeated."""
        self.make(BASIC, ROBOT, NEW)
        said = self.say()
        again = self.result(self.reconsider(said, 403, text=EXPIRED))
        assert again is not None
        self.assertEqual(again.value, NEW_BASIC)

    def test_noticed_before(self) -> None:
        """Who has not been there for a while finds out without a request's body."""
        self.make(BASIC, ROBOT, NEW)
        self.upstream.good = {NEW_BASIC}
        self.upstream.refusal = (403, EXPIRED.encode())
        self.assertEqual(self.say(PUSH).value, NEW_BASIC)
        self.assertEqual(self.upstream.shown, [ROBOT_BASIC, NEW_BASIC])

    def test_no_other(self) -> None:
        """The same login again is not shown again."""
        self.make(BASIC, ROBOT)
        said = self.say()
        self.failure(self.reconsider(said, 403, text=EXPIRED), OwnAccountRefused)
        self.failure(self.account.authorize(PULL), OwnAccountRefused)
        self.assertEqual(self.upstream.shown, [ROBOT_BASIC])

    def test_not_said_why(self) -> None:
        """A 403 that does not say why is the answer, unless there is another login."""
        self.make(BASIC, ROBOT)
        for _ in range(4):
            self.assertIsNone(self.result(self.reconsider(self.say(), 403)))
        self.assertEqual(len(self.credentials.refusals), 1)
        self.credentials.logins = [ROBOT, NEW]
        self.clock.advance(600)
        again = self.result(self.reconsider(self.say(), 403))
        assert again is not None
        self.assertEqual(again.value, NEW_BASIC)


class RefusedTokenTests(AccountTestCase):
    def test_no_right(self) -> None:
        """A token got a moment ago and refused has no right, whatever is said."""
        insufficient = parse_challenges(['Bearer realm="x",error="insufficient_scope"'])
        for challenges in (BEARER, BASIC, insufficient, ()):
            for logins in ((), (ROBOT,)):
                self.make(BEARER, *logins)
                with capturedLogs() as events:
                    self.failure(self.reconsider(self.say(), 401, challenges), Denied)
                self.assertEqual(events, [])
                self.assertEqual(len(self.tokens.asked), 1)
                self.assertEqual(self.tokens.dropped, ["token-1"])
                # Rights that are granted now count at once.
                self.assertEqual(self.say().value, "Bearer token-2")

    def test_forbidden(self) -> None:
        """A 403 to such a token is the answer."""
        self.make(BEARER, ROBOT)
        self.assertIsNone(self.result(self.reconsider(self.say(), 403)))
        self.assertEqual(self.tokens.dropped, ["token-1"])

    def test_old_token(self) -> None:
        """One that was kept is fetched anew, once."""
        for status in (401, 403):
            self.make(BEARER, ROBOT)
            self.say()
            self.clock.advance(1)
            said = self.say()
            again = self.result(self.reconsider(said, status))
            assert again is not None
            self.assertEqual(
                (said.value, again.value), ("Bearer token-1", "Bearer token-2")
            )
            self.assertEqual(self.tokens.dropped, ["token-1"])

    def test_wider_scope(self) -> None:
        """Azure names another action for the same repository: one more token."""
        self.make(BEARER, ROBOT)
        said = self.say()
        for name, is_same in (("acme_team/app", True), ("acme_team/other", False)):
            wanted = parse_challenges(
                [f'Bearer realm="x",scope="repository:{name}:metadata_read"']
            )
            if not is_same:
                self.failure(self.reconsider(said, 401, wanted), Denied)
                continue
            again = self.result(self.reconsider(said, 401, wanted))
            assert again is not None
            ((scope,),) = [scopes for _, scopes in self.tokens.asked[1:]]
            self.assertEqual(scope.actions, ("pull", "metadata_read"))
            self.assertEqual(self.tokens.dropped, [])
            self.failure(self.reconsider(again, 401, wanted), Denied)

    def test_token_service_busy(self) -> None:
        """A token service that is busy is not a refused account."""
        self.make(BEARER, ROBOT, refusals=(reply(429, Retry_After="7"), reply(500)))
        error = self.failure(self.account.authorize(PULL), TooManyRequests)
        self.assertEqual(error.headers, ((b"Retry-After", b"7"),))
        self.failure(self.account.authorize(PULL), TokensUnavailable)
        self.assertEqual(self.credentials.refusals, [])

    def test_refused_for_its_scopes(self) -> None:
        """A token that is not given for its scopes is no refusal of the account."""
        for login, status in ((ROBOT, 400), (ROBOT, 403), (ROBOT, 404), (None, 401)):
            self.make(
                BEARER,
                *(() if login is None else (login,)),
                refusals=(reply(status),),
            )
            self.failure(self.account.authorize(PULL), Denied)
            # A login that nobody has taken yet is looked at by itself, once.
            scopes = [asked for _, asked in self.tokens.asked]
            self.assertEqual(scopes, [PULL, ()] if login else [PULL])
            self.tokens.refusals = [reply(status)]
            self.failure(self.account.authorize(PUSH), Denied)
            self.assertEqual(self.tokens.asked[-1][1], PUSH)

    def test_forbidden_to_log_in(self) -> None:
        """Some token services say 403 to a wrong password: it is shown no more."""
        self.make(BEARER, ROBOT, refusals=(reply(403),) * 9)
        for scopes in (PULL, PUSH, ()):
            for _ in range(4):
                self.failure(self.account.authorize(scopes), OwnAccountRefused)
        self.assertEqual(len(self.tokens.asked), 2)
        self.clock.advance(FIRST_PAUSE_SECONDS)
        self.failure(self.account.authorize(PULL), OwnAccountRefused)
        self.assertEqual(len(self.tokens.asked), 3)
        self.tokens.refusals.clear()
        self.clock.advance(2 * FIRST_PAUSE_SECONDS)
        self.assertTrue(self.say().value)
