"""
Failover: a plan of attempts, and the loop that makes them.

Several upstreams can answer the same request. `plan` is a pure function: it takes what
the circuit breakers say and yields the attempts in their order. `first_answer` goes
over the plan until one attempt is answered. Each attempt ends as a value: `Answered`,
or `Failed` with whose failure it is. Requests to registries and to token services use
the same loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from twisted.internet.interfaces import IReactorTime

from regbroker.causes import Cause
from regbroker.errors import HTTPError, TooManyRequests, UpstreamUnavailable
from regbroker.protocol.retry_after import retry_after
from regbroker.runtime.in_time import InTime
from regbroker.upstream.attempts import Attempt
from regbroker.upstream.circuit_breaker import CircuitBreaker, CircuitBreakers

T = TypeVar("T")


class Fault(Enum):
    """Whose failure a failed attempt is; that decides which circuit it opens."""

    #: A limit, mostly. It opens the circuit for this account alone.
    ACCOUNT = "the account's"
    #: It says something about what was asked for, and nothing about the upstream.
    NAME = "the name's"
    #: It opens the circuit for everybody, once a check of our own fails as well.
    UPSTREAM = "the upstream's"
    #: The upstream has answered, and does not have what was asked for.
    NOBODY = "nobody's"


class Circuit(NamedTuple):
    """
    What the circuit breaker of one upstream says now.

    `is_told` means that the circuit is open and the upstream has said until when.
    """

    name: str
    is_open: bool = False
    is_told: bool = False


class Step(NamedTuple):
    """
    One attempt of a plan.

    With `is_asked` false the upstream is left out: its circuit is open, and the attempt
    fails at once. An answer closes the circuit if it `counts`. With `is_hurried` the
    attempt ends after the upstream's answer timeout, since another can be asked.
    """

    name: str
    is_asked: bool = True
    counts: bool = True
    is_hurried: bool = False


@dataclass(frozen=True)
class Answered(Generic[T]):
    """An attempt that an upstream has answered."""

    name: str
    result: T


@dataclass(frozen=True)
class Failed:
    """
    An attempt that has failed, with the error for the client.

    With `is_final` no other upstream would say anything else. `was_asked` is false when
    the circuit was open.
    """

    name: str
    error: HTTPError
    fault: Fault
    is_final: bool = False
    was_asked: bool = True


class Server(NamedTuple):
    """
    One server of a failover, as one account sees it.

    `name` is the upstream's section, `label` says for people who is asked. `check` asks
    the server for something of our own. `answer_timeout` is in seconds.
    """

    name: str
    label: str
    circuits: CircuitBreakers
    account: str
    check: Callable[[], Coroutine[Any, Any, object]]
    answer_timeout: float

    @property
    def circuit(self) -> CircuitBreaker:
        """The circuit breaker that decides for the account."""
        return self.circuits.current(self.account)

    @property
    def state(self) -> Circuit:
        """What the circuit breaker says now."""
        circuit = self.circuit
        return Circuit(self.name, circuit.open_seconds > 0, circuit.has_told_when)


#: Makes one attempt. Raises what the failure is judged by.
Work = Callable[[Step], Coroutine[Any, Any, T]]

#: Says how an attempt has failed; None when the error is about no upstream at all.
Judge = Callable[[Step, Exception], Failed | None]


def plan(
    circuits: Sequence[Circuit], *, ahead: str = "", is_replaceable: bool = False
) -> Iterator[Step]:
    """
    Yield the attempts in their order.

    Upstreams whose circuit is closed, or half-open, come first, in the given order. The
    others follow: an upstream that has said when it can be asked again is not asked,
    and each other one is: better too early than never. The upstream `ahead` keeps its
    place although its circuit is open. With `is_replaceable` others outside the plan
    can give the same: then nobody is asked too early, and every attempt is hurried.
    """
    first = [one for one in circuits if not one.is_open or one.name == ahead]
    later = [one for one in circuits if one.is_open and one.name != ahead]
    ordered = [*first, *later]
    position = {one.name: index for index, one in enumerate(circuits)}
    for index, one in enumerate(ordered):
        is_hurried = is_replaceable or any(
            position[other.name] > position[one.name] and not other.is_told
            for other in ordered[index + 1 :]
        )
        is_early = index >= len(first)
        is_asked = not is_early or not (one.is_told or is_replaceable)
        counts = is_early or not one.is_open
        yield Step(one.name, is_asked, counts, is_hurried)


class Failover:
    """Makes attempts; `clock` is the reactor, `now` returns seconds since 1970."""

    def __init__(self, clock: IReactorTime, now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now

    async def first_answer(
        self,
        servers: Sequence[Server],
        work: Work[T],
        judge: Judge,
        *,
        ahead: str = "",
        is_replaceable: bool = False,
    ) -> Answered[T] | tuple[Failed, ...]:
        """
        Call `work` for each server in the order of `plan` until one call succeeds.

        The plan is made anew before each attempt, since circuits open and close in
        between. If all fail, return the failures in their order. Raises what `work`
        raises when `judge` says that it is about no upstream, or final.
        """
        left = {server.name: server for server in servers}
        failures: list[Failed] = []
        while left:
            states = [server.state for server in left.values()]
            step = next(plan(states, ahead=ahead, is_replaceable=is_replaceable))
            server = left.pop(step.name)
            if not step.is_asked:
                error = open_error(server.circuit)
                failures.append(
                    Failed(step.name, error, Fault.UPSTREAM, was_asked=False)
                )
                continue
            outcome = await self._attempt(server, step, work, judge)
            if isinstance(outcome, Answered):
                return outcome
            failures.append(outcome)
        return tuple(failures)

    async def _attempt(
        self, server: Server, step: Step, work: Work[T], judge: Judge
    ) -> Answered[T] | Failed:
        """Make one attempt, and tell the circuit breaker how it ended."""
        # Of a circuit that is half-open, this takes the one place.
        server.circuits.may_ask(server.account)
        attempt = Attempt(
            server.label,
            server.circuits,
            server.account,
            server.check,
            self._clock,
            self._now,
        )
        working: Awaitable[T] = (
            InTime(work(step), server.answer_timeout, self._clock)
            if step.is_hurried
            else work(step)
        )
        try:
            result = await working
        except BaseException as error:
            failed = judge(step, error) if isinstance(error, Exception) else None
            _settle(attempt, failed)
            if failed is None or failed.is_final:
                raise
            return failed
        if step.counts:
            attempt.answered()
        return Answered(step.name, result)


def _settle(attempt: Attempt, failed: Failed | None) -> None:
    """Tell a circuit breaker of an attempt that was not answered as wished."""
    if failed is None or failed.fault is Fault.NAME:
        attempt.abandoned()
    elif failed.fault is Fault.NOBODY:
        attempt.answered()
    else:
        attempt.failed(failed.error, is_own=failed.fault is Fault.ACCOUNT)


def open_error(circuit: CircuitBreaker) -> HTTPError:
    """Return the error for an upstream that is not asked, as its circuit is open."""
    if circuit.status == TooManyRequests.status:
        return TooManyRequests(
            "the upstream registry takes no more requests now",
            headers=[retry_after(circuit.open_seconds)],
            cause=Cause.UPSTREAM_RESTING,
        )
    return UpstreamUnavailable(
        "the upstream registry does not answer now",
        headers=[retry_after(circuit.open_seconds)],
        cause=Cause.UPSTREAM_RESTING,
    )


def most_useful(failures: Sequence[Failed]) -> Failed:
    """Return the failure that helps a client most: 429, then 503, 504 and 502."""
    ranks = (429, 503, 504, 502)

    def rank(failed: Failed) -> int:
        status = failed.error.status
        return ranks.index(status) if status in ranks else len(ranks)

    return min(failures, key=rank)
