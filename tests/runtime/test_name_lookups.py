"""Names are looked up side by side, and no name keeps out another one."""

from __future__ import annotations

import socket
from threading import Event
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from regbroker.runtime import name_lookups
from regbroker.runtime.name_lookups import (
    MAX_REMEMBERED,
    MOST,
    MOST_DOUBTFUL,
    Entry,
    NameLookups,
    in_thread,
)

V4: Entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
V6: Entry = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 3))


class Receiver:
    """Keeps what it is told; `addresses` is None until all is told."""

    def __init__(self) -> None:
        self.resolution: IHostResolution | None = None
        self.addresses: list[Any] | None = None
        self._found: list[Any] = []

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        """Keep it."""
        self.resolution = resolution

    def addressResolved(self, address: Any) -> None:
        """Keep it."""
        self._found.append(address)

    def resolutionComplete(self) -> None:
        """All is told, once."""
        assert self.addresses is None
        self.addresses = self._found


class NameLookupsTests(SynchronousTestCase):
    def setUp(self) -> None:
        #: What is being looked up.
        self.running: dict[str, Deferred[list[Entry]]] = {}
        self.resolver = NameLookups(self.look_up)

    def look_up(self, name: str) -> Deferred[list[Entry]]:
        """Begin to look up a name."""
        assert name not in self.running
        answered = self.running[name] = Deferred()
        return answered

    def ask(self, name: str, *others: Any, **named: Any) -> Receiver:
        """Ask for a name."""
        receiver: Any = Receiver()
        found = self.resolver.resolveHostName(receiver, name, *others, **named)
        self.assertIs(receiver.resolution, found)
        self.assertEqual(found.name, name)
        kept: Receiver = receiver
        return kept

    def answer(self, name: str, *entries: Entry) -> None:
        """The system says what it knows."""
        self.running.pop(name).callback(list(entries))

    def test_interface(self) -> None:
        """It is what reactors want."""
        self.assertTrue(verifyObject(IHostnameResolver, self.resolver))
        resolution = self.ask("a.test").resolution
        self.assertTrue(verifyObject(IHostResolution, resolution))

    def test_addresses(self) -> None:
        """In the order of the system, each with the port that was asked for."""
        receiver = self.ask("a.test", 443)
        self.assertIsNone(receiver.addresses)
        local = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", "/run/s")
        self.answer("a.test", V6, local, V4)
        v6 = IPv6Address("TCP", "2001:db8::1", 443, 0, 3)
        v4 = IPv4Address("TCP", "192.0.2.1", 443)
        self.assertEqual(receiver.addresses, [v6, v4])
        receiver = self.ask("a.test", 53, [IPv4Address], "UDP")
        self.answer("a.test", V6, V4)
        self.assertEqual(receiver.addresses, [IPv4Address("UDP", "192.0.2.1", 53)])

    def test_literal(self) -> None:
        """An address waits for nobody."""
        self.assertEqual(
            self.ask("192.0.2.7", 80).addresses, [IPv4Address("TCP", "192.0.2.7", 80)]
        )
        self.assertEqual(
            self.ask("::1", 80).addresses, [IPv6Address("TCP", "::1", 80, 0, 0)]
        )
        self.assertEqual(self.ask("::1", 80, [IPv4Address]).addresses, [])
        # The number of the interface is for the system to say.
        self.ask("fe80::1%eth0")
        self.assertEqual(list(self.running), ["fe80::1%eth0"])

    def test_shared(self) -> None:
        """A name is looked up once for all who ask meanwhile."""
        first, second = self.ask("a.test", 1), self.ask("A.test", 2)
        left = self.ask("a.test", 3)
        assert left.resolution is not None
        left.resolution.cancel()
        self.answer("a.test", V4)
        self.assertEqual(first.addresses, [IPv4Address("TCP", "192.0.2.1", 1)])
        self.assertEqual(second.addresses, [IPv4Address("TCP", "192.0.2.1", 2)])
        self.assertIsNone(left.addresses)
        # The next one asks anew.
        self.ask("a.test")
        self.assertEqual(list(self.running), ["a.test"])

    def test_bounded(self) -> None:
        """So many at once; the others follow in their order."""
        names = [f"{number}.test" for number in range(MOST + 2)]
        for name in names:
            self.ask(name)
        self.assertEqual(list(self.running), names[:MOST])
        self.answer("5.test", V4)
        self.assertEqual(list(self.running)[-1], names[MOST])
        self.answer("6.test")
        self.assertEqual(list(self.running)[-1], names[MOST + 1])

    def test_failed(self) -> None:
        """What cannot be looked up has no address."""
        receiver = self.ask("a..test")
        self.running.pop("a..test").errback(UnicodeError("label empty or too long"))
        self.assertEqual(receiver.addresses, [])

    def test_doubtful(self) -> None:
        """Names without an address leave some places to others."""
        doubtful = [f"{number}.test" for number in range(MOST)]
        for name in doubtful:
            self.ask(name)
        for name in doubtful:
            self.answer(name)
        for name in doubtful:
            self.ask(name)
        self.assertEqual(list(self.running), doubtful[:MOST_DOUBTFUL])
        good = self.ask("good.test")
        self.answer("good.test", V4)
        self.assertEqual(len(good.addresses or ()), 1)
        # It has an address now, so it is as good as others.
        self.answer(doubtful[0], V4)
        self.answer(doubtful[1])
        self.assertEqual(list(self.running), doubtful[2 : MOST_DOUBTFUL + 2])
        self.ask(doubtful[0])
        self.assertIn(doubtful[0], self.running)
        self.ask(doubtful[1])
        self.assertNotIn(doubtful[1], self.running)

    def test_remembered(self) -> None:
        """What is remembered of names is bounded."""
        for number in range(MAX_REMEMBERED + 1):
            self.ask(f"{number}.test")
            self.answer(f"{number}.test")
        for number in range(1, MOST_DOUBTFUL + 1):
            self.ask(f"{number}.test")
        self.ask("0.test")
        self.assertIn("0.test", self.running)


class InThreadTests(TestCase):
    async def test_system(self) -> None:
        """The system is asked, and says where there is no such name."""
        entries = await in_thread(reactor, "localhost")  # type: ignore[arg-type]
        hosts = {entry[4][0] for entry in entries}
        self.assertTrue(hosts & {"127.0.0.1", "::1"}, hosts)
        for name in ("a..test", "a" * 300, "a\0b"):
            with self.assertRaises((OSError, ValueError)):
                await in_thread(reactor, name)  # type: ignore[arg-type]

    async def test_no_thread(self) -> None:
        """Where no thread can be had, nothing waits for one."""

        class Refused:
            def __init__(self, **named: Any) -> None:
                assert named["daemon"]

            def start(self) -> None:
                raise RuntimeError("can't start new thread")

        self.patch(name_lookups, "Thread", Refused)
        with self.assertRaises(RuntimeError):
            await in_thread(reactor, "a.test")  # type: ignore[arg-type]

    async def test_side_by_side(self) -> None:
        """A look-up that hangs is in nobody's way."""
        hanging = Event()
        self.addCleanup(hanging.set)
        real = socket.getaddrinfo

        def slow(name: str, *others: Any, **named: Any) -> Any:
            if name == "slow.test":
                hanging.wait()
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")
            return real(name, *others, **named)

        self.patch(socket, "getaddrinfo", slow)
        answered = in_thread(reactor, "slow.test")  # type: ignore[arg-type]
        self.assertTrue(await in_thread(reactor, "localhost"))  # type: ignore[arg-type]
        self.assertFalse(answered.called)
        hanging.set()
        with self.assertRaises(OSError):
            await answered
