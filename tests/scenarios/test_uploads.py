"""Uploads: streamed, expected, refused early, given up."""

from __future__ import annotations

from regbroker.transport.bodies.upload import CONTINUE_SECONDS
from regbroker.transport.server.request_bodies import READ_AHEAD_BYTES
from tests.protocol.test_query_table import NO_MOUNTS
from tests.proxycase import (
    BLOB,
    DIGEST,
    MANIFEST,
    UPLOAD,
    UPLOADS,
    ProxyTestCase,
    TLSUpstream,
)
from tests.scripted import Call, response
from tests.wire import Flood, Message

EXPECT = "Expect: 100-continue"
CHUNKED = "Transfer-Encoding: chunked"


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
        await self.assert_held_up(Flood(self.client))

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


class QueryTests(ProxyTestCase):
    async def test_semicolons(self) -> None:
        """What some upstreams take for "&" could hide a name: refused."""
        for query in (
            f"mount={DIGEST};from=other/app",
            f"mount={DIGEST}&from=team/other;from=other/app",
            "a;from=other/app",
        ):
            reply = await self.client.ask(
                "POST", f"{UPLOADS}?{query}", "Content-Length: 0"
            )
            self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"), query)
        self.assertEqual(self.upstream.calls, [])

    async def test_semicolons_elsewhere(self) -> None:
        """The state of an upload is the upstream's, whatever is in it."""
        call = await self.relayed("PUT", f"{UPLOAD}?_state=a;b", "Content-Length: 0")
        self.assertTrue(call.target.endswith("?_state=a;b"))
        call.reply(201)
        self.assertEqual((await self.client.reply()).status, 201)


class ListedQueryTests(ProxyTestCase):
    """The query of an upload is made of what it may hold."""

    async def test_no_mount(self) -> None:
        """What is no checked mount is an ordinary upload."""
        for query in NO_MOUNTS:
            call = await self.relayed("POST", f"{UPLOADS}?{query}", "Content-Length: 0")
            self.assertEqual(call.target, "/v2/acme_team/app/blobs/uploads/", query)
            call.reply(202, "Location: /v2/acme_team/app/blobs/uploads/id")
            self.assertEqual((await self.client.reply()).status, 202)

    async def test_mount(self) -> None:
        """One that is gets the upstream's name, whatever else was said."""
        target = f"{UPLOADS}?x=1&mount={DIGEST}&from=team/other&From=a"
        call = await self.relayed("POST", target, "Content-Length: 0")
        self.assertEqual(
            call.target,
            f"/v2/acme_team/app/blobs/uploads/?mount={DIGEST}&from=acme_team/other",
        )
        call.reply(201)
        self.assertEqual((await self.client.reply()).status, 201)

    async def test_later(self) -> None:
        """The state of an upload stays, and nothing is mounted with it."""
        for method in ("PATCH", "PUT", "GET", "DELETE"):
            target = f"{UPLOAD}?_state=a%2Fb&mount={DIGEST}&from=own/repo"
            call = await self.relayed(method, target, "Content-Length: 0")
            self.assertEqual(
                call.target, "/v2/acme_team/app/blobs/uploads/id?_state=a%2Fb"
            )
            call.reply(204)
            self.assertEqual((await self.client.reply()).status, 204)

    async def test_fragment(self) -> None:
        """A '#' has no place in a target, wherever it stands."""
        for target in (
            f"{UPLOADS}?mount={DIGEST}#&from=own/repo",
            f"{UPLOADS}#?mount={DIGEST}",
            "/v2/#/",
            "/auth#",
            "/#",
        ):
            client = await self.connect()
            reply = await client.ask("POST", target, "Content-Length: 0")
            self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"), target)
        self.assertEqual(self.upstream.calls, [])

    async def test_too_many_pieces(self) -> None:
        """A query of ampersands is refused, wherever it goes; and so is a form."""
        many = "&" * 62_000
        for path in (MANIFEST, UPLOAD, "/v2/", "/v2/_catalog", "/auth", "/v1/search"):
            reply = await self.client.ask("GET", f"{path}?{many}")
            self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"), path)
            self.assertIn("256", reply.message)
        reply = await self.client.ask("POST", "/auth", body=many.encode())
        self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))
        self.assertEqual(self.upstream.calls, [])


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

    async def test_old_http(self) -> None:
        """HTTP/1.0 knows no 100 (RFC 9110, 10.1.1): the upstream sees no Expect."""
        self.client.send(
            f"PUT {MANIFEST} HTTP/1.0\r\nHost: registry.test\r\n{EXPECT}\r\n"
            "Content-Length: 2\r\n\r\n".encode()
        )
        call = await self.upstream.call()
        self.assertIsNone(call.header(b"Expect"))
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.client.send(b"ok")
        self.assertEqual(await call.body(), b"ok")
        call.reply(201)
        self.assertEqual((await self.client.reply()).status, 201)

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


class ExpectOverTLSTests(TLSUpstream, ExpectTests):
    """The same with an upstream behind TLS."""


class EarlyReplyOverTLSTests(TLSUpstream, EarlyReplyTests):
    """The same with an upstream behind TLS."""


class BodyOverTLSTests(TLSUpstream, BodyTests):
    """The same with an upstream behind TLS."""


class ReadOnlyTests(ProxyTestCase):
    """Where nothing may be written, nobody asks for a body, a name or a password."""

    more = "writes = deny"
    tokens = True

    WRITES = (
        ("POST", UPLOADS, b""),
        ("POST", f"{UPLOADS}?mount={DIGEST}&from=team/other", b""),
        ("POST", "/v2/nobody/knows/blobs/uploads/", b""),
        ("GET", UPLOAD, b""),
        ("HEAD", UPLOAD, b""),
        ("PATCH", UPLOAD, b""),
        ("PUT", f"{UPLOAD}?digest={DIGEST}", b""),
        ("DELETE", UPLOAD, b""),
        ("PUT", MANIFEST, b"GET, HEAD"),
        ("DELETE", MANIFEST, b"GET, HEAD"),
        ("DELETE", BLOB, b"GET, HEAD"),
    )

    def assert_refused(self, reply: Message, allow: bytes) -> None:
        """405, in the registry's words; no challenge."""
        self.assertEqual(reply.status, 405)
        self.assertEqual(reply.header(b"Allow"), allow)
        self.assertIsNone(reply.header(b"WWW-Authenticate"))
        self.assertEqual(
            reply.header(b"Docker-Distribution-Api-Version"), b"registry/2.0"
        )

    async def test_refused(self) -> None:
        """With credentials or without, for what is served and what is not."""
        for credentials in ((), ("Authorization: Bearer t",), ("Authorization: x",)):
            for method, path, allow in self.WRITES:
                reply = await self.client.ask(
                    method, path, *credentials, "Content-Length: 0"
                )
                self.assert_refused(reply, allow)
                if method != "HEAD":
                    self.assertEqual(reply.code, "UNSUPPORTED")
                    self.assertIn("read-only", reply.message)
        self.assertEqual(self.upstream.calls, [])

    async def test_no_body_wanted(self) -> None:
        """No 100 is sent, and nothing of a body is waited for."""
        for method, path, allow in self.WRITES:
            if method in ("GET", "HEAD", "DELETE"):
                continue
            for headers in (
                (EXPECT, "Content-Length: 5000000000"),
                (EXPECT, CHUNKED),
                ("Content-Length: 5000000000",),
                (CHUNKED,),
            ):
                self.client = await self.connect()
                self.client.request(method, path, *headers)
                self.assert_refused(await self.client.reply(), allow)
                self.time.clock.advance(10)
                await self.client.end()
                self.assertEqual(self.client.seen.count(b"HTTP/1.1"), 1)
        self.assertEqual(self.upstream.calls, [])

    async def test_small_body(self) -> None:
        """After a small body that came at once the connection goes on."""
        reply = await self.client.ask("PUT", MANIFEST, body=b"abc")
        self.assert_refused(reply, b"GET, HEAD")
        reply = await self.exchange("GET", BLOB, response(200, body=b"x"))
        self.assertEqual((reply.status, reply.body), (200, b"x"))

    async def test_pulls(self) -> None:
        """What reads goes through, the ping and the token service included."""
        self.assertEqual((await self.client.ask("GET", "/v2/")).status, 401)
        for method in ("GET", "HEAD"):
            for path in (MANIFEST, BLOB):
                answer = response(200, "Content-Length: 0")
                reply = await self.exchange(method, path, answer)
                self.assertEqual(reply.status, 200)
        self.assertEqual((await self.client.ask("DELETE", "/auth")).status, 405)
