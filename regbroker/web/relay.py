"""
Relaying: a request goes to the upstreams that have its name until one answers.

Most names have one upstream, and that one is asked. Where there are several and one
fails (too many requests, no connection, no answer in time), the next one is asked, and
the circuit of the first one opens (`regbroker.upstream.failover`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime

from regbroker.errors import (
    FAILING_STATUSES,
    Denied,
    OwnAccountRefused,
    RedirectRefused,
    StorageRefused,
    TokensUnavailable,
    TooManyRequests,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from regbroker.protocol.composite_token import CompositeTokens, is_composite
from regbroker.protocol.names import Endpoint
from regbroker.protocol.retry_after import retry_after
from regbroker.runtime.in_time import TimedOut
from regbroker.upstream.failover import (
    Answered,
    Failed,
    Failover,
    Fault,
    Step,
    most_useful,
)
from regbroker.web.api_request import ApiRequest
from regbroker.web.backend import Backend
from regbroker.web.exchange import Exchange, UpstreamRequest, request_to
from regbroker.web.follow import CancelledAtStorage

T = TypeVar("T")

#: What an upstream that has another's names may say only because it has not all of
#: them, or does not know the client.
_LACKING_STATUSES = frozenset({401, 403, 404})

#: Conditions that are not met, and ranges that do not exist: no upstream has them.
_ABOUT_THE_REQUEST = frozenset({412, 416})

#: Errors about one repository: what makes no sense, leads nowhere, is not in a storage,
#: or is not for us. They do not open the circuit for the whole upstream.
_ABOUT_A_NAME = (
    UpstreamMalformed,
    RedirectRefused,
    StorageRefused,
    OwnAccountRefused,
    TokensUnavailable,
)

#: A registry may look through all that it has for these. That one takes long is no
#: sign of an outage.
_LISTS = frozenset({Endpoint.CATALOG, Endpoint.TAGS, Endpoint.REFERRERS})

#: Makes one attempt at a backend. The flag says that the backend stands in for the
#: first choice. Then its 401, 403 or 404 is no answer: the first choice may have what
#: is asked for.
Work = Callable[[Backend, UpstreamRequest, bool], Coroutine[Any, Any, T]]


class Relay:
    """
    Answers requests with the replies of one registry's upstreams.

    `backends` has the upstreams by name. `composite_tokens` reads the tokens that
    clients hold. `clock` is the reactor; `now` returns seconds since 1970.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        composite_tokens: CompositeTokens,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._backends = backends
        self._composite_tokens = composite_tokens
        self._failover = Failover(clock, now)

    async def serve(self, asked: ApiRequest) -> None:
        """
        Answer a request with the reply of the first upstream that has an answer.

        If all fail, raise the error most useful to the client (429, 503, 504, 502).
        """
        target = asked.target
        upstreams = target.operation.upstreams
        if target.operation.is_ping and asked.basic[0]:
            # A password is good where the client has its account, and nowhere else.
            trusted = [n for n in upstreams if self._backends[n].policy.clients]
            upstreams = tuple(trusted) or upstreams
        if len(upstreams) == 1:
            backend, request = self._select(asked, upstreams[0])
            exchange = await backend.forward(request)
            if exchange.reply.status >= 300:
                exchange = await self._settled(backend, exchange, False)
        else:
            backend, exchange = await self.first(asked, upstreams, self._ask)
        await backend.responder.answer(exchange)

    async def first(
        self, asked: ApiRequest, upstreams: Sequence[str], work: Work[T]
    ) -> tuple[Backend, T]:
        """
        Call `work` for each upstream in order until one call succeeds.

        Return the backend, and what `work` has returned. If all fail, raise the error
        most useful to the client (429, 503, 504, 502). Raises at once what is not about
        one upstream alone.
        """
        if len(upstreams) == 1:
            backend, request = self._select(asked, upstreams[0])
            return backend, await work(backend, request, False)
        first = upstreams[0]

        def attempt(step: Step) -> Coroutine[Any, Any, T]:
            backend, request = self._select(asked, step.name)
            return work(backend, request, step.name != first)

        def judge(step: Step, error: Exception) -> Failed | None:
            return failed_attempt(
                step.name, error, asked.target.endpoint, step.name != first
            )

        outcome = await self._failover.first_answer(
            [self._backends[n].server(asked) for n in self._in_order(asked, upstreams)],
            attempt,
            judge,
            ahead=first if asked.precedes_push else "",
        )
        if isinstance(outcome, Answered):
            return self._backends[outcome.name], outcome.result
        failed = most_useful(outcome)
        # The log names the upstream whose error the client gets.
        self._select(asked, failed.name)
        raise failed.error

    async def _ask(
        self, backend: Backend, request: UpstreamRequest, is_substitute: bool
    ) -> Exchange:
        """Forward a request, and raise for a reply that is no answer."""
        exchange = await backend.forward(request)
        if exchange.reply.status < 300:
            return exchange
        return await self._settled(backend, exchange, is_substitute)

    async def _settled(
        self, backend: Backend, exchange: Exchange, is_substitute: bool
    ) -> Exchange:
        """Return what a redirect leads to; raise for a reply that is no answer."""
        exchange = await backend.followed(exchange)
        status = exchange.reply.status
        if status == 401:
            self._check_tokens(exchange)
        if is_no_answer(status, is_substitute):
            raise await backend.responder.refusal(exchange)
        return exchange

    def _select(self, asked: ApiRequest, name: str) -> tuple[Backend, UpstreamRequest]:
        """Return a backend, and what it is to get; the record says that it is asked."""
        request = request_to(name, asked)
        event, route = asked.event, request.target.route
        event.upstream = name
        if route is not None:
            event.upstream_name = route.upstream_name
        return self._backends[name], request

    def _check_tokens(self, exchange: Exchange) -> None:
        """
        Raise `TokensUnavailable` where no login would help against a 401.

        The client has no token for this upstream: its token service did not answer,
        and still does not.
        """
        why = self._composite_tokens.unavailable(
            exchange.request.asked.client.token, exchange.request.target.upstream
        )
        if why is None:
            return
        status, seconds = why
        if seconds > 0:
            exchange.reply.abort()
            raise TokensUnavailable(status, [retry_after(seconds)])

    def _in_order(self, asked: ApiRequest, upstreams: Sequence[str]) -> list[str]:
        """Return the upstreams; those that the client has no token for come last."""
        token = asked.client.token
        if not is_composite(token):
            return list(upstreams)
        return sorted(
            upstreams,
            key=lambda name: (
                self._composite_tokens.unavailable(token, name) is not None
            ),
        )


def failed_attempt(
    name: str, error: Exception, endpoint: Endpoint, is_substitute: bool
) -> Failed | None:
    """
    Say whose failure it is that an attempt at an upstream has failed.

    Return None for an error that is about no upstream: the client has left, say.
    """
    if isinstance(error, TimeoutError):
        timeout = UpstreamTimeout("the upstream registry did not answer in time")
        cancelled = error.cancelled if isinstance(error, TimedOut) else None
        is_slow = endpoint in _LISTS or isinstance(cancelled, CancelledAtStorage)
        return Failed(name, timeout, Fault.NAME if is_slow else Fault.UPSTREAM)
    if isinstance(error, Denied):
        return Failed(name, error, Fault.NOBODY, is_final=not is_substitute)
    if not isinstance(error, UpstreamError | TooManyRequests):
        return None
    is_final = error.status in _ABOUT_THE_REQUEST
    if isinstance(error, _ABOUT_A_NAME):
        return Failed(name, error, Fault.NAME, is_final)
    if error.status not in FAILING_STATUSES:
        return Failed(name, error, Fault.NOBODY, is_final)
    if error.status == TooManyRequests.status:
        return Failed(name, error, Fault.ACCOUNT, is_final)
    return Failed(name, error, Fault.UPSTREAM, is_final)


def is_no_answer(status: int, is_substitute: bool) -> bool:
    """Tell whether a reply with this status leaves a request to the next upstream."""
    return status in FAILING_STATUSES or (is_substitute and status in _LACKING_STATUSES)
