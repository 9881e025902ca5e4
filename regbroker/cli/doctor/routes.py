"""
How servers are reached: straight, by a unix socket, through a proxy, and with a PROXY
line before everything. Each way is tried step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from regbroker.cli.doctor import wire
from regbroker.cli.doctor.diagnosis import (
    connection_trouble,
    socket_trouble,
    tunnel_trouble,
)
from regbroker.cli.doctor.steps import Stopped, Trouble
from regbroker.protocol.origins import UNIX_ORIGIN, Origin
from regbroker.runtime.reactor import IMainReactor
from regbroker.transport.client.tunnel import TunnelEndpoint
from regbroker.transport.client.tunnel_failures import TunnelFailed
from regbroker.transport.client.way_out import DIRECT, Proxy, WayOut
from regbroker.transport.flow.wrapping import Wrapper, WrapperFactory


@dataclass(frozen=True, kw_only=True)
class Ways:
    """
    Which way leads to which server.

    `way` is that of the service. `places` has the hosts that are not looked up: the
    address of each, or its unix socket. Connections there begin with `preamble`.
    """

    way: WayOut = DIRECT
    places: Mapping[str, str | PurePath] = field(default_factory=dict)
    preamble: bytes = b""

    def has_proxy(self, origin: Origin) -> bool:
        """Tell whether a proxy is on the way, which then looks the host up."""
        return origin.host not in self.places and bool(self.way.proxy_for(origin))


@dataclass(frozen=True)
class OpenWay:
    """A way that was found open; `called` is what sentences call its end."""

    endpoint: IStreamClientEndpoint
    called: str


class Note(Protocol):
    """Notes a step; raises `Stopped` where there is trouble."""

    def __call__(
        self, name: str, seconds: float, seen: str, trouble: Trouble | None = None
    ) -> None: ...


class Routes:
    """Finds the ways to servers; `timeout` is for each step, in seconds."""

    def __init__(
        self, reactor: IMainReactor, ways: Ways, timeout: float, note: Note
    ) -> None:
        self._reactor = reactor
        self._ways = ways
        self._timeout = timeout
        self._note = note
        self._proxies: dict[Origin, IStreamClientEndpoint] = {}

    async def find(
        self,
        origin: Origin,
        where: str,
        prefix: str,
        allows: Callable[[str], Trouble | None],
    ) -> OpenWay:
        """
        Try the way to a server, without TLS; raises `Stopped`.

        `where` is the option that names the server. `allows` says what is wrong with
        an address, or with a name that the proxy looks up.
        """
        place = self._ways.places.get(origin.host)
        if self._ways.way.socket is not None and origin == UNIX_ORIGIN:
            place = self._ways.way.socket
        if isinstance(place, PurePath):
            return await self._by_socket(place, origin, where, prefix)
        proxy = None if place else self._ways.way.proxy_for(origin)
        if proxy is not None:
            self._check([origin.host], prefix, allows)
            return await self._by_proxy(proxy, origin, prefix)
        endpoint = await self._straight(origin, where, prefix, allows)
        return OpenWay(
            _Begun(endpoint, self._ways.preamble) if place else endpoint,
            f"port {origin.port} of {origin.host}",
        )

    def _check(
        self,
        addresses: list[str],
        prefix: str,
        allows: Callable[[str], Trouble | None],
    ) -> None:
        for address in addresses:
            refusal = allows(address)
            if refusal is not None:
                self._note(f"{prefix}address", 0.0, address, refusal)

    async def _by_socket(
        self, path: PurePath, origin: Origin, where: str, prefix: str
    ) -> OpenWay:
        # Twisted counts whole seconds there.
        endpoint: Any = UNIXClientEndpoint(
            self._reactor, str(path), max(1, int(self._timeout))
        )
        endpoint = _Begun(endpoint, self._ways.preamble)
        begun = self._now()
        trouble = None
        try:
            (await wire.dial(self._reactor, endpoint, self._timeout)).close()
        except wire.Failed as error:
            trouble = socket_trouble(path, error.kind, error.detail, where)
        self._note(f"{prefix}socket", self._now() - begun, str(path), trouble)
        return OpenWay(endpoint, f"the socket {path}")

    async def _by_proxy(self, proxy: Proxy, origin: Origin, prefix: str) -> OpenWay:
        if proxy.origin not in self._proxies:
            self._proxies[proxy.origin] = await self._straight(
                proxy.origin,
                "the address of the proxy",
                f"{prefix}proxy: ",
                lambda address: None,
            )
        endpoint = TunnelEndpoint(
            self._reactor,
            self._proxies[proxy.origin],
            proxy.origin,
            origin,
            proxy.credentials,
            self._timeout,
        )
        begun = self._now()
        trouble = None
        try:
            (await wire.dial(self._reactor, endpoint, self._timeout)).close()
        except TunnelFailed as error:
            trouble = tunnel_trouble(error, origin)
        seen = f"{origin.bare_netloc}:{origin.port} through {proxy.origin}"
        self._note(f"{prefix}CONNECT", self._now() - begun, seen, trouble)
        called = f"port {origin.port} of {origin.host}, behind the proxy,"
        return OpenWay(endpoint, called)

    async def _straight(
        self,
        origin: Origin,
        where: str,
        prefix: str,
        allows: Callable[[str], Trouble | None],
    ) -> IStreamClientEndpoint:
        """Look the host up, and return the first of its addresses that is open."""
        addresses = await self._resolve(origin, where, prefix)
        self._check(addresses, prefix, allows)
        begun = self._now()
        trouble: Trouble | None = None
        for address in addresses:
            endpoint = wire.endpoint(self._reactor, address, origin.port, self._timeout)
            try:
                (await wire.dial(self._reactor, endpoint, self._timeout)).close()
            except wire.Failed as error:
                trouble = connection_trouble(error.kind, error.detail, origin, where)
                continue
            seen = f"{address} port {origin.port}"
            self._note(f"{prefix}TCP", self._now() - begun, seen)
            return endpoint
        self._note(f"{prefix}TCP", self._now() - begun, ", ".join(addresses), trouble)
        raise Stopped

    async def _resolve(self, origin: Origin, where: str, prefix: str) -> list[str]:
        begun, host = self._now(), origin.host
        place = self._ways.places.get(host)
        if place is not None:
            return [str(place)]
        try:
            addresses = await wire.resolve(self._reactor, host, self._timeout)
        except wire.Failed as error:
            trouble = connection_trouble(error.kind, error.detail, origin, where)
            self._note(f"{prefix}DNS", self._now() - begun, host, trouble)
            raise Stopped from None
        if addresses != [host]:
            seen = f"{host} is {', '.join(addresses)}"
            self._note(f"{prefix}DNS", self._now() - begun, seen)
        return addresses

    def _now(self) -> float:
        seconds: float = self._reactor.seconds()
        return seconds


class _BeginningProtocol(Wrapper):
    """Sends something before all that the protocol above it sends, TLS included."""

    factory: _BeginningFactory

    def makeConnection(self, transport: Any) -> None:
        """Send it."""
        transport.write(self.factory.preamble)
        super().makeConnection(transport)


class _BeginningFactory(WrapperFactory):
    protocol = _BeginningProtocol

    def __init__(self, factory: IProtocolFactory, preamble: bytes) -> None:
        super().__init__(factory)
        self.preamble = preamble


@implementer(IStreamClientEndpoint)
class _Begun:
    """Connects as another endpoint does, and begins with `preamble`."""

    def __init__(self, endpoint: IStreamClientEndpoint, preamble: bytes) -> None:
        self._endpoint = endpoint
        self._preamble = preamble

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Fire with the factory's protocol."""
        if not self._preamble:
            return self._endpoint.connect(factory)
        connecting: Deferred[Any] = self._endpoint.connect(
            _BeginningFactory(factory, self._preamble)
        )
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)
