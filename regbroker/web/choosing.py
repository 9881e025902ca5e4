"""
Where to next: the upstreams that have a name, asked in turn.

A name leads to one upstream mostly, which is asked, and that is all. With several,
one that fails (too many requests, no connection, no answer in time) is passed
over for the next, and rests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, TimeoutError
from twisted.logger import Logger

from regbroker.bundles import parse_bundle
from regbroker.connections import Reply
from regbroker.errors import (
    FAILING_STATUSES,
    Denied,
    HTTPError,
    RedirectRefused,
    TooManyRequests,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.requestbody import request_body
from regbroker.resting import parse_retry_after
from regbroker.upstreams import Upstream
from regbroker.web.answering import Answering
from regbroker.web.asking import Asking
from regbroker.web.exchange import Exchange
from regbroker.web.following import Following

T = TypeVar("T")

#: What an upstream that has another's names may say only because it has not all of
#: them, or does not know the client.
_LACKING_STATUSES = frozenset({401, 403, 404})

#: Conditions that are not met, and ranges that are not there: nowhere, that is.
_ABOUT_THE_REQUEST = frozenset({412, 416})

_log = Logger()


@dataclass(frozen=True)
class Candidate:
    """One upstream of a registry: how it is asked, and how it answers."""

    upstream: Upstream
    asking: Asking
    answering: Answering
    following: Following | None = None

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
Work = Callable[[Candidate, bool], Awaitable[T]]


class Choosing:
    """
    Asks the upstreams of one registry.

    `candidates` are they by name; `clock` is the reactor, `now` returns seconds
    since 1970.
    """

    def __init__(
        self,
        candidates: Mapping[str, Candidate],
        clock: Any,
        now: Callable[[], float],
    ) -> None:
        self._candidates = candidates
        self._clock = clock
        self._now = now

    async def serve(self, exchange: Exchange) -> None:
        """
        Answer a request with what the first upstream says that can say something.

        Raises the most useful of the errors when all fail.
        """

        async def ask(candidate: Candidate, is_substitute: bool) -> Reply:
            reply = await candidate.ask(exchange)
            if is_no_answer(reply.status, is_substitute):
                raise await candidate.answering.refusal(exchange, reply)
            return reply

        upstreams = exchange.upstreams
        if request_body(exchange.request) is not None:
            # It can be sent once only.
            upstreams = upstreams[:1]
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
        names = _in_order(exchange, upstreams)
        failures: list[HTTPError] = []
        resting: list[str] = []
        for name in names:
            rest = self._candidates[name].upstream.rest
            if not rest.may_ask() and not (
                exchange.precedes_push and name == upstreams[0]
            ):
                resting.append(name)
                continue
            found = await self._try(
                exchange, name, work, failures, name != upstreams[0], name != names[-1]
            )
            if found is not None:
                return found
        for name in resting:
            rest = self._candidates[name].upstream.rest
            if rest.was_told:
                failures.append(_resting(rest.status, rest.remaining))
                continue
            # Better to ask too early than not at all.
            found = await self._try(
                exchange, name, work, failures, name != upstreams[0], True
            )
            if found is not None:
                return found
        raise min(failures, key=_usefulness)

    async def _try(
        self,
        exchange: Exchange,
        name: str,
        work: Work[T],
        failures: list[HTTPError],
        is_substitute: bool,
        is_hurried: bool,
    ) -> tuple[Candidate, T] | None:
        """Ask one upstream; adds to `failures`, and returns None, when it fails."""
        candidate = self._turn_to(exchange, name)
        upstream = candidate.upstream
        working = Deferred.fromCoroutine(_awaited(work(candidate, is_substitute)))
        if is_hurried:
            working.addTimeout(upstream.config.answer_timeout, self._clock)
        try:
            result = await working
        except TimeoutError:
            failure: HTTPError = UpstreamTimeout(
                "the upstream registry did not answer in time"
            )
        except (UpstreamError, TooManyRequests) as error:
            if error.status in _ABOUT_THE_REQUEST:
                self._note_answer(upstream)
                raise
            failure = error
        except Denied as error:
            self._note_answer(upstream)
            if not is_substitute:
                raise
            failures.append(error)
            return None
        else:
            self._note_answer(upstream)
            return candidate, result
        failures.append(failure)
        # What makes no sense is about this one name, perhaps.
        if failure.status in FAILING_STATUSES and not isinstance(
            failure, UpstreamMalformed | RedirectRefused
        ):
            self._note_failure(upstream, failure)
        else:
            self._note_answer(upstream)
        return None

    def _turn_to(self, exchange: Exchange, name: str) -> Candidate:
        exchange.turn_to(name)
        return self._candidates[name]

    def _note_failure(self, upstream: Upstream, failure: HTTPError) -> None:
        told = parse_retry_after(failure.header(b"Retry-After"), self._now())
        seconds = upstream.rest.failed(failure.status, told)
        _log.warn(
            "[upstream {name}]: {status}, {problem}; resting for {seconds:g} s",
            name=upstream.name,
            status=failure.status,
            problem=failure.message,
            seconds=seconds,
        )

    def _note_answer(self, upstream: Upstream) -> None:
        if upstream.rest.succeeded():
            _log.info("[upstream {name}]: answers again", name=upstream.name)


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def is_no_answer(status: int, is_substitute: bool) -> bool:
    """Tell whether a reply with this status leaves a request to the next upstream."""
    return status in FAILING_STATUSES or (is_substitute and status in _LACKING_STATUSES)


def _in_order(exchange: Exchange, upstreams: Sequence[str]) -> list[str]:
    """Return the upstreams, at the end those that the client could get no token for."""
    bundle = parse_bundle(exchange.bearer_token)
    if bundle is None:
        return list(upstreams)
    return sorted(upstreams, key=bundle.is_unavailable)


def _resting(status: int, seconds: float) -> HTTPError:
    """Return the error for an upstream that has said when to come again."""
    headers = [(b"Retry-After", b"%d" % max(round(seconds), 1))]
    if status == 429:
        return TooManyRequests(
            "the upstream registry takes no more requests now", headers=headers
        )
    return UpstreamUnavailable(
        "the upstream registry does not answer now", headers=headers
    )


def _usefulness(error: HTTPError) -> int:
    """Return the rank of an error among several, the most useful first."""
    ranks = (429, 503, 504, 502)
    return ranks.index(error.status) if error.status in ranks else len(ranks)
