"""
What regbroker asks of a reactor, as one type.

A parameter `clock` wants `IReactorTime` alone, so that a test can give a
`twisted.internet.task.Clock`. A parameter `reactor` that also connects, listens or
starts programs wants an `INetworkReactor`. Each reactor of Twisted for POSIX is one.
"""

from __future__ import annotations

from twisted.internet.interfaces import (
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorProcess,
    IReactorTCP,
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
