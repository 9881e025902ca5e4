"""
Manifests out of memory, when the upstream has just said that the client may have them.

For a manifest, the upstream gets HEAD with the Authorization of the request. If the
reply names the digest of a manifest that is in memory, the client gets it from there,
under the headers of that reply. Whatever else the reply is, GET follows as without a
memory, also when the connection breaks off without one: some servers do not know HEAD.
There are two exceptions. 401 is final: a wrong password shown twice locks accounts. 429
is final, too: another request would make it worse.

Requests of one account for the same, at the same time, are one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import TimeoutError

from regbroker.causes import Cause
from regbroker.errors import UpstreamMalformed, UpstreamTimeout, UpstreamUnavailable
from regbroker.protocol.names import Endpoint, is_digest
from regbroker.runtime.single_flight import Coalescer
from regbroker.transport.bodies.upload import gather_plain
from regbroker.transport.client.reply import Reply
from regbroker.transport.flow.stalls import Stalls
from regbroker.transport.server.request_bodies import request_body
from regbroker.upstream.manifest_memory import Manifest, ManifestMemory
from regbroker.upstream.policy import CredentialOwner, Policy
from regbroker.web.exchange import Exchange, UpstreamRequest
from regbroker.web.forward import Forwarder

#: Registries take manifests of 4 MiB at most; a longer reply streams, and is not kept.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

#: Asking with HEAD has shown these; GET would show the same.
_FINAL_STATUSES = frozenset({401, 429})

#: These ask for something else than the whole manifest.
_CONDITIONS = frozenset(
    {
        *(b"range", b"if-match", b"if-none-match"),
        *(b"if-modified-since", b"if-unmodified-since", b"if-range"),
    }
)

#: What a reply depends on beside the account and the target.
_VARYING = (b"accept", b"accept-encoding")


class RememberedManifests:
    """
    Forwards GETs of manifests to one upstream, whose manifests are in `memory`.

    `policy` says whose account is used there. `timeout` is how many seconds an
    answer may take.
    """

    def __init__(
        self,
        memory: ManifestMemory,
        forwarder: Forwarder,
        policy: Policy,
        stalls: Stalls,
        timeout: float,
    ) -> None:
        self._memory = memory
        self._forwarder = forwarder
        self._policy = policy
        self._stalls = stalls
        self._timeout = timeout
        self._sending: Coalescer[_Shared] = Coalescer(stalls.clock, timeout)

    def serves(self, request: UpstreamRequest) -> bool:
        """Tell whether a request is for the whole of one manifest."""
        asked = request.asked
        http = asked.client.http
        return (
            asked.target.endpoint is Endpoint.MANIFEST
            and asked.client.method == "GET"
            and not str(request.query)
            and request_body(http) is None
            and _CONDITIONS.isdisjoint(asked.client.headers.by_name)
        )

    async def forward(self, request: UpstreamRequest) -> Exchange:
        """
        Return the exchange that answers a request that `serves` is true for.

        Raises as `Forwarder.forward`.
        """
        reference = request.asked.target.reference or ""
        # What is asked for by a digest that is not here has to be fetched anyway.
        if not is_digest(reference) or reference in self._memory:
            exchange = await self._from_memory(request)
            if exchange is not None:
                return exchange
        self._memory.misses += 1
        return await self._ask_together(request, self._fetch)

    async def _from_memory(self, request: UpstreamRequest) -> Exchange | None:
        """Ask with HEAD; None if the request is to be sent as it is."""
        try:
            exchange = await self._ask_together(_as_head(request), self._head)
        except UpstreamMalformed:
            # Some send a body after HEAD.
            return None
        except UpstreamUnavailable as error:
            if error.cause is Cause.UPSTREAM_BROKE_OFF:
                return None
            raise
        reply = exchange.reply
        exchange = replace(exchange, request=request)
        if reply.status in _FINAL_STATUSES:
            return exchange
        digest = digest_of(reply)
        reference = request.asked.target.reference or ""
        manifest = None
        if reply.status == 200 and (not is_digest(reference) or digest == reference):
            manifest = self._memory.use(digest)
        if manifest is None or not _is_about(reply, manifest):
            return None
        self._memory.hits += 1
        return exchange.with_reply(reply.with_body(manifest.body))

    async def _ask_together(
        self,
        request: UpstreamRequest,
        ask: Callable[[UpstreamRequest], Coroutine[Any, Any, _Shared]],
    ) -> Exchange:
        """Return the exchange of `ask`, or of the same that is under way already."""
        event = request.asked.event
        event.asks_with(request.asked.client.method)
        started = event.clock()
        try:
            shared = await self._sending.run(self._key(request), lambda: ask(request))
        except TimeoutError as error:
            raise UpstreamTimeout("the upstream registry did not answer") from error
        exchange = shared.exchange_for(request)
        if exchange is None:
            return await self._forwarder.forward(request)
        event.upstream_seconds = event.clock() - started
        return exchange

    async def _head(self, request: UpstreamRequest) -> _Shared:
        exchange = await self._forwarder.forward(request)
        return _Shared(exchange, b"")

    async def _fetch(self, request: UpstreamRequest) -> _Shared:
        """Send a request as it is; keep what comes, if that is what it says it is."""
        exchange = await self._forwarder.forward(request)
        reply = exchange.reply
        if (
            reply.status != 200
            or reply.length is None
            or reply.length > MAX_MANIFEST_BYTES
            or reply.headers.first(b"content-encoding")
        ):
            return _Shared(exchange, None)
        body = await gather_plain(
            reply, MAX_MANIFEST_BYTES, self._stalls, self._timeout
        )
        reference = request.asked.target.reference or ""
        digest = reference if is_digest(reference) else digest_of(reply)
        media_type = reply.headers.first(b"content-type")
        if media_type is not None:
            self._memory.keep(digest, Manifest(body, media_type))
        return _Shared(exchange, body)

    def _key(self, request: UpstreamRequest) -> Hashable:
        client, target = request.asked.client, request.asked.target
        owner = self._policy.owner(client.authorization, request.scopes)
        is_clients = owner is CredentialOwner.CLIENT
        route = request.target.route
        assert route is not None
        return (
            client.method,
            route.upstream_name,
            target.reference,
            owner,
            (client.authorization, client.other_credentials) if is_clients else None,
            # A reply may lead to where its request has come from.
            client.forwarded.scheme,
            client.forwarded.host,
            *(tuple(client.headers.all(name)) for name in _VARYING),
        )


class _Shared:
    """
    An exchange for all that wait for it.

    `body` is what has been read of the reply; without it, the reply is for one of
    them alone.
    """

    def __init__(self, exchange: Exchange, body: bytes | None) -> None:
        self._exchange = exchange
        self._body = body
        self._is_taken = False

    def exchange_for(self, request: UpstreamRequest) -> Exchange | None:
        """Return the exchange as that of one request; None if it is taken."""
        exchange = replace(self._exchange, request=request)
        if self._body is not None:
            return exchange.with_reply(exchange.reply.with_body(self._body))
        if self._is_taken:
            return None
        self._is_taken = True
        return exchange


def digest_of(reply: Reply) -> str:
    """Return the digest that a reply names; empty without one."""
    return (reply.headers.first(b"docker-content-digest") or b"").decode("latin-1")


def _is_about(reply: Reply, manifest: Manifest) -> bool:
    """Tell whether the headers of a reply are true of a manifest."""
    headers = reply.headers
    return (
        headers.first(b"content-type") == manifest.media_type
        and headers.first(b"content-length") == b"%d" % len(manifest.body)
        and not headers.first(b"content-encoding")
    )


def _as_head(request: UpstreamRequest) -> UpstreamRequest:
    asked = request.asked
    client = replace(asked.client, method="HEAD")
    return replace(request, asked=replace(asked, client=client))
