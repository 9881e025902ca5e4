"""
Small documents over HTTP: what token services, search services and issuers answer.

How one is asked for is in `regbroker.upstream.document_requests`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from twisted.web.http_headers import Headers

from regbroker.causes import Kind, cause_of
from regbroker.errors import UpstreamMalformed
from regbroker.protocol.origins import Origin
from regbroker.protocol.urls import parse_url
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.client.errors import converted_error
from regbroker.transport.client.pool import ConnectionPool
from regbroker.transport.client.slots import Slots
from regbroker.transport.client.trust import Trust
from regbroker.upstream.guarded_endpoint import guarded_endpoint
from regbroker.upstream.origin_pools import OriginPools

#: Questions that are under way at once, and those that wait for that.
MAX_AT_ONCE = 64
MAX_WAITING = 1024

#: A service has one origin; it may get another one while regbroker runs.
MAX_ORIGINS = 4


@dataclass(frozen=True)
class Document:
    """What a server has answered; `body` is no longer than was agreed."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, or None."""
        values = self.headers.getRawHeaders(name)
        return values[0] if values else None


class Documents:
    """
    Asks for documents, over connections that are kept.

    `what` says who is asked, for people. `max_bytes` bounds a document's body,
    unpacked. `clock` is the reactor; `connect_timeout` is in seconds. With
    `named_hosts`, other hosts are asked at public addresses alone, and `advice` says
    what to write for others.
    """

    def __init__(
        self,
        what: str,
        max_bytes: int,
        trust: Trust,
        connect_timeout: float,
        clock: INetworkReactor,
        named_hosts: Collection[str] | None = None,
        advice: str = "",
    ) -> None:
        self._what = what
        self._max_bytes = max_bytes
        self._trust = trust
        self._connect_timeout = connect_timeout
        self._clock = clock
        self._slots = Slots(MAX_AT_ONCE, MAX_WAITING, what)
        self._named_hosts = named_hosts
        self._advice = advice
        self._pools = OriginPools(self._new_pool, MAX_ORIGINS)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pools.close()

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[bytes, list[bytes]] | None = None,
        form: bytes | None = None,
    ) -> Document:
        """
        Send a request, and return what comes back, whatever its status.

        `form` is the request's body. A request may be sent twice: nothing is to
        be asked here that changes something. Raises `UpstreamError`.
        """
        place = parse_url(url)
        if place is None:
            raise UpstreamMalformed(
                f"the address of {self._what} is no URL",
                cause=cause_of(self._what, Kind.MALFORMED),
            )
        # treq takes long to load: it is here when the first question is asked.
        from regbroker.upstream.document_requests import request_document

        try:
            return Document(
                *await request_document(
                    self._pools,
                    self._what,
                    self._max_bytes,
                    method,
                    url,
                    headers or {},
                    form,
                )
            )
        except Exception as error:
            raise converted_error(error, place.origin, self._what) from error

    def _new_pool(self, origin: Origin) -> ConnectionPool:
        timeout = self._connect_timeout
        if self._named_hosts is None:
            endpoint = self._trust.endpoint(self._clock, origin, timeout)
        else:
            endpoint = guarded_endpoint(
                self._clock,
                self._trust,
                origin,
                self._named_hosts,
                timeout,
                self._advice,
            )
        return ConnectionPool(
            self._clock,
            origin,
            endpoint,
            timeout,
            self._what,
            self._slots,
        )
