"""
However an upstream answers, a wrong login of ours is shown once, and then rests.

Registries lock accounts for wrong passwords. So this is a property over whatever
sequence of answers, requests, pauses and changed passwords there is, and not a case.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regbroker.errors import HTTPError, UpstreamTimeout
from regbroker.protocol.challenges import parse_challenges
from regbroker.protocol.origins import Origin
from regbroker.protocol.scopes import Scope, repository_scope
from regbroker.protocol.token_exchange import IssuedToken, TokenRequest, parse_basic
from regbroker.transport.client_reply import _ReadResponse
from regbroker.upstream.authorization import Refusal
from regbroker.upstream.credentials import Login
from regbroker.upstream.discovery import Discovered, Discovery
from regbroker.upstream.login_record import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS
from regbroker.upstream.own_account import OwnAccount
from regbroker.upstream.token_service import TokenReply
from regbroker.upstream.tokens import TokenRefused

BASIC = parse_challenges(['Basic realm="up"'])
BEARER = parse_challenges(['Bearer realm="https://up.test/token"'])

#: What a server may answer instead of judging a login; 0 is nothing at all.
MOODS = st.sampled_from([200, 403, 429, 500, 503, 0])

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from("abc")),
        st.tuples(st.just("mood"), MOODS),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 3, 12, 60, 400, 1000])),
        st.tuples(st.just("ours"), st.sampled_from(["one", "two", "three"])),
        st.tuples(st.just("theirs"), st.sampled_from(["one", "two", "three"])),
    ),
    max_size=40,
)


class Upstream:
    """A registry and its token service, that judge logins, or are in a mood."""

    name = "up"

    def __init__(self, clock: Clock, challenges: Any) -> None:
        self.clock = clock
        self.now = clock.seconds
        self.password = "one"
        self.moods: list[int] = []
        self.refused: list[tuple[float, str]] = []
        self.granted = 0
        self.taken = 0
        self.discovered: Discovered = Discovery(Origin("https", "up.test", 443)).pinged(
            challenges
        )

    async def discover(self) -> Discovered:
        return self.discovered

    def judge(self, password: str) -> int:
        """The status for a login."""
        mood = self.moods.pop(0) if self.moods else 200
        if mood == 0:
            raise UpstreamTimeout("it did not answer")
        if mood != 200 or password == self.password:
            self.taken += mood == 200
            return mood
        self.refused.append((self.now(), password))
        return 401

    # The registry.

    async def request(self, method: str, target: str, headers: Any) -> Any:
        given = parse_basic(dict(headers)[b"Authorization"].decode())
        assert given is not None
        return Reply(self.judge(given[1]))

    # The token service.

    def cached(self, request: TokenRequest, scopes: tuple[Scope, ...]) -> None:
        return None

    async def get(
        self,
        request: TokenRequest,
        scopes: tuple[Scope, ...],
        max_age: float | None = None,
    ) -> IssuedToken:
        status = self.judge(request.password)
        if status != 200:
            raise TokenRefused(TokenReply(status, Headers(), b""))
        self.granted += 1
        return IssuedToken(f"token-{self.granted}", 1e9, received=self.now())

    def drop(self, token: str) -> None:
        """Nothing is kept."""


class Reply:
    """A registry's answer."""

    closed_in_order = True

    def __init__(self, status: int) -> None:
        self.status = status
        self.deliver = _ReadResponse(b"").deliverBody

    def header(self, name: bytes) -> None:
        return None


class Credentials:
    """What a file holds."""

    password = "one"

    async def get(self) -> Login:
        return Login("robot", self.password)

    def refused(self, login: Login | None = None) -> None:
        """The file is looked at every time."""

    def close(self) -> None:
        """Nothing is open."""


class ShownTests(SynchronousTestCase):
    async def ask(self, upstream: Upstream, account: OwnAccount, name: str) -> None:
        """Relay a request, as it is relayed."""
        needed = (repository_scope(name, "pull"),)
        try:
            said = await account.authorize(needed)
            try:
                for _ in range(3):
                    if said.login is None:
                        return
                    status = upstream.judge(said.login.password)
                    if status not in (401, 403):
                        if status == 200:
                            account.answered(said)
                        return
                    again = await account.reconsider(said, needed, Refusal(status))
                    if again is None:
                        return
                    said = again
            finally:
                said.release()
        except HTTPError:
            pass

    def shown(self, challenges: Any, steps: list[tuple[str, Any]]) -> None:
        """Go through all steps, and look at how often what was shown."""
        clock = Clock()
        clock.advance(1000)
        upstream: Any = Upstream(clock, challenges)
        credentials = Credentials()
        account = OwnAccount(upstream, upstream, credentials, clock)
        epoch, shown = 0, []
        with capturedLogs():
            for step, value in steps:
                if step == "mood":
                    upstream.moods.append(value)
                elif step == "wait":
                    clock.advance(value)
                elif step == "theirs":
                    upstream.password = value
                elif step == "ours":
                    epoch += credentials.password != value
                    credentials.password = value
                else:
                    before, taken = len(upstream.refused), upstream.taken
                    asking = Deferred.fromCoroutine(self.ask(upstream, account, value))
                    self.successResultOf(asking)
                    shown += [(epoch, when) for when, _ in upstream.refused[before:]]
                    # What was right once may be wrong another time.
                    epoch += upstream.taken > taken
        self.check(shown)

    def check(self, shown: list[tuple[int, float]]) -> None:
        """One refusal for each password, and one more after each growing pause."""
        for epoch in {epoch for epoch, _ in shown}:
            times = [when for one, when in shown if one == epoch]
            pause = FIRST_PAUSE_SECONDS
            for earlier, later in pairwise(times):
                self.assertGreaterEqual(later - earlier, pause)
                pause = min(2 * pause, LAST_PAUSE_SECONDS)

    @given(STEPS)
    def test_token_service(self, steps: list[tuple[str, Any]]) -> None:
        """Where logins are for tokens."""
        self.shown(BEARER, steps)

    @given(STEPS)
    def test_basic(self, steps: list[tuple[str, Any]]) -> None:
        """Where they are Basic."""
        self.shown(BASIC, steps)
