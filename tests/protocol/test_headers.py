"""Which headers cross, and what is believed of a client's way."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regbroker.protocol.header_table import Direction, way
from regbroker.protocol.headers import (
    PSEUDONYM,
    Forwarded,
    Header,
    came_from_here,
    connection_options,
    crossing,
    end_to_end,
    is_request_id,
    parse_forwarded,
    raw_headers,
    via,
)
from tests.grammar import EXAMPLES, hostile

NOBODY = connection_options(())


class ConnectionOptionsTests(SynchronousTestCase):
    def test_listed(self) -> None:
        """Names are listed in one header or in several, in any case."""
        self.assertEqual(
            connection_options([b"close, X-One", b"\tKEEP-ALIVE ,x-two"]),
            {b"close", b"x-one", b"keep-alive", b"x-two"},
        )

    def test_nothing(self) -> None:
        """Nothing listed takes away nothing."""
        for values in ([], [b""], [b" , ,"]):
            options = connection_options(values)
            self.assertEqual(list(end_to_end([(b"A", b"b")], options)), [(b"A", b"b")])


class CrossingTests(SynchronousTestCase):
    def test_hop_by_hop(self) -> None:
        """Headers about one connection end with it, in any case."""
        for name in (
            b"Connection",
            b"KEEP-ALIVE",
            b"proxy-authenticate",
            b"Proxy-Authorization",
            b"Proxy-Connection",
            b"TE",
            b"Trailer",
            b"Transfer-Encoding",
            b"Upgrade",
        ):
            given_headers = [(b"Accept", b"1"), (name, b"x"), (b"Range", b"2")]
            kept = [(b"Accept", b"1"), (b"Range", b"2")]
            self.assertEqual(list(end_to_end(given_headers, NOBODY)), kept)
            self.assertEqual(
                crossing(given_headers, NOBODY, way(Direction.CLIENT)), kept
            )

    def test_named_by_connection(self) -> None:
        """Headers that ``Connection`` names end with it, too."""
        options = connection_options([b"close, X-Secret, Authorization"])
        self.assertEqual(
            list(
                end_to_end(
                    [(b"x-secret", b"1"), (b"AUTHORIZATION", b"2"), (b"X-Open", b"3")],
                    options,
                )
            ),
            [(b"X-Open", b"3")],
        )

    def test_untouched(self) -> None:
        """What passes goes on byte for byte, repeated and in order."""
        kept: list[Header] = [
            (b"accept", b"application/vnd.oci.image.index.v1+json"),
            (b"Accept", b"*/*"),
            (b"Range", b"bytes=0-9"),
            (b"Content-Range", b"0-9"),
            (b"Content-Type", b"application/octet-stream"),
            (b"Content-Encoding", b"gzip"),
            (b"Docker-Content-Digest", b"sha256:abc"),
            (b"OCI-Tag", b"a"),
            (b"OCI-Tag", b"b"),
            (b"OCI-Text", b"\xe9"),
            (b"OCI-Empty", b""),
        ]
        self.assertEqual(list(end_to_end(kept, NOBODY)), kept)
        for forwarded in (Direction.CLIENT, Direction.OURS):
            self.assertEqual(crossing(kept, NOBODY, way(forwarded)), kept)

    def test_options_alone(self) -> None:
        """What only ``Connection`` ends is what it names beside what always ends."""
        headers: list[Header] = [
            *(
                (b"Accept", b"a"),
                (b"Keep-Alive", b"5"),
                (b"TE", b"b"),
                (b"OCI-C", b"c"),
            ),
        ]
        for named in (b"close", b"keep-alive, TE", b"close, oci-C", b"accept"):
            options = connection_options([named])
            kept = [
                header
                for header in end_to_end(headers, options)
                if way(Direction.CLIENT)[header[0]]
            ]
            self.assertEqual(
                crossing(headers, options, way(Direction.CLIENT)), kept, named
            )

    def test_said_anew(self) -> None:
        """A request's host, length, expectation and credentials are said anew."""
        dropped: list[Header] = [
            (b"Host", b"registry.example.com"),
            (b"content-length", b"3"),
            (b"Expect", b"100-continue"),
            (b"Authorization", b"Bearer t"),
        ]
        self.assertEqual(crossing(dropped, NOBODY, way(Direction.CLIENT)), [])

    def test_reply_keeps_length(self) -> None:
        """A reply's length is the upstream's."""
        length: list[Header] = [(b"Content-Length", b"3")]
        self.assertEqual(list(end_to_end(length, NOBODY)), length)

    def test_raw(self) -> None:
        """Twisted's headers come out as pairs, repeated ones in order."""
        headers = Headers({b"Accept": [b"a", b"b"]})
        headers.addRawHeader(b"X", b"c")
        self.assertEqual(
            raw_headers(headers), [(b"Accept", b"a"), (b"Accept", b"b"), (b"X", b"c")]
        )


class ViaTests(SynchronousTestCase):
    OURS = f"1.1 {PSEUDONYM}".encode()

    def test_appended(self) -> None:
        """The regbrokers before are named, and nobody else of the client's way."""
        other = b"1.1 regbroker-0a1b2c3d"
        for values, expected in (
            ([], self.OURS),
            ([b"1.1 proxy.client.test (x)", b"HTTP/2 secret"], self.OURS),
            ([other], other + b", " + self.OURS),
            ([b"1.1 a, " + other, other], b", ".join([other, other, self.OURS])),
            ([b"1.1 regbroker-0a1b\r\n"], self.OURS),
        ):
            self.assertEqual(via(values), (b"Via", expected))

    def test_recognised(self) -> None:
        """Our own name is, wherever it stands; others are not."""
        for values in ([self.OURS], [b"1.0 a", b"1.1 b," + self.OURS + b",1.1 c"]):
            self.assertTrue(came_from_here(values))
            self.assertTrue(came_from_here([via(values)[1]]))
        for values in ([], [b"1.1 regbroker"], [b"1.1 regbroker-0a1b2c3"]):
            self.assertFalse(came_from_here(values))


class ClientWayTests(SynchronousTestCase):
    TRUSTED = tuple(map(ip_network, ("10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1")))

    def forwarded(
        self,
        peer: str,
        secure: bool = False,
        *,
        chain: str = "",
        proto: str = "",
        host: str = "",
    ) -> Forwarded:
        claims = {
            "x-forwarded-for": chain,
            "x-forwarded-proto": proto,
            "x-forwarded-host": host,
        }
        given_claims = {name: value for name, value in claims.items() if value}
        return parse_forwarded(peer, secure, "here:8443", given_claims, self.TRUSTED)

    def test_plain(self) -> None:
        """Without claims the connection says it all."""
        for secure, scheme in ((False, "http"), (True, "https")):
            self.assertEqual(
                self.forwarded("192.0.2.1", secure),
                Forwarded("192.0.2.1", "192.0.2.1", scheme, "here:8443"),
            )
        self.assertEqual(
            self.forwarded("10.0.0.1"),
            Forwarded("10.0.0.1", "10.0.0.1", "http", "here:8443"),
        )

    def test_untrusted(self) -> None:
        """Claims of anybody else are as if they were not there."""
        for peer in ("192.0.2.1", "2001:db8:2::1", "::ffff:192.0.2.1", "::1", "-", ""):
            forwarded = self.forwarded(
                peer, proto="https", host="evil", chain="10.0.0.9, 127.0.0.1"
            )
            self.assertEqual(forwarded, Forwarded(peer, peer, "http", "here:8443"))

    def test_nobody_trusted(self) -> None:
        """Nobody is trusted who is not named, not even the loopback."""
        forwarded = parse_forwarded(
            "127.0.0.1", False, "here", {"x-forwarded-for": "1.2.3.4"}, ()
        )
        self.assertEqual(forwarded.address, "127.0.0.1")

    def test_trusted(self) -> None:
        """A trusted proxy tells who the client is, and what it asked for."""
        for peer in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8:1::5", "127.0.0.1"):
            forwarded = self.forwarded(
                peer, proto="HTTPS", host="registry.example.com", chain="192.0.2.1"
            )
            self.assertEqual(
                forwarded,
                Forwarded(
                    "192.0.2.1", f"192.0.2.1, {peer}", "https", "registry.example.com"
                ),
            )

    def test_request_id(self) -> None:
        """Ids that other programs make are ids; nothing is that would be quoted."""
        for claim in (
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "Root=1-67891233-abcdef012345678912345678",
            "a" * 64,
        ):
            self.assertTrue(is_request_id(claim), claim)
        for claim in ("", "a" * 65, "a b", "a\nb", 'a"', "a, b", "é", "<x>", "a;b"):
            self.assertFalse(is_request_id(claim), claim)

    def test_tls_ended_before(self) -> None:
        """A trusted proxy may also say that there was no TLS."""
        self.assertEqual(
            self.forwarded("10.0.0.1", secure=True, proto="http").scheme, "http"
        )
        for nonsense in ("", "ftp", "https, http", "javascript:"):
            self.assertEqual(
                self.forwarded("10.0.0.1", True, proto=nonsense).scheme, "https"
            )

    def test_first_hop(self) -> None:
        """Of several hops' words, that of the one nearest to the client counts."""
        for proto, scheme in (
            ("https, http", "https"),
            (" HTTPS ,http,http", "https"),
            ("http, https", "http"),
            (", https", "https"),
        ):
            secure = proto.startswith(",")
            forwarded = self.forwarded(
                "10.0.0.1", secure, proto=proto, host="a.test:5000, b.test"
            )
            self.assertEqual(
                (forwarded.scheme, forwarded.host), (scheme, "a.test:5000"), proto
            )
        self.assertEqual(self.forwarded("10.0.0.1", host=" , b.test").host, "here:8443")

    def test_chain(self) -> None:
        """The client is the last of the chain that is no trusted proxy."""
        for chain, client, believed in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, 10.0.0.2", "192.0.2.1", "192.0.2.1, 10.0.0.2"),
            (
                "192.0.2.1,10.0.0.2 , 10.0.0.3",
                "192.0.2.1",
                "192.0.2.1, 10.0.0.2, 10.0.0.3",
            ),
            # What stands before an untrusted address, that address may have written.
            ("127.0.0.1, 192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("198.51.100.1, 192.0.2.1, 10.0.0.2", "192.0.2.1", "192.0.2.1, 10.0.0.2"),
            ("10.0.0.9, 192.0.2.1", "192.0.2.1", "192.0.2.1"),
            # All trusted: the first is as far as anybody knows.
            ("10.0.0.2, 10.0.0.3", "10.0.0.2", "10.0.0.2, 10.0.0.3"),
            (" , ,192.0.2.1,, ", "192.0.2.1", "192.0.2.1"),
        ):
            forwarded = self.forwarded("10.0.0.1", chain=chain)
            self.assertEqual(forwarded.address, client, chain)
            self.assertEqual(forwarded.forwarded_for, f"{believed}, 10.0.0.1", chain)

    def test_made_up(self) -> None:
        """What is no address is made up, and so is all before it."""
        for entry in (
            "unknown",
            "_hidden",
            "evil.example.com",
            "192.0.2.1; DROP",
            "192.0.2.999",
            "1",
            "0x7f000001",
            "<script>",
            '192.0.2.1"',
            "fe80::1%eth0",
            'fe80::1%a b"',
            "\xe9",
        ):
            forwarded = self.forwarded(
                "10.0.0.1", chain=f"192.0.2.1, {entry}, 10.0.0.2"
            )
            self.assertEqual(
                (forwarded.address, forwarded.forwarded_for),
                ("10.0.0.2", "10.0.0.2, 10.0.0.1"),
                entry,
            )
            forwarded = self.forwarded("10.0.0.1", chain=entry)
            self.assertEqual(
                (forwarded.address, forwarded.forwarded_for), ("10.0.0.1", "10.0.0.1")
            )

    def test_ipv6(self) -> None:
        """IPv6 clients, in brackets or not, and IPv4 ones written as IPv6."""
        for entry, client in (
            ("2001:db8:2::1", "2001:db8:2::1"),
            ("[2001:db8:2::1]", "2001:db8:2::1"),
            ("2001:0DB8:2:0:0:0:0:1", "2001:db8:2::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ):
            forwarded = self.forwarded("10.0.0.1", chain=entry)
            self.assertEqual(forwarded.address, client)
            self.assertEqual(forwarded.forwarded_for, f"{client}, 10.0.0.1")
        # A trusted proxy in the middle, written as IPv6.
        forwarded = self.forwarded(
            "10.0.0.1", chain="192.0.2.1, ::ffff:10.0.0.2, [2001:db8:1::9]"
        )
        self.assertEqual(forwarded.address, "192.0.2.1")

    def test_link_local_peer(self) -> None:
        """A peer with a zone is compared without it."""
        trusted = (ip_network("fe80::/10"),)
        claims = {"x-forwarded-for": "192.0.2.1"}
        forwarded = parse_forwarded("fe80::1%eth0", False, "here", claims, trusted)
        self.assertEqual(forwarded.address, "192.0.2.1")

    def test_told_upstream(self) -> None:
        """The upstream gets the whole way, each header once."""
        forwarded = self.forwarded(
            "10.0.0.1", proto="https", host="a.example", chain="192.0.2.1"
        )
        self.assertEqual(
            forwarded.headers,
            (
                (b"X-Forwarded-For", b"192.0.2.1, 10.0.0.1"),
                (b"X-Forwarded-Proto", b"https"),
                (b"X-Forwarded-Host", b"a.example"),
                (b"X-Real-IP", b"192.0.2.1"),
            ),
        )

    def test_realm(self) -> None:
        """The token service is where the client came; the path tells its source."""
        forwarded = self.forwarded("10.0.0.1", True, host="a.example:8443")
        self.assertEqual(forwarded.realm("/auth"), "https://a.example:8443/auth")
        for source, path in (
            ("docker.io", "/auth/docker.io"),
            ("localhost:5000", "/auth/localhost:5000"),
        ):
            named = replace(forwarded, source=source)
            self.assertEqual(named.realm("/auth"), f"https://a.example:8443{path}")
            self.assertEqual(named.headers, forwarded.headers)

    @EXAMPLES
    @given(st.lists(st.one_of(st.ip_addresses().map(str), hostile), max_size=5))
    def test_any_chain(self, chain: list[str]) -> None:
        """Whatever is claimed, only addresses are told, the peer's last."""
        forwarded = self.forwarded("10.0.0.1", chain=",".join(chain))
        told = forwarded.forwarded_for.split(", ")
        self.assertEqual(told[-1], "10.0.0.1")
        self.assertEqual(told[0], forwarded.address)
        for address in told:
            self.assertRegex(address, r"\A[0-9a-f:.]+\Z")
        for proxy in map(ip_address, told[1:]):
            self.assertTrue(any(proxy in network for network in self.TRUSTED))


class PortTests(SynchronousTestCase):
    def test_behind_the_address(self) -> None:
        """Azure's gateway writes the client's port behind its address."""
        for written, address in (
            ("192.0.2.7:4321", "192.0.2.7"),
            ("[2001:db8::7]:4321", "2001:db8::7"),
        ):
            claims = {"x-forwarded-for": written}
            forwarded = parse_forwarded(
                "10.0.0.1", True, "a", claims, [ip_network("10.0.0.0/8")]
            )
            self.assertEqual(forwarded.address, address)
