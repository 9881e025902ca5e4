"""How a request came, as its connection and trusted proxies say."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import BadRequest
from regbroker.protocol.header_list import ReceivedHeaders
from regbroker.protocol.headers import Forwarded
from regbroker.transport.server.client_connection import ClientConnection
from regbroker.web.arrivals import MAX_REMEMBERED_CLAIMS, MAX_REMEMBERED_HOST, Arrivals

CLIENT = ClientConnection("192.0.2.1", True, "TLSv1.3")
BALANCER = ClientConnection("10.0.0.1", False, "")

#: What proxies add, or clients make up.
CLAIMS = (
    (b"X-Forwarded-For", b"192.0.2.7"),
    (b"X-Forwarded-For", b"10.0.0.2"),
    (b"X-Forwarded-Proto", b"https"),
    (b"X-Forwarded-Host", b"public.test"),
    (b"X-Request-ID", b"0f8fad5b-d9cb"),
)


def headers(*more: tuple[bytes, bytes], host: bytes = b"a.test") -> ReceivedHeaders:
    """The headers of a request."""
    return ReceivedHeaders([(b"Host", host), *more])


class ArrivalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.arrivals = Arrivals((ip_network("10.0.0.0/8"),), lambda came: came)

    def test_directly(self) -> None:
        """The connection and the Host say it; claims are as if they were not there."""
        for more in ((), CLAIMS):
            self.assertEqual(
                self.arrivals.conclusion(CLIENT, headers(*more, host=b" a.test:5000")),
                Forwarded("192.0.2.1", "192.0.2.1", "https", "a.test:5000"),
            )
            self.assertIsNone(self.arrivals.request_id(CLIENT, headers(*more)))

    def test_again(self) -> None:
        """Other connections and other hosts have ways of their own."""
        others = (
            (CLIENT, b"a.test"),
            (CLIENT, b"b.test"),
            (CLIENT._replace(is_secure=False), b"a.test"),
            (CLIENT._replace(peer="192.0.2.2"), b"a.test"),
        )
        for _ in range(2):
            for connection, host in others:
                way = self.arrivals.conclusion(connection, headers(host=host))
                scheme = "https" if connection.is_secure else "http"
                peer = connection.peer
                expected = Forwarded(peer, peer, scheme, host.decode())
                self.assertEqual(way, expected)

    def test_through_a_proxy(self) -> None:
        """A trusted peer tells the way, and what it calls the request."""
        self.assertEqual(
            self.arrivals.conclusion(BALANCER, headers(*CLAIMS)),
            Forwarded(
                "192.0.2.7", "192.0.2.7, 10.0.0.2, 10.0.0.1", "https", "public.test"
            ),
        )
        self.assertEqual(
            self.arrivals.conclusion(BALANCER, headers()),
            Forwarded("10.0.0.1", "10.0.0.1", "http", "a.test"),
        )
        given = self.arrivals.request_id(BALANCER, headers(*CLAIMS))
        self.assertEqual(given, "0f8fad5b-d9cb")

    def test_other_claims(self) -> None:
        """What is remembered of some claims is not said of others."""
        others = (b"192.0.2.7", b"192.0.2.8", b"192.0.2.7, 10.0.0.3", b"x" * 500, b"")
        expected = ("192.0.2.7", "192.0.2.8", "192.0.2.7", "10.0.0.1", "10.0.0.1")
        for _ in range(2):
            for chain, address in zip(others, expected, strict=True):
                for scheme in (b"https", b"http"):
                    claims = headers(
                        (b"X-Forwarded-For", chain), (b"X-Forwarded-Proto", scheme)
                    )
                    way = self.arrivals.conclusion(BALANCER, claims)
                    self.assertEqual(way.address, address)
                    self.assertEqual(way.scheme, scheme.decode())
                    self.assertEqual(way.host, "a.test")

    def test_no_id(self) -> None:
        """An id that makes no sense is none, and two are none."""
        for more in (
            (),
            ((b"X-Request-ID", b"a b"),),
            ((b"X-Request-ID", b"a"), (b"X-Request-ID", b"b")),
        ):
            self.assertIsNone(self.arrivals.request_id(BALANCER, headers(*more)))

    def test_long_host(self) -> None:
        """What can be no name is not remembered."""
        host = b"a" * (MAX_REMEMBERED_HOST + 1)
        way = self.arrivals.conclusion(CLIENT, headers(host=host))
        self.assertEqual(way.host, host.decode())
        self.assertEqual(self.arrivals._remembered.cache_info().currsize, 0)

    def test_long_claims(self) -> None:
        """Of what a proxy says, a long chain of addresses is not remembered."""
        for beyond in (1, 0):
            claim = b"192.0.2.7".rjust(MAX_REMEMBERED_CLAIMS + beyond, b",")
            given = headers((b"X-Forwarded-For", claim))
            self.assertEqual(
                self.arrivals.conclusion(BALANCER, given).address, "192.0.2.7"
            )
            remembered = self.arrivals._remembered_claims.cache_info().currsize
            self.assertEqual(remembered, 1 - beyond)

    def test_no_host(self) -> None:
        """Nobody knows which registry a request without a Host is for."""
        with self.assertRaises(BadRequest):
            self.arrivals.conclusion(CLIENT, ReceivedHeaders())
