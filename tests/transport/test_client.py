"""Connections that are kept, that end, and that cannot be made."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import TimeoutError as HandshakeTimeout
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import ResponseNeverReceived

from regbroker.errors import (
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.origins import Origin
from regbroker.runtime.slots import Slots
from regbroker.transport.client import (
    IDLE_SECONDS,
    IDLE_SECONDS_FOR_BODIES,
    MAX_IDLE_CONNECTIONS,
    ConnectionPool,
)
from regbroker.transport.client_errors import converted_error
from regbroker.transport.client_protocol import MAX_HEADER_BYTES, MAX_HEADER_LINE_BYTES
from regbroker.transport.trust import Trust
from regbroker.transport.upload_bodies import gather_body
from tests.connectionscase import ConnectionsTestCase
from tests.scripted import Call, response


class KeptConnectionTests(ConnectionsTestCase):
    async def used_once(self) -> Call:
        """Make a connection that waits for its next request."""
        await gather_body(await self.asked(response(200, body=b"1")), 9)
        return self.upstream.calls[-1]

    async def test_used_again(self) -> None:
        """One connection serves one request after the other."""
        for _ in range(5):
            await self.used_once()
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_not_shared(self) -> None:
        """Requests at the same time have connections of their own."""
        asking = [self.ask(), self.ask()]
        for _ in asking:
            (await self.upstream.call()).reply(200)
        for one in asking:
            await one
        self.assertEqual(len(self.upstream.wires), 2)

    async def test_stale(self) -> None:
        """The upstream hangs up on a kept connection: asked anew, POST included."""
        for method in (b"GET", b"HEAD", b"POST", b"DELETE"):
            await self.used_once()
            asking = self.ask(method)
            (await self.upstream.call()).wire.reset()
            again = await self.upstream.call()
            self.assertEqual(again.method, method.decode())
            self.assertEqual(again.head.all(b"A"), [b"1", b"2"])
            again.reply(200)
            self.assertEqual((await asking).status, 200)
            self.connections.close()

    async def test_stale_once(self) -> None:
        """An upstream that always hangs up is asked twice, and no more."""
        await self.used_once()
        asking = self.ask()
        for _ in range(2):
            (await self.upstream.call()).wire.reset()
        await self.assertFailure(asking, UpstreamUnavailable)
        self.assertEqual(len(self.upstream.calls), 3)

    async def test_fresh(self) -> None:
        """A connection that was never used before is not stale: asked once."""
        asking = self.ask()
        (await self.upstream.call()).wire.close()
        await self.assertFailure(asking, UpstreamUnavailable)
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_stale_with_body(self) -> None:
        """A body cannot be sent twice: the failure is told."""
        await self.used_once()
        asking, call, _, _ = await self.uploading()
        call.wire.reset()
        await self.assertFailure(asking, UpstreamUnavailable)
        self.assertEqual(len(self.upstream.calls), 2)

    async def test_closed_while_idle(self) -> None:
        """A connection that is known to be closed is not tried."""
        call = await self.used_once()
        call.wire.close()
        await call.wire.end()
        await self.turn()
        self.assertEqual((await self.asked(response(200))).status, 200)
        self.assertEqual(len(self.upstream.calls), 2)

    async def test_not_for_bodies(self) -> None:
        """A body is not trusted to a connection that was idle for long."""
        await self.used_once()
        self.time.clock.advance(IDLE_SECONDS_FOR_BODIES + 0.1)
        asking, call, body, _ = await self.uploading()
        self.assertIsNot(call.wire, self.upstream.wires[0])
        body.done.callback(None)
        await call.body()
        call.reply(200)
        await asking

    async def test_idle_for_long(self) -> None:
        """What nobody uses is closed, before the upstream closes it."""
        call = await self.used_once()
        self.time.clock.pump([IDLE_SECONDS, IDLE_SECONDS])
        await call.wire.end()

    async def test_bounded(self) -> None:
        """After a rush not all of its connections are kept."""
        asking = [self.ask() for _ in range(MAX_IDLE_CONNECTIONS + 1)]
        for _ in asking:
            (await self.upstream.call()).reply(200)
        for one in asking:
            await gather_body(await one, 9)
        await self.upstream.wires[0].wait(lambda: any(self.ended()))
        self.assertEqual(sum(self.ended()), 1)

    def ended(self) -> list[bool]:
        """Which of the upstream's connections have ended."""
        return [wire.lost is not None for wire in self.upstream.wires]

    async def test_answer_without_question(self) -> None:
        """What comes between requests is nobody's answer: the connection ends."""
        call = await self.used_once()
        call.wire.send(response(200, "X-Poison: yes"))
        await call.wire.end()
        reply = await self.asked(response(200, "X-Good: yes"))
        self.assertIsNone(reply.header(b"X-Poison"))

    async def test_two_answers_at_once(self) -> None:
        """Nor is what comes in the same segment, after the answer."""
        asking = self.ask()
        call = await self.upstream.call()
        call.answer(response(200, body=b"1") + response(200, "X-Poison: yes"))
        await gather_body(await asking, 9)
        reply = await self.asked(response(200, "X-Good: yes"))
        self.assertIsNone(reply.header(b"X-Poison"))

    async def test_close_asked_for(self) -> None:
        """An upstream that says close gets no second request."""
        await gather_body(await self.asked(response(200, "Connection: close")), 9)
        await self.upstream.wires[0].end()

    async def test_abort_is_for_its_own_reply(self) -> None:
        """Giving up a reply that is complete disturbs nobody."""
        first = await self.asked(response(200, body=b"1"))
        await gather_body(first, 9)
        asking = self.ask()
        call = await self.upstream.call()
        first.abort()
        call.reply(200)
        self.assertEqual((await asking).status, 200)


class EndTests(ConnectionsTestCase):
    """How a reply may end, and whether that is the end of it."""

    async def body_of(self, answer: bytes, how: str) -> Any:
        """What is gathered of a reply that ends like this."""
        asking = self.ask()
        call = await self.upstream.call()
        call.send(answer)
        reply = await asking
        body = gather_body(reply, 1000)
        await self.turn()
        if how == "reset":
            call.wire.socket.setTcpNoDelay(True)
            call.wire.reset()
        else:
            call.wire.close()
        return await body

    async def test_complete(self) -> None:
        """No length, and a close in order: the end of the connection is the body's."""
        head = b"HTTP/1.1 200 OK\r\n\r\n"
        self.assertEqual(await self.body_of(head + b"abc", "close"), b"abc")

    async def test_broken_off(self) -> None:
        """Anything else breaks off."""
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for answer, how in (
            (response(200, "Content-Length: 10", body=b"abc"), "close"),
            (response(200, "Content-Length: 10", body=b"abc"), "reset"),
            (chunked + b"3\r\nabc\r\n", "close"),
            (chunked + b"5\r\nabc", "close"),
            (chunked + b"3\r\nabc\r\n0\r\n", "close"),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", "reset"),
        ):
            with self.assertRaises(UpstreamMalformed):
                await self.body_of(answer, how)


class FailureTests(ConnectionsTestCase):
    async def test_nobody_there(self) -> None:
        """A port where nobody listens."""
        port = self.upstream.port
        await self.upstream.stop()
        self.connections = self.to(port)
        error: Any = await self.assertFailure(self.ask(), UpstreamUnavailable)
        self.assertNotIn(str(port), error.message)

    async def test_no_name(self) -> None:
        """A host that has no address."""
        origin = Origin("http", "nobody.invalid", 80)
        endpoint = Trust().endpoint(self.reactor, origin, 5)
        self.connections = ConnectionPool(self.time, origin, endpoint, 5)
        await self.assertFailure(self.ask(), UpstreamUnavailable)

    async def test_not_http(self) -> None:
        """Somebody there, but no web server."""
        for answer in (
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            response(200, "Content-Length: 3", "Content-Length: 4"),
            response(200, "Content-Length: x"),
        ):
            asking = self.ask()
            call = await self.upstream.call()
            call.answer(answer)
            call.wire.close()
            with self.assertRaises((UpstreamMalformed, UpstreamUnavailable)):
                await gather_body(await asking, 100)

    async def test_not_http_in_order(self) -> None:
        """What is no HTTP is that, and no connection that was closed."""
        for answer in (b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 OK\r\n\r\n"):
            asking = self.ask()
            (await self.upstream.call()).answer(answer)
            error: Any = await self.assertFailure(asking, UpstreamMalformed)
            self.assertIn("is not HTTP", error.message)

    async def test_control_characters(self) -> None:
        """A header with one is no answer, wherever in the value it stands."""
        for control in (*range(9), 11, 12, 13, *range(14, 32), 127):
            for value in (b"a%cb", b"%cb", b"a%c", b"%c"):
                bad = b"X-Odd:" + value.replace(b"%c", bytes([control])) + b"; z\r\n"
                asking = self.ask()
                call = await self.upstream.call()
                call.answer(b"HTTP/1.1 200 OK\r\n" + bad + b"Content-Length: 0\r\n\r\n")
                error: Any = await self.assertFailure(asking, UpstreamMalformed)
                self.assertEqual(
                    error.message,
                    "what the upstream registry answered has a control character in a "
                    "header",
                )
        self.assertEqual(len(self.upstream.wires), len(self.upstream.calls))

    async def test_folded(self) -> None:
        """A folded header is one line for who is behind us (RFC 9112, 5.2)."""
        asking = self.ask()
        (await self.upstream.call()).answer(
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\td\r\nE: \xe9\tf\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        reply = await asking
        self.assertEqual(reply.header(b"A"), b"b c\td")
        self.assertEqual(reply.header(b"E"), b"\xe9\tf")

    async def test_folded_control_characters(self) -> None:
        """Nor does one hide behind a fold, or in what is not passed on."""
        for lines in (b"A: b\r\n c\x00d", b"Connection: \x01", b"A: b\rC: d"):
            asking = self.ask()
            (await self.upstream.call()).answer(
                b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nContent-Length: 0\r\n\r\n"
            )
            await self.assertFailure(asking, UpstreamMalformed)

    async def test_trailers(self) -> None:
        """What stands behind a body goes no further, whatever it is."""
        reply = await self.asked(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\nX-Odd: \x01\r\nA: b\r\n\r\n"
        )
        self.assertEqual(await gather_body(reply, 9), b"a")
        self.assertEqual(list(reply.headers.getAllRawHeaders()), [])

    async def test_headers_without_end(self) -> None:
        """Headers are not read without end, and neither are interim replies."""
        for first, more in (
            (b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 1000 + b"\r\n"),
            (b"", b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"),
        ):
            asking = self.ask()
            call = await self.upstream.call()
            call.send(first + more * (MAX_HEADER_BYTES * 2 // len(more)))
            error: Any = await self.assertFailure(asking, UpstreamMalformed)
            self.assertIn(f"headers of more than {MAX_HEADER_BYTES}", error.message)
            await call.wire.end()

    async def test_long_header(self) -> None:
        """One header may be as long as all of a client's."""
        value = b"/v2/x?state=" + b"s" * (MAX_HEADER_LINE_BYTES - 100)
        head = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nLocation: "
        reply = await self.asked(head + value + b"\r\n\r\n")
        self.assertEqual(reply.header(b"Location"), value)

    async def test_header_too_long(self) -> None:
        """Beyond that it is named, with the bound; a name that is none is not."""
        value = b"s" * (MAX_HEADER_LINE_BYTES + 1)
        for name, said in (
            (b"Location", "the header Location with more than 65536 bytes"),
            (b"x\x01y", "a header line with more than 65536 bytes"),
            (b"", "a header line with more than 65536 bytes"),
        ):
            asking = self.ask()
            call = await self.upstream.call()
            call.send(b"HTTP/1.1 202 Accepted\r\n%b: %b\r\n\r\n" % (name, value))
            error: Any = await self.assertFailure(asking, UpstreamMalformed)
            self.assertEqual(error.message, f"the upstream registry sent {said}")
            await call.wire.end()

    async def test_large_headers(self) -> None:
        """Many headers are read, one request after the other."""
        many = ["A: " + "b" * 1000] * (MAX_HEADER_BYTES // 2000)
        for _ in range(4):
            asking = self.ask()
            call = await self.upstream.call()
            for line in ("HTTP/1.1 200 OK", *many, "Content-Length: 1", ""):
                call.send(line.encode() + b"\r\n")
                await self.turn()
            call.answer(b"x")
            self.assertEqual(await gather_body(await asking, 1), b"x")
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_tls_where_there_is_none(self) -> None:
        """A plain port behind an https URL: no trusted connection."""
        self.upstream.serves = False
        self.connections = self.to(self.upstream.port, "https")
        asking = self.ask()
        asking.addBoth(lambda result: result)
        while not self.upstream.wires or not self.upstream.wires[0].seen:
            await self.turn()
        self.upstream.wires[0].send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await self.assertFailure(asking, UpstreamUnavailable)

    async def test_handshake_without_end(self) -> None:
        """A handshake that never ends is given up in time."""
        self.upstream.serves = False
        self.connections = self.to(self.upstream.port, "https")
        asking = self.ask()
        while not self.upstream.wires or not self.upstream.wires[0].seen:
            await self.turn()
        self.time.clock.advance(5.1)
        await self.assertFailure(asking, UpstreamTimeout)
        await self.upstream.wires[0].end()


class WordsTests(SynchronousTestCase):
    """The log says in words for people why a request has failed."""

    def test_each(self) -> None:
        """Neither Twisted's classes, nor that a failure was clean."""
        origin = Origin("https", "up.example", 8443)
        ended = ResponseNeverReceived([Failure(ConnectionDone())])
        untrusted = SSL.Error([("SSL routines", "", "certificate verify failed")])
        for error, words in (
            (ended, "it closed the connection before its answer was complete"),
            (
                ResponseNeverReceived([Failure(ConnectionLost())]),
                "the connection broke off before the answer was complete",
            ),
            (DNSLookupError("no results"), "no address for up.example is found"),
            (ConnectionRefusedError(), "it refuses connections"),
            (ConnectTimeout(), "no connection in time"),
            (HandshakeTimeout(), "no TLS handshake in time"),
            (
                ResponseNeverReceived([Failure(untrusted)]),
                "no trusted TLS connection: certificate verify failed",
            ),
            (
                ResponseNeverReceived([Failure(SSL.Error())]),
                "no trusted TLS connection: TLS ended early",
            ),
            (ValueError("odd"), "ValueError: odd"),
        ):
            with capturedLogs() as events:
                converted_error(error, origin)
            (event,) = events
            self.assertEqual(
                formatEvent(event),
                f"the upstream registry, https://up.example:8443: {words}",
            )

    def test_several(self) -> None:
        """What has happened at each address alike is said once."""
        both = [Failure(ConnectionDone()), Failure(ConnectionDone())]
        with capturedLogs() as events:
            converted_error(ResponseNeverReceived(both), Origin("http", "a", 80))
        self.assertEqual(formatEvent(events[0]).count("closed"), 1)


class LeftOverTests(ConnectionsTestCase):
    """Bytes after a reply that are no part of it, as those of a HEAD with a body."""

    HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n"
    SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"
    CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"

    async def spilled(self, answer: bytes, rest: bytes, method: bytes) -> None:
        """Be answered, with something left over in the same bytes."""
        asking = self.ask(method)
        call = await self.upstream.call()
        call.send(answer + rest)
        await asking
        await call.wire.end()

    async def test_not_kept(self) -> None:
        """The connection ends, and the next reply is the next one's."""
        for answer, method in ((self.HEAD, b"HEAD"), (self.NOTHING, b"GET")):
            await self.spilled(answer, self.SMUGGLED, method)
            reply = await self.asked(
                b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
            )
            self.assertEqual(reply.status, 201)

    async def test_never_again(self) -> None:
        """After one of them no connection is kept that may hold another."""
        await self.asked(self.HEAD, b"HEAD")
        await self.asked(self.NOTHING)
        self.assertEqual(len(self.upstream.wires), 1)
        with capturedLogs() as events:
            await self.spilled(self.HEAD, b"x", b"HEAD")
        warned = [e for e in events if "no part" in e.get("log_format", "")]
        self.assertEqual(len(warned), 1)
        before = len(self.upstream.wires)
        for answer, method in ((self.HEAD, b"HEAD"), (self.NOTHING, b"GET")):
            await self.asked(answer, method)
        self.assertEqual(len(self.upstream.wires), before + 2)
        fine = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        for _ in range(3):
            await self.asked(fine)
        self.assertEqual(len(self.upstream.wires), before + 3)

    async def test_late(self) -> None:
        """What comes when the next request is out already is no answer to that."""
        asking = self.ask(b"HEAD")
        call = await self.upstream.call()
        call.answer(self.HEAD)
        await asking
        asking = self.ask()
        second = await self.upstream.call()
        second.send(b"the body of a HEAD, which has none...")
        third = await self.upstream.call()
        self.assertIsNot(third.wire, second.wire)
        third.answer(self.CREATED)
        self.assertEqual((await asking).status, 201)


class BoundTests(ConnectionsTestCase):
    NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"

    async def test_many_at_once(self) -> None:
        """So many requests are under way; others wait, and some are refused."""
        self.connections._slots = Slots(2, 1, "the oracle")
        asking = {f"/{n}": self.ask(target=b"/%d" % n) for n in range(3)}
        error: Any = await self.assertFailure(self.ask(), UpstreamUnavailable)
        self.assertEqual(error.header(b"Retry-After"), "1")
        first, second = [await self.upstream.call() for _ in range(2)]
        await self.turn()
        self.assertEqual(len(self.upstream.calls), 2)
        # A reply whose body is on its way holds its place.
        first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
        reply = await asking.pop(first.target)
        await self.turn()
        self.assertEqual(len(self.upstream.calls), 2)
        first.answer(b"x")
        await gather_body(reply, 9)
        third = await self.upstream.call()
        # And so does one that was given up, until it is gone.
        left = asking.pop(second.target)
        left.addErrback(lambda _: None)
        left.cancel()
        await second.wire.end()
        asking["/x"] = self.ask()
        for call in (third, await self.upstream.call()):
            call.answer(self.NOTHING)
            self.assertEqual((await asking[call.target]).status, 204)
        self.assertEqual(self.connections._slots._free, 2)

    async def test_failures(self) -> None:
        """Nothing that fails keeps its place."""
        self.connections._slots = Slots(1, 1, "the oracle")
        for _ in range(3):
            asking = self.ask()
            (await self.upstream.call()).wire.reset()
            await self.assertFailure(asking, UpstreamUnavailable)
        await self.asked(self.NOTHING)
        # One that was kept and is gone by now is asked for again.
        asking = self.ask()
        (await self.upstream.call()).wire.reset()
        (await self.upstream.call()).answer(self.NOTHING)
        await asking
        self.assertEqual(self.connections._slots._free, 1)
