"""
However an upstream answers, a wrong login of ours is sent once, and then not for a
while.

Registries lock accounts for wrong passwords. So this is a property over whatever
sequence of answers, requests, pauses and changed passwords there is, and not a case.
"""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import HTTPError, UpstreamTimeout
from regbroker.upstream.login_record import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS
from regbroker.upstream.own_account import OwnAccount
from tests.scenarios.login_case import (
    BASIC,
    BEARER,
    Credentials,
    JudgingUpstream,
    relay,
)

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


class Upstream(JudgingUpstream):
    """Judges logins at once, or is in a mood."""

    def __init__(self, clock: Clock, challenges: Any) -> None:
        super().__init__(clock, challenges)
        self.moods: list[int] = []
        self.refused: list[tuple[float, str]] = []
        self.taken = 0

    async def judge(self, password: str) -> int:
        mood = self.moods.pop(0) if self.moods else 200
        if mood == 0:
            raise UpstreamTimeout("it did not answer")
        if mood != 200 or password == self.password:
            self.taken += mood == 200
            return mood
        self.refused.append((self.now(), password))
        return 401


class ShownTests(SynchronousTestCase):
    async def ask(self, upstream: Upstream, account: OwnAccount, name: str) -> None:
        """Relay a request, which may fail."""
        with contextlib.suppress(HTTPError):
            await relay(upstream, account, name)

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
