"""Listening sockets that two processes accept from."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from regbroker.transport.listening.shared_sockets import (
    AdoptedEndpoint,
    leave_to_others,
)

reactor: Any = _reactor


class Greeting(Protocol):
    """Says a word, and hangs up."""

    def __init__(self, word: bytes, gone: list[Deferred[None]]) -> None:
        self.word = word
        self.gone: Deferred[None] = Deferred()
        gone.append(self.gone)

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.word)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)


class SharedSocketsTests(TestCase):
    """Two ports on one socket, both in this process."""

    async def opened(self, description: str) -> Any:
        """A port that accepts nothing."""
        endpoint = serverFromString(reactor, description)
        port: Any = await endpoint.listen(self.says(b"front"))
        leave_to_others(port)
        return port

    def says(self, word: bytes) -> Any:
        """What answers every client with a word."""
        self.gone: list[Deferred[None]] = getattr(self, "gone", [])
        factory: Any = Factory.forProtocol(lambda: Greeting(word, self.gone))
        factory.noisy = False
        return factory

    async def adopt(self, port: Any) -> Any:
        """Another port on the same socket, which accepts."""
        endpoint = AdoptedEndpoint(reactor, port.fileno())
        return await endpoint.listen(self.says(b"worker"))

    async def ask(self, family: int, address: Any) -> bytes:
        """What a client hears."""

        def connect() -> bytes:
            with socket.socket(family) as client:
                client.settimeout(10)
                client.connect(address)
                return client.recv(100)

        word = await deferToThread(connect)
        for gone in self.gone:
            await gone
        self.gone.clear()
        return word

    async def test_tcp(self) -> None:
        """The other process is connected, and goes on when one is closed."""
        port = await self.opened("tcp:0:interface=127.0.0.1")
        address = ("127.0.0.1", port.getHost().port)
        first, second = await self.adopt(port), await self.adopt(port)
        self.assertEqual(first.getHost().port, address[1])
        self.assertEqual(await self.ask(socket.AF_INET, address), b"worker")
        await port.stopListening()
        self.assertEqual(await self.ask(socket.AF_INET, address), b"worker")
        await first.stopListening()
        self.assertEqual(await self.ask(socket.AF_INET, address), b"worker")
        await second.stopListening()
        with socket.socket() as client:
            self.assertNotEqual(client.connect_ex(address), 0)

    async def test_shares(self) -> None:
        """Of many clients that come at once, each process has as many."""
        path = os.path.relpath(Path(self.mktemp()).absolute())
        tcp = await self.opened("tcp:0:interface=127.0.0.1")
        unix = await self.opened(f"unix:{path}")
        for port, family, address in (
            (tcp, socket.AF_INET, ("127.0.0.1", tcp.getHost().port)),
            (unix, socket.AF_UNIX, path),
        ):
            clients = []
            for _ in range(12):
                client = socket.socket(family)
                self.addCleanup(client.close)
                client.settimeout(10)
                client.connect(address)
                clients.append(client)
            for word in b"one", b"two":
                adopted = AdoptedEndpoint(reactor, port.fileno())
                self.addCleanup((await adopted.listen(self.says(word))).stopListening)
            words = [await deferToThread(client.recv, 100) for client in clients]
            self.assertEqual(sorted(words), [b"one"] * 6 + [b"two"] * 6)
            for client in clients:
                client.close()
            for gone in self.gone:
                await gone
            self.gone.clear()
            await port.stopListening()

    async def test_unix(self) -> None:
        """The file of a socket is its opener's: its mode stays, and it stays."""
        path = Path(self.mktemp()).absolute()
        # Its name may have no more than 107 characters.
        path = Path(os.path.relpath(path))
        port = await self.opened(f"unix:{path}:mode=600")
        adopted = await self.adopt(port)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(await self.ask(socket.AF_UNIX, str(path)), b"worker")
        await adopted.stopListening()
        self.assertTrue(path.exists())
        await port.stopListening()
        self.assertFalse(path.exists())

    async def test_backlog(self) -> None:
        """As many clients may wait as its opener has said: more than Twisted's 50."""
        path = os.path.relpath(Path(self.mktemp()).absolute())
        tcp = await self.opened("tcp:0:interface=127.0.0.1:backlog=100")
        unix = await self.opened(f"unix:{path}:backlog=100")
        for port, family, address in (
            (tcp, socket.AF_INET, ("127.0.0.1", tcp.getHost().port)),
            (unix, socket.AF_UNIX, path),
        ):
            adopted = await self.adopt(port)
            for _ in range(100):
                client = socket.socket(family)
                self.addCleanup(client.close)
                # A client of a unix socket without room is refused at once, then.
                client.settimeout(10)
                client.connect(address)
            await adopted.stopListening()
            await port.stopListening()

    async def test_no_socket(self) -> None:
        """What is no socket is an error, and stays the caller's."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        os.close(writing)
        endpoint = AdoptedEndpoint(reactor, reading)
        await self.assertFailure(endpoint.listen(self.says(b"")), OSError)
