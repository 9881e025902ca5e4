"""
Where to connect when somebody else says so: public addresses, and hosts that are named.

Such names come out of Locations and documents, and whoever answers for a name chooses
its addresses, another one each time if he likes. So the address is looked at where
it is dialled, after everything that could still change it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from twisted.internet.interfaces import (
    IReactorPluggableNameResolver,
    IStreamClientEndpoint,
)
from zope.interface import directlyProvides

from regbroker.errors import RedirectRefused
from regbroker.protocol.addresses import is_public, is_public_host
from regbroker.protocol.origins import Origin
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.client.trust import Trust


class PublicOnly:
    """
    What an endpoint needs of a reactor, for dialling one host.

    The last gate: `connectTCP` is given an address, and refuses it when it is
    not public.
    """

    def __init__(self, reactor: INetworkReactor, host: str, advice: str) -> None:
        self._reactor = reactor
        self._host = host
        self._advice = advice
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds
        directlyProvides(self, IReactorPluggableNameResolver)

    @property
    def nameResolver(self) -> Any:
        """Who resolves names for the reactor."""
        return self._reactor.nameResolver

    def connectTCP(self, host: str, port: int, *others: Any, **named: Any) -> Any:
        """Dial a public address; raises `RedirectRefused` for others."""
        if not is_public(host):
            raise RedirectRefused(
                f"the address of {self._host}, {host}, is not public; if it is "
                f"right, {self._advice}"
            )
        return self._reactor.connectTCP(host, port, *others, **named)


def guarded_endpoint(
    reactor: INetworkReactor,
    trust: Trust,
    origin: Origin,
    named_hosts: Collection[str],
    connect_timeout: float,
    advice: str,
) -> IStreamClientEndpoint:
    """
    Return what connects to `origin`, at a public address unless its host is named.

    `advice` says what to write where the host is right after all. Raises
    `RedirectRefused`; so does the endpoint.
    """
    is_named = origin.host in named_hosts
    if trust.has_proxy(origin):
        # Only the proxy knows the address.
        if not (is_named or is_public_host(origin.host)):
            raise RedirectRefused(
                f"{origin.host} does not look public; if it is right, {advice}"
            )
    elif not is_named:
        reactor = cast(INetworkReactor, PublicOnly(reactor, origin.host, advice))
    try:
        return trust.new_endpoint(reactor, origin, connect_timeout)
    except ValueError:
        raise RedirectRefused(f"no server can be called {origin.host}") from None
