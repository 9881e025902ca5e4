"""How a request ends, and that the log names the side and the cause."""

from __future__ import annotations

from collections.abc import Awaitable
from select import select
from typing import Any

from regbroker.causes import Cause
from regbroker.events import Event
from regbroker.transport.client.protocol import MAX_EARLY_REPLY_BYTES
from regbroker.transport.client.reply_parser import MAX_HEADER_BYTES
from tests.proxycase import (
    BLOB,
    MANIFEST,
    UPLOAD,
    UPLOADS,
    ProxyTestCase,
    TLSUpstream,
)
from tests.scripted import Call, response
from tests.wire import Flood, Message

CHUNKED = "Transfer-Encoding: chunked"
TAGS = "/v2/team/app/tags/list"


class EndingTestCase(ProxyTestCase):
    async def assert_cause(
        self, told: Awaitable[dict[str, Any]], cause: Cause, outcome: str, status: int
    ) -> Event:
        """The event says all this."""
        event: Event = (await told)["event"]
        self.assertEqual(
            (event.cause, event.outcome, event.status), (cause, outcome, status)
        )
        self.assertIn(f" cause={cause.value} ", event.line())
        return event

    async def in_time(self) -> Message:
        """Let time go by until there is a reply: addresses are tried at a distance."""
        while not self.client.seen:
            self.time.clock.advance(0.001)
            await self.turn()
        return await self.client.reply()

    async def flooded(self, wire: Any) -> Flood:
        """Write until nobody takes more."""
        flood = Flood(wire)
        await self.until_full()
        return flood

    def request_under_way(self) -> Any:
        """The one request, as regbroker has it."""
        (serving,) = self.services[0].under_way.requests()
        return serving._request

    async def until_full(self) -> None:
        """
        Wait until regbroker reads no more, since the other side takes nothing.

        The kernel may make more room later, so time is to move at once after this.
        """
        request = self.request_under_way()
        is_upload = request.body.length != 0
        while not (
            request.body._paused if is_upload else request.channel._waitingForTransport
        ):
            await self.turn()


class DownloadTests(EndingTestCase):
    async def begun(self, length: int = 100_000_000) -> Call:
        """A blob in the middle of its way."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, f"Content-Length: {length}", body=b"x"))
        await self.client.until(b"\r\n\r\nx")
        return call

    async def test_done(self) -> None:
        """The reply is complete, whatever its status."""
        for status in (200, 404, 503):
            told = self.event()
            await self.exchange("GET", BLOB, response(status))
            await self.assert_cause(told, Cause.DONE, "done", status)

    async def test_client_left(self) -> None:
        """In order or not."""
        for leave in ("close", "reset"):
            self.client = await self.connect()
            call = await self.begun()
            told = self.event()
            getattr(self.client, leave)()
            await call.wire.end()
            await self.assert_cause(
                told, Cause.CLIENT_LEFT, "the client closed the connection", 200
            )

    async def test_client_left_early(self) -> None:
        """Before the upstream has said anything."""
        call = await self.relayed("GET", BLOB)
        told = self.event()
        self.client.close()
        await call.wire.end()
        await self.assert_cause(
            told, Cause.CLIENT_LEFT, "the client closed the connection", 0
        )

    async def test_client_does_not_read(self) -> None:
        """The upstream would send: it is the client who does not take it."""
        call = await self.begun()
        self.client.pause()
        flood = await self.flooded(call.wire)
        told = self.event()
        self.time.clock.advance(901)
        await self.assert_cause(
            told, Cause.CLIENT_NOT_READING, "the client read nothing for 900 s", 200
        )
        self.client.resume()
        await self.client.end()
        self.assertFalse(self.client.closed_in_order)
        flood.paused = True

    async def readable(self) -> None:
        """Wait until the client could read something."""
        while not select([self.client.socket.socket], [], [], 0)[0]:
            await self.turn()

    async def test_client_reads_drops(self) -> None:
        """Some bytes in a while are not what a buffer holds: they change nothing."""
        call = await self.begun()
        self.client.pause()
        flood = await self.flooded(call.wire)
        told = self.event()
        # What is on its way still may arrive, and then nothing does.
        while not told.called:
            await self.readable()
            self.client.socket.socket.recv(1)
            await self.turn()
            await self.until_full()
            self.time.clock.advance(59)
            self.assertLess(self.time.clock.seconds(), 100 * 900)
        await self.assert_cause(
            told, Cause.CLIENT_NOT_READING, "the client read nothing for 900 s", 200
        )
        flood.paused = True

    async def test_upstream_silent(self) -> None:
        """Nothing comes."""
        call = await self.begun()
        told = self.event()
        self.time.clock.advance(901)
        self.assertEqual(await self.client.end(), b"")
        self.assertTrue(self.client.closed_in_order)
        await call.wire.end()
        await self.assert_cause(
            told, Cause.UPSTREAM_IDLE, "the upstream sent nothing for 900 s", 200
        )

    async def test_upstream_broke_off(self) -> None:
        """Bytes are missing."""
        for how in ("close", "reset"):
            self.client = await self.connect()
            call = await self.begun()
            told = self.event()
            getattr(call.wire, how)()
            await self.client.end()
            await self.assert_cause(
                told, Cause.UPSTREAM_BROKE_OFF, "the upstream broke off its reply", 200
            )

    async def test_upstream_malformed(self) -> None:
        """What comes is no chunk."""
        call = await self.relayed("GET", BLOB)
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await self.client.until(b"ab\r\n")
        told = self.event()
        call.send(b"nonsense\r\n")
        await self.client.end()
        await self.assert_cause(
            told,
            Cause.UPSTREAM_MALFORMED,
            "the upstream broke off its reply: what it sent is not HTTP",
            200,
        )

    async def test_stopped(self) -> None:
        """regbroker is stopped: nobody else has done anything."""
        call = await self.begun()
        told = self.event()
        await self.stop(self.services[0])
        self.assertEqual(await self.client.end(), b"")
        # containerd goes on with another regbroker then.
        self.assertTrue(self.client.closed_in_order)
        await call.wire.end()
        await self.assert_cause(told, Cause.STOPPED, "regbroker was stopped", 200)

    async def test_stopped_while_paused(self) -> None:
        """Also for a client that does not read."""
        call = await self.begun()
        self.client.pause()
        flood = await self.flooded(call.wire)
        told = self.event()
        await self.stop(self.services[0])
        await self.assert_cause(told, Cause.STOPPED, "regbroker was stopped", 200)
        self.client.resume()
        await self.client.end()
        flood.paused = True

    async def test_stopped_early(self) -> None:
        """Who waits for an answer is told."""
        call = await self.relayed("GET", BLOB)
        told = self.event()
        stopping = self.services[0].stopService()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
        self.assertEqual(reply.header(b"Connection"), b"close")
        await self.client.end()
        await stopping
        await call.wire.end()
        await self.assert_cause(told, Cause.STOPPED, "regbroker was stopped", 503)

    async def test_stopped_when_idle(self) -> None:
        """Connections that are kept are closed, too."""
        await self.exchange("GET", BLOB, response(200))
        await self.stop(self.services[0])
        self.assertEqual(await self.client.end(), b"")
        self.assertTrue(self.client.closed_in_order)

    async def test_unreachable(self) -> None:
        """No upstream at all."""
        await self.upstream.stop()
        told = self.event()
        self.client.request("GET", BLOB)
        self.assertEqual((await self.in_time()).status, 503)
        await self.assert_cause(
            told,
            Cause.UPSTREAM_UNREACHABLE,
            "the upstream registry cannot be reached",
            503,
        )

    async def test_no_answer(self) -> None:
        """It hangs up, answers nonsense, or not at all."""
        for answer, cause, outcome, status in (
            (
                b"",
                Cause.UPSTREAM_BROKE_OFF,
                "the upstream registry closed the connection without an answer",
                503,
            ),
            (
                b"SSH-2.0-x\r\n\r\n",
                Cause.UPSTREAM_MALFORMED,
                "what the upstream registry answered is not HTTP",
                502,
            ),
        ):
            told = self.event()
            call = await self.relayed("GET", BLOB)
            if not answer:
                # On a kept connection a GET is sent once more.
                call.wire.close()
                call = await self.upstream.call()
            call.send(answer)
            call.wire.close()
            self.assertEqual((await self.client.reply()).status, status)
            await self.assert_cause(told, cause, outcome, status)
        told = self.event()
        await self.relayed("GET", BLOB)
        self.time.clock.advance(901)
        self.assertEqual((await self.client.reply()).status, 504)
        await self.assert_cause(
            told, Cause.UPSTREAM_IDLE, "the upstream registry did not answer", 504
        )

    async def test_large_headers(self) -> None:
        """Headers without end are too large, and not the upstream's own end."""
        call = await self.relayed("GET", BLOB)
        told = self.event()
        line = b"A: " + bytes(1000).replace(b"\0", b"b") + b"\r\n"
        call.send(b"HTTP/1.1 200 OK\r\n" + line * (MAX_HEADER_BYTES * 2 // len(line)))
        await call.wire.end()
        self.assertEqual((await self.client.reply()).status, 502)
        await self.assert_cause(
            told,
            Cause.BOUND_REACHED,
            f"the upstream registry sent headers of more than {MAX_HEADER_BYTES} bytes",
            502,
        )

    async def test_list(self) -> None:
        """A list that is too large, broken off, silent, or without end."""
        huge = "Content-Length: 999999999"
        for ending, cause, words in (
            ("flood", Cause.BOUND_REACHED, "larger than"),
            ("close", Cause.UPSTREAM_BROKE_OFF, "broke off its reply"),
            ("silence", Cause.UPSTREAM_IDLE, "nothing of its reply for 900 s"),
            ("drip", Cause.UPSTREAM_IDLE, "its whole reply within 3600 s"),
        ):
            told = self.event()
            call = await self.relayed("GET", TAGS)
            call.wire.socket.setTcpNoDelay(True)
            call.send(response(200, huge, body=b"{"))
            if ending == "flood":
                flood = Flood(call.wire)
            elif ending == "close":
                call.wire.close()
            elif ending == "drip":
                for _ in range(7):
                    call.send(b" ")
                    for _ in range(10):
                        await self.turn()
                    self.time.clock.advance(600)
            else:
                for _ in range(10):
                    await self.turn()
                self.time.clock.advance(901)
            self.assertEqual((await self.client.reply()).status, 502, ending)
            event: Event = (await told)["event"]
            self.assertEqual(event.cause, cause, ending)
            self.assertIn(words, event.outcome)
            await call.wire.end()
            if ending == "flood":
                flood.paused = True

    async def test_mistake(self) -> None:
        """regbroker's own."""

        def fail(*_: object) -> None:
            raise KeyError("a mistake")

        root: Any = self.services[0].root
        root.current._registries["*"].endpoint = fail
        told = self.event()
        self.assertEqual((await self.client.ask("GET", BLOB)).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        await self.assert_cause(
            told,
            Cause.FAILED,
            "regbroker failed at this request; its log says why",
            500,
        )


class DownloadTLSTests(TLSUpstream, DownloadTests):
    """The same with TLS to the upstream."""


class UploadTests(EndingTestCase):
    async def begun(self, *headers: str) -> Call:
        """An upload in the middle of its way."""
        call = await self.relayed(
            "PATCH", UPLOAD, *(headers or ("Content-Length: 1000000000",))
        )
        return call

    async def some(self, call: Call) -> None:
        """Some of the body is through."""
        self.client.send(b"x")
        await call.wire.read(1)

    async def test_client_left(self) -> None:
        """In order or not."""
        for leave in ("close", "reset"):
            self.client = await self.connect()
            call = await self.begun()
            await self.some(call)
            told = self.event()
            getattr(self.client, leave)()
            await call.wire.end()
            await self.assert_cause(
                told, Cause.CLIENT_LEFT, "the client closed the connection", 0
            )

    async def test_client_silent(self) -> None:
        """The client sends nothing more: 408, and the upstream is let go."""
        call = await self.begun()
        await self.some(call)
        told = self.event()
        self.time.clock.advance(59)
        self.assertIsNone(call.wire.lost)
        self.time.clock.advance(1)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (408, "UNKNOWN"))
        self.assertEqual(reply.header(b"Connection"), b"close")
        await call.wire.end()
        self.time.clock.advance(6)
        await self.client.end()
        await self.assert_cause(
            told,
            Cause.CLIENT_IDLE,
            "the client sent nothing of its body for 60 s",
            408,
        )

    async def test_client_silent_chunks(self) -> None:
        """The size of a chunk is nothing yet."""
        call = await self.begun(CHUNKED)
        self.client.send(b"5\r\nhello\r\n")
        await call.wire.until(b"hello\r\n")
        told = self.event()
        for digit in (b"1", b"0", b"0"):
            self.time.clock.advance(25)
            self.client.send(digit)
            await self.turn()
        self.assertEqual((await self.client.reply()).status, 408)
        self.assertEqual((await told)["event"].cause, Cause.CLIENT_IDLE)

    async def test_client_drips(self) -> None:
        """A byte in 59 s is an upload for weeks: not here."""
        call = await self.begun()
        told = self.event()
        self.client.socket.setTcpNoDelay(True)
        while self.client.seen == b"" and self.time.clock.seconds() < 1000:
            self.client.send(b"x")
            for _ in range(5):
                await self.turn()
            self.time.clock.advance(29.5)
        self.assertEqual((await self.client.reply()).status, 408)
        await call.wire.end()
        await self.assert_cause(
            told,
            Cause.CLIENT_SLOW,
            "the client sends its body more slowly than 500 bytes per second",
            408,
        )

    async def test_upstream_does_not_read(self) -> None:
        """The client would send: for hours, its patience is the upstream's."""
        call = await self.begun()
        call.wire.pause()
        flood = await self.flooded(self.client)
        told = self.event()
        # The kernel makes more room now and then, but not for ever.
        while not told.called:
            self.time.clock.advance(60)
            self.assertLess(self.time.clock.seconds(), 100 * 900)
            await self.turn()
            if not told.called:
                await self.until_full()
        self.assertGreaterEqual(self.time.clock.seconds(), 900)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (504, "UNAVAILABLE"))
        flood.paused = True
        await self.assert_cause(
            told,
            Cause.UPSTREAM_NOT_READING,
            "the upstream registry took nothing of the body for 900 s",
            504,
        )
        call.wire.resume()

    async def test_upstream_slow(self) -> None:
        """An upstream that takes a little in a while makes no client slow."""
        call = await self.begun()
        call.wire.pause()
        flood = await self.flooded(self.client)
        for _ in range(5):
            self.time.clock.advance(800)
            body = self.request_under_way().body
            before = body.bytes_received
            call.wire.resume()
            while body.bytes_received == before:
                await self.turn()
            call.wire.pause()
            await self.until_full()
        self.assertEqual(self.client.seen, b"")
        flood.stop()

    async def test_upstream_silent(self) -> None:
        """All is sent, and no answer comes."""
        call = await self.relayed("PUT", MANIFEST, body=b"{}")
        self.assertEqual(await call.body(), b"{}")
        told = self.event()
        self.time.clock.advance(901)
        self.assertEqual((await self.client.reply()).status, 504)
        await self.assert_cause(
            told, Cause.UPSTREAM_IDLE, "the upstream registry did not answer", 504
        )

    async def test_upstream_broke_off(self) -> None:
        """It hangs up in the middle."""
        call = await self.begun()
        await self.some(call)
        told = self.event()
        call.wire.reset()
        self.assertEqual((await self.client.reply()).status, 503)
        await self.assert_cause(
            told,
            Cause.UPSTREAM_BROKE_OFF,
            "the upstream registry closed the connection without an answer",
            503,
        )

    async def test_too_much_too_early(self) -> None:
        """An answer before its time is read within a bound, which is regbroker's."""
        call = await self.begun()
        await self.some(call)
        told = self.event()
        size = MAX_EARLY_REPLY_BYTES * 2
        call.send(response(202, f"Content-Length: {size}") + bytes(size))
        await call.wire.end()
        self.assertLess(len(await self.client.end()), size)
        event: Event = (await told)["event"]
        self.assertEqual(event.cause, Cause.BOUND_REACHED)

    async def test_client_malformed(self) -> None:
        """A chunk that is none: 400, and nothing complete for the upstream."""
        call = await self.begun(CHUNKED)
        self.client.send(b"2\r\nab\r\n")
        await call.wire.until(b"ab\r\n")
        told = self.event()
        self.client.send(b"nonsense\r\n")
        self.assertEqual((await self.client.reply()).status, 400)
        self.assertNotIn(b"0\r\n\r\n", await call.wire.end())
        await self.assert_cause(
            told,
            Cause.CLIENT_MALFORMED,
            "malformed: this is no well-formed request: its body is not in the chunks "
            "of HTTP/1.1",
            400,
        )

    async def test_stopped(self) -> None:
        """regbroker is stopped in the middle."""
        call = await self.begun()
        await self.some(call)
        told = self.event()
        await self.stop(self.services[0])
        self.assertEqual((await self.client.reply()).status, 503)
        await self.client.end()
        await call.wire.end()
        event = await self.assert_cause(
            told, Cause.STOPPED, "regbroker was stopped", 503
        )
        self.assertEqual(event.bytes_in, 1)

    async def test_waits_for_continue(self) -> None:
        """A client that waits to be asked for its body may wait."""
        self.client.request(
            "POST", UPLOADS, "Expect: 100-continue", "Content-Length: 5"
        )
        call = await self.upstream.call()
        self.time.clock.advance(0.5)
        self.assertEqual(self.client.seen, b"")
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual((await self.client.reply()).status, 100)
        self.time.clock.advance(59)
        self.client.send(b"hello")
        self.assertEqual(await call.body(), b"hello")
        call.reply(202)
        self.assertEqual((await self.client.reply()).status, 202)

    async def test_idle_after_a_pause(self) -> None:
        """A connection that was not read from for a while is closed when idle."""
        call = await self.begun("Content-Length: 3000000")
        call.wire.pause()
        self.client.send(bytes(3_000_000))
        for _ in range(100):
            await self.turn()
        call.wire.resume()
        await call.body()
        call.reply(202)
        self.assertEqual((await self.client.reply()).status, 202)
        await self.turn()
        self.time.clock.advance(61)
        self.assertEqual(await self.client.end(), b"")

    async def test_silent_after_a_pause(self) -> None:
        """So is one whose client falls silent after it."""
        call = await self.begun("Content-Length: 4000000")
        call.wire.pause()
        self.client.send(bytes(3_000_000))
        for _ in range(100):
            await self.turn()
        call.wire.resume()
        await call.wire.read(3_000_000)
        self.time.clock.advance(61)
        self.assertEqual((await self.client.reply()).status, 408)


class UploadTLSTests(TLSUpstream, UploadTests):
    """The same with TLS to the upstream."""


class PaceTests(EndingTestCase):
    main = "client-timeout = 10\nbody-timeout = 5\nmin-upload-rate = 0"

    async def test_silence(self) -> None:
        """The operator says how long."""
        await self.relayed("PATCH", UPLOAD, "Content-Length: 5")
        told = self.event()
        self.time.clock.advance(10)
        self.assertEqual((await self.client.reply()).status, 408)
        self.assertIn("for 10 s", (await told)["event"].outcome)

    async def test_no_rate(self) -> None:
        """Without a rate who sends something now and then is not slow."""
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 40")
        for _ in range(40):
            self.client.send(b"x")
            await call.wire.read(1)
            self.time.clock.advance(9)
        call.reply(202)
        self.assertEqual((await self.client.reply()).status, 202)

    async def test_before_the_upstream_is_given_up(self) -> None:
        """Also when that is less long, the silence is the client's."""
        await self.stop(self.services[0])
        self.main = "client-timeout = 100"
        self.upstream_options = "timeout = 40"
        await self.serve()
        self.client = await self.connect()
        await self.relayed("PATCH", UPLOAD, "Content-Length: 5")
        told = self.event()
        self.time.clock.advance(40)
        self.assertEqual((await self.client.reply()).status, 408)
        event: Event = (await told)["event"]
        self.assertEqual(event.cause, Cause.CLIENT_IDLE)
        self.assertIn("for 40 s", event.outcome)

    async def test_idle(self) -> None:
        """Connections between requests are closed after the same time."""
        await self.exchange("GET", BLOB, response(200))
        await self.turn()
        self.time.clock.advance(10)
        await self.client.end()
