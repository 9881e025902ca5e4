"""The end of a listening socket, while clients connect."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from regbroker.transport.listening.last_connections import close_port
from regbroker.transport.listening.shared_sockets import (
    AdoptedEndpoint,
    leave_to_others,
)

reactor: Any = _reactor

#: More than Twisted accepts at once.
CLIENTS = 40


class ClosePortTests(TestCase):
    """The kernel has connected clients before anybody accepts them."""

    def setUp(self) -> None:
        self.accepted = 0
        self.factory: Any = Factory.forProtocol(self.accept)
        self.factory.noisy = False

    def accept(self) -> Protocol:
        """Count a client."""
        self.accepted += 1
        return Protocol()

    async def listen(self, text: str) -> Any:
        """A port at which nobody accepts until the test lets the reactor turn."""
        return await serverFromString(reactor, text).listen(self.factory)

    def connect(self, address: Any) -> socket.socket:
        """A client; the kernel answers it."""
        is_path = isinstance(address, str)
        client = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
        self.addCleanup(client.close)
        client.settimeout(10)
        client.connect(address)
        return client

    def assert_connected(self, client: socket.socket) -> None:
        """A client was not reset."""
        client.setblocking(False)
        self.assertRaises(BlockingIOError, client.recv, 1)

    async def test_tcp(self) -> None:
        """All are accepted who are connected, and who comes then is refused."""
        port = await self.listen("tcp:0:interface=127.0.0.1")
        address = ("127.0.0.1", port.getHost().port)
        clients = [self.connect(address) for _ in range(CLIENTS)]
        close_port(port)
        self.assertEqual(self.accepted, CLIENTS)
        for client in clients:
            self.assert_connected(client)
        self.assertRaises(ConnectionRefusedError, self.connect, address)

    async def test_unix(self) -> None:
        """So are those of a unix socket, whose file is gone then."""
        path = Path(os.path.relpath(Path(self.mktemp()).absolute()))
        port = await self.listen(f"unix:{path}")
        clients = [self.connect(str(path)) for _ in range(CLIENTS)]
        close_port(port)
        for client in clients:
            self.assert_connected(client)
        self.assertFalse(path.exists())

    async def test_file_is_gone(self) -> None:
        """Somebody may have removed the file."""
        path = Path(os.path.relpath(Path(self.mktemp()).absolute()))
        port = await self.listen(f"unix:{path}")
        client = self.connect(str(path))
        path.unlink()
        close_port(port)
        self.assert_connected(client)

    async def test_shared(self) -> None:
        """The process that leaves clients to others closes first, and accepts none."""
        port = await self.listen("tcp:0:interface=127.0.0.1")
        address = ("127.0.0.1", port.getHost().port)
        leave_to_others(port)
        adopted = await AdoptedEndpoint(reactor, port.fileno()).listen(self.factory)
        clients = [self.connect(address) for _ in range(CLIENTS)]
        close_port(port, accepts=False)
        self.assertEqual(self.accepted, 0)
        close_port(adopted)
        for client in clients:
            self.assert_connected(client)
        self.assertRaises(ConnectionRefusedError, self.connect, address)
