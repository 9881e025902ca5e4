"""How a request ends, and that the log names the side and the cause."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from regbroker.causes import Cause
from regbroker.observe import Event
from tests.proxycase import (
    BLOB,
    MANIFEST,
    UPLOAD,
    UPLOADS,
    ProxyTestCase,
    TLSUpstream,
)
from tests.scripted import Call, response
from tests.severalcase import SeveralTestCase
from tests.web.test_following import FollowingTestCase
from tests.wire import Flood, Message

CHUNKED = "Transfer-Encoding: chunked"
TAGS = "/v2/team/app/tags/list"
PULL = "service=s&scope=repository:team/app:pull"


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
        for _ in range(300):
            await self.turn()
        self.assertTrue(flood.paused)
        return flood


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

    async def test_client_reads_drops(self) -> None:
        """Some bytes in a while are not what a buffer holds: they change nothing."""
        call = await self.begun()
        self.client.pause()
        flood = await self.flooded(call.wire)
        told = self.event()
        # What is on its way still may arrive, and then nothing does.
        while not told.called:
            self.client.socket.socket.recv(1)
            await self.turn()
            self.time.clock.advance(59)
            self.assertLess(self.time.clock.seconds(), 2 * 900)
        await self.assert_cause(
            told, Cause.CLIENT_NOT_READING, "the client read nothing for 900 s", 200
        )
        flood.paused = True

    async def test_upstream_silent(self) -> None:
        """Nothing comes."""
        call = await self.begun()
        told = self.event()
        self.time.clock.advance(901)
        await self.client.end()
        self.assertFalse(self.client.closed_in_order)
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
        await self.client.end()
        self.assertFalse(self.client.closed_in_order)
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
        root._registries["*"].serve = fail
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
        for _ in range(14):
            self.time.clock.advance(60)
            await self.turn()
        self.assertEqual(self.client.seen, b"")
        self.time.clock.advance(61)
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
            before = flood.sent
            call.wire.resume()
            while flood.sent == before:
                await self.turn()
            call.wire.pause()
            for _ in range(300):
                await self.turn()
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
            "this is not a well-formed HTTP/1.1 request",
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

    async def test_idle(self) -> None:
        """Connections between requests are closed after the same time."""
        await self.exchange("GET", BLOB, response(200))
        await self.turn()
        self.time.clock.advance(10)
        await self.client.end()


class StorageTests(FollowingTestCase, EndingTestCase):
    """It is the storage, and not the upstream, who did it."""

    async def begun(self) -> Call:
        """A blob that comes from the storage."""
        call = await self.relayed("GET", BLOB)
        call.reply(307, f"Location: {self.storage.url}/blob")
        at_storage = await self.storage.call()
        at_storage.send(response(200, "Content-Length: 9", body=b"x"))
        await self.client.until(b"\r\n\r\nx")
        return at_storage

    async def test_broke_off(self) -> None:
        """In the middle."""
        call = await self.begun()
        told = self.event()
        call.wire.reset()
        await self.client.end()
        await self.assert_cause(
            told, Cause.STORAGE_BROKE_OFF, "the storage broke off its reply", 200
        )

    async def test_silent(self) -> None:
        """In the middle, too."""
        await self.begun()
        told = self.event()
        self.time.clock.advance(901)
        await self.client.end()
        await self.assert_cause(
            told, Cause.STORAGE_IDLE, "the storage sent nothing for 900 s", 200
        )

    async def test_client_left(self) -> None:
        """The storage is let go."""
        call = await self.begun()
        told = self.event()
        self.client.close()
        await call.wire.end()
        await self.assert_cause(
            told, Cause.CLIENT_LEFT, "the client closed the connection", 200
        )

    async def test_stopped(self) -> None:
        """So it is when regbroker is stopped."""
        call = await self.begun()
        told = self.event()
        await self.stop(self.services[0])
        await call.wire.end()
        await self.assert_cause(told, Cause.STOPPED, "regbroker was stopped", 200)

    async def test_no_answer(self) -> None:
        """It cannot be reached, hangs up, says nothing, or nonsense."""
        for ending, cause in (
            ("close", Cause.STORAGE_BROKE_OFF),
            ("nonsense", Cause.STORAGE_MALFORMED),
            ("status", Cause.STORAGE_MALFORMED),
            ("silence", Cause.STORAGE_IDLE),
            ("down", Cause.STORAGE_UNREACHABLE),
            ("elsewhere", Cause.REDIRECT_REFUSED),
        ):
            told = self.event()
            call = await self.relayed("GET", BLOB)
            if ending == "down":
                await self.storage.stop()
            place = self.storage.url
            if ending == "elsewhere":
                place = "http://10.0.0.1"
            call.reply(307, f"Location: {place}/blob")
            if ending not in ("down", "elsewhere"):
                at_storage = await self.storage.call()
                if ending == "close":
                    at_storage.wire.close()
                elif ending == "nonsense":
                    at_storage.send(b"SSH-2.0\r\n\r\n")
                elif ending == "status":
                    at_storage.reply(418)
                else:
                    self.time.clock.advance(901)
            self.client.seen.clear()
            status = (await self.in_time()).status
            self.assertGreaterEqual(status, 500)
            event: Event = (await told)["event"]
            self.assertEqual((event.cause, event.status), (cause, status), ending)


class TokenTests(EndingTestCase):
    tokens = True

    async def asked(self) -> Call:
        """A token request, as the token service sees it."""
        return await self.relayed("GET", f"/auth?{PULL}")

    async def test_client_left(self) -> None:
        """While the token service thinks."""
        await self.asked()
        told = self.event()
        self.client.close()
        await self.assert_cause(
            told, Cause.CLIENT_LEFT, "the client closed the connection", 0
        )

    async def test_stopped(self) -> None:
        """The client hears that it is regbroker."""
        await self.asked()
        told = self.event()
        await self.stop(self.services[0])
        self.assertEqual((await self.client.reply()).status, 503)
        await self.assert_cause(told, Cause.STOPPED, "regbroker was stopped", 503)

    async def test_no_answer(self) -> None:
        """The token service is told from the registry."""
        for ending, cause, words in (
            ("silence", Cause.TOKENS_IDLE, "token service did not answer in time"),
            ("close", Cause.TOKENS_BROKE_OFF, "closed the connection"),
            ("nonsense", Cause.TOKENS_MALFORMED, "is not HTTP"),
            ("no token", Cause.TOKENS_MALFORMED, "sent no token"),
            ("no JSON", Cause.TOKENS_MALFORMED, "not JSON"),
            ("too much", Cause.BOUND_REACHED, "sent more than"),
        ):
            told = self.event()
            call = await self.asked()
            if ending == "silence":
                self.time.clock.advance(14)
            elif ending == "close":
                # It is asked a second time: the connection may have been old.
                call.wire.close()
                (await self.upstream.call()).wire.close()
            elif ending == "nonsense":
                call.send(b"SSH-2.0\r\n\r\n")
            elif ending == "no token":
                call.reply(200, body=b"{}")
            elif ending == "no JSON":
                call.reply(200, body=b"<html>")
            else:
                call.reply(200, body=bytes(1_000_000))
            reply = await self.client.reply()
            event: Event = (await told)["event"]
            self.assertEqual((event.cause, event.status), (cause, reply.status))
            self.assertIn(words, event.outcome)

    async def test_unreachable(self) -> None:
        """Nobody listens there."""
        await self.upstream.stop()
        told = self.event()
        self.client.request("GET", f"/auth?{PULL}")
        self.assertEqual((await self.in_time()).status, 503)
        await self.assert_cause(
            told,
            Cause.TOKENS_UNREACHABLE,
            "the upstream's token service cannot be reached",
            503,
        )

    async def test_refused(self) -> None:
        """A refusal is the answer, complete."""
        told = self.event()
        (await self.asked()).reply(401)
        self.assertEqual((await self.client.reply()).status, 401)
        await self.assert_cause(told, Cause.DONE, "done", 401)

    async def test_form_too_slow(self) -> None:
        """A form is read whole, and has a time."""
        self.client.request("POST", "/auth", "Content-Length: 60000")
        self.client.socket.setTcpNoDelay(True)
        told = self.event()
        for _ in range(30):
            self.client.send(bytes(1000))
            for _ in range(5):
                await self.turn()
            self.assertEqual(self.client.seen, b"")
            self.time.clock.advance(1)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (408, "UNKNOWN"))
        await self.assert_cause(
            told,
            Cause.CLIENT_SLOW,
            "the client's body was not complete after 30 s",
            408,
        )

    async def test_form_too_large(self) -> None:
        """A bound is reached."""
        told = self.event()
        self.client.request("POST", "/auth", "Content-Length: 100000")
        self.assertEqual((await self.client.reply()).status, 413)
        await self.assert_cause(
            told,
            Cause.BOUND_REACHED,
            "this endpoint takes a body of at most 65536 bytes",
            413,
        )


class SeveralTests(SeveralTestCase, EndingTestCase):
    wants_tokens = ()

    async def test_second_choice(self) -> None:
        """What the first one did is nothing that the client has seen."""
        told = self.event()
        call = await self.relayed("GET", BLOB)
        call.wire.close()
        (await self.upstream.call()).wire.close()
        (await self.other.call()).reply(200, body=b"x")
        self.assertEqual((await self.client.reply()).body, b"x")
        event = await self.assert_cause(told, Cause.DONE, "done", 200)
        self.assertEqual(event.upstream, "two")

    async def test_resting(self) -> None:
        """Who is not asked has not failed now."""
        for upstream in (self.upstream, self.other):
            upstream.handler = lambda call: response(503, "Retry-After: 100")
        self.assertEqual((await self.client.ask("GET", BLOB)).status, 503)
        told = self.event()
        self.assertEqual((await self.client.ask("GET", BLOB)).status, 503)
        await self.assert_cause(
            told,
            Cause.UPSTREAM_RESTING,
            "the upstream registry does not answer now",
            503,
        )
