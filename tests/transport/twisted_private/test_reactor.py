"""The reactor without a context for each event: who is served, and what goes wrong."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from regbroker.transport.twisted_private.reactor import ContextFreeReactor


@implementer(IReadWriteDescriptor)
class End:
    """One end of a pair of sockets, as a reactor knows it; notes what it is told."""

    def __init__(self, case: ReactorTests) -> None:
        self.socket, self.other = socket.socketpair()
        for each in (self.socket, self.other):
            case.addCleanup(each.close)
        self.reads = self.writes = 0
        self.lost: Failure | None = None
        #: Called when the socket can be read; its result is the reactor's.
        self.on_read: Callable[[], Any] = lambda: self.socket.recv(10) and None
        #: Called with the end of the connection.
        self.on_lost: Callable[[], object] = lambda: None

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "end"

    def doRead(self) -> Any:
        self.reads += 1
        return self.on_read()

    def doWrite(self) -> Any:
        self.writes += 1

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason
        self.on_lost()


class ReactorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = ContextFreeReactor()
        self.first, self.second = End(self), End(self)
        self.addCleanup(self.reactor.removeAll)
        for each in (self.first, self.second):
            self.reactor.addReader(each)

    def both_ready(self) -> None:
        """Have both ends be readable in one turn."""
        for each in (self.first, self.second):
            each.other.send(b"x")

    def test_reading_and_writing(self) -> None:
        """Each is told what its socket is ready for, and nothing else."""
        self.second.other.send(b"x")
        self.reactor.addWriter(self.first)
        self.reactor.doIteration(None)
        self.assertEqual((self.first.reads, self.first.writes), (0, 1))
        self.assertEqual((self.second.reads, self.second.writes), (1, 0))
        self.reactor.removeWriter(self.first)
        self.reactor.doIteration(0)
        self.assertEqual((self.first.writes, self.second.reads), (1, 1))

    def test_end(self) -> None:
        """What reading returns, or raises, is the end, and the others are served."""
        self.both_ready()
        self.first.on_read = ConnectionDone
        self.second.on_read = lambda: 1 // 0
        self.reactor.doIteration(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        assert self.first.lost is not None and self.second.lost is not None
        self.first.lost.trap(ConnectionDone)
        self.second.lost.trap(ZeroDivisionError)
        self.assertEqual(self.reactor.getReaders(), self.wakers())

    def test_end_that_fails(self) -> None:
        """A mistake in who hears of an end is logged, and the others are served."""
        self.both_ready()
        for each in (self.first, self.second):
            each.on_read = ConnectionDone
            each.on_lost = lambda: 1 // 0
        self.reactor.doIteration(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(self.reactor.getReaders(), self.wakers())

    def test_removed_meanwhile(self) -> None:
        """Who is removed by one that was called before hears nothing more."""
        self.both_ready()

        def remove(me: End, other: End) -> None:
            me.socket.recv(10)
            self.reactor.removeReader(other)

        self.first.on_read = lambda: remove(self.first, self.second)
        self.second.on_read = lambda: remove(self.second, self.first)
        self.reactor.doIteration(1)
        self.assertEqual(self.first.reads + self.second.reads, 1)

    def wakers(self) -> list[Any]:
        """What the reactor itself reads from."""
        ours = (self.first, self.second)
        return [each for each in self.reactor.getReaders() if each not in ours]
