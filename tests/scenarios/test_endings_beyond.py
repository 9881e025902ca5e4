"""The same for whom else is asked: storages, token services, search services."""

from __future__ import annotations

from regbroker.causes import Cause
from regbroker.events import Event
from tests.proxycase import BLOB
from tests.scenarios.test_endings import EndingTestCase
from tests.scripted import Call, response
from tests.severalcase import SeveralTestCase
from tests.web.test_follow import FollowingTestCase
from tests.web.test_search import SearchTestCase

PULL = "service=s&scope=repository:team/app:pull"
SEARCH = "/v1/search?q=app"


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
            ("no JSON", Cause.TOKENS_MALFORMED, "not JSON"),
            ("close", Cause.TOKENS_BROKE_OFF, "closed the connection"),
            ("nonsense", Cause.TOKENS_MALFORMED, "is not HTTP"),
            ("no token", Cause.TOKENS_MALFORMED, "sent no token"),
            ("too much", Cause.BOUND_REACHED, "sent more than"),
        ):
            told = self.event()
            call = await self.asked()
            if ending == "silence":
                self.time.clock.advance(14)
            elif ending == "close":
                # It is asked a second time: the connection was kept, and may be old.
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
            upstream.ping = response(503)
        self.assertEqual((await self.client.ask("GET", BLOB)).status, 503)
        await self.rested("one")
        await self.rested("two")
        told = self.event()
        self.assertEqual((await self.client.ask("GET", BLOB)).status, 503)
        await self.assert_cause(
            told,
            Cause.UPSTREAM_RESTING,
            "the upstream registry does not answer now",
            503,
        )


class SearchTests(SearchTestCase, EndingTestCase):
    async def test_no_answer(self) -> None:
        """The search service is told from the registry."""
        for ending, cause, words in (
            ("silence", Cause.SEARCH_IDLE, "search service did not answer in time"),
            ("no JSON", Cause.SEARCH_MALFORMED, "not JSON"),
            ("close", Cause.SEARCH_BROKE_OFF, "closed the connection"),
            ("nonsense", Cause.SEARCH_MALFORMED, "is not HTTP"),
            ("too much", Cause.BOUND_REACHED, "sent more than"),
            ("down", Cause.SEARCH_UNREACHABLE, "cannot be reached"),
        ):
            told = self.event()
            self.client.seen.clear()
            if ending == "down":
                await self.index.stop()
            self.client.request("GET", SEARCH)
            if ending != "down":
                call = await self.index.call()
            if ending == "silence":
                self.time.clock.advance(16)
            elif ending == "close":
                # It is asked a second time: the connection was kept, and may be old.
                call.wire.close()
                (await self.index.call()).wire.close()
            elif ending == "nonsense":
                call.send(b"SSH-2.0\r\n\r\n")
            elif ending == "no JSON":
                call.reply(200, body=b"<html>")
            elif ending == "too much":
                call.reply(200, body=bytes(9_000_000))
            reply = await self.in_time()
            event: Event = (await told)["event"]
            self.assertEqual((event.cause, event.status), (cause, reply.status))
            self.assertIn(words, event.outcome)

    async def test_stopped(self) -> None:
        """While the search service thinks."""
        self.client.request("GET", SEARCH)
        await self.index.call()
        told = self.event()
        await self.stop(self.services[0])
        await self.assert_cause(told, Cause.STOPPED, "regbroker was stopped", 503)
