"""
A connection to a server through an HTTP proxy: CONNECT (RFC 9110, 9.3.6).

The same for servers of https and of http: behind CONNECT one connection is one
server's, so what is sent and what is kept is as without a proxy, and the proxy sees
neither requests nor their credentials. With requests in absolute form (RFC 9112, 3.2.2)
it would see the Authorization of a server of http, and could answer in its place.

h11 parses what the proxy answers; `MAX_REPLY_BYTES` bounds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h11
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.causes import Cause
from regbroker.protocol.origins import Origin
from regbroker.transport.client.tunnel_failures import TunnelFailed

#: Proxies say little more than a status and who they are.
MAX_REPLY_BYTES = 16 * 1024

#: What is shown of the words of a proxy.
MAX_REASON_LENGTH = 80


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """
    Connects to `server` through `proxy`, which is reached by `endpoint`.

    `credentials` returns the value of Proxy-Authorization, or nothing for none; it
    raises `ValueError` when there should be one. The proxy has `timeout` seconds to
    answer, after those for the connection to it.
    """

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        proxy: Origin,
        server: Origin,
        credentials: Callable[[], bytes],
        timeout: float,
    ) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._proxy = proxy
        self._server = server
        self._credentials = credentials
        self._timeout = timeout

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Fire with a protocol whose peer is the server.

        Fails with `TunnelFailed`.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        try:
            credentials = self._credentials()
        except ValueError as error:
            raise TunnelFailed(
                f"the credentials for the proxy {self._proxy} are missing: {error}",
                Cause.PROXY_REFUSED,
            ) from error
        opening = Factory.forProtocol(_Opening)
        opening.noisy = False
        try:
            protocol: Any = await self._endpoint.connect(opening)
        except (CancelledError, ConnectingCancelledError):
            raise
        except Exception as error:
            words = str(error) or type(error).__name__
            raise TunnelFailed(
                f"the proxy {self._proxy} cannot be reached: {words}",
                Cause.PROXY_UNREACHABLE,
            ) from error
        timer = self._clock.callLater(
            self._timeout, protocol.fail, _NoAnswer("no answer to CONNECT in time")
        )
        try:
            opened: IProtocol = await protocol.open(self._server, credentials, factory)
            return opened
        except _Refused as error:
            raise self._refusal(error, bool(credentials)) from error
        except _NoAnswer as error:
            raise TunnelFailed(
                f"the proxy {self._proxy}: {error}", Cause.PROXY_UNREACHABLE
            ) from error
        finally:
            if timer.active():
                timer.cancel()

    def _refusal(self, error: _Refused, had_credentials: bool) -> TunnelFailed:
        where = f"{self._server.bare_netloc}:{self._server.port}"
        if error.status == 407 and had_credentials:
            return TunnelFailed(
                f"the proxy {self._proxy} refuses the user and password for it (407)",
                Cause.PROXY_REFUSED,
            )
        if error.status == 407:
            return TunnelFailed(
                f"the proxy {self._proxy} wants a user and a password (407); write "
                "proxy-credentials-file",
                Cause.PROXY_REFUSED,
            )
        if error.status >= 500:
            return TunnelFailed(
                f"the proxy {self._proxy} could not reach {where}: {error}", None
            )
        return TunnelFailed(
            f"the proxy {self._proxy} refuses CONNECT to {where}: {error}; its rules "
            "must allow this host and this port",
            Cause.PROXY_REFUSED,
        )


class _Refused(Exception):
    """The proxy has answered that there is no tunnel."""

    def __init__(self, status: int, reason: bytes) -> None:
        words = reason.decode("latin-1")[:MAX_REASON_LENGTH]
        super().__init__(f"{status} {words if words.isprintable() else ''}".strip())
        self.status = status


class _NoAnswer(Exception):
    """The proxy has not answered CONNECT, or not in HTTP."""


class _Opening(Protocol):
    """Asks for a tunnel, and passes on all that comes through it."""

    def __init__(self) -> None:
        self._http = h11.Connection(
            h11.CLIENT, max_incomplete_event_size=MAX_REPLY_BYTES
        )
        self._received = 0
        self._opened: Deferred[IProtocol] = Deferred(lambda _: self._abort())
        self._factory: IProtocolFactory
        self._inner: IProtocol | None = None

    def open(
        self, server: Origin, credentials: bytes, factory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        """Send CONNECT; fire with what the factory builds when the tunnel is open."""
        self._factory = factory
        authority = f"{server.bare_netloc}:{server.port}".encode("ascii")
        headers = [(b"Host", authority)]
        if credentials:
            headers.append((b"Proxy-Authorization", credentials))
        request = h11.Request(method=b"CONNECT", target=authority, headers=headers)
        transport: Any = self.transport
        transport.write(self._http.send(request))
        self._http.send(h11.EndOfMessage())
        return self._opened

    def fail(self, error: Exception) -> None:
        """Give up, unless the tunnel is open."""
        if not self._opened.called:
            self._abort()
            self._opened.errback(error)

    def dataReceived(self, data: bytes) -> None:
        """Read the proxy's answer; behind it is the server's."""
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        if self._opened.called:
            return
        self._received += len(data)
        if self._received > MAX_REPLY_BYTES:
            # Interim replies, too: there may be many.
            self.fail(_NoAnswer(f"its answer has more than {MAX_REPLY_BYTES} bytes"))
            return
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
            while isinstance(event, h11.InformationalResponse):
                event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            self.fail(_NoAnswer(f"what it answers is not HTTP: {error}"))
            return
        if not isinstance(event, h11.Response):
            return
        if not 200 <= event.status_code < 300:
            self.fail(_Refused(event.status_code, bytes(event.reason)))
            return
        self._pass_on(self._http.trailing_data[0])

    def _pass_on(self, more: bytes) -> None:
        transport: Any = self.transport
        inner = self._factory.buildProtocol(transport.getPeer())
        if inner is None:
            self.fail(_NoAnswer("nobody wants the connection any more"))
            return
        self._inner = inner
        inner.makeConnection(transport)
        self._opened.callback(inner)
        if more:
            inner.dataReceived(more)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever reads here."""
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self.fail(_NoAnswer("it closed the connection without an answer"))

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()
