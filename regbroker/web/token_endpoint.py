"""The token endpoint: the URL that the realm of our challenges names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from regbroker.broker.composite_broker import CompositeBroker
from regbroker.broker.upstream_broker import Broker
from regbroker.errors import MethodNotAllowed
from regbroker.events import Event
from regbroker.protocol.headers import Forwarded
from regbroker.protocol.token_requests import TokenRequest, parse_get, parse_post
from regbroker.protocol.token_texts import ROBOT_PREFIX, user_for_log
from regbroker.transport.server.body_reading import read_body
from regbroker.transport.server.replies import send_bytes
from regbroker.web.admission import robot_token_refused
from regbroker.web.client_request import ClientRequest

if TYPE_CHECKING:
    # Imported where it is built: not every configuration needs it.
    from regbroker.broker.local_broker import LocalBroker

#: A form holds a refresh token (16 KiB in some clouds) and scopes.
MAX_FORM_BYTES = 64 * 1024

_METHODS = "GET, POST"

#: Tokens are secrets of one client; RFC 6749, 5.1.
_NO_STORE = ((b"Cache-Control", b"no-store"),)


class TokenIssuer(Protocol):
    """Issues tokens for one registry."""

    async def __call__(
        self, request: TokenRequest, forwarded: Forwarded, event: Event
    ) -> bytes:
        """Return the reply's body; raises `HTTPError` for an error reply."""


class UpstreamTokenIssuer:
    """Issues the tokens of one upstream."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def __call__(
        self, request: TokenRequest, forwarded: Forwarded, event: Event
    ) -> bytes:
        """Return a token that is at hand, or ask the upstream's token service."""
        _refuse_robot_token(request, forwarded, event)
        wanted = self._broker.wanted(request, forwarded.host)
        event.upstream = self._broker.upstream
        event.upstream_name = wanted.upstream_names
        started = event.clock()
        try:
            return await self._broker.grant(request, wanted, forwarded.host)
        finally:
            event.upstream_seconds = event.clock() - started


class CompositeTokenIssuer:
    """Issues the tokens of several upstreams as one."""

    def __init__(self, broker: CompositeBroker) -> None:
        self._broker = broker

    async def __call__(
        self, request: TokenRequest, forwarded: Forwarded, event: Event
    ) -> bytes:
        """Ask the upstreams' token services."""
        _refuse_robot_token(request, forwarded, event)
        wanted = self._broker.wanted(request, forwarded.host)
        event.upstream = ",".join(wanted)
        event.upstream_name = ",".join([one.upstream_names for one in wanted.values()])
        with event.upstream_time():
            return await self._broker.grant(request, wanted, forwarded.host)


def _refuse_robot_token(
    request: TokenRequest, forwarded: Forwarded, event: Event
) -> None:
    if (
        ROBOT_PREFIX in request.password
        or ROBOT_PREFIX in request.username
        or ROBOT_PREFIX in request.refresh_token
    ):
        raise robot_token_refused(forwarded.host, event)


class LocalTokenIssuer:
    """Issues tokens of our own."""

    def __init__(self, broker: LocalBroker) -> None:
        self._broker = broker

    async def __call__(
        self, request: TokenRequest, forwarded: Forwarded, event: Event
    ) -> bytes:
        """Check the credentials and sign."""
        broker = self._broker
        account = await broker.account(
            request, forwarded.host, forwarded.address, event
        )
        if account is not None:
            event.user = account.user
        return broker.issue(request, account, forwarded.host)


class TokenEndpoint:
    """
    Parses the token requests of one registry, and sends the tokens.

    `exchanges` tells whether tokens of others are exchanged for tokens of our own.
    """

    def __init__(self, issuer: TokenIssuer, exchanges: bool = False) -> None:
        self._issuer = issuer
        self._exchanges = exchanges

    async def serve(self, request: ClientRequest, event: Event) -> None:
        """Answer one request; raises `HTTPError` for an error reply."""
        event.endpoint = "token"
        if request.method == "GET":
            wanted = parse_get(request.query, request.authorization)
        elif request.method == "POST":
            body = await read_body(request.http, MAX_FORM_BYTES)
            wanted = parse_post(body, self._exchanges)
        else:
            raise MethodNotAllowed(
                f"the token service takes {_METHODS}",
                headers=[(b"Allow", _METHODS.encode())],
            )
        event.user = user_for_log(wanted.user)
        if wanted.refresh_token:
            event.credentials = "token"
        elif wanted.subject_token:
            event.credentials = "other"
        elif wanted.password:
            event.credentials = "password"
        event.public_name = ",".join([scope.name for scope in wanted.scopes])
        reply = await self._issuer(wanted, request.forwarded, event)
        send_bytes(request.http, 200, b"application/json", reply, _NO_STORE)
