"""The way up: a request as the upstream is to see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from regbroker.challenges import parse_challenges
from regbroker.channel import StreamingRequest
from regbroker.connections import Reply
from regbroker.errors import Denied, UpstreamTimeout
from regbroker.headers import (
    Header,
    connection_options,
    passing,
    raw_headers,
    request_headers,
    via,
)
from regbroker.headertable import Way
from regbroker.names import Endpoint
from regbroker.queries import Query, join_target
from regbroker.requestbody import request_body
from regbroker.speakers import Speaker, Spoken, own_account_refused
from regbroker.streams import Stall, UploadBody
from regbroker.upstreams import Upstream
from regbroker.web.exchange import Asked, Exchange

#: Lists are read and written anew here: they must come whole and unpacked.
REWRITTEN = (Endpoint.TAGS, Endpoint.CATALOG)

#: What they take is in the path and the query alone.
UPLOADING = (Endpoint.UPLOADS, Endpoint.UPLOAD)


def _is_lacking(reply: Reply) -> bool:
    found = reply.headers.getRawHeaders(b"WWW-Authenticate", ())
    challenges = parse_challenges(value.decode("latin-1") for value in found)
    return any(one.get("error") == "insufficient_scope" for one in challenges)


def _was_ours(exchange: Exchange) -> bool:
    return exchange.asked is not None and exchange.asked.is_ours


def _wants_token(reply: Reply) -> bool:
    """Tell whether a refusal says that another token would help."""
    if reply.status != 401:
        return False
    found = reply.headers.getRawHeaders(b"WWW-Authenticate", ())
    challenges = parse_challenges(value.decode("latin-1") for value in found)
    return any(one.scheme == "bearer" for one in challenges)


class Asking:
    """
    Sends exchanges to one upstream.

    With `in_our_name` clients have no accounts there, and of their headers only
    those go up that are nobody's (`Way.OURS`).
    """

    def __init__(
        self,
        upstream: Upstream,
        speaker: Speaker,
        clock: Any,
        in_our_name: bool,
    ) -> None:
        self._upstream = upstream
        self._speaker = speaker
        self._clock = clock
        self._in_our_name = in_our_name

    async def ask(self, exchange: Exchange) -> Reply:
        """
        Send a request upstream; its body streams while this waits.

        A mount that the upstream refuses is sent again as an ordinary upload, unless
        the client may come again with a wider token (`regbroker.mounts`). Raises
        `UpstreamError`, or what the client's body fails with.
        """
        attempt = exchange.mount_attempt
        try:
            reply = await self.send(exchange, exchange.query)
        except Denied:
            if exchange.mounted_from is None:
                raise
            # It is our account that may not pull there.
            exchange.mounts_nothing()
            return await self.send(exchange, exchange.query)
        if attempt is not None and reply.status == 201:
            attempt.succeeded()
        if (
            reply.status in (401, 403)
            and exchange.mounted_from is not None
            and (exchange.authorization is not None or _was_ours(exchange))
        ):
            if _wants_token(reply) and attempt is not None and attempt.tell():
                return reply
            # The client may push here, but not pull there: an upload, then.
            source = exchange.mounted_from
            exchange.mounts_nothing()
            try:
                second = await self.send(exchange, exchange.query)
            except BaseException:
                reply.abort()
                raise
            if second.status == 202:
                reply.abort()
                return second
            second.abort()
            # The refusal is of the mount, and names both repositories.
            exchange.mounted_from = source
        return reply

    async def send(self, exchange: Exchange, query: str | Query) -> Reply:
        """
        Send a request with this query; as `ask` otherwise.

        When the upstream refuses our own account, it is asked for anew and the
        request sent once more, if it has no body.
        """
        reply, spoken = await self._send_once(exchange, query)
        if reply.status != 401 or not spoken.is_ours:
            return reply
        lacking = _is_lacking(reply)
        reply.abort()
        if lacking:
            # A token for just this was at hand: our account is in order, and may
            # not. Many registries say so for a repository that is not there.
            raise Denied("regbroker's own account has no right to this upstream")
        self._speaker.refused(spoken)
        if request_body(exchange.request) is None:
            reply, _ = await self._send_once(exchange, query)
            if reply.status != 401:
                return reply
            reply.abort()
        raise own_account_refused(self._upstream, reply.status)

    async def _send_once(
        self, exchange: Exchange, query: str | Query
    ) -> tuple[Reply, Spoken]:
        request, event = exchange.request, exchange.event
        path = exchange.target.path
        if exchange.route is not None:
            path = exchange.target.path_for(exchange.route.upstream_name)
        body = request_body(request)
        expects = isinstance(request, StreamingRequest) and (
            request.body.expects_continue
        )
        spoken = await self._speaker.speak(
            exchange.authorization, exchange.wanted(of_upstream=True)
        )
        headers = list(self._headers(exchange, self._in_our_name or spoken.is_ours))
        if spoken.value is not None:
            headers.append((b"Authorization", spoken.value.encode("latin-1")))
        if expects:
            headers.append((b"Expect", b"100-continue"))
        asked = Asked(join_target(path, query), tuple(headers), spoken.is_ours)
        exchange.asked = asked
        before = event.seconds
        asking: Deferred[Reply]
        stalled = False

        def on_stall() -> None:
            nonlocal stalled
            stalled = True
            asking.cancel()

        stall = Stall(self._clock, self._upstream.config.timeout, on_stall)
        upload = body and UploadBody(body, self._clock, stall, expects)
        asking = Deferred.fromCoroutine(
            self._upstream.request(
                event.method,
                asked.target,
                asked.headers,
                upload,
                upload.upstream_continues if upload and expects else None,
            )
        )
        try:
            return await asking, spoken
        except CancelledError:
            if not stalled:
                raise
            raise UpstreamTimeout("the upstream registry did not answer") from None
        finally:
            stall.stop()
            event.upstream_seconds = event.seconds - before
            if upload:
                event.bytes_in = upload.bytes_sent

    def _headers(self, exchange: Exchange, in_our_name: bool) -> Iterator[Header]:
        given = exchange.request.requestHeaders
        options = connection_options(given.getRawHeaders(b"Connection", ()))
        is_list = exchange.target.endpoint in REWRITTEN
        is_upload = exchange.target.endpoint in UPLOADING
        way = Way.OURS if in_our_name else Way.CLIENT
        headers = request_headers(raw_headers(given), options, way)
        if is_list:
            headers = passing(headers, Way.LIST)
        if is_upload:
            headers = passing(headers, Way.UPLOAD)
        yield from headers
        if is_list:
            yield b"Accept-Encoding", b"identity"
        if is_upload:
            # distribution reads "mount" and "from" out of a form, too, before those
            # of the query: names that nobody has mapped or allowed.
            yield b"Content-Type", b"application/octet-stream"
        yield from exchange.way.headers()
        yield via(given.getRawHeaders(b"Via", ()))
