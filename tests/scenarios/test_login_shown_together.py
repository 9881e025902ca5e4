"""
A wrong login of ours is shown once, also by many requests at the same time, to an
upstream that takes its time, answers in any order, or not at all, and to clients who
leave.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import HTTPError, UpstreamTimeout
from regbroker.upstream.credentials import Login
from regbroker.upstream.login_record import FIRST_PAUSE_SECONDS
from regbroker.upstream.login_turns import CONFIRMED_SECONDS, TURN_SECONDS
from regbroker.upstream.own_account import OwnAccount
from regbroker.upstream.tokens import TOKEN_SECONDS
from tests.scenarios.login_case import (
    BASIC,
    BEARER,
    Credentials,
    JudgingUpstream,
    relay,
)

#: What is said instead of a verdict; 0 is nothing at all.
OUTAGES = (429, 500, 503, 0)

#: The login is somebody's, who has no right.
FORBIDDEN = 403

PASSWORDS = st.sampled_from(["one", "two"])

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from("abcd")),
        st.tuples(st.just("ask"), st.sampled_from("abcd")),
        st.tuples(st.just("verdict"), st.integers(0, 5)),
        st.tuples(st.just("verdict"), st.integers(0, 5)),
        st.tuples(st.just("answer"), st.sampled_from((*OUTAGES, FORBIDDEN))),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.sampled_from([0.3, 0.8, 1.5, 3, 10, 30, 400])),
        st.tuples(st.just("ours"), PASSWORDS),
        st.tuples(st.just("theirs"), PASSWORDS),
    ),
    max_size=50,
)


#: Some wait for how a login ends that is replaced meanwhile.
REPLACED: list[tuple[str, Any]] = [
    ("ask", "a"),
    ("ask", "a"),
    ("ours", "two"),
    ("ask", "a"),
    ("verdict", 0),
    ("ask", "a"),
]
REPLACED_AFTER_A_REFUSAL: list[tuple[str, Any]] = [
    ("ask", "a"),
    ("ours", "two"),
    ("ask", "a"),
    ("ask", "a"),
    ("verdict", 0),
    ("ours", "one"),
    ("ask", "a"),
]
#: The same login comes back while others are tried.
BACK_AGAIN: list[tuple[str, Any]] = [
    ("ask", "a"),
    ("ours", "two"),
    ("ask", "a"),
    ("ours", "one"),
    ("ask", "a"),
]


@dataclass
class Showing:
    """
    A login on its way.

    `is_confirmed` says that it had been taken a moment ago: more may show it then,
    `most` at once. `others` is how many others kept their turn.
    """

    when: float
    login: tuple[str, int]
    is_right: bool
    is_confirmed: bool
    others: int
    most: int
    #: When the last refusal of it had been heard; None since it was taken, or new.
    refused_at: float | None
    status: Deferred[int] = field(default_factory=Deferred)


class SlowUpstream(JudgingUpstream):
    """Judges a login when the test says so."""

    def __init__(self, clock: Clock, challenges: Any) -> None:
        super().__init__(clock, challenges)
        #: A request that carries Basic keeps its turn for so long.
        self.turn_seconds = math.inf if challenges == BEARER else TURN_SECONDS
        self.pending: list[Showing] = []
        #: How many logins may be on their way: one, and one more for each that was
        #: taken while there was one.
        self.most = 1
        self.shown: list[Showing] = []
        #: How often it became ours, by password: what comes back is a new login.
        self.became_ours: Counter[str] = Counter()
        self.refused_at: dict[tuple[str, int], float] = {}
        self.taken_at: dict[str, float] = {}

    async def judge(self, password: str) -> int:
        """The status for a login, once a test says so."""
        login = password, self.became_ours[password]
        taken_at = self.taken_at.get(password, -math.inf)
        others = [one for one in self.pending if one.login == login]
        showing = Showing(
            self.now(),
            login,
            password == self.password,
            self.now() - taken_at <= CONFIRMED_SECONDS,
            sum(self.now() - one.when < self.turn_seconds for one in others),
            self.most,
            self.refused_at.get(login),
        )
        self.pending.append(showing)
        self.shown.append(showing)
        try:
            status = await showing.status
        except CancelledError:
            if showing in self.pending:
                self.pending.remove(showing)
            raise
        if status == 0:
            raise UpstreamTimeout("it did not answer")
        return status

    def answer(self, index: int, status: int | None = None) -> None:
        """Answer one that waits; with the truth, if nothing is said."""
        if not self.pending:
            return
        showing = self.pending.pop(index % len(self.pending))
        if status is None:
            status = 200 if showing.is_right else 401
        if status == 401:
            # What was asked before the last refusal had come is no news.
            if self.refused_at.get(showing.login, -math.inf) < showing.when:
                self.refused_at[showing.login] = self.now()
        elif status not in OUTAGES:
            self.taken_at[showing.login[0]] = self.now()
            self.most += 1
            if self.refused_at.get(showing.login, 0.0) <= showing.when:
                self.refused_at.pop(showing.login, None)
        showing.status.callback(status)
        if not self.pending:
            self.most = 1

    def give_up(self) -> None:
        """Nobody waits for an answer longer than `TOKEN_SECONDS`."""
        while self.pending and self.now() - self.pending[0].when >= TOKEN_SECONDS:
            self.answer(0, 0)


class SeenCredentials(Credentials):
    """Tells an upstream when another login is ours than before."""

    def __init__(self, upstream: SlowUpstream) -> None:
        self._upstream = upstream
        self._seen = self.password

    async def get(self) -> Login:
        if self.password != self._seen:
            self._seen = self.password
            self._upstream.became_ours[self.password] += 1
        return await super().get()


class TogetherTests(SynchronousTestCase):
    async def ask(self, upstream: SlowUpstream, account: OwnAccount, name: str) -> None:
        """Relay a request, which may fail, or be left by its client."""
        with contextlib.suppress(HTTPError, CancelledError):
            await relay(upstream, account, name)

    def run_steps(self, challenges: Any, steps: list[tuple[str, Any]]) -> SlowUpstream:
        """Go through all steps, then answer all that wait; return what was seen."""
        clock = Clock()
        clock.advance(1000)
        upstream = SlowUpstream(clock, challenges)
        anything: Any = upstream
        credentials = SeenCredentials(upstream)
        account = OwnAccount(anything, anything, credentials, clock)
        asking: list[Deferred[None]] = []
        with capturedLogs():
            for step, value in steps:
                if step == "ask":
                    work = self.ask(upstream, account, value)
                    asking.append(Deferred.fromCoroutine(work))
                elif step == "verdict":
                    upstream.answer(value)
                elif step == "answer":
                    upstream.answer(0, value)
                elif step == "leave" and asking:
                    asking.pop(value % len(asking)).cancel()
                elif step == "wait":
                    clock.advance(value)
                    upstream.give_up()
                elif step == "theirs":
                    upstream.password = value
                elif step == "ours":
                    credentials.password = value
            for _ in range(10 * len(steps) + 10):
                upstream.answer(0)
        for waiting in asking:
            self.assertTrue(waiting.called, "somebody waits for ever")
        return upstream

    def check(self, upstream: SlowUpstream) -> None:
        """One at a time shows what is not known to be good, and rests when refused."""
        for showing in upstream.shown:
            most = showing.most if showing.is_confirmed else 1
            self.assertLess(showing.others, most, "too many show it at once")
            if showing.refused_at is not None:
                passed = showing.when - showing.refused_at
                self.assertGreaterEqual(passed, FIRST_PAUSE_SECONDS)

    @given(STEPS)
    @example(REPLACED)
    @example(REPLACED_AFTER_A_REFUSAL)
    @example(BACK_AGAIN)
    def test_token_service(self, steps: list[tuple[str, Any]]) -> None:
        """Where logins are for tokens."""
        self.check(self.run_steps(BEARER, steps))

    @given(STEPS)
    @example(REPLACED)
    @example(REPLACED_AFTER_A_REFUSAL)
    @example(BACK_AGAIN)
    def test_basic(self, steps: list[tuple[str, Any]]) -> None:
        """Where they are Basic, tried before or taken a moment ago."""
        self.check(self.run_steps(BASIC, steps))
