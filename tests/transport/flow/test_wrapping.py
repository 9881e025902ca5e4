"""Wrappers that a protocol may take for their transports."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides, providedBy
from zope.interface.verify import verifyObject

from regbroker.transport.flow.wrapping import Wrapper, WrapperFactory, lowest


class Recorder:
    """A transport that notes what is called, and answers with the name of it."""

    def __init__(self) -> None:
        self.called: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def method(*arguments: Any) -> str:
            self.called.append((name, *arguments))
            return name

        return method


class Inner(Protocol):
    """A protocol that notes what comes."""

    def __init__(self) -> None:
        self.came: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.came.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note it."""
        self.came.append(reason)


def wrapped(transport: Any) -> Any:
    """A wrapper, connected."""
    factory: Any = WrapperFactory(Factory.forProtocol(Inner))
    wrapper = factory.buildProtocol(None)
    wrapper.makeConnection(transport)
    return wrapper


class WrappingTests(SynchronousTestCase):
    def test_interfaces(self) -> None:
        """A wrapper is a protocol and a transport over TCP, with all that takes."""
        wrapper = wrapped(StringTransport())
        for interface in IProtocol, ITCPTransport, IConsumer, IPushProducer:
            self.assertTrue(verifyObject(interface, wrapper), interface)

    def test_passed_on(self) -> None:
        """What the wrapped protocol asks for, the transport is asked for."""
        calls: list[tuple[Any, ...]] = [
            ("write", b"a"),
            ("writeSequence", [b"a", b"b"]),
            ("loseWriteConnection",),
            ("loseConnection",),
            ("abortConnection",),
            ("getPeer",),
            ("getHost",),
            ("setTcpNoDelay", True),
            ("setTcpKeepAlive", True),
            ("registerProducer", object(), True),
            ("unregisterProducer",),
            ("pauseProducing",),
            ("resumeProducing",),
            ("stopProducing",),
        ]
        answered = {"getPeer", "getHost"}
        for name, *arguments in calls:
            transport = Recorder()
            wrapper = wrapped(transport)
            answer = getattr(wrapper, name)(*arguments)
            self.assertEqual(transport.called, [(name, *arguments)])
            self.assertEqual(answer, name if name in answered else None)
            self.assertIs(wrapper.disconnecting, name == "loseConnection")
        for name in "getTcpNoDelay", "getTcpKeepAlive":
            transport = Recorder()
            self.assertIs(getattr(wrapped(transport), name)(), True)
            self.assertEqual(transport.called, [(name,)])

    def test_nothing_else(self) -> None:
        """What a transport has besides is not found: Python looks in one place."""
        wrapper = wrapped(Recorder())
        self.assertFalse(hasattr(wrapper, "doWrite"))
        self.assertFalse(hasattr(type(wrapper), "__getattr__"))

    def test_from_below(self) -> None:
        """What comes goes to the wrapped protocol, and the end is the last of it."""
        wrapper = wrapped(StringTransport())
        inner = wrapper.wrappedProtocol
        wrapper.dataReceived(b"a")
        reason = Failure(Exception("it ended"))
        wrapper.connectionLost(reason)
        self.assertEqual(inner.came, [b"a", reason])
        self.assertIsNone(wrapper.wrappedProtocol)
        self.assertEqual(wrapper.factory.protocols, {})

    def test_one_alone(self) -> None:
        """What one connection provides on top is not said of others."""
        first = wrapped(StringTransport())
        alsoProvides(first, IHalfCloseableProtocol)
        second = wrapped(StringTransport())
        self.assertTrue(IHalfCloseableProtocol.providedBy(first))
        self.assertFalse(IHalfCloseableProtocol.providedBy(second))
        self.assertEqual(
            list(providedBy(second)), list(providedBy(Wrapper(None, None)))
        )

    def test_connected(self) -> None:
        """The factory knows the wrapper, and the wrapped protocol has a transport."""
        transport = StringTransport()
        wrapper = wrapped(transport)
        self.assertEqual(list(wrapper.factory.protocols), [wrapper])
        self.assertIs(wrapper.transport, transport)
        self.assertIs(wrapper.wrappedProtocol.transport, wrapper)
        self.assertTrue(wrapper.connected)
        self.assertTrue(ITransport.providedBy(wrapper))

    def test_refused(self) -> None:
        """A connection that the other factory refuses is refused."""
        refusing: Any = Factory()
        refusing.buildProtocol = lambda addr: None
        self.assertIsNone(WrapperFactory(refusing).buildProtocol(None))

    def test_log_prefix(self) -> None:
        """The log names the wrapped protocol first."""
        self.assertEqual(wrapped(StringTransport()).logPrefix(), "Inner (Wrapper)")

    def test_lowest(self) -> None:
        """Below all wrappers is the transport that has the socket."""
        transport = StringTransport()
        self.assertIs(lowest(transport), transport)
        self.assertIs(lowest(wrapped(wrapped(transport))), transport)
