"""
Names of hosts become addresses, in threads that nobody waits for at the end.

Twisted looks names up in ten threads that all else shares, and ends with the last
look-up that was asked for. A name server that does not answer keeps a thread for 20 s.
So some names of which nobody knows anything would keep out all others, addresses too,
and would keep the process from ending for minutes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial
from threading import Thread
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorFromThreads,
    IResolutionReceiver,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.runtime.reactor import INetworkReactor

#: Look-ups at the same time. Each has a thread, which costs little while it waits.
MOST = 64

#: Of these, look-ups of names that had no address the last time. The other places are
#: for other names.
MOST_DOUBTFUL = 48

#: Doubtful names that are remembered; a server may send us to any name.
MAX_REMEMBERED = 1024

#: Family, type, protocol, canonical name and address, as `socket.getaddrinfo` has them.
Entry = tuple[Any, ...]

_KINDS: dict[int, type[IPv4Address] | type[IPv6Address]] = {
    socket.AF_INET: IPv4Address,
    socket.AF_INET6: IPv6Address,
}


def in_thread(reactor: IReactorFromThreads, name: str) -> Deferred[list[Entry]]:
    """
    Ask the system for a name; fires with what it knows, which is never nothing.

    Fails with `OSError` where there is no such name, with `ValueError` where there
    cannot be, and with `RuntimeError` where there may be no more threads.
    """
    answered: Deferred[list[Entry]] = Deferred()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except Exception:
            reactor.callFromThread(answered.errback, Failure())
        else:
            reactor.callFromThread(answered.callback, found)

    try:
        # Not one of the reactor's, which it waits for at the end.
        Thread(target=look_up, name=f"look-up of {name}", daemon=True).start()
    except RuntimeError:
        reactor.callFromThread(answered.errback, Failure())
    return answered


def look_up_names(reactor: INetworkReactor) -> None:
    """Have a reactor resolve names so; it belongs to a process of regbroker's own."""
    reactor.installNameResolver(NameLookups(partial(in_thread, reactor)))


@implementer(IHostnameResolver)
class NameLookups:
    """
    What resolves names for a reactor (`IReactorPluggableNameResolver`).

    `look_up` is asked for one name, `MOST` at the same time, and for no name twice at
    once. An address is its own answer.
    """

    def __init__(self, look_up: Callable[[str], Deferred[list[Entry]]]) -> None:
        self._look_up = look_up
        # Who wants to know, by name; in the order in which they came.
        self._asked: dict[str, list[_Question]] = {}
        # The names that are being looked up, and whether they were doubtful.
        self._running: dict[str, bool] = {}
        self._doubtful: dict[str, None] = {}

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Tell a receiver the addresses of a host, once they are known."""
        question = _Question(
            resolutionReceiver, hostName, portNumber, addressTypes, transportSemantics
        )
        resolutionReceiver.resolutionBegan(question)
        if isIPAddress(hostName):
            question.answer([(socket.AF_INET, 0, 0, "", (hostName, 0))])
        elif isIPv6Address(hostName) and "%" not in hostName:
            question.answer([(socket.AF_INET6, 0, 0, "", (hostName, 0, 0, 0))])
        else:
            self._asked.setdefault(hostName.lower(), []).append(question)
            self._begin()
        return question

    def _begin(self) -> None:
        """Look up as many names as may be looked up now."""
        for name in [each for each in self._asked if each not in self._running]:
            if len(self._running) >= MOST:
                return
            is_doubtful = name in self._doubtful
            if is_doubtful and sum(self._running.values()) >= MOST_DOUBTFUL:
                continue
            self._running[name] = is_doubtful
            # Why there is none, nobody asks a resolver.
            self._look_up(name).addCallbacks(
                self._found, self._none, (name,), errbackArgs=(name,)
            )

    def _none(self, _: Failure, name: str) -> None:
        self._found([], name)

    def _found(self, entries: list[Entry], name: str) -> None:
        del self._running[name]
        self._doubtful.pop(name, None)
        if not entries:
            if len(self._doubtful) >= MAX_REMEMBERED:
                del self._doubtful[next(iter(self._doubtful))]
            self._doubtful[name] = None
        for question in self._asked.pop(name):
            question.answer(entries)
        self._begin()


@implementer(IHostResolution)
class _Question:
    """Who wants to know the addresses of the host `name`."""

    def __init__(
        self,
        receiver: IResolutionReceiver,
        name: str,
        port: int,
        kinds: Sequence[type[IAddress]] | None,
        transport: str,
    ) -> None:
        self.name = name
        self._receiver: IResolutionReceiver | None = receiver
        self._port = port
        self._kinds = kinds
        self._transport: Any = transport

    def cancel(self) -> None:
        """Want to know no more."""
        self._receiver = None

    def answer(self, entries: list[Entry]) -> None:
        """Tell what was found."""
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        for family, _, _, _, address in entries:
            kind = _KINDS.get(family)
            if kind is None or (self._kinds is not None and kind not in self._kinds):
                continue
            host, _, *scope = address
            receiver.addressResolved(kind(self._transport, host, self._port, *scope))
        receiver.resolutionComplete()
