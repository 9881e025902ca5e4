"""The sandbox as a service: a port on loopback, and a directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from regbroker.accounts.key_file import make_key
from regbroker.accounts.signing import SigningKeys
from regbroker.errors import StateError
from regbroker.runtime.reactor import INetworkReactor
from regbroker.sandbox.registry import OnRequest, RegistryEndpoints, SandboxResource
from regbroker.sandbox.storage import Storage
from regbroker.sandbox.token_endpoint import TokenResource
from regbroker.sandbox.tokens import Tokens, Users
from regbroker.sandbox.uploads import Uploads
from regbroker.transport.accepting import AcceptingFactory
from regbroker.transport.connection_limits import ConnectionLimits
from regbroker.transport.entrance import Entrance
from regbroker.transport.pace import Pace
from regbroker.transport.server import StreamingSite

#: How slow clients may be is for regbroker to say, which is in front.
PACE = Pace(silence=900.0, whole=900.0, rate=0.0)

#: More than regbroker opens: how many there may be is for it to say, too.
LIMITS = ConnectionLimits(total=10_000, per_address=10_000)

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

    def startService(self) -> None:
        """Open the port and say so; raises `StateError` if there is no storing."""
        site = StreamingSite(self._resource(), PACE, self._reactor)
        entrance = Entrance(LIMITS, (), self._reactor)
        self._factory = AcceptingFactory(entrance, site, entrance.refusing_site)
        port: IListeningPort = self._reactor.listenTCP(
            0, cast(Any, self._factory), interface="127.0.0.1"
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

    def _resource(self) -> SandboxResource:
        now = self._reactor.seconds
        try:
            storage = Storage(self._directory)
            uploads = Uploads(storage, now=now)
            tokens = Tokens(
                self._users, SigningKeys(make_key(self._directory), now), now=now
            )
        except OSError as error:
            raise StateError(f"the sandbox cannot store: {error}") from error
        registry = RegistryEndpoints(
            storage, uploads, tokens, lambda: f"{self.url}/token"
        )
        endpoint = TokenResource(self._users, tokens)
        return SandboxResource(registry, endpoint, self._on_request)

    def stopService(self) -> Deferred[None]:
        """Fire when the port is closed and every connection has ended."""
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        closed: Deferred[None] = Deferred.fromCoroutine(_close(port, self._factory))
        return closed


async def _close(port: IListeningPort, factory: AcceptingFactory) -> None:
    stopping = port.stopListening()
    if stopping is not None:
        await stopping
    await factory.close()
