"""
Where to next: the upstreams that have a name, asked in turn.

A name leads to one upstream mostly, which is asked, and that is all. With several,
one that fails (too many requests, no connection, no answer in time) is passed
over for the next, and rests.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from regbroker.causes import Cause
from regbroker.errors import (
    FAILING_STATUSES,
    Denied,
    HTTPError,
    OwnAccountRefused,
    RedirectRefused,
    StorageRefused,
    TokensUnavailable,
    TooManyRequests,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.composite_token import CompositeTokens, token_for
from regbroker.protocol.headers import Header
from regbroker.protocol.names import Endpoint
from regbroker.transport.client_reply import Reply
from regbroker.upstream.attempts import Attempt
from regbroker.upstream.circuit_breaker import CircuitBreaker
from regbroker.upstream.policy import CLIENTS_OWN, Policy
from regbroker.upstream.registry import Upstream
from regbroker.web.exchange import Exchange
from regbroker.web.follow import Following
from regbroker.web.forward import Asking
from regbroker.web.reply import Answering

T = TypeVar("T")

#: What an upstream that has another's names may say only because it has not all of
#: them, or does not know the client.
_LACKING_STATUSES = frozenset({401, 403, 404})

#: Conditions that are not met, and ranges that are not there: nowhere, that is.
_ABOUT_THE_REQUEST = frozenset({412, 416})

#: What makes no sense, leads nowhere, is not in a storage, or is not for us: that
#: may be so for one name.
_ABOUT_A_NAME = (
    UpstreamMalformed,
    RedirectRefused,
    StorageRefused,
    OwnAccountRefused,
    TokensUnavailable,
)

#: A registry may look through all that it has for these: that they take long says
#: nothing of it.
_LISTS = frozenset({Endpoint.CATALOG, Endpoint.TAGS, Endpoint.REFERRERS})


@dataclass(frozen=True)
class Candidate:
    """One upstream of a registry: how it is asked, and how it answers."""

    upstream: Upstream
    asking: Asking
    answering: Answering
    following: Following | None = None
    #: Who speaks there: clients with accounts of their own, or we for them.
    policy: Policy = CLIENTS_OWN

    def who(self, exchange: Exchange) -> str:
        """Return a text for the account that the upstream sees a request of."""
        nobody = "ours" if self.policy.shares else ""
        if not self.policy.clients or exchange.authorization is None:
            return nobody
        if exchange.token_user is not None and exchange.token_user != "-":
            # What the token service has found; the same for all of a user's tokens.
            user = exchange.token_user
            return f"user {user}" if user else nobody
        # Nobody has looked at this, or not here: it stands for itself alone.
        token = exchange.bearer_token
        own = token_for(token, self.upstream.name) or token
        return f"hash {hash(own or exchange.authorization)}"

    async def ask(self, exchange: Exchange) -> Reply:
        """Send a request, and follow where it leads; as `Asking.ask`."""
        return await self._followed(exchange, await self.asking.ask(exchange))

    async def send(self, exchange: Exchange, query: str) -> Reply:
        """Send a request with this query; as `ask` otherwise."""
        return await self._followed(exchange, await self.asking.send(exchange, query))

    async def _followed(self, exchange: Exchange, reply: Reply) -> Reply:
        if self.following is None:
            return reply
        return await self.following.follow(exchange, reply)


#: Asks a candidate. The flag says that it stands in for the first choice, so that an
#: answer for want of something is none: the first choice may have it.
Work = Callable[[Candidate, bool], Coroutine[Any, Any, T]]


class Choosing:
    """
    Asks the upstreams of one registry.

    `candidates` are they by name; `composite_tokens` reads what clients hold; `clock`
    is the reactor, `now` returns seconds since 1970.
    """

    def __init__(
        self,
        candidates: Mapping[str, Candidate],
        composite_tokens: CompositeTokens,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._candidates = candidates
        self._composite_tokens = composite_tokens
        self._clock = clock
        self._now = now

    async def serve(self, exchange: Exchange) -> None:
        """
        Answer a request with what the first upstream says that can say something.

        Raises the most useful of the errors when all fail.
        """

        async def ask(candidate: Candidate, is_substitute: bool) -> Reply:
            reply = await candidate.ask(exchange)
            if reply.status == 401:
                self._check_tokens(exchange, candidate, reply)
            if is_no_answer(reply.status, is_substitute):
                raise await candidate.answering.refusal(exchange, reply)
            return reply

        upstreams = exchange.upstreams
        if exchange.target.endpoint is Endpoint.BASE and exchange.basic_user:
            # A password is good where the client has its account, and nowhere else.
            trusted = [n for n in upstreams if self._candidates[n].policy.clients]
            upstreams = tuple(trusted) or upstreams
        candidate, reply = await self.first(exchange, upstreams, ask)
        await candidate.answering.answer(exchange, reply)

    async def first(
        self, exchange: Exchange, upstreams: Sequence[str], work: Work[T]
    ) -> tuple[Candidate, T]:
        """
        Return what `work` returns for the first upstream for which it does.

        Raises what it raises, when that is not the upstream's failure, and the
        most useful error when it fails for all.
        """
        if len(upstreams) == 1:
            candidate = self._turn_to(exchange, upstreams[0])
            return candidate, await work(candidate, False)
        failures: list[tuple[str, HTTPError]] = []

        async def attempt(
            name: str, others: Sequence[str], in_turn: bool
        ) -> tuple[Candidate, T] | None:
            is_substitute = name != upstreams[0]
            is_hurried = self._others_answer(exchange, others)
            return await self._try(
                exchange, name, work, failures, is_substitute, is_hurried, in_turn
            )

        names = self._in_order(exchange, upstreams)
        resting: list[str] = []
        for index, name in enumerate(names):
            candidate = self._candidates[name]
            in_turn = candidate.upstream.circuits.may_ask(candidate.who(exchange))
            if not in_turn and not (exchange.precedes_push and name == upstreams[0]):
                resting.append(name)
                continue
            found = await attempt(name, names[index + 1 :], in_turn)
            if found is not None:
                return found
        for index, name in enumerate(resting):
            candidate = self._candidates[name]
            rest = candidate.upstream.circuits.current(candidate.who(exchange))
            if rest.was_told:
                failures.append((name, _resting_error(rest)))
                continue
            # Better to ask too early than not at all.
            found = await attempt(name, resting[index + 1 :], in_turn=True)
            if found is not None:
                return found
        name, failure = min(failures, key=lambda each: _usefulness(each[1]))
        # The log is to name the one that has said so.
        self._turn_to(exchange, name)
        raise failure

    async def _try(
        self,
        exchange: Exchange,
        name: str,
        work: Work[T],
        failures: list[tuple[str, HTTPError]],
        is_substitute: bool,
        is_hurried: bool,
        in_turn: bool,
    ) -> tuple[Candidate, T] | None:
        """
        Ask one upstream; adds to `failures`, and returns None, when it fails.

        Unless it is `in_turn`, an answer does not end a rest.
        """
        candidate = self._turn_to(exchange, name)
        upstream = candidate.upstream
        attempt = Attempt(
            f"[upstream {name}]",
            upstream.circuits,
            candidate.who(exchange),
            upstream.check,
            self._clock,
            self._now,
        )
        working = Deferred.fromCoroutine(work(candidate, is_substitute))
        if is_hurried:
            working.addTimeout(upstream.config.answer_timeout, self._clock)
        try:
            result = await working
        except TimeoutError:
            failure: HTTPError = UpstreamTimeout(
                "the upstream registry did not answer in time"
            )
            if exchange.target.endpoint in _LISTS or exchange.is_redirected:
                attempt.given_up()
            else:
                attempt.failed(failure)
        except (UpstreamError, TooManyRequests) as error:
            failure = error
            if isinstance(error, _ABOUT_A_NAME):
                attempt.given_up()
            elif error.status in FAILING_STATUSES:
                attempt.failed(error)
            else:
                attempt.answered()
            if error.status in _ABOUT_THE_REQUEST:
                raise
        except Denied as error:
            failure = error
            attempt.answered()
            if not is_substitute:
                raise
        except BaseException:
            attempt.given_up()
            raise
        else:
            if in_turn:
                attempt.answered()
            return candidate, result
        failures.append((name, failure))
        return None

    def _others_answer(self, exchange: Exchange, names: Sequence[str]) -> bool:
        """Tell whether one of these can be asked instead of one that is slow."""
        candidates = [self._candidates[name] for name in names]
        return any(
            not candidate.upstream.circuits.current(candidate.who(exchange)).was_told
            for candidate in candidates
        )

    def _check_tokens(
        self, exchange: Exchange, candidate: Candidate, reply: Reply
    ) -> None:
        """
        Raise `TokensUnavailable` where no login would help against a 401.

        The client has no token for this upstream because its token service does
        not answer, and that is so still.
        """
        why = self._composite_tokens.unavailable(
            exchange.bearer_token, candidate.upstream.name
        )
        if why is None:
            return
        status, seconds = why
        if seconds > 0:
            reply.abort()
            raise TokensUnavailable(status, _come_again(seconds))

    def _in_order(self, exchange: Exchange, upstreams: Sequence[str]) -> list[str]:
        """Return them, at the end those that the client could get no token for."""
        token = exchange.bearer_token
        return sorted(
            upstreams,
            key=lambda name: (
                self._composite_tokens.unavailable(token, name) is not None
            ),
        )

    def _turn_to(self, exchange: Exchange, name: str) -> Candidate:
        exchange.turn_to(name)
        return self._candidates[name]


def is_no_answer(status: int, is_substitute: bool) -> bool:
    """Tell whether a reply with this status leaves a request to the next upstream."""
    return status in FAILING_STATUSES or (is_substitute and status in _LACKING_STATUSES)


def _resting_error(rest: CircuitBreaker) -> HTTPError:
    """Return the error for an upstream that has said when to come again."""
    if rest.status == 429:
        return TooManyRequests(
            "the upstream registry takes no more requests now",
            headers=_come_again(rest.remaining),
            cause=Cause.UPSTREAM_RESTING,
        )
    return UpstreamUnavailable(
        "the upstream registry does not answer now",
        headers=_come_again(rest.remaining),
        cause=Cause.UPSTREAM_RESTING,
    )


def _come_again(seconds: float) -> list[Header]:
    return [(b"Retry-After", b"%d" % max(round(seconds), 1))]


def _usefulness(error: HTTPError) -> int:
    """Return the rank of an error among several, the most useful first."""
    ranks = (429, 503, 504, 502)
    return ranks.index(error.status) if error.status in ranks else len(ranks)
