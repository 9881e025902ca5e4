"""
A small document over HTTP, asked for with treq.

What token services and search services answer is small, and treq knows forms,
encodings and bounds. What it does beyond that is kept from it: it follows no
redirect, keeps no cookies, and writes no URL anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any

from hyperlink import URL
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from regbroker.causes import Cause
from regbroker.errors import UpstreamMalformed
from regbroker.protocol.bodies import decode_content
from regbroker.transport.client.bytes_body import BytesBody
from regbroker.upstream.agent import PACKED, PooledAgent
from regbroker.upstream.origin_pools import OriginPools
from regbroker.upstream.own_requests import USER_AGENT


async def request_document(
    pools: OriginPools,
    what: str,
    max_bytes: int,
    method: str,
    url: str,
    headers: Mapping[bytes, list[bytes]],
    form: bytes | None,
) -> tuple[int, Headers, bytes]:
    """
    Return status, headers and body of the answer, whatever its status.

    `what` says who is asked, for people. `max_bytes` bounds the body, unpacked, and
    `form` is the request's. Raises `UpstreamMalformed` for more, and what
    `ConnectionPool.request` raises.
    """
    client = HTTPClient(PooledAgent(pools), _NO_COOKIES, BytesBody)
    response = await client.request(
        method,
        _Written(url),
        headers=Headers({USER_AGENT[0]: [USER_AGENT[1]], **headers}),
        data=form,
        cookies=_NO_COOKIES,
        allow_redirects=False,
        unbuffered=True,
    )
    body = _Body(what, max_bytes)
    # treq's own collector goes on when nobody wants the body any more.
    response.deliverBody(body)
    packed = response.headers.getRawHeaders(PACKED, [b""])[0].decode("latin-1")
    # Bounded while it is unpacked: it may be much larger then.
    plain = decode_content(await body.finished, packed, max_bytes)
    return response.code, response.headers, plain


class _Written(URL):
    """
    A URL that is asked for as it is written: `parse_url` has let it through.

    treq takes every host for a name, and there is no name such as ``::1``.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def to_uri(self) -> _Written:
        return self

    def to_text(self, with_password: bool = False) -> str:
        return self._text


class _NoCookies(CookieJar):
    """Keeps no cookie, and has none."""

    def add_cookie_header(self, request: object) -> None: ...

    def extract_cookies(self, response: object, request: object) -> None: ...


#: treq wants a subclass of its own, for what it reads of cookies.
_NO_COOKIES: Any = _NoCookies()


class _Body(Protocol):
    """Gathers a body; who is cancelled hangs up."""

    def __init__(self, what: str, max_bytes: int) -> None:
        self.finished: Deferred[bytes] = Deferred(lambda _: self._hang_up())
        self._what = what
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._max_bytes:
            self._chunks.append(data)
        elif not self.finished.called:
            self.finished.errback(
                UpstreamMalformed(
                    f"{self._what} sent more than {self._max_bytes} bytes",
                    cause=Cause.BOUND_REACHED,
                )
            )
            self._hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.finished.called:
            return
        if reason.check(ResponseDone):
            self.finished.callback(b"".join(self._chunks))
        else:
            self.finished.errback(reason)

    def _hang_up(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()
