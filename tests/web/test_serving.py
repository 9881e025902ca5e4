"""Around a request: what handlers raise, and clients that go away."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs, globalLogPublisher

from regbroker.audit import NAMESPACE as AUDIT
from regbroker.causes import Cause
from regbroker.errors import NameUnknown, UpstreamRefused
from regbroker.events import Event
from regbroker.transport.bodies.download import TransferBroken
from regbroker.transport.server.replies import send_json
from regbroker.web.serving import Progress, UnderWay, serve
from tests.proxycase import SiteTestCase

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class ServingTests(SiteTestCase):
    async def served(self, handler: Any) -> tuple[Any, Event]:
        """Serve a request with this handler."""
        request = await self.received(GET)
        event = Event(self.time.seconds, method="GET", path="/")
        serve(request, event, handler(request))
        return request, event

    async def test_done(self) -> None:
        """A handler that answers, and what the log gets of it."""

        async def handler(request: Any) -> None:
            send_json(request, {})

        _, event = await self.served(handler)
        self.assertEqual((await self.client.reply()).status, 200)
        self.assertEqual(
            (event.status, event.bytes_out, event.outcome), (200, 3, "done")
        )

    async def test_digest(self) -> None:
        """What a push has made is noted by its digest, and what others name is not."""
        for status, endpoint, digest in (
            (201, "manifest", "sha256:a"),
            (201, "uploads", "sha256:a"),
            (201, "upload", ""),
            (202, "uploads", ""),
            (200, "manifest", ""),
        ):

            async def handler(request: Any, status: int = status) -> None:
                request.setHeader(b"Docker-Content-Digest", b"sha256:a")
                send_json(request, {}, status)

            request = await self.received(GET)
            event = Event(self.time.seconds, method="GET", path="/")
            event.endpoint = endpoint
            serve(request, event, handler(request))
            await self.client.reply()
            self.assertEqual(event.digest, digest, (status, endpoint))

    async def test_error(self) -> None:
        """What it raises is the reply."""

        async def handler(request: Any) -> None:
            raise NameUnknown("not here", detail={"name": "x"})

        _, event = await self.served(handler)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))
        self.assertEqual(reply.json()["errors"][0]["detail"], {"name": "x"})
        self.assertEqual((event.status, event.outcome), (404, "done"))

    async def test_bug(self) -> None:
        """A mistake of ours is 500 in JSON, and its traceback is in the log."""

        async def handler(request: Any) -> None:
            raise KeyError("secret detail")

        _, event = await self.served(handler)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (500, "UNKNOWN"))
        self.assertNotIn(b"secret", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(event.status, 500)

    async def test_cancelled_by_mistake(self) -> None:
        """A client that is still there gets a reply, whatever was cancelled."""

        async def handler(request: Any) -> None:
            raise CancelledError

        _, event = await self.served(handler)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (500, "UNKNOWN"))
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)
        self.assertEqual((event.status, event.cause), (500, Cause.FAILED))

    async def test_refusal(self) -> None:
        """What the client is told is kept, and handed to the observers."""

        async def handler(request: Any) -> None:
            raise NameUnknown("not here")

        seen: list[Event] = []
        under_way = UnderWay()
        under_way.observers.append(seen.append)
        request = await self.received(GET)
        event = Event(self.time.seconds, method="GET", path="/")
        serve(request, event, handler(request), under_way)
        self.assertEqual(seen, [event])
        self.assertEqual((event.code, event.refusal), ("NAME_UNKNOWN", "not here"))

    async def test_audit(self) -> None:
        """What is told to the audit log, and that it may be spared."""

        async def handler(request: Any) -> None:
            send_json(request, {}, 401)

        for is_audited, told in ((True, [AUDIT]), (False, [])):
            whole = UnderWay()
            whole.is_audited = is_audited
            request = await self.received(GET)
            event = Event(self.time.seconds, credentials="password", endpoint="token")
            with capturedLogs() as logged:
                serve(request, event, handler(request), UnderWay(whole))
            await self.client.reply()
            self.assertEqual(
                [entry["log_namespace"] for entry in logged],
                ["regbroker.events", *told],
            )

    async def test_log(self) -> None:
        """Requests of a part are logged as the whole does it, before observers know."""

        async def handler(request: Any) -> None:
            send_json(request, {}, 200)

        whole, told = UnderWay(), list[tuple[str, Event]]()
        whole.log = lambda event: told.append(("log", event))
        whole.observers.append(lambda event: told.append(("observer", event)))
        request = await self.received(GET)
        event = Event(self.time.seconds)
        with capturedLogs() as logged:
            serve(request, event, handler(request), UnderWay(whole))
        await self.client.reply()
        self.assertEqual(told, [("log", event), ("observer", event)])
        self.assertEqual(list(logged), [])

    async def test_none_after_log(self) -> None:
        """Who waits for the last one hears of its end when it is logged and told."""

        async def handler(request: Any) -> None:
            await waiting
            send_json(request, {})

        waiting: Deferred[None] = Deferred()
        told: list[Any] = []
        under_way = UnderWay()
        under_way.log = told.append
        under_way.observers.append(told.append)
        request = await self.received(GET)
        event = Event(self.time.seconds, method="GET", path="/")
        serve(request, event, handler(request), under_way)
        under_way.when_none().addCallback(told.append)
        waiting.callback(None)
        self.assertEqual(told, [event, event, None])

    async def test_upstreams_refusal(self) -> None:
        """The code of an upstream's refusal is that of its status."""

        async def handler(request: Any) -> None:
            raise UpstreamRefused(403, b"{}")

        _, event = await self.served(handler)
        self.assertEqual(event.code, "DENIED")

    async def test_progress(self) -> None:
        """How far the requests are that have not ended, the oldest first."""
        under_way = UnderWay()

        async def handler(request: Any) -> None:
            request.setHeader("Content-Length", "10")
            request.write(b"begun")
            await Deferred()

        put = await self.received(
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"
        )
        first = Event(self.time.seconds, method="PUT", path="/")
        serve(put, first, handler(put), under_way)
        self.time.clock.advance(1)
        self.client = await self.connect()
        get = await self.received(GET)
        second = Event(self.time.seconds, method="GET", path="/")
        serve(get, second, handler(get), under_way)
        self.assertEqual(
            under_way.progress(),
            [Progress(first, 3, 5, 5, 10), Progress(second, 0, 0, 5, 10)],
        )

    async def test_within(self) -> None:
        """What is under way in a part is under way in the whole, and told once."""
        seen: list[Event] = []
        whole = UnderWay()
        whole.observers.append(seen.append)
        part, other = UnderWay(whole), UnderWay(whole)
        waiting: Deferred[None] = Deferred()
        request = await self.received(GET)
        event = Event(self.time.seconds, method="GET", path="/")

        async def handler() -> None:
            await waiting
            request.finish()

        serve(request, event, handler(), part)
        self.assertEqual((len(part), len(other), len(whole)), (1, 0, 1))
        over = part.when_none()
        self.successResultOf(other.when_none())
        self.assertNoResult(over)
        told = self.logged()
        waiting.callback(None)
        self.successResultOf(over)
        self.successResultOf(whole.when_none())
        self.assertEqual((len(part), len(whole)), (0, 0))
        self.assertEqual(seen, [event])
        self.assertEqual(told, [event])

    def logged(self) -> list[Event]:
        """The events that are in the log from now on."""
        events: list[Event] = []

        def note(entry: Any) -> None:
            if "event" in entry:
                events.append(entry["event"])

        observe: Any = note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return events

    async def test_error_after_beginning(self) -> None:
        """A reply that has begun cannot become another one: it breaks off."""

        async def handler(request: Any) -> None:
            request.setHeader("Content-Length", "10")
            request.write(b"begun")
            raise NameUnknown("too late")

        _, event = await self.served(handler)
        self.assertTrue((await self.client.end()).endswith(b"\r\n\r\nbegun"))
        self.assertTrue(self.client.closed_in_order)
        self.assertEqual(event.outcome, "broken off")

    async def test_error_after_end(self) -> None:
        """A mistake after the reply changes nothing for the client; the record ends."""

        async def handler(request: Any) -> None:
            await waiting
            send_json(request, {})
            raise KeyError

        waiting: Deferred[None] = Deferred()
        seen: list[Event] = []
        under_way = UnderWay()
        under_way.observers.append(seen.append)
        request = await self.received(GET)
        event = Event(self.time.seconds, method="GET", path="/")
        serve(request, event, handler(request), under_way)
        waiting.callback(None)
        self.assertEqual((await self.client.reply()).status, 200)
        self.assertEqual((len(under_way), seen), (0, [event]))
        self.assertEqual((event.status, event.cause), (200, Cause.FAILED))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    async def test_broken_transfer(self) -> None:
        """Whose fault a broken transfer was is told in the log."""

        async def handler(request: Any) -> None:
            request.channel.transport.abortConnection()
            raise TransferBroken(
                "the upstream broke off its reply", Cause.UPSTREAM_BROKE_OFF
            )

        _, event = await self.served(handler)
        await self.client.end()
        self.assertEqual(event.outcome, "the upstream broke off its reply")

    async def test_client_goes_away(self) -> None:
        """The handler is cancelled, and says nothing more."""
        cancelled: Deferred[None] = Deferred()

        async def handler(request: Any) -> None:
            try:
                await Deferred()
            except CancelledError:
                cancelled.callback(None)
                raise

        _, event = await self.served(handler)
        self.client.close()
        await cancelled
        await self.turn()
        self.assertEqual(event.outcome, "the client closed the connection")
        self.assertEqual(event.status, 0)

    async def test_client_goes_away_at_a_bad_moment(self) -> None:
        """An error that comes of it all is not rendered for nobody."""

        async def handler(request: Any) -> None:
            try:
                await Deferred()
            except CancelledError:
                raise NameUnknown("who cares") from None

        request, event = await self.served(handler)
        gone = request.notifyFinish()
        self.client.close()
        with self.assertRaises(Exception):  # noqa: B017
            await gone
        self.assertEqual(event.outcome, "the client closed the connection")
