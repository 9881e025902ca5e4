"""A client that sends messages of TLS itself, and no data: OpenSSL's own program."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Connection
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.tls.factory import TLSFactory
from regbroker.transport.tls.memory import MemoryTLSProtocol
from regbroker.transport.tls.protocol import MOST_STEPS
from regbroker.transport.tls.sockets import SocketTLSProtocol
from tests.certificates import issued
from tests.tlspeer import Descriptors, Inner

#: Seconds that the program has for each step.
SOON = 20.0


class StepsCase(SynchronousTestCase):
    """What both ways to the socket have."""

    protocol: Any = None

    def setUp(self) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            raise SkipTest("openssl is not installed")
        listening = socket.create_server(("127.0.0.1", 0))
        self.messages = Path(self.mktemp())
        where = f"127.0.0.1:{listening.getsockname()[1]}"
        self.program = subprocess.Popen(
            [
                *(openssl, "s_client", "-connect", where, "-tls1_3"),
                *("-msg", "-msgfile", str(self.messages)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(self.end)
        ours, _ = listening.accept()
        listening.close()
        pair = issued("a.test")
        options = certificate_options(pair.certificate, pair.key)
        self.inner = Inner()
        factory: Any = Factory.forProtocol(lambda: self.inner)
        reactor: Any = Descriptors()
        self.reactor = reactor
        tls = self.make_tls(options, factory)
        self.transport: Any = Connection(ours, tls, reactor)
        self.transport.connected = 1
        self.transport.startReading()
        tls.makeConnection(self.transport)
        while not self.inner.handshakes:
            self.assertTrue(self.reactor.run(SOON))

    def make_tls(self, options: Any, factory: Any) -> Any:
        """The protocol under test."""
        secure: Any = TLSFactory(options, False, factory, self.reactor)
        secure.protocol = self.protocol
        self.tls = secure.buildProtocol(None)
        return self.tls

    def end(self) -> None:
        """End the program, and close our socket."""
        self.program.kill()
        self.program.communicate()
        self.transport.abortConnection()
        self.reactor.advance(0)

    def key_updates(self) -> int:
        """How many messages with new keys the program has sent."""
        return self.messages.read_text().count("KeyUpdate")

    def change_keys(self, times: int) -> None:
        """Have the program change its keys so often; nobody reads meanwhile."""
        assert self.program.stdin is not None
        for _ in range(times):
            before, deadline = self.key_updates(), time.monotonic() + SOON
            self.program.stdin.write(b"k\n")
            self.program.stdin.flush()
            while self.key_updates() == before:
                self.assertLess(time.monotonic(), deadline)


class SocketTests(StepsCase):
    """Over the socket."""

    protocol: Any = SocketTLSProtocol

    def test_few(self) -> None:
        """New keys now and then are what they are for."""
        for _ in range(3):
            self.change_keys(MOST_STEPS // 32)
            self.assertTrue(self.reactor.run(SOON))
        self.reactor.advance(0)
        self.assertFalse(self.transport.disconnected)
        self.assertIsNone(self.tls.failure())
        assert self.program.stdin is not None
        self.program.stdin.write(b"data\n")
        self.program.stdin.flush()
        self.assertTrue(self.reactor.run(SOON))
        self.assertEqual(self.inner.text, b"data\n")

    def test_flood(self) -> None:
        """Who sends nothing else is cut off, and nobody waits for that."""
        self.change_keys(MOST_STEPS)
        while self.inner.lost is None:
            self.assertTrue(self.reactor.run(SOON))
            self.reactor.advance(0)
        self.inner.lost.trap(SSL.Error)
        self.assertIn("too many messages", str(self.inner.lost.value))
        self.assertIs(self.tls.failure(), self.inner.lost.value)


class MemoryTests(SocketTests):
    """Through memory."""

    protocol = MemoryTLSProtocol
