"""The sandbox as a service: a port on loopback, and a directory."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.interfaces import IReactorTCP
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from regbroker.accounts.access_section import parse_access
from regbroker.accounts.key_file import make_key
from regbroker.accounts.signing import SigningKeys, TokenSigner
from regbroker.broker.local_broker import LocalBroker
from regbroker.errors import StateError
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.headers import Forwarded
from regbroker.runtime.reactor import INetworkReactor, as_network_reactor
from regbroker.runtime.state_directory import no_place
from regbroker.sandbox.blobs import Blobs
from regbroker.sandbox.repositories import Repositories
from regbroker.sandbox.storage import Storage
from regbroker.sandbox.users import Users
from regbroker.transport.listening.connection_limits import ConnectionLimits
from regbroker.transport.listening.entrance import Entrance
from regbroker.transport.listening.listeners import Listener
from regbroker.transport.listening.services import ListeningService
from regbroker.transport.server.pace import Pace
from regbroker.transport.server.site import StreamingSite
from regbroker.transport.server.streaming_request import received_headers
from regbroker.web.admission import LocalGate
from regbroker.web.client_request import parse_request
from regbroker.web.proxy import Proxy
from regbroker.web.registry import Registry
from regbroker.web.serving import UnderWay, serve
from regbroker.web.token_endpoint import LocalTokenIssuer, TokenEndpoint

#: What the tokens are for, and what the token service calls itself.
SERVICE = "regbroker-sandbox"

TOKEN_PATH = "/token"

#: A free port, for regbroker alone.
LISTENER = Listener("a port of loopback", "tcp:0:interface=127.0.0.1", tls=False)

#: How slow clients may be is for regbroker to say, which is in front.
PACE = Pace(silence=900.0, whole=900.0, rate=0.0)

#: More than regbroker opens: how many there may be is for it to say, too.
LIMITS = ConnectionLimits(total=10_000, per_address=10_000)

log = Logger()


class SandboxService(ListeningService):
    """
    A registry for trying out, listening on a free port of 127.0.0.1.

    `url` is known as soon as `startService` returns, and another one after
    each start. `users` maps names to passwords: each may do everything, and
    everybody else nothing. `reactor` is one of Twisted's for POSIX.

    Everything pushed is kept in `directory`, which is made if it is missing;
    tokens are forgotten when the service stops.
    """

    def __init__(
        self, reactor: IReactorTCP, directory: Path, users: Mapping[str, str]
    ) -> None:
        reactor = as_network_reactor(reactor)
        self._directory = directory
        self._users = Users(users)
        self._root = _Root(reactor)
        site = StreamingSite(self._root, PACE, reactor)
        entrance = Entrance(LIMITS, (), reactor)
        super().__init__(
            reactor, LISTENER, site, None, entrance=entrance, option="sandbox"
        )

    def startService(self) -> None:
        """Open the port and say so; raises `StateError` if it cannot store."""
        try:
            storage = Storage(self._directory)
        except OSError as error:
            kept = "what is pushed to a sandbox is kept"
            raise StateError(no_place(self._directory, error.strerror, kept)) from error
        self._root.registry = self._registry(storage)
        super().startService()
        log.info(
            "the sandbox, for trying out only, stores what is pushed in {directory}",
            directory=str(self._directory),
        )

    def _registry(self, storage: Storage) -> Registry:
        """Return a registry with local accounts, answered from the disk."""
        keys = SigningKeys(make_key(self._directory), time.time)
        # With another issuer after each start, clients come back with their password.
        signer = TokenSigner(keys, f"sandbox {secrets.token_hex(16)}", time.time)
        mapping = NameMapping([parse_rule("* = *")], ["sandbox"])
        rules = parse_access({"authenticated": "**: *"})
        broker = LocalBroker(SERVICE, self._users, rules, signer, mapping, time.time)
        gate = LocalGate(broker, TOKEN_PATH, basic=False)
        contents = Repositories(storage, Blobs(storage).answers)
        proxy = Proxy(mapping, gate, contents, contents)
        return Registry("*", TOKEN_PATH, proxy, TokenEndpoint(LocalTokenIssuer(broker)))


class _Root(Resource):
    """The root of the site: any Host is that of `registry`, set before it listens."""

    isLeaf = True
    streams = True
    registry: Registry

    def __init__(self, clock: INetworkReactor) -> None:
        super().__init__()
        self._clock = clock
        self._under_way = UnderWay()
        # The log line is that of the regbroker in front.
        self._under_way.log = lambda event: None
        self._under_way.is_audited = False

    def render(self, request: Request) -> int:
        """Answer when the answer is there."""
        event = Event(
            self._clock.seconds,
            method=request.method.decode("latin-1"),
            path=request.uri.partition(b"?")[0].decode("latin-1"),
        )
        serve(request, event, self._answer(request, event), self._under_way)
        return NOT_DONE_YET

    async def _answer(self, http: Request, event: Event) -> None:
        headers, peer = received_headers(http), http.getClientAddress().host
        host = headers.by_name.get(b"host", b"").decode("latin-1")
        request = parse_request(
            http, headers, Forwarded(peer, peer, "http", host), event
        )
        await self.registry.endpoint(request).serve(request, event)
