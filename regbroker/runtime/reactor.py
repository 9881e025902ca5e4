"""
What regbroker asks of a reactor, as one type.

A parameter `clock` wants `IReactorTime` alone, so that a test can give a
`twisted.internet.task.Clock`. A parameter `reactor` that also connects, listens or
starts programs wants an `INetworkReactor`, and one that also runs a process and takes
over sockets an `IMainReactor`. Each reactor of Twisted for POSIX is both.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorProcess,
    IReactorSocket,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
)


class INetworkReactor(
    IReactorTime,
    IReactorTCP,
    IReactorProcess,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
):
    """Time, connections, programs, calls from threads, and names of hosts."""


class IMainReactor(INetworkReactor, IReactorCore, IReactorSocket, IReactorThreads):
    """The same, and its start and stop, sockets of others, and the pool of threads."""


def as_network_reactor(reactor: IReactorTCP) -> INetworkReactor:
    """
    Return the reactor of an application as what regbroker asks of it.

    Applications pass on `twisted.internet.reactor`. Twisted types that one with fewer
    interfaces than each of its reactors for POSIX has.
    """
    return cast(INetworkReactor, reactor)
