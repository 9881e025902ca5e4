"""The way up: what the upstream sees of a client's request."""

from __future__ import annotations

from regbroker.requestbody import READ_AHEAD_BYTES
from regbroker.streams import CONTINUE_SECONDS
from tests.proxycase import BLOB, DIGEST, MANIFEST, UPLOAD, UPLOADS, ProxyTestCase
from tests.scripted import Call, response
from tests.wire import Flood

EXPECT = "Expect: 100-continue"
CHUNKED = "Transfer-Encoding: chunked"


class HeadersTests(ProxyTestCase):
    async def test_end_to_end(self) -> None:
        """What is about the content goes on, in order, with every value."""
        call = await self.relayed(
            "PUT",
            MANIFEST,
            "Content-Type: application/vnd.oci.image.manifest.v1+json",
            "Authorization: Bearer t",
            "User-Agent: docker/27",
            "X-Many: 1",
            "X-Many: 2",
            "Accept: a/b",
            "Accept: c/d, e/f",
            "If-Match: *",
            body=b"{}",
        )
        for name, values in (
            (b"Content-Type", [b"application/vnd.oci.image.manifest.v1+json"]),
            (b"Authorization", [b"Bearer t"]),
            (b"User-Agent", [b"docker/27"]),
            (b"X-Many", [b"1", b"2"]),
            (b"Accept", [b"a/b", b"c/d, e/f"]),
            (b"If-Match", [b"*"]),
            (b"Content-Length", [b"2"]),
        ):
            self.assertEqual(call.head.all(name), values)
        self.assertEqual(await call.body(), b"{}")

    async def test_hop_by_hop(self) -> None:
        """What is about the client's connection ends here."""
        call = await self.relayed(
            "GET",
            MANIFEST,
            "Connection: keep-alive, X-Foo",
            "Connection: x-bar",
            "X-Foo: 1",
            "X-Bar: 2",
            "X-Baz: 3",
            "Keep-Alive: timeout=5",
            "TE: trailers",
            "Trailer: X-T",
            "Upgrade: h2c",
            "HTTP2-Settings: x",
            "Proxy-Authorization: Basic x",
            "Proxy-Connection: keep-alive",
        )
        names = {name.lower() for name, _ in call.head.headers}
        self.assertEqual(
            names - {b"x-baz", b"http2-settings"},
            {
                b"host",
                b"x-forwarded-for",
                b"x-forwarded-proto",
                b"x-forwarded-host",
                b"x-real-ip",
            },
        )
        self.assertIn(b"x-baz", names)

    async def test_connection_names_what_it_must_not(self) -> None:
        """A client cannot take away what is written here."""
        call = await self.relayed(
            "PUT",
            MANIFEST,
            "Connection: Host, X-Forwarded-For, Content-Length, X-Real-IP",
            body=b"{}",
        )
        self.assertEqual(call.header(b"X-Forwarded-For"), b"127.0.0.1")
        self.assertEqual(call.header(b"X-Real-IP"), b"127.0.0.1")
        self.assertEqual(call.header(b"Content-Length"), b"2")
        self.assertEqual(call.header(b"Host"), self.upstream.url[7:].encode())

    async def test_about_the_way(self) -> None:
        """A client that nobody trusts says nothing about itself."""
        call = await self.relayed(
            "GET",
            MANIFEST,
            "Host: registry.test:5000",
            "X-Forwarded-For: 192.0.2.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.test",
            "X-Forwarded-Port: 1",
            "X-Real-IP: 192.0.2.1",
            "Forwarded: for=192.0.2.1",
        )
        self.assertEqual(call.header(b"X-Forwarded-For"), b"127.0.0.1")
        self.assertEqual(call.header(b"X-Forwarded-Proto"), b"http")
        self.assertEqual(call.header(b"X-Forwarded-Host"), b"registry.test:5000")
        self.assertEqual(call.header(b"X-Real-IP"), b"127.0.0.1")
        self.assertEqual(call.head.all(b"X-Forwarded-Port"), [])
        self.assertEqual(call.head.all(b"Forwarded"), [])
        self.assertEqual(call.header(b"Host"), self.upstream.url[7:].encode())

    async def test_query_is_kept(self) -> None:
        """A query goes up byte for byte, but for what is about a mirror."""
        query = "_state=a%2Bb%2fc==&&digest=sha256%3aabc&x=%20+&ns=docker.io&y"
        call = await self.relayed("PUT", f"{UPLOAD}?{query}", "Content-Length: 0")
        self.assertEqual(
            call.target,
            "/v2/acme_team/app/blobs/uploads/id?"
            "_state=a%2Bb%2fc==&&digest=sha256%3aabc&x=%20+&y",
        )

    async def test_large_authorization(self) -> None:
        """An Authorization of 16 KiB reaches the upstream."""
        call = await self.relayed(
            "GET", MANIFEST, "Authorization: Bearer " + "t" * 16384
        )
        self.assertEqual(len(call.header(b"Authorization") or b""), 16384 + 7)

    async def test_nothing_smuggled(self) -> None:
        """A folded header stays one header."""
        call = await self.relayed(
            "GET", MANIFEST, "A: b\r\n Transfer-Encoding: chunked"
        )
        self.assertEqual(call.header(b"A"), b"b Transfer-Encoding: chunked")
        self.assertIsNone(call.header(b"Transfer-Encoding"))

    async def test_bad_target(self) -> None:
        """A target that no client may write is the client's fault."""
        for byte in ("\x7f", "\x80", "\xff"):
            client = await self.connect()
            client.request("GET", f"{MANIFEST}?x={byte}")
            reply = await client.reply()
            self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))
        self.assertEqual(self.upstream.calls, [])

    async def test_lists(self) -> None:
        """What is read here is asked for whole and unpacked."""
        call = await self.relayed(
            "GET",
            "/v2/team/app/tags/list?n=1&last=x",
            "Accept-Encoding: gzip",
            "Range: bytes=0-1",
            "If-Range: x",
        )
        self.assertEqual(call.target, "/v2/acme_team/app/tags/list?n=1&last=x")
        self.assertEqual(call.header(b"Accept-Encoding"), b"identity")
        self.assertIsNone(call.header(b"Range"))
        self.assertIsNone(call.header(b"If-Range"))

    async def test_ranges(self) -> None:
        """What is not read here may be asked for in parts, and packed."""
        call = await self.relayed(
            "GET", BLOB, "Range: bytes=5-", "Accept-Encoding: gzip"
        )
        self.assertEqual(call.header(b"Range"), b"bytes=5-")
        self.assertEqual(call.header(b"Accept-Encoding"), b"gzip")


class TrustedProxyTests(ProxyTestCase):
    main = "trusted-proxies = 127.0.0.1, 10.0.0.0/8"

    async def test_believed(self) -> None:
        """A proxy that is trusted tells who the client is, and how it came."""
        call = await self.relayed(
            "GET",
            MANIFEST,
            "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.1.1.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: public.test",
        )
        self.assertEqual(
            call.header(b"X-Forwarded-For"), b"192.0.2.1, 10.1.1.1, 127.0.0.1"
        )
        self.assertEqual(call.header(b"X-Real-IP"), b"192.0.2.1")
        self.assertEqual(call.header(b"X-Forwarded-Proto"), b"https")
        self.assertEqual(call.header(b"X-Forwarded-Host"), b"public.test")


class BodyTests(ProxyTestCase):
    async def test_streams(self) -> None:
        """A body flows from its first byte, with its length."""
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 6")
        for part in (b"ab", b"cd", b"ef"):
            self.client.send(part)
            self.assertEqual(await call.wire.read(2), part)
        call.reply(202, "Range: 0-5")
        self.assertEqual((await self.client.reply()).header(b"Range"), b"0-5")

    async def test_streams_in_chunks(self) -> None:
        """So does one whose length nobody knows."""
        call = await self.relayed("PATCH", UPLOAD, CHUNKED)
        self.assertIsNone(call.header(b"Content-Length"))
        for part in (b"ab", b"cde"):
            self.client.send(b"%x\r\n%b\r\n" % (len(part), part))
            self.assertEqual(await call.wire.chunk(), part)
        self.client.send(b"0\r\n\r\n")
        self.assertEqual(await call.wire.chunk(), b"")
        call.reply(202)
        self.assertEqual((await self.client.reply()).status, 202)
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)

    async def test_no_body(self) -> None:
        """No body is no body: an empty one has its length."""
        call = await self.relayed("POST", UPLOADS, "Content-Length: 0")
        self.assertIn(call.header(b"Content-Length"), (b"0", None))
        self.assertIsNone(call.header(b"Transfer-Encoding"))
        call.reply(202, "Location: /v2/acme_team/app/blobs/uploads/id")
        self.assertEqual((await self.client.reply()).status, 202)

    async def test_large(self) -> None:
        """Every byte of a large body arrives, in its place."""
        body = bytes(range(256)) * 20_000
        call = await self.relayed("PUT", f"{UPLOAD}?digest={DIGEST}", body=body)
        self.assertTrue(await call.body() == body)
        call.reply(201)
        self.assertEqual((await self.client.reply()).status, 201)

    async def test_upstream_does_not_read(self) -> None:
        """An upstream that does not read stops the reading from the client."""
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 100000000")
        call.wire.pause()
        flood = Flood(self.client)
        # The kernel's buffers on the way are all that ever fills.
        for _ in range(300):
            await self.turn()
        self.assertTrue(flood.paused)
        self.assertLess(flood.sent, 60_000_000)
        flood.stop()

    async def test_client_goes_away(self) -> None:
        """The upstream sees the end of a request that nobody makes any more."""
        for headers in ("Content-Length: 100", CHUNKED):
            self.client = await self.connect()
            call = await self.relayed("PATCH", UPLOAD, headers)
            self.client.send(b"3\r\nabc\r\n")
            event = self.event()
            await call.wire.read(8)
            self.client.close()
            await call.wire.end()
            self.assertIn("the client closed", (await event)["event"].outcome)

    async def test_client_goes_away_while_waiting(self) -> None:
        """Also of one that is complete, and of a download that has not begun."""
        for method, path, body in (("PUT", MANIFEST, b"{}"), ("GET", BLOB, None)):
            self.client = await self.connect()
            call = await self.relayed(method, path, body=body)
            self.client.close()
            await call.wire.end()


class StallTests(ProxyTestCase):
    upstream_options = "timeout = 40"

    async def test_stalled(self) -> None:
        """An upstream that takes nothing and says nothing is given up: 504."""
        call = await self.relayed("PUT", MANIFEST, body=b"{}")
        self.time.clock.advance(41)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (504, "UNAVAILABLE"))
        await call.wire.end()

    async def test_slow_but_alive(self) -> None:
        """A client that sends a byte now and then is not given up."""
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 4")
        for _ in range(4):
            self.client.send(b"x")
            await call.wire.read(1)
            self.time.clock.advance(30)
        call.reply(202)
        self.assertEqual((await self.client.reply()).status, 202)


class ExpectTests(ProxyTestCase):
    async def expecting(self, *more: str) -> Call:
        """Begin an upload whose body waits."""
        return await self.relayed("PUT", f"{UPLOAD}?digest={DIGEST}", EXPECT, *more)

    async def test_upstream_wants_it(self) -> None:
        """100 is the upstream's word; the body follows it."""
        call = await self.expecting("Content-Length: 2")
        self.assertEqual(call.header(b"Expect"), b"100-continue")
        await self.turn()
        self.assertEqual(bytes(self.client.seen), b"")
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual((await self.client.reply()).line, b"HTTP/1.1 100 Continue")
        self.client.send(b"ok")
        self.assertEqual(await call.body(), b"ok")
        call.reply(201)
        self.assertEqual((await self.client.reply()).status, 201)
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)

    async def test_upstream_does_not_know_it(self) -> None:
        """An upstream that says nothing has its time; then the client may send."""
        call = await self.expecting("Content-Length: 2")
        self.time.clock.advance(CONTINUE_SECONDS - 0.1)
        await self.turn()
        self.assertEqual(bytes(self.client.seen), b"")
        self.time.clock.advance(0.2)
        self.assertEqual((await self.client.reply()).status, 100)
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.client.send(b"ok")
        self.assertEqual(await call.body(), b"ok")
        call.reply(201)
        self.assertEqual((await self.client.reply()).status, 201)

    async def test_upstream_refuses(self) -> None:
        """A refusal is told, and nobody asks for the body: not later either."""
        for status in (401, 403, 413):
            for length in ("Content-Length: 5000000", CHUNKED):
                self.client = await self.connect()
                call = await self.expecting(length)
                call.send(response(status))
                reply = await self.client.reply()
                self.assertEqual(reply.status, status)
                self.assertEqual(reply.header(b"Connection"), b"close")
                await self.turn()
                self.time.clock.advance(CONTINUE_SECONDS + 0.1)
                await self.turn()
                self.time.clock.advance(10)
                await self.client.end()
                self.assertEqual(self.client.seen.count(b"HTTP/1.1"), 1)
                await call.wire.end()

    async def test_client_does_not_wait(self) -> None:
        """A client may send its body at once all the same."""
        call = await self.expecting("Content-Length: 2")
        self.client.send(b"ok")
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual(await call.body(), b"ok")
        call.reply(201)
        replies = [(await self.client.reply()).status]
        if replies == [100]:
            replies.append((await self.client.reply()).status)
        self.assertEqual(replies[-1], 201)

    async def test_refused_here(self) -> None:
        """What never reaches the upstream asks for no body."""
        self.client.request(
            "PUT",
            f"/v2/x/blobs/uploads/id?digest={DIGEST}",
            EXPECT,
            "Content-Length: 5",
        )
        self.assertEqual((await self.client.reply()).status, 404)


class EarlyReplyTests(ProxyTestCase):
    async def assert_refused(self, framing: str, *parts: bytes) -> None:
        """The upstream refuses in these parts while the client is sending."""
        self.client = await self.connect()
        call = await self.relayed("PATCH", UPLOAD, framing)
        self.client.send(b"10000\r\n" + bytes(0x10000))
        await call.wire.read(0x10000)
        for part in parts:
            call.send(part)
            await self.turn()
            await self.turn()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (413, "SIZE_INVALID"))
        self.assertEqual(reply.header(b"Connection"), b"close")
        await call.wire.end()

    async def test_refused(self) -> None:
        """413 gets to the client, however the body is framed."""
        for framing in ("Content-Length: 5000000", CHUNKED):
            await self.assert_refused(framing, response(413))

    async def test_in_segments(self) -> None:
        """Headers and body of the refusal come separately."""
        head, end, _ = response(413, body=b"<h1>").partition(b"\r\n\r\n")
        for framing in ("Content-Length: 5000000", CHUNKED):
            await self.assert_refused(framing, head + end, b"<h", b"1>")

    async def test_then_the_next(self) -> None:
        """After a small body the client's connection takes another request."""
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 10")
        self.client.send(b"abcde")
        await call.wire.read(5)
        call.send(response(401, 'WWW-Authenticate: Basic realm="x"'))
        self.assertEqual((await self.client.reply()).status, 401)
        self.client.send(b"fghij")
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)

    async def test_while_client_is_paused(self) -> None:
        """Also when we have stopped reading from the client."""
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 50000000")
        call.wire.pause()
        self.client.send(bytes(50_000_000))
        for _ in range(200):
            await self.turn()
        call.send(response(413))
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (413, "SIZE_INVALID"))

    async def test_refused_here(self) -> None:
        """A large upload to a name that is not served gets its 404 early."""
        self.client.request(
            "PATCH", "/v2/x/blobs/uploads/id", "Content-Length: 5000000"
        )
        self.client.send(bytes(READ_AHEAD_BYTES))
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))
        self.assertEqual(self.upstream.calls, [])


class StaleTests(ProxyTestCase):
    async def warm(self) -> None:
        """Make a kept connection."""
        await self.exchange("GET", BLOB, response(200))

    async def test_without_body(self) -> None:
        """A kept connection that is gone costs the client nothing."""
        for method, path in (("GET", BLOB), ("POST", UPLOADS), ("DELETE", MANIFEST)):
            await self.warm()
            stale = await self.relayed(method, path)
            stale.wire.reset()
            again = await self.upstream.call()
            self.assertEqual(again.head, stale.head)
            again.reply(202)
            self.assertEqual((await self.client.reply(method)).status, 202)

    async def test_with_body(self) -> None:
        """A body cannot be sent twice: the client hears of it, in JSON."""
        await self.warm()
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 100")
        call.wire.reset()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))


class MountTests(ProxyTestCase):
    async def mounting(self, source: str = "team/other") -> Call:
        """Ask for a mount, with a token."""
        return await self.relayed(
            "POST",
            f"{UPLOADS}?mount={DIGEST}&from={source}",
            "Authorization: Bearer t",
            "Content-Length: 0",
        )

    async def test_mapped(self) -> None:
        """Both names are mapped."""
        call = await self.mounting()
        self.assertEqual(
            call.target,
            f"/v2/acme_team/app/blobs/uploads/?mount={DIGEST}&from=acme_team/other",
        )
        call.reply(201, f"Location: /v2/acme_team/app/blobs/{DIGEST}")
        reply = await self.client.reply()
        self.assertEqual(
            (reply.status, reply.header(b"Location")), (201, BLOB.encode())
        )

    async def test_refused(self) -> None:
        """No right to pull from there is an upload here, and no 401."""
        for status in (401, 403):
            (await self.mounting()).reply(status)
            second = await self.upstream.call()
            self.assertEqual(second.target, "/v2/acme_team/app/blobs/uploads/")
            self.assertEqual(second.header(b"Authorization"), b"Bearer t")
            second.reply(202, "Location: /v2/acme_team/app/blobs/uploads/id")
            reply = await self.client.reply()
            self.assertEqual(reply.status, 202)
            self.assertEqual(reply.header(b"Location"), UPLOAD.encode())

    async def test_refused_altogether(self) -> None:
        """No right to push is the 401 that names both repositories."""
        scope = "repository:acme_team/app:pull,push repository:acme_team/other:pull"
        (await self.mounting()).reply(
            401, f'WWW-Authenticate: Bearer realm="https://x/t",scope="{scope}"'
        )
        (await self.upstream.call()).reply(401)
        reply = await self.client.reply()
        self.assertEqual(reply.status, 401)
        self.assertIn(
            b'scope="repository:team/app:pull,push repository:team/other:pull"',
            reply.header(b"WWW-Authenticate") or b"",
        )

    async def test_from_elsewhere(self) -> None:
        """From what is not served here it is an upload from the start."""
        for source in ("other/app", "..", "UPPER"):
            call = await self.mounting(source)
            self.assertEqual(call.target, "/v2/acme_team/app/blobs/uploads/")
            call.reply(202, "Location: /v2/acme_team/app/blobs/uploads/id")
            self.assertEqual((await self.client.reply()).status, 202)
