"""Heads that came whole: the same requests as if they were read line by line."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.header_list import HeaderList
from regbroker.transport.server.lingering import LINGER_SECONDS
from regbroker.transport.server.site import StreamingSite
from regbroker.transport.server.strict_channel import MAX_HEADERS, MAX_HEADERS_BYTES
from regbroker.transport.server.whole_heads import (
    MAX_REMEMBERED,
    MAX_REMEMBERED_BYTES,
    PART_BYTES,
    Head,
    WholeHeads,
)
from regbroker.transport.server.whole_site import WholeSite
from tests.grammar import EXAMPLES
from tests.malformed import GET, MALFORMED, WELL_FORMED

PEER = IPv4Address("TCP", "192.0.2.1", 1024)

#: What a head is made of, and what may be wrong with it.
PIECES = (
    *(b"GET", b"HEAD", b"PUT", b"OPTIONS", b"BREW", b"get", b"CONNECT", b"PRI"),
    *(b" ", b"  ", b"\t", b"/", b"*", b"/a?b=c#d", b"http://b/c", b"a:443", b"\x80"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"RTSP/1.0"),
    *(b"\r\n", b"\n", b"\r", b"\x00", b"\x7f", b"\xff", b":", b"_"),
    *(b"\r\nHost: a", b"\r\nHost: b", b"\r\nA: b \t", b"\r\nA:", b"\r\n c"),
    *(b"\r\nContent-Length: 0", b"\r\nContent-Length: 3", b"\r\nContent_Length: 0"),
    *(b"\r\nTransfer-Encoding: chunked", b"\r\nExpect: 100-continue"),
    *(b"\r\nConnection: close", b"\r\nConnection: Upgrade", b"\r\nUpgrade: h2c"),
    *(b"\r\nRange: bytes=0-1", b"\r\nrange: bytes=0-1", b"\r\nAccept: a/b"),
)


#: What may say where a body ends, and what may come then.
FRAMINGS = (
    *(
        b"",
        b"\r\nContent-Length: 0",
        b"\r\nContent-Length: 3",
        b"\r\ncontent-length: 03",
    ),
    *(
        b"\r\nContent-Length: " + b"9" * 30,
        b"\r\nContent-Length: 3\r\nExpect: 100-continue",
    ),
    *(b"\r\nTransfer-Encoding: chunked", b"\r\ntransfer-encoding: CHUNKED"),
    *(b"\r\nTransfer-Encoding: identity", b"\r\nTransfer-Encoding: gzip, chunked"),
    b"\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
    b"\r\nContent-Length: 2000000",
)
BODIES = (
    *(b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"\r\n", b"x" * 70),
    *(b"3;a=b\r\nabc\r\n", b"zz\r\n", b"\x00", GET + b"\r\n"),
)


class LineByLine(WholeHeads):
    """Takes nothing, so that all is read line by line."""

    def read(self, data: bytes) -> Head | None:
        """Leave it to others."""
        return None

    def is_part(self, data: bytes) -> bool:
        """Have nothing wait."""
        return False


class Keeping(WholeSite):
    """Keeps what it is asked, as it would be answered."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def answer(self, request: Any) -> None:
        """Keep what counts of a request, and answer it."""
        # Twisted writes names in its own way, and those that are alike together.
        headers = [(name.lower(), value) for name, value in request.headers]
        self.seen.append(
            (
                *(request.method, request.uri, request.clientproto, request.host),
                sorted(headers, key=lambda header: header[0]),
                dict(request.requestHeaders.getAllRawHeaders()),
                *(request.body.length, request.body.complete),
                request.channel.persistent,
            )
        )
        request.begin(200, HeaderList([(b"Content-Length", b"2")]))
        request.write(b"ok")
        request.finish()


def connected(site: StreamingSite) -> tuple[Any, StringTransport]:
    """The channel of a client that has connected, and its transport."""
    channel: Any = site.buildProtocol(PEER)
    transport = StringTransport(peerAddress=PEER)
    channel.makeConnection(transport)
    return channel, transport


def seen(heads: type[WholeHeads], *parts: bytes) -> tuple[list[Any], bytes]:
    """What a site makes of bytes that come in these parts, and what it answers."""
    resource = Keeping()
    site = StreamingSite(resource, reactor=Clock())
    site.heads = heads(MAX_HEADERS_BYTES, MAX_HEADERS)
    channel, transport = connected(site)
    for part in parts:
        channel.dataReceived(part)
    return resource.seen, transport.value()


class SameTests(SynchronousTestCase):
    """Whoever reads a head, the request is the same, or the refusal."""

    def assert_same(self, *parts: bytes) -> None:
        """What is read whole is what is read line by line."""
        whole, line_by_line = seen(WholeHeads, *parts), seen(LineByLine, *parts)
        self.assertEqual(whole[0], line_by_line[0], parts)
        self.assertEqual(_undated(whole[1]), _undated(line_by_line[1]), parts)

    def test_collected(self) -> None:
        """All that is malformed, all that is odd, and each with a request after it."""
        for raw in (*MALFORMED.values(), *WELL_FORMED.values()):
            self.assert_same(raw)
            self.assert_same(raw, GET + b"\r\n")
            self.assert_same(GET + b"\r\n", raw)
            self.assert_same(raw, raw)

    def test_every_byte(self) -> None:
        """Any byte before or in a method, in a target, a name or a value."""
        for code in range(256):
            byte = bytes([code])
            self.assert_same(b"%bGET / HTTP/1.1\r\nHost: a\r\n\r\n" % byte)
            self.assert_same(b"GE%bT / HTTP/1.1\r\nHost: a\r\n\r\n" % byte)
            self.assert_same(b"GET /a%bb HTTP/1.1\r\nHost: a\r\n\r\n" % byte)
            self.assert_same(b"GET / HTTP/1.1\r\nHo%bst: a\r\n\r\n" % byte)
            self.assert_same(b"GET / HTTP/1.1\r\nHost: a%bb\r\n\r\n" % byte)
            self.assert_same(b"GET / HTTP/1.1\r\nHost:%b\r\n\r\n" % byte)

    @EXAMPLES
    @given(st.lists(st.sampled_from(PIECES), max_size=12))
    def test_anything(self, pieces: list[bytes]) -> None:
        """Heads put together from what they are made of."""
        self.assert_same(b"".join(pieces) + b"\r\n\r\n")
        line = b"GET / HTTP/1.1\r\nHost: a"
        self.assert_same(line + b"".join(pieces) + b"\r\n\r\n", GET + b"\r\n")

    @EXAMPLES
    @given(
        st.sampled_from(FRAMINGS),
        st.lists(st.sampled_from(BODIES), max_size=6).map(b"".join),
        st.integers(0, 40),
    )
    def test_bodies(self, framing: bytes, body: bytes, size: int) -> None:
        """Whatever comes behind a head, in one read with it or in another."""
        head = b"PUT / HTTP/1.1\r\nHost: a" + framing + b"\r\n\r\n"
        self.assert_same(head + body)
        self.assert_same(head + body[:size], body[size:])
        self.assert_same(head, body, GET + b"\r\n")
        self.assert_same(GET + b"\r\n", head + body + GET + b"\r\n")

    @EXAMPLES
    @given(
        st.lists(st.sampled_from(PIECES), max_size=4).map(b"".join),
        st.integers(0, 3 * PART_BYTES),
        st.lists(st.sampled_from(PIECES), max_size=4).map(b"".join),
        st.sampled_from((b"", *FRAMINGS)),
        st.lists(st.sampled_from(BODIES), max_size=2).map(b"".join),
    )
    def test_parts(
        self, first: bytes, size: int, last: bytes, framing: bytes, body: bytes
    ) -> None:
        """A head that comes in parts of one size, as clients written in Go send it."""
        long = b"\r\nAuthorization: Bearer " + b"t" * size
        head = b"GET / HTTP/1.1\r\nHost: a" + first + long + last + framing
        raw = head + b"\r\n\r\n" + body
        parts = [raw[at : at + PART_BYTES] for at in range(0, len(raw), PART_BYTES)]
        self.assert_same(*parts)
        self.assert_same(GET + b"\r\n", *parts, GET + b"\r\n")


class PartTests(SynchronousTestCase):
    """A head whose first part is here."""

    def setUp(self) -> None:
        self.clock, self.resource = Clock(), Keeping()
        self.site = StreamingSite(self.resource, reactor=self.clock)
        self.channel, self.transport = connected(self.site)
        begun = GET + b"A: "
        self.part = begun + b"a" * (PART_BYTES - len(begun))

    def test_rest(self) -> None:
        """The rest has the time of one silence, from the first part on."""
        silence = self.site.pace.silence
        self.clock.advance(silence - 1)
        self.channel.dataReceived(self.part)
        self.clock.advance(silence - 1)
        self.channel.dataReceived(b"\r\n\r\n")
        ((_, target, *_),) = self.resource.seen
        self.assertEqual(target, b"/v2/")

    def test_no_rest(self) -> None:
        """Without it the connection ends, as without a request, however it drips."""
        silence = self.site.pace.silence
        self.channel.dataReceived(self.part)
        self.clock.advance(silence - 1)
        self.channel.dataReceived(b"a" * PART_BYTES)
        self.clock.advance(2)
        self.channel.dataReceived(b"\r\n\r\n")
        self.assertEqual(self.resource.seen, [])
        self.clock.advance(LINGER_SECONDS)
        self.assertTrue(self.transport.disconnecting)


class ReadTests(SynchronousTestCase):
    """What is taken, so that it is worth it, and what is left."""

    def setUp(self) -> None:
        self.heads = WholeHeads(MAX_HEADERS_BYTES, MAX_HEADERS)

    def test_taken(self) -> None:
        """Names stay as they are written, and values are without space around them."""
        head = self.heads.read(b"HEAD /a?b HTTP/1.1\r\nhOsT: a:1\r\nX-B:  c d \r\n\r\n")
        assert head is not None
        self.assertEqual((head.method, head.target), (b"HEAD", b"/a?b"))
        self.assertEqual(head.headers, [(b"hOsT", b"a:1"), (b"X-B", b"c d")])

    def test_body(self) -> None:
        """What says where a body ends, and as much of it as is here."""
        for name, value in (
            (b"Content-Length", b"3"),
            (b"Content-Length", b"00"),
            (b"Transfer-Encoding", b"chunked"),
        ):
            raw = GET + b"%b: %b\r\n\r\n" % (name.lower(), value)
            for rest in (b"", b"a", b"abc\r\n\r\nGET / HTTP/1.1\r\n\r\n"):
                head = self.heads.read(raw + rest)
                assert head is not None
                self.assertEqual((head.framing, head.rest), ((name, value), rest))
                self.assertEqual(head.headers[1], (name.lower(), value))

    def test_no_body(self) -> None:
        """A length of nothing, as POST and PUT have it: no body follows."""
        raw = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        for _ in range(2):
            head = self.heads.read(raw)
            assert head is not None
            self.assertEqual(head.method, b"POST")
            self.assertEqual(head.headers.first(b"content-length"), b"0")

    def test_again(self) -> None:
        """One head says nothing about the next one, whatever it was."""
        ending = [
            GET + name + b": close\r\nA: b\r\n\r\n"
            for name in (b"Connection", b"proxy-connection")
        ]
        preface = b"PRI * HTTP/1.1\r\n\r\n"
        for raw in (*MALFORMED.values(), *WELL_FORMED.values(), *ending, preface):
            self.heads.read(raw)
            head = self.heads.read(GET + b"A: b\r\n\r\n")
            self.assertEqual(
                head,
                (
                    *(b"GET", b"/v2/", [(b"Host", b"registry.test"), (b"A", b"b")]),
                    *(None, b""),
                ),
                raw,
            )

    def test_part(self) -> None:
        """What begins as a head, and is as long as what Go writes at once."""
        begun = GET + b"A: "
        part = begun + b"a" * (PART_BYTES - len(begun))
        self.assertTrue(self.heads.is_part(part))
        self.assertTrue(self.heads.is_part(part + b"a" * PART_BYTES))
        old = b"GET / HTTP/1.0"
        for other in (
            *(b"", part[:-1], part + b"a", part[:-4] + b"\r\n\r\n"),
            *(b"\r\n" + part[2:], b"x" * PART_BYTES, b"PRI" + part[3:]),
            *(old + part[len(old) :], part + b"a" * (MAX_HEADERS_BYTES - PART_BYTES)),
        ):
            self.assertFalse(self.heads.is_part(other), other[:20])

    def test_left(self) -> None:
        """Parts, pairs, bodies, versions, and what exceeds a bound."""
        for raw in (
            *(b"", b"\r\n", GET, GET + b"\r\n" + GET + b"\r\n", GET + b"\r\nA"),
            GET + b"Content-Length: \r\n\r\n",
            GET + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
            GET + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            GET + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n",
            GET + b"Content-Length: 0\r\nExpect: 100-continue\r\n\r\n",
            GET + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            GET + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
            GET + b"Expect: 100-continue\r\n\r\n",
            b"PRI * HTTP/1.1\r\n\r\n",
            GET + b"Host: b\r\n\r\n",
            GET.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n",
            GET + b"A: b\r\n" * MAX_HEADERS + b"\r\n",
            GET + b"A: " + b"b" * MAX_HEADERS_BYTES + b"\r\n\r\n",
        ):
            self.assertIsNone(self.heads.read(raw), raw[:80])


class RememberedTests(SynchronousTestCase):
    """Heads that many clients send are read once, and none has a secret."""

    def setUp(self) -> None:
        self.heads = WholeHeads(MAX_HEADERS_BYTES, MAX_HEADERS)

    def is_remembered(self, raw: bytes) -> bool:
        """Whether a head is the same object when it comes again."""
        first, again = self.heads.read(raw), self.heads.read(raw)
        self.assertIsNotNone(first, raw)
        self.assertEqual(first, again)
        return first is again

    def test_pings(self) -> None:
        """What docker and containerd send before they have a token."""
        for more in (
            *(b"", b"Connection: close\r\n", b"User-Agent: docker/28.5.1\r\n"),
            b"accept: a/b\r\nAccept: c/d\r\nAccept-Encoding: gzip\r\n",
        ):
            self.assertTrue(self.is_remembered(GET + more + b"\r\n"), more)

    def test_nothing_secret(self) -> None:
        """No credentials, no query, no URL, and no header that we do not know."""
        for more in (
            b"Authorization: Bearer t",
            b"proxy-authorization: Basic YTpi",
            b"Cookie: a=b",
            b"X-Forwarded-For: 192.0.2.1",
            b"X-Token: t",
            b"User-Agent: " + b"a" * MAX_REMEMBERED_BYTES,
        ):
            self.assertFalse(self.is_remembered(GET + more + b"\r\n\r\n"), more)
        for target in (b"/auth?token=t", b"/?", b"http://a:b@c/v2/", b"*"):
            raw = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target
            self.assertFalse(self.is_remembered(raw), raw)

    def test_bound(self) -> None:
        """Somebody who makes up heads has others forgotten, and no more memory."""
        ping = self.heads.read(GET + b"\r\n")
        for number in range(MAX_REMEMBERED - 1):
            self.heads.read(GET + b"User-Agent: %d\r\n\r\n" % number)
        self.assertIs(self.heads.read(GET + b"\r\n"), ping)
        self.heads.read(GET + b"User-Agent: a\r\n\r\n")
        self.assertIsNot(self.heads.read(GET + b"\r\n"), ping)


def _undated(raw: bytes) -> list[bytes]:
    """A reply without the second in which it was made."""
    return [line for line in raw.split(b"\r\n") if not line.startswith(b"Date: ")]
