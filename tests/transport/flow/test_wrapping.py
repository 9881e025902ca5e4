"""Wrappers that provide what their transports do."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import (
    Interface,
    alsoProvides,
    directlyProvides,
    implementer,
    providedBy,
)

from regbroker.transport.flow.wrapping import connect


class ITCP(Interface):
    """What a transport over TCP provides."""


class IUNIX(Interface):
    """What a transport over a Unix socket provides."""


@implementer(ITCP)
class OverTCP(StringTransport):
    """A transport of one kind."""


@implementer(IUNIX)
class OverUNIX(StringTransport):
    """A transport of another."""


class Other(ProtocolWrapper):
    """A wrapper of another kind."""


def wrapped(kind: type[ProtocolWrapper], transport: Any) -> Any:
    """A wrapper of a kind, connected."""
    factory: Any = WrappingFactory(Factory.forProtocol(Protocol))
    wrapper: Any = kind(factory, Protocol())
    connect(wrapper, transport)
    return wrapper


class WrappingTests(SynchronousTestCase):
    def test_as_twisted(self) -> None:
        """Each wrapper provides what Twisted's own would, the second of a kind, too."""
        for _ in range(3):
            for kind in ProtocolWrapper, Other:
                for transport in OverTCP(), OverUNIX():
                    wrapper = wrapped(kind, transport)
                    asked: Any = kind(wrapper.factory, Protocol())
                    directlyProvides(asked, providedBy(transport))
                    self.assertEqual(
                        list(providedBy(wrapper).flattened()),
                        list(providedBy(asked).flattened()),
                    )
                    self.assertEqual(
                        (
                            ITCP.providedBy(wrapper),
                            IUNIX.providedBy(wrapper),
                        ),
                        (type(transport) is OverTCP, type(transport) is OverUNIX),
                    )

    def test_one_alone(self) -> None:
        """What one connection provides on top is not said of others."""
        first = wrapped(Other, OverTCP())
        alsoProvides(first, IHalfCloseableProtocol)
        second = wrapped(Other, OverTCP())
        self.assertTrue(IHalfCloseableProtocol.providedBy(first))
        self.assertFalse(IHalfCloseableProtocol.providedBy(second))
        transport = OverTCP()
        alsoProvides(transport, IHalfCloseableProtocol)
        self.assertTrue(IHalfCloseableProtocol.providedBy(wrapped(Other, transport)))
        third = wrapped(Other, OverTCP())
        self.assertFalse(IHalfCloseableProtocol.providedBy(third))

    def test_connected(self) -> None:
        """The factory knows the wrapper, and the wrapped protocol has a transport."""
        transport = OverTCP()
        wrapper = wrapped(ProtocolWrapper, transport)
        self.assertEqual(list(wrapper.factory.protocols), [wrapper])
        self.assertIs(wrapper.transport, transport)
        self.assertIs(wrapper.wrappedProtocol.transport, wrapper)
        self.assertTrue(wrapper.connected)
        self.assertTrue(ITransport.providedBy(wrapper))
