"""
The beginning of a wrapped connection, which provides what its transport does.

Twisted's `ProtocolWrapper` works that out for each connection, out of some thirty
interfaces. It is the same for all connections of a kind.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from zope.interface import directlyProvides, providedBy

#: What `directlyProvides` has made for the wrappers of a class, over transports of a
#: kind. There are few of both: each is a class of the program.
_declared: dict[tuple[type, Any], Any] = {}


def connect(wrapper: Any, transport: ITransport) -> None:
    """Do for a wrapper what `ProtocolWrapper.makeConnection` does."""
    kind = type(wrapper), providedBy(transport)
    declared = _declared.get(kind)
    if declared is None:
        directlyProvides(wrapper, kind[1])
        _declared[kind] = wrapper.__provides__
    else:
        wrapper.__provides__ = declared
    Protocol.makeConnection(wrapper, transport)
    wrapper.factory.registerProtocol(wrapper)
    wrapper.wrappedProtocol.makeConnection(wrapper)
