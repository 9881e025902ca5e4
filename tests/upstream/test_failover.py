"""The plan of a failover as a pure function, and the loop that goes over it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import (
    HTTPError,
    NameUnknown,
    TooManyRequests,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.runtime.in_time import TimedOut
from regbroker.upstream.circuit_breaker import CircuitBreakers
from regbroker.upstream.failover import (
    Answered,
    Circuit,
    Failed,
    Failover,
    Fault,
    Server,
    Step,
    most_useful,
    open_error,
    plan,
)

A, B, C = Circuit("a"), Circuit("b"), Circuit("c")
OPEN_A = Circuit("a", is_open=True)
TOLD_A = Circuit("a", is_open=True, is_told=True)
TOLD_B = Circuit("b", is_open=True, is_told=True)

CIRCUITS = st.lists(
    st.sampled_from([(False, False), (True, False), (True, True)]), max_size=5
).map(lambda each: [Circuit(f"u{i}", *state) for i, state in enumerate(each)])


def planned(circuits: list[Circuit], **more: Any) -> tuple[Step, ...]:
    """The whole plan."""
    return tuple(plan(circuits, **more))


class PlanTests(SynchronousTestCase):
    def test_in_order(self) -> None:
        """The given order; who has somebody behind is hurried."""
        self.assertEqual(
            planned([A, B]), (Step("a", is_hurried=True), Step("b", is_hurried=False))
        )

    def test_open(self) -> None:
        """One whose circuit is open comes last, and is asked: better than never."""
        self.assertEqual(planned([OPEN_A, B]), (Step("b"), Step("a")))

    def test_told(self) -> None:
        """One that has said when is not asked, and nobody is hurried for it."""
        self.assertEqual(planned([TOLD_A, B]), (Step("b"), Step("a", is_asked=False)))
        self.assertEqual(planned([A, TOLD_B]), (Step("a"), Step("b", is_asked=False)))

    def test_ahead(self) -> None:
        """One that must be asked first is, and its answer does not close a circuit."""
        for circuit in (OPEN_A, TOLD_A):
            self.assertEqual(
                planned([circuit, B], ahead="a"),
                (Step("a", counts=False, is_hurried=True), Step("b")),
            )
        self.assertEqual(planned([A, B], ahead="a"), planned([A, B]))

    def test_replaceable(self) -> None:
        """Where others can give the same, nobody waits, and nobody asks too early."""
        self.assertEqual(
            planned([A], is_replaceable=True), (Step("a", is_hurried=True),)
        )
        (step,) = planned([OPEN_A], is_replaceable=True)
        self.assertFalse(step.is_asked)

    @given(CIRCUITS, st.booleans())
    def test_everybody_once(
        self, circuits: list[Circuit], is_replaceable: bool
    ) -> None:
        """Each has one step; closed circuits come before open ones, in order."""
        steps = planned(circuits, is_replaceable=is_replaceable)
        closed = [one.name for one in circuits if not one.is_open]
        opened = [one.name for one in circuits if one.is_open]
        self.assertEqual([step.name for step in steps], closed + opened)


class LoopTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.failover = Failover(self.clock, self.clock.seconds)
        self.asked: list[str] = []
        self.checks: list[str] = []
        self.answers: dict[str, Any] = {}
        self.servers = {name: self.server(name) for name in "ab"}

    def server(self, name: str) -> Server:
        """A server whose checks fail."""

        async def check() -> None:
            self.checks.append(name)
            raise UpstreamUnavailable("down")

        circuits = CircuitBreakers(self.clock.seconds, 10.0)
        return Server(name, f"[upstream {name}]", circuits, "alice", check, 10.0)

    async def work(self, step: Step) -> str:
        """Ask a server."""
        self.asked.append(step.name)
        answer = self.answers.get(step.name, f"from {step.name}")
        if isinstance(answer, Deferred):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    def judge(self, step: Step, error: Exception) -> Failed | None:
        """A judge for the errors of these tests."""
        if isinstance(error, TimedOut):
            return Failed(step.name, UpstreamTimeout("slow"), Fault.UPSTREAM)
        faults = {
            TooManyRequests: Fault.ACCOUNT,
            UpstreamMalformed: Fault.NAME,
            UpstreamUnavailable: Fault.UPSTREAM,
            NameUnknown: Fault.NOBODY,
        }
        if not isinstance(error, HTTPError) or type(error) not in faults:
            return None
        return Failed(step.name, error, faults[type(error)])

    def begin(self, **options: Any) -> Deferred[Any]:
        """Ask all servers, in order."""
        asking: Coroutine[Any, Any, Any] = self.failover.first_answer(
            list(self.servers.values()), self.work, self.judge, **options
        )
        return Deferred.fromCoroutine(asking)

    def outcome(self, **options: Any) -> Any:
        """What becomes of it at once."""
        self.asked = []
        return self.successResultOf(self.begin(**options))


class LoopTests(LoopTestCase):
    def test_first(self) -> None:
        """The first that answers is the last that is asked."""
        self.assertEqual(self.outcome(), Answered("a", "from a"))
        self.assertEqual(self.asked, ["a"])

    def test_next(self) -> None:
        """One that fails is passed over, and its circuit opens."""
        self.answers["a"] = UpstreamUnavailable("down")
        self.assertEqual(self.outcome(), Answered("b", "from b"))
        self.assertEqual(self.asked, ["a", "b"])
        self.assertEqual(self.checks, ["a"])
        self.assertTrue(self.servers["a"].state.is_open)
        self.outcome()
        self.assertEqual(self.asked, ["b"])

    def test_faults(self) -> None:
        """The account's opens the circuit for the account alone, the name's none."""
        circuits = self.servers["a"].circuits
        for error, for_alice, for_bob in (
            (UpstreamMalformed("odd"), False, False),
            (TooManyRequests("limit"), True, False),
        ):
            self.answers["a"] = error
            self.outcome()
            self.assertEqual(circuits.current("alice").open_seconds > 0, for_alice)
            self.assertEqual(circuits.current("bob").open_seconds > 0, for_bob)
        self.assertEqual(self.checks, [])

    def test_all_fail(self) -> None:
        """All failures are returned, in the order in which they happened."""
        self.answers["a"] = UpstreamUnavailable("down")
        self.answers["b"] = TooManyRequests("limit", headers=[(b"Retry-After", b"9")])
        failures = self.outcome()
        self.assertEqual([one.name for one in failures], ["a", "b"])
        self.assertEqual(most_useful(failures).name, "b")
        # The one that has not said when is asked again; the other is not.
        failures = self.outcome()
        self.assertEqual(self.asked, ["a"])
        self.assertEqual([one.was_asked for one in failures], [True, False])
        self.assertEqual(failures[1].error.header(b"Retry-After"), "9")

    def test_hurried(self) -> None:
        """One that is slow is cancelled; the last one is waited for."""
        slow: Deferred[str] = Deferred()
        last: Deferred[str] = Deferred()
        self.answers.update(a=slow, b=last)
        asking = self.begin()
        self.clock.advance(10)
        self.assertEqual(self.asked, ["a", "b"])
        self.clock.advance(1000)
        last.callback("late")
        self.assertEqual(self.successResultOf(asking), Answered("b", "late"))

    def test_client_leaves(self) -> None:
        """What is about no server is raised, and a half-open circuit is free again."""
        self.answers["a"] = UpstreamUnavailable("down")
        self.outcome()
        self.clock.advance(1)
        self.answers["a"] = Deferred()
        asking = self.begin()
        self.assertTrue(self.servers["a"].state.is_open)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertFalse(self.servers["a"].state.is_open)

    def test_answer_closes(self) -> None:
        """An answer closes the circuit, unless the attempt was out of turn."""
        self.answers["a"] = UpstreamUnavailable("down")
        self.outcome()
        del self.answers["a"]
        self.clock.advance(0.5)
        self.assertEqual(self.outcome(ahead="a"), Answered("a", "from a"))
        self.assertTrue(self.servers["a"].state.is_open)
        self.clock.advance(0.5)
        self.outcome()
        self.assertEqual(self.asked, ["a"])
        self.clock.advance(0.1)
        self.outcome()
        self.assertEqual(self.asked, ["a"])

    def test_no_to_anybody_closes(self) -> None:
        """A server that says no to whoever asks is there: its circuit closes."""
        self.answers["a"] = UpstreamUnavailable("down")
        self.outcome()
        self.clock.advance(1)
        self.answers["a"] = NameUnknown("no such repository")
        self.assertEqual(self.outcome(), Answered("b", "from b"))
        self.assertEqual(self.servers["a"].circuits.current("alice").open_seconds, 0)

    def test_final(self) -> None:
        """What no other would say otherwise is raised at once."""
        error = UpstreamMalformed("odd")
        self.answers["a"] = error

        def judge(step: Step, _: Exception) -> Failed:
            return Failed(step.name, error, Fault.NAME, is_final=True)

        servers = list(self.servers.values())
        asking = self.failover.first_answer(servers, self.work, judge)
        self.failureResultOf(Deferred.fromCoroutine(asking), UpstreamMalformed)
        self.assertEqual(self.asked, ["a"])


class MostUsefulTests(SynchronousTestCase):
    def test_order(self) -> None:
        """429 says most, then 503, 504 and 502; of two alike, the first."""
        errors = [
            UpstreamMalformed("502"),
            UpstreamTimeout("504"),
            UpstreamUnavailable("503"),
            TooManyRequests("429"),
        ]
        failures = [Failed(error.message, error, Fault.NAME) for error in errors]
        while failures:
            self.assertIs(most_useful([failures[0], *failures]), failures[-1])
            failures.pop()

    def test_open(self) -> None:
        """The error for one that is not asked says when to come again."""
        clock = Clock()
        circuits = CircuitBreakers(clock.seconds, 10.0)
        circuits.failed("alice", 429, 30.0, 0.0)
        circuits.failed("bob", 503, 5.0, 0.0)
        for account, status, seconds in (("alice", 429, "30"), ("bob", 503, "5")):
            error = open_error(circuits.current(account))
            self.assertEqual(error.status, status)
            self.assertEqual(error.header(b"Retry-After"), seconds)
