"""What is no HTTP/1.1, sent byte for byte: refused, ended and told."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from regbroker.runtime.bounded_lines import MAX_LINES_OF_A_CLIENT
from regbroker.transport.server.lingering import (
    MAX_LINGER_BYTES,
)
from regbroker.transport.server.strict_channel import (
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
    MAX_LENGTH_DIGITS,
)
from tests.channelcase import GET as GET_ROOT
from tests.channelcase import POST, ChannelTestCase
from tests.malformed import GET, MALFORMED, REPEATED, WELL_FORMED
from tests.proxycase import ProxyTestCase, SiteTestCase
from tests.scripted import response
from tests.wire import Message


class MalformedTests(ProxyTestCase):
    """The whole of regbroker, so that nothing else can take such a request."""

    async def refused(self, name: str, raw: bytes, method: str = "GET") -> Message:
        """Send bytes on a connection of their own: a refusal, and the end."""
        client = await self.connect()
        client.send(raw)
        reply = await client.reply(method)
        self.assertEqual(reply.status, 400, name)
        self.assertEqual(reply.header(b"Connection"), b"close", name)
        api = reply.header(b"Docker-Distribution-Api-Version")
        self.assertEqual(api, b"registry/2.0", name)
        # Time stands still here: the end has not waited for anything.
        self.assertEqual(await client.end(), b"", name)
        self.assertTrue(client.closed_in_order, name)
        return reply

    async def test_refused(self) -> None:
        """Each is 400 as an OCI document, then the end; the upstream sees nothing."""
        for name, raw in MALFORMED.items():
            if not name.startswith(("chunk,", "trailer,")):
                reply = await self.refused(name, raw)
                self.assertEqual(reply.code, "UNSUPPORTED", name)
        self.assertEqual(self.upstream.calls, [])

    async def test_byte_by_byte(self) -> None:
        """It does not matter how the bytes come."""
        for name in ("header, NUL", "Content-Length, a list", "Host, twice"):
            client = await self.connect()
            client.socket.setTcpNoDelay(True)
            for byte in MALFORMED[name]:
                client.send(bytes([byte]))
                await self.turn()
            self.assertEqual((await client.reply()).status, 400, name)
            await client.end()

    async def test_second_request(self) -> None:
        """Nor does it that a request before was good."""
        self.upstream.handler = lambda call: response(200)
        for name in ("header, NUL", "Authorization, twice", "request line, no target"):
            client = await self.connect()
            client.send(GET + b"\r\n" + MALFORMED[name])
            self.assertEqual((await client.reply()).status, 200, name)
            self.assertEqual((await client.reply()).status, 400, name)
            self.assertEqual(await client.end(), b"", name)

    async def test_nothing_after(self) -> None:
        """What follows in the same bytes is never a request."""
        for name, raw in MALFORMED.items():
            client = await self.connect()
            client.send(raw + b"\r\n\r\n" + GET.replace(b"/v2/", b"/trap") + b"\r\n")
            await client.end()
            self.assertEqual(bytes(client.seen).count(b"HTTP/1.1 "), 1, name)
        self.assertNotIn("/trap", "".join(self.lines))

    async def test_everywhere(self) -> None:
        """A repeated header is refused whatever is asked for."""
        for target in (b"/auth", b"/v1/search?q=a", b"/v1/_ping", b"/", b"*"):
            for name in ("Authorization, twice", "Host, the same twice"):
                raw = REPEATED[name].replace(b" /v2/ ", b" " + target + b" ")
                reply = await self.refused(f"{name} {target!r}", raw)
                header = name.partition(",")[0]
                self.assertEqual(
                    reply.message,
                    f"the header {header} may occur only once in a request",
                )

    async def test_head(self) -> None:
        """The refusal of a HEAD has no body, which would be the next reply."""
        raw = REPEATED["Authorization, twice"]
        whole = await self.refused("GET", raw)
        reply = await self.refused("HEAD", raw.replace(b"GET", b"HEAD"), "HEAD")
        length = b"%d" % len(whole.body)
        self.assertEqual(reply.header(b"Content-Length"), length)

    async def set_up(self) -> None:
        await super().set_up()
        self.lines: list[str] = []
        self.note_lines()

    def note_lines(self) -> None:
        """Keep the lines of the access log."""

        def note(event: Any) -> None:
            if event.get("log_namespace") == "regbroker.events":
                self.lines.append(event["line"])

        observe: Any = note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    async def test_reasons(self) -> None:
        """The client and the log are told the same: which header, which line."""
        for name, words in (
            ("request line, no version", "METHOD TARGET HTTP/1.1"),
            ("header, no colon", "NAME: VALUE"),
            ("header, folded", "folded"),
            ("header, 01 inside", "the header A has a control character"),
            ("header, NUL", "the header Name has a control character"),
            ("Content-Length, two", "where the body ends"),
            ("Transfer-Encoding, gzip", "where the body ends"),
            ("Range, twice", "the header Range"),
        ):
            self.time.clock.advance(100)
            logged: Deferred[dict[str, object]] = self.event()
            self.assertIn(words, (await self.refused(name, MALFORMED[name])).message)
            line = str((await logged)["line"])
            self.assertRegex(line, r"^client=127\.0\.0\.1 .* status=400 ")
            self.assertIn(words, line)

    async def test_logged_safely(self) -> None:
        """Nothing that a client sends can look like a line, or a field, of ours."""
        logged = self.event()
        await self.refused(
            "forged",
            b'GET /"\\a?secret=1 HTTP/1.1\r\nHost: a\r\n'
            b'client=9.9.9.9"outcome: \x01\x1b[31m\r\n\r\n',
        )
        line = str((await logged)["line"])
        self.assertEqual(re.findall(r"(?:^| )client=(\S+)", line), ["127.0.0.1"])
        self.assertNotIn("secret", line)
        self.assertTrue(line.isprintable())
        logged = self.event()
        whole = b"GET http://u:secret@a.test/ HTTP/1.1\r\nA\r\n\r\n"
        await self.refused("a password in a URL", whole)
        self.assertNotIn("secret", str((await logged)["line"]))

    async def test_bounded(self) -> None:
        """Who sends much of it has some lines, and then a count."""
        for _ in range(MAX_LINES_OF_A_CLIENT + 7):
            await self.refused("many", MALFORMED["header, NUL"])
        self.assertEqual(len(self.lines), MAX_LINES_OF_A_CLIENT)
        left_out = self.logged("regbroker.transport.server.malformed", "left_out")
        self.time.clock.advance(61)
        self.assertEqual((await left_out)["left_out"], 7)

    async def test_count_at_the_end(self) -> None:
        """The count is told when the service stops, too."""
        for _ in range(MAX_LINES_OF_A_CLIENT + 1):
            await self.refused("many", MALFORMED["header, NUL"])
        left_out = self.logged("regbroker.transport.server.malformed", "left_out")
        await self.stop(self.services[0])
        self.assertEqual((await left_out)["left_out"], 1)

    async def test_tls(self) -> None:
        """TLS on a plain port has a line like everything else."""
        logged = self.event()
        self.client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        line = str((await logged)["line"])
        self.assertIn("status=400 ", line)
        self.assertIn('outcome="malformed: TLS, on a port that has none"', line)


class BodyTests(SiteTestCase):
    """Bodies that turn out to be none while somebody reads them."""

    async def test_refused(self) -> None:
        """Each malformed chunk and trailer is 400, and the reader's body fails."""
        names = [n for n in MALFORMED if n.startswith(("chunk,", "trailer,"))]
        self.assertGreater(len(names), 20)
        for name in names:
            self.client = await self.connect()
            request = await self.received(MALFORMED[name])
            gone = request.notifyFinish()
            reply = await self.client.reply()
            self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"), name)
            self.assertEqual(await self.client.end(), b"", name)
            self.assertFalse(request.body.complete, name)
            with self.assertRaises(Exception):  # noqa: B017
                await gone

    async def test_well_formed(self) -> None:
        """Odd requests are requests."""
        for name, raw in WELL_FORMED.items():
            self.client = await self.connect()
            request = await self.received(raw)
            while not request.body.complete:
                await self.turn()
            request.setResponseCode(200)
            request.setHeader(b"Content-Length", b"0")
            request.finish()
            self.assertEqual((await self.client.reply()).status, 200, name)

    async def test_values_are_kept(self) -> None:
        """A value is what was sent, without the spaces around it."""
        request = await self.received(WELL_FORMED["bytes of no ASCII in a value"])
        self.assertEqual(request.getHeader(b"A"), b"\xe9\x80\xff")
        self.client = await self.connect()
        request = await self.received(WELL_FORMED["a tab in a value"])
        self.assertEqual(request.getHeader(b"A"), b"b\tc")


class RefusalTests(ChannelTestCase):
    async def refused(self, raw: bytes) -> Message:
        """Send these bytes to a new connection, and see 400 and the end."""
        self.client = await self.connect()
        self.client.send(raw)
        reply = await self.assert_refused(400, "UNSUPPORTED")
        self.assertEqual(await self.client.end(), b"")
        self.assertTrue(self.client.closed_in_order)
        self.assertEqual(self.resource.requests.pending, [])
        return reply

    async def test_malformed(self) -> None:
        """What is no HTTP/1.1 is refused as OCI JSON, and nobody is asked."""
        for raw in (
            b"nonsense\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"G\x00T / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            GET_ROOT + b"no colon\r\n\r\n",
            GET_ROOT + b": no name\r\n\r\n",
            GET_ROOT + b"A b: c\r\n\r\n",
            GET_ROOT + b"A: \x00\r\n\r\n",
        ):
            await self.refused(raw)

    async def test_smuggling(self) -> None:
        """What two parsers may read in two ways is refused."""
        for raw in (
            POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
            POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
            POST + b"Content-Length: 3, 3\r\n\r\n",
            POST + b"Content-Length: +3\r\n\r\n",
            POST + b"Content-Length: -3\r\n\r\n",
            POST + b"Content-Length: 0x3\r\n\r\n",
            POST + b"Content-Length: \r\n\r\n",
            POST + b"Content-Length: " + b"9" * (MAX_LENGTH_DIGITS + 1) + b"\r\n\r\n",
            POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
            POST + b"Content-Length : 3\r\n\r\n",
            POST + b"Transfer-Encoding: gzip\r\n\r\n",
            POST + b"Transfer-Encoding: chunked, identity\r\n\r\n",
            POST + b"Transfer-Encoding: xchunked\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
            POST + b"Transfer-Encoding : chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\n Host: a\r\n\r\n",
        ):
            await self.refused(raw)

    async def test_line_ends(self) -> None:
        """A line feed alone ends no line, wherever it stands."""
        for raw in (
            GET_ROOT + b"A: b\nC: d\r\n\r\n",
            GET_ROOT + b"A: b\rC: d\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        ):
            await self.refused(raw)

    async def test_folded(self) -> None:
        """A folded line is no header: some see another one in it."""
        for raw in (
            GET_ROOT + b"A: b\r\n Content-Length: 3\r\n\r\n",
            GET_ROOT + b"A: b\r\n\tc\r\n\r\n",
            GET_ROOT + b"A: b\r\n \r\n\r\n",
            GET_ROOT + b"A:\r\n b\r\n\r\n",
        ):
            self.assertIn("folded", (await self.refused(raw)).message)

    async def test_request_line_too_long(self) -> None:
        """A request line without end is 431."""
        self.client.send(b"GET /" + b"a" * MAX_HEADERS_BYTES)
        self.client.send(b"a" * 20000 + b" HTTP/1.1\r\n\r\n")
        await self.assert_refused(431, "UNSUPPORTED")

    async def test_headers_too_large(self) -> None:
        """One header, or all of them, can be too much."""
        for headers in (
            b"A: " + b"b" * (MAX_HEADERS_BYTES + 10) + b"\r\n",
            (b"A: " + b"b" * 10000 + b"\r\n") * 8,
        ):
            self.client = await self.connect()
            self.client.send(GET_ROOT + headers + b"\r\n")
            reply = await self.assert_refused(431, "UNSUPPORTED")
            self.assertIn(str(MAX_HEADERS_BYTES), reply.message)

    async def test_too_many_headers(self) -> None:
        """So can their number."""
        self.client.send(GET_ROOT + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n")
        await self.assert_refused(431, "UNSUPPORTED")

    async def test_large_headers(self) -> None:
        """An Authorization of 16 KiB is served, beside a target of 8 KiB."""
        request = await self.received(
            b"GET /?" + b"s" * 8192 + b" HTTP/1.1\r\nHost: a\r\n"
            b"Authorization: Bearer " + b"t" * 16384 + b"\r\n\r\n"
        )
        self.assertEqual(len(request.getHeader(b"Authorization")), 16384 + 7)

    async def test_more_after_refusal(self) -> None:
        """What follows what cannot be parsed is not looked at."""
        self.client.send(b"nonsense\r\n\r\n" + GET_ROOT + b"\r\n" + GET_ROOT + b"\r\n")
        await self.assert_refused(400, "UNSUPPORTED")
        self.client.send(GET_ROOT + b"\r\n")
        self.assertEqual(await self.client.end(), b"")
        self.assertEqual(self.resource.requests.pending, [])

    async def test_flood_after_refusal(self) -> None:
        """Nor is it read without end."""
        self.client.send(b"nonsense\r\n\r\n")
        await self.assert_refused(400, "UNSUPPORTED")
        self.client.send(bytes(2 * MAX_LINGER_BYTES))
        await self.client.end()

    async def test_tls_on_a_plain_port(self) -> None:
        """Who speaks TLS is answered at once in plain HTTP, and not left waiting."""
        self.client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))
        self.assertIn(b"write http://", reply.body)
        # It goes on with an alert.
        self.client.send(b"\x15\x03\x01\x00\x02\x02\x16")
        self.assertEqual(await self.client.end(), b"")
