"""The sandbox as a service: a port on loopback, and a directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.errors import StateError
from regbroker.runtime.reactor import INetworkReactor
from regbroker.sandbox.registry import OnRequest, RegistryEndpoints, SandboxResource
from regbroker.sandbox.storage import Storage
from regbroker.sandbox.token_endpoint import TokenEndpoint
from regbroker.sandbox.tokens import Tokens, Users
from regbroker.sandbox.uploads import Uploads
from regbroker.transport.pace import Pace
from regbroker.transport.server import StreamingSite
from regbroker.transport.streaming_channel import StreamingChannel

#: The content type of a TLS record that holds a ClientHello (RFC 8446, 5.1).

#: How slow clients may be is for regbroker to say, which is in front.
PACE = Pace(silence=900.0, whole=900.0, rate=0.0)

log = Logger()


class SandboxService(Service):
    """
    A registry for trying out, listening on a free port of 127.0.0.1.

    `url` is known as soon as `startService` returns, and another one after
    each start. `users` maps names to passwords: each may do everything, and
    everybody else nothing, or only pull with `anonymous_pull`. `on_request`
    is called with method, target and headers of each request that arrives.
    `reactor` provides IReactorTCP and IReactorTime.

    Everything pushed is kept in `directory`, which is made if it is missing;
    tokens are forgotten when the service stops.
    """

    def __init__(
        self,
        reactor: INetworkReactor,
        directory: Path,
        users: Mapping[str, str],
        *,
        anonymous_pull: bool = False,
        on_request: OnRequest | None = None,
    ) -> None:
        self.url = ""
        self._reactor = reactor
        self._directory = directory
        self._users = Users(users, anonymous_pull=anonymous_pull)
        self._on_request = on_request
        self._port: IListeningPort | None = None
        self._site: SandboxSite | None = None

    def startService(self) -> None:
        """Open the port and say so; raises `StateError` if there is no storing."""
        now = self._reactor.seconds
        try:
            storage = Storage(self._directory)
            uploads = Uploads(storage, now=now)
        except OSError as error:
            raise StateError(f"the sandbox cannot store: {error}") from error
        tokens = Tokens(self._users, now=now)
        registry = RegistryEndpoints(
            storage, uploads, tokens, lambda: f"{self.url}/token"
        )
        resource = SandboxResource(
            registry, TokenEndpoint(self._users, tokens), self._on_request
        )
        self._site = SandboxSite(resource, reactor=self._reactor)
        port: IListeningPort = self._reactor.listenTCP(
            0, cast(ServerFactory, self._site), interface="127.0.0.1"
        )
        self._port = port
        self.url = f"http://127.0.0.1:{cast(Any, port.getHost()).port}"
        super().startService()
        log.info(
            "sandbox upstream at {url}, for trying out only: "
            "what is pushed is stored in {directory}",
            url=self.url,
            directory=str(self._directory),
        )

    def stopService(self) -> Deferred[None]:
        """Fire when the port is closed and every connection has ended."""
        super().stopService()
        port, self._port = self._port, None
        site, self._site = self._site, None
        if port is None or site is None:
            return succeed(None)
        closed: Deferred[None] = Deferred.fromCoroutine(_close(port, site))
        return closed


async def _close(port: IListeningPort, site: SandboxSite) -> None:
    stopping = port.stopListening()
    if stopping is not None:
        await stopping
    await site.end_connections()


class _Channel(StreamingChannel):
    """A connection that its site knows about."""

    def connectionMade(self) -> None:
        cast(Any, self).factory.channels.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        cast(Any, self).factory.lost(self)
        super().connectionLost(reason)


class SandboxSite(StreamingSite):
    """A site that can end its connections."""

    protocol = _Channel
    noisy = False

    def __init__(self, resource: SandboxResource, *, reactor: INetworkReactor) -> None:
        super().__init__(resource, PACE, reactor)
        self.channels: set[_Channel] = set()
        self._ended: Deferred[None] | None = None

    def lost(self, channel: _Channel) -> None:
        """Note the end of a connection."""
        self.channels.discard(channel)
        if self._ended is not None and not self.channels:
            ended, self._ended = self._ended, None
            ended.callback(None)

    def end_connections(self) -> Deferred[None]:
        """Cut every connection; fire when all are gone."""
        if not self.channels:
            return succeed(None)
        self._ended = Deferred()
        for channel in list(self.channels):
            cast(Any, channel.transport).abortConnection()
        return self._ended
