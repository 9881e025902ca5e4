"""What is no HTTP/1.1, sent byte for byte: refused, ended and told."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from regbroker.transport.malformed import MAX_LINES_OF_A_CLIENT
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
        """The refusal of a HEAD has no body: it would be the next reply."""
        raw = REPEATED["Authorization, twice"].replace(b"GET", b"HEAD")
        reply = await self.refused("HEAD", raw, "HEAD")
        self.assertNotEqual(reply.header(b"Content-Length"), b"0")

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
        left_out = self.logged("regbroker.transport.malformed", "left_out")
        self.time.clock.advance(61)
        self.assertEqual((await left_out)["left_out"], 7)

    async def test_count_at_the_end(self) -> None:
        """The count is told when the service stops, too."""
        for _ in range(MAX_LINES_OF_A_CLIENT + 1):
            await self.refused("many", MALFORMED["header, NUL"])
        left_out = self.logged("regbroker.transport.malformed", "left_out")
        await self.stop(self.services[0])
        self.assertEqual((await left_out)["left_out"], 1)

    async def test_tls(self) -> None:
        """TLS on a plain port is no answer, but a line."""
        logged = self.event()
        self.client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        self.assertEqual(await self.client.end(), b"")
        line = str((await logged)["line"])
        self.assertIn("status=- ", line)
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
