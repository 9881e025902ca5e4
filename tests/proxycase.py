"""regbroker in this process, between a raw client and a scripted upstream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock, deferLater
from twisted.internet.tcp import Connection
from twisted.logger import globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import directlyProvides, implementer, providedBy

from regbroker.service import RegbrokerService, build_service, listeners
from regbroker.settings.ini import parse_config
from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.server.lingering import LINGER_SECONDS
from regbroker.transport.server.site import StreamingSite
from tests.certificates import authority, issued
from tests.scripted import Call, ScriptedUpstream, response
from tests.wire import Flood, Message, RawClient

DIGEST = "sha256:" + "a1" * 32
BLOB = f"/v2/team/app/blobs/{DIGEST}"
MANIFEST = "/v2/team/app/manifests/1.0"
UPLOADS = "/v2/team/app/blobs/uploads/"
UPLOAD = f"{UPLOADS}id"

#: What the upstream's ping says when it has a token service of its own.
TOKENS = 'Bearer realm="{url}/token",service="registry.upstream.test"'


@implementer(IReactorTime)
class HeldTime:
    """The real reactor's sockets, with a clock that a test moves by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        directlyProvides(self, providedBy(reactor))

    def seconds(self) -> float:
        """Return the time of the clock."""
        return self.clock.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: Any, **kwargs: Any
    ) -> IDelayedCall:
        """Call when the clock has come so far."""
        return self.clock.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """Return what waits for the clock."""
        return self.clock.getDelayedCalls()

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class SocketTestCase(TestCase):
    """Ends what a test has connected, and waits until the other side knows."""

    timeout = 20

    async def setUp(self) -> None:  # type: ignore[override]
        self.reactor: Any = reactor
        self.clients: list[RawClient] = []
        self.addCleanup(self._settle)
        await self.set_up()

    async def set_up(self) -> None:
        """Start what a test needs."""

    async def _settle(self) -> None:
        await self.hang_up()
        await self.tear_down()
        # What regbroker still had open sees the other side's end.
        while any(isinstance(r, Connection) for r in self.reactor.getReaders()):
            await self.turn()

    async def hang_up(self) -> None:
        """End all clients."""
        for client in self.clients:
            if client.lost is None:
                client.reset()
                await client.end()

    async def tear_down(self) -> None:
        """Stop what listens; the clients are gone."""

    async def turn(self) -> None:
        """Let the reactor go round once."""
        await deferLater(self.reactor, 0)

    async def connect_to(self, port: int, tls: Any = None) -> RawClient:
        """Connect a client; `tls` is an IOpenSSLClientConnectionCreator."""
        factory: Any = Factory.forProtocol(RawClient)
        factory.noisy = False
        if tls is not None:
            factory = TLSMemoryBIOFactory(tls, True, factory)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        protocol: Any = await endpoint.connect(factory)
        client: RawClient = protocol if tls is None else protocol.wrappedProtocol
        self.clients.append(client)
        return client


class ByHand(Resource):
    """Leaves every request to the test."""

    isLeaf = True
    streams = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: DeferredQueue[Any] = DeferredQueue()

    def render(self, request: Any) -> int:
        self.requests.put(request)
        return NOT_DONE_YET


class SiteTestCase(SocketTestCase):
    """
    `client` speaks to a streaming site; requests are answered by the test.

    The site's time stands still until the test moves `time.clock`.
    """

    async def set_up(self) -> None:
        await super().set_up()
        self.time = HeldTime()
        self.resource = ByHand()
        site = self.make_site()
        site.noisy = False
        self.listening = self.reactor.listenTCP(0, site, interface="127.0.0.1")
        self.client = await self.connect()

    def make_site(self) -> Site:
        """The site under test."""
        return StreamingSite(self.resource, reactor=self.time)

    async def tear_down(self) -> None:
        await self.listening.stopListening()

    async def connect(self) -> RawClient:
        """Connect one more client."""
        return await self.connect_to(self.listening.getHost().port)

    async def received(self, *parts: bytes) -> Any:
        """Send these bytes, and return the request that comes of them."""
        self.client.send(b"".join(parts))
        return await self.resource.requests.get()


class ProxyTestCase(SocketTestCase):
    """
    `upstream` is played by the test; `client` speaks to regbroker.

    Time stands still for regbroker, but for what tokens live: `time.clock`.
    Subclasses change the configuration by class attributes, or call `serve`
    themselves with `autostart` false.
    """

    autostart = True
    listen = "tcp:0:interface=127.0.0.1"
    main = ""
    registry = "team = acme_team"
    more = ""
    upstream_options = ""
    tokens = False

    async def set_up(self) -> None:
        await super().set_up()
        self.time: Any = self.make_time()
        self.services: list[RegbrokerService] = []
        self.upstream = self.make_upstream()
        self.upstream.start()
        if self.tokens:
            challenge = TOKENS.format(url=self.upstream.url)
            self.upstream.ping = response(401, f"WWW-Authenticate: {challenge}")
        if self.autostart:
            await self.serve()
            self.client = await self.connect()

    def make_time(self) -> HeldTime:
        """The reactor that regbroker is given."""
        return HeldTime()

    def make_upstream(self) -> ScriptedUpstream:
        """The upstream that the configuration names."""
        return ScriptedUpstream()

    async def tear_down(self) -> None:
        await self.stop_all()
        await self.upstream.stop()

    def ini(self) -> str:
        """The configuration."""
        rules = "".join(f"\n    {line.strip()}" for line in self.registry.splitlines())
        return (
            f"[regbroker]\nlisten = {self.listen}\nstate-directory = state\n"
            f"{self.main}\n[registry *]\nupstream = up\nnamespaces ={rules}\n"
            f"{self.more}\n[upstream up]\nurl = {self.upstream.url}\n"
            f"{self.upstream_options}\n"
        )

    async def serve(self, learnt: bool = True) -> RegbrokerService:
        """Start regbroker; with `learnt`, wait until it knows the upstream."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        config = parse_config(self.ini(), PurePath(self.directory), lambda _: None)
        service = build_service(config, self.time)
        known = self.logged(
            ("regbroker.upstream.registry", "regbroker.upstream.background_discovery"),
            "service",
            "how",
            "problem",
        )
        service.privilegedStartService()
        service.startService()
        self.services.append(service)
        self.url = listeners(service)[0].url
        if learnt:
            await known
        return service

    async def stop_all(self) -> None:
        """Stop each regbroker that a test has started."""
        for service in self.services:
            stopping = Deferred.fromCoroutine(self.stop(service))
            # Who sends on after a refusal is read no further, so nobody sees it leave.
            self.time.clock.advance(LINGER_SECONDS)
            await stopping

    async def stop(self, service: RegbrokerService) -> None:
        """Stop regbroker, unless that was done."""
        if service.running:
            await service.stopService()

    def logged(
        self, namespace: str | tuple[str, ...], *keys: str
    ) -> Deferred[dict[str, Any]]:
        """Fire with the next event of these modules' logs that has one of `keys`."""
        namespaces = (namespace,) if isinstance(namespace, str) else namespace
        found: Deferred[dict[str, Any]] = Deferred()

        def note(event: Any) -> None:
            given = event.get("log_namespace") in namespaces
            if given and any(key in event for key in keys) and not found.called:
                found.callback(event)

        observe: Any = note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return found

    def event(self) -> Deferred[dict[str, Any]]:
        """Fire with the next line of the access log."""
        return self.logged("regbroker.events", "event")

    async def connect(self, tls: Any = None) -> RawClient:
        """Connect one more client."""
        return await self.connect_to(int(self.url.rpartition(":")[2]), tls)

    async def relayed(
        self, method: str, target: str, *headers: str, body: bytes | None = None
    ) -> Call:
        """Send a request, and return it as the upstream sees it."""
        self.client.request(method, target, *headers, body=body)
        return await self.upstream.call()

    async def exchange(self, method: str, target: str, answer: bytes) -> Message:
        """Send a request without a body, and have the upstream answer it."""
        (await self.relayed(method, target)).answer(answer)
        return await self.client.reply(method)

    async def assert_held_up(self, *floods: Flood) -> None:
        """Nothing more is taken of these after a while; ends them."""
        # The kernel's buffers on the way are all that ever fills.
        for _ in range(300 * len(floods)):
            await self.turn()
        for flood in floods:
            self.assertTrue(flood.paused)
            self.assertLess(flood.sent, 60_000_000)
            flood.stop()


class OtherUpstream(ProxyTestCase):
    """`other` is a second server, which is there before regbroker starts."""

    async def set_up(self) -> None:
        self.other = ScriptedUpstream()
        self.other.start()
        await super().set_up()

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.other.stop()


class TLSUpstream(ProxyTestCase):
    """Puts TLS between regbroker and the upstream."""

    def make_upstream(self) -> ScriptedUpstream:
        pair = issued("127.0.0.1")
        return ScriptedUpstream(tls=certificate_options(pair.certificate, pair.key))

    async def serve(self, learnt: bool = True) -> RegbrokerService:
        path = Path(self.mktemp()).absolute()
        path.write_bytes(authority().certificate)
        self.upstream_options += f"\nca-file = {path}"
        return await super().serve(learnt)
