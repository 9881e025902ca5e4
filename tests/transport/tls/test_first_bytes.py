"""The first bytes of a client over TCP, which stay where they are."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.tls.server_names import ServerTLSFactory
from tests.certificates import issued
from tests.tlspeer import Descriptors, Inner

#: Seconds within which the system has brought what was sent.
SOON = 10.0


class BeginningTests(SynchronousTestCase):
    """Over TCP, where the system waits for more than what was seen."""

    def setUp(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.client = socket.create_connection(listening.getsockname())
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(self.client.close)
        ours, _ = listening.accept()
        listening.close()
        self.reactor = Descriptors()
        self.inner = Inner()
        one, other = issued("a.test"), issued("b.test")
        others = {"b.test": certificate_options(other.certificate, other.key)}
        options = certificate_options(
            one.certificate,
            one.key,
            {name: each.getContext() for name, each in others.items()},
        )
        factory: Any = Factory.forProtocol(lambda: self.inner)
        self.factory = ServerTLSFactory(options, factory)
        self.factory.call_later = self.reactor.callLater
        reactor: Any = self.reactor
        address = IPv4Address("TCP", "127.0.0.1", 1)
        self.tls: Any = self.factory.buildProtocol(address)
        self.transport: Any = Connection(ours, self.tls, reactor)
        self.addCleanup(self.lose)
        self.transport.connected = 1
        self.transport.startReading()
        self.tls.makeConnection(self.transport)

    def lose(self) -> None:
        """Close our end, if it is open."""
        for each in list(self.reactor.readers):
            each.connectionLost(Failure(ConnectionDone()))

    def hello(self) -> tuple[ssl.SSLObject, ssl.MemoryBIO, bytes]:
        """A client that asks for b.test, what it reads from, and its first bytes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(received, sent, server_hostname="b.test")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        return client, received, sent.read()

    def test_byte_by_byte(self) -> None:
        """The name is found however the hello comes, and nothing runs in vain."""
        client, received, hello = self.hello()
        self.assertFalse(self.reactor.run())
        # OpenSSL's memory is for those who say something.
        self.assertIsNone(self.tls.getHandle())
        for n in range(len(hello)):
            self.client.sendall(hello[n : n + 1])
            self.assertTrue(self.reactor.run(SOON))
            self.assertFalse(self.reactor.run())
        received.write(self.client.recv(2**16))
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        der = client.getpeercert(True)
        assert der is not None
        expected = issued("b.test").certificate.decode()
        self.assertEqual(der, ssl.PEM_cert_to_DER_cert(expected))

    def test_end_before_the_name(self) -> None:
        """Who ends before the hello is whole is gone."""
        _, _, hello = self.hello()
        self.client.sendall(hello[:-1])
        self.assertTrue(self.reactor.run(SOON))
        self.assertFalse(self.reactor.run())
        # The system may tell of the socket though there is nothing new.
        (reader,) = self.reactor.readers
        self.assertIsNone(reader.doRead())
        self.client.close()
        self.assertTrue(self.reactor.run(SOON))
        assert self.inner.lost is not None
        self.inner.lost.trap(ConnectionLost)
        self.assertEqual(self.reactor.readers, set())

    def test_reset(self) -> None:
        """Who resets at once is gone, too."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.client.close()
        self.assertTrue(self.reactor.run(SOON))
        assert self.inner.lost is not None
        self.inner.lost.trap(ConnectionLost)

    def test_no_hello(self) -> None:
        """What is no TLS ends with OpenSSL's reason, and an alert."""
        self.client.sendall(b"\x80" * 20)
        self.assertTrue(self.reactor.run(SOON))
        self.reactor.advance(0)
        assert self.inner.lost is not None
        self.inner.lost.trap(SSL.Error)
