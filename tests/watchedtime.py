"""A reactor that resolves names as a test says, and dials nothing but loopback."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

from tests.proxycase import HeldTime

#: An address that is public, for names of servers that tests play.
PUBLIC = "93.184.216.34"


class WatchedTime(HeldTime):
    """
    Held time, with every connection that is made written down.

    `names` has the answers for a name, one after the other; the last one stays.
    `routes` leads from public addresses to 127.0.0.1, where tests listen.
    `dialled` has what `connectTCP` was asked for, in order, and `asked` the names that
    were to be resolved. There is no other way out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, list[list[str]]] = {}
        self.routes: dict[str, str] = {}
        self.dialled: list[tuple[str, int]] = []
        self.asked: list[str] = []
        self.nameResolver = ScriptedResolver(self.names, self.asked)

    def connectTCP(self, host: str, port: int, *others: Any, **named: Any) -> Any:
        self.dialled.append((host, port))
        target = self.routes.get(host, host)
        if not ip_address(target).is_loopback:
            raise ConnectionRefusedError()
        return super().__getattr__("connectTCP")(target, port, *others, **named)

    def __getattr__(self, name: str) -> Any:
        if name in _OTHER_WAYS_OUT:
            raise AssertionError(f"{name} would reach out unseen")
        return super().__getattr__(name)


#: How a reactor connects, asks or starts something, but for what is watched above.
_OTHER_WAYS_OUT = frozenset(
    {
        "adoptDatagramPort",
        "connectSSL",
        "connectUNIX",
        "connectUNIXDatagram",
        "listenUDP",
        "resolve",
        "resolver",
        "spawnProcess",
    }
)


@implementer(IHostResolution)
class Resolution:
    """A name that is being resolved."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Do nothing: the answer is there."""


@implementer(IHostnameResolver)
class ScriptedResolver:
    """
    Answers without asking anybody; addresses in any form, as the system does.

    What it is asked for is written down in `asked`.
    """

    def __init__(self, names: dict[str, list[list[str]]], asked: list[str]) -> None:
        self._names = names
        self._asked = asked

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        self._asked.append(hostName)
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in self._addresses(hostName):
            kind = IPv6Address if ":" in address else IPv4Address
            resolutionReceiver.addressResolved(kind("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution

    def _addresses(self, name: str) -> list[str]:
        answers = self._names.get(name)
        if answers is None:
            return numeric(name)
        return answers.pop(0) if len(answers) > 1 else answers[0]


def numeric(name: str) -> list[str]:
    """What the system makes of an address, in whatever form; no name is looked up."""
    try:
        found = socket.getaddrinfo(
            name, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except OSError:
        return []
    return [str(address[0]) for *_, address in found]
