"""Several upstreams that have the same names: who is asked, and who answers."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from regbroker.causes import Cause
from regbroker.errors import (
    ClientError,
    Denied,
    NameUnknown,
    RedirectRefused,
    StorageRefused,
    TooManyRequests,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.names import Endpoint
from regbroker.runtime.in_time import TimedOut
from regbroker.settings.config import DEFAULT_ANSWER_TIMEOUT
from regbroker.upstream.circuit_breaker import FIRST_PAUSE_SECONDS
from regbroker.upstream.failover import Fault
from regbroker.web.follow import CancelledAtStorage
from regbroker.web.relay import failed_attempt
from tests.proxycase import BLOB, DIGEST
from tests.scripted import Call, ScriptedUpstream, response
from tests.severalcase import SeveralTestCase
from tests.wire import Message

MANIFEST = "/v2/team/app/manifests/1"
ONE = "/v2/acme_team/app/manifests/1"
TWO = "/v2/cache/team/app/manifests/1"

FINE = response(200, body=b"from one")
ALSO = response(200, body=b"from two")


class FailoverTestCase(SeveralTestCase):
    wants_tokens = ()

    async def pass_time(self, seconds: float) -> None:
        """Let time go by; an idle client would be hung up on."""
        self.time.clock.advance(seconds)
        self.client = await self.connect()

    async def body(self, method: str = "GET", target: str = MANIFEST) -> bytes:
        """The body of a reply that is fine."""
        reply = await self.client.ask(method, target)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.body


class NextTests(FailoverTestCase):
    async def test_first(self) -> None:
        """The first is asked, and the others are not while it answers."""
        one, two = self.answer(self.upstream, FINE), self.answer(self.other, ALSO)
        self.assertEqual(await self.body(), b"from one")
        self.assertEqual([call.target for call in one], [ONE])
        self.assertEqual(two, [])

    async def test_failing_statuses(self) -> None:
        """After these the next is asked, by its own name."""
        for status in (429, 502, 503, 504):
            one = self.answer(self.upstream, response(status))
            two = self.answer(self.other, ALSO)
            self.assertEqual(await self.body(), b"from two")
            self.assertEqual([call.target for call in one], [ONE])
            self.assertEqual([call.target for call in two], [TWO])
            await self.pass_time(60)
            self.answer(self.upstream, FINE)
            self.assertEqual(await self.body(), b"from one")

    async def test_answers(self) -> None:
        """What is an answer comes from the first: it says what is not there."""
        two = self.answer(self.other, ALSO)
        for status in (400, 401, 403, 404, 416, 500):
            self.answer(self.upstream, response(status))
            reply = await self.client.ask("GET", MANIFEST)
            self.assertEqual(reply.status, status)
        self.assertEqual(two, [])

    async def test_refused_connection(self) -> None:
        """Nobody there: the next."""
        self.answer(self.other, ALSO)
        await self.upstream.stop()
        self.client.request("GET", MANIFEST)
        while not self.client.seen:
            # Two addresses of one host would be tried at a distance.
            self.time.clock.advance(0.001)
            await self.turn()
        self.assertEqual((await self.client.reply()).body, b"from two")

    async def test_silence(self) -> None:
        """No answer in time: the next; the connection is given up."""
        self.answer(self.other, ALSO)
        self.client.request("GET", MANIFEST)
        call = await self.upstream.call()
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT - 0.1)
        self.assertEqual(self.other.calls, [])
        self.time.clock.advance(0.2)
        self.assertEqual((await self.client.reply()).body, b"from two")
        await call.wire.end()

    async def test_limit_of_a_token(self) -> None:
        """A limit of who shows a token by another name is nobody else's."""
        self.answer(self.other, ALSO)
        self.answer(self.upstream, response(429, "Retry-After: 600"), FINE)
        limited = await self.client.ask("GET", MANIFEST, "PRIVATE-TOKEN: a")
        self.assertEqual(limited.body, b"from two")
        self.assertEqual(await self.body(), b"from one")
        limited = await self.client.ask("GET", MANIFEST, "PRIVATE-TOKEN: a")
        self.assertEqual(limited.body, b"from two")

    async def test_nobody_else(self) -> None:
        """Where the other has said when to come, the first has all its time."""
        self.answer(self.upstream, response(503))
        self.answer(self.other, response(429, "Retry-After: 600"))
        await self.client.ask("GET", MANIFEST)
        self.time.clock.advance(FIRST_PAUSE_SECONDS)
        self.upstream.handler = None
        self.client.request("GET", MANIFEST)
        call = await self.upstream.call()
        self.time.clock.advance(2 * DEFAULT_ANSWER_TIMEOUT)
        call.answer(FINE)
        self.assertEqual((await self.client.reply()).body, b"from one")

    async def test_slow_body(self) -> None:
        """An answer that has begun in time may take its time."""
        self.client.request("GET", BLOB)
        call = await self.upstream.call()
        call.send(response(200, "Content-Length: 4", body=b"s"))
        await self.client.head()
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT * 2)
        call.answer(b"low")
        self.assertEqual(await self.client.read(4), b"slow")
        self.assertEqual(self.other.calls, [])

    async def test_head(self) -> None:
        """HEAD goes to the next, too."""
        self.answer(self.upstream, response(503))
        self.answer(self.other, response(200, "Content-Length: 7"))
        reply = await self.client.ask("HEAD", MANIFEST)
        self.assertEqual((reply.status, reply.header(b"Content-Length")), (200, b"7"))

    async def test_ping(self) -> None:
        """So does the ping: others have images still."""
        self.answer(self.upstream, response(503))
        self.answer(self.other, response(200, body=b"{}"))
        self.assertEqual(await self.body("GET", "/v2/"), b"{}")

    async def test_event(self) -> None:
        """The log has the one that answered."""
        self.answer(self.upstream, response(503))
        self.answer(self.other, ALSO)
        event = self.event()
        await self.body()
        self.assertIn(
            "upstream=two upstream_name=cache/team/app upstream_method=GET status=200",
            (await event)["line"],
        )


class WriteTests(FailoverTestCase):
    async def test_first_alone(self) -> None:
        """What writes, or is about an upload, goes to the first or nowhere."""
        two = self.answer(self.other, ALSO)
        one = self.answer(self.upstream, response(503, "Retry-After: 9"))
        uploads = "/v2/team/app/blobs/uploads/"
        asked = [
            ("PUT", MANIFEST),
            ("DELETE", MANIFEST),
            ("DELETE", BLOB),
            ("POST", uploads),
            ("PATCH", f"{uploads}1"),
            ("GET", f"{uploads}1"),
        ]
        for method, target in asked:
            reply = await self.client.ask(method, target, "Content-Length: 0")
            self.assertEqual(reply.status, 503, method)
            self.assertEqual(reply.header(b"Retry-After"), b"9")
        self.assertEqual(len(one), len(asked))
        self.assertEqual(two, [])

    async def test_while_resting(self) -> None:
        """A rest is for reads: a push asks."""
        self.answer(self.other, ALSO)
        self.answer(self.upstream, response(503, "Retry-After: 60"))
        await self.body()
        one = self.answer(self.upstream, response(201))
        reply = await self.client.ask("PUT", MANIFEST, "Content-Length: 0")
        self.assertEqual((reply.status, len(one)), (201, 1))

    async def test_before_a_push(self) -> None:
        """Whether a layer is there is asked where the push would go."""
        self.answer(self.other, response(200))
        self.answer(self.upstream, response(429, "Retry-After: 60"))
        await self.body()
        one = self.answer(self.upstream, response(404))
        reply = await self.client.ask("HEAD", BLOB)
        self.assertEqual((reply.status, len(one)), (404, 1))
        self.answer(self.upstream, response(503))
        self.assertEqual((await self.client.ask("HEAD", BLOB)).status, 200)

    async def test_mount_between_upstreams(self) -> None:
        """A mount from what the first does not have is an ordinary upload."""
        one = self.answer(
            self.upstream, response(202, "Location: /v2/acme_a/blobs/uploads/1")
        )
        target = f"/v2/a/blobs/uploads/?mount={DIGEST}&from=b"
        await self.client.ask("POST", target, "Content-Length: 0")
        self.assertEqual(
            one[0].target, f"/v2/acme_a/blobs/uploads/?mount={DIGEST}&from=acme_b"
        )


class SplitWriteTests(FailoverTestCase):
    listed = ""
    registry = "hub/* = one:*\nquay/* = two:*"

    async def test_mount_between_upstreams(self) -> None:
        """A mount from another upstream is an ordinary upload."""
        one = self.answer(
            self.upstream, response(202, "Location: /v2/a/blobs/uploads/1")
        )
        target = f"/v2/hub/a/blobs/uploads/?mount={DIGEST}&from=quay/b"
        reply = await self.client.ask("POST", target, "Content-Length: 0")
        self.assertEqual(one[0].target, "/v2/a/blobs/uploads/")
        self.assertEqual(reply.header(b"Location"), b"/v2/hub/a/blobs/uploads/1")

    async def test_by_namespace(self) -> None:
        """Each namespace leads to its own, and to no other when that fails."""
        self.answer(self.upstream, response(503))
        two = self.answer(self.other, ALSO)
        self.assertEqual(await self.body("GET", "/v2/quay/a/manifests/1"), b"from two")
        self.assertEqual(two[0].target, "/v2/a/manifests/1")
        reply = await self.client.ask("GET", "/v2/hub/a/manifests/1")
        self.assertEqual(reply.status, 503)
        reply = await self.client.ask("GET", "/v2/a/manifests/1")
        self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))
        self.assertEqual(len(two), 1)


class RestTests(FailoverTestCase):
    async def test_growing_pause(self) -> None:
        """One that fails is left alone for a second, then two, then four."""
        self.answer(self.other, ALSO)
        one = self.down(self.upstream)
        await self.body()
        for number, pause in enumerate((1.0, 2.0, 4.0), 1):
            await self.rested("one")
            self.time.clock.advance(pause * FIRST_PAUSE_SECONDS - 0.1)
            await self.body()
            self.assertEqual(len(one), number)
            self.time.clock.advance(0.2)
            await self.body()
            self.assertEqual(len(one), number + 1)

    async def test_checked(self) -> None:
        """What one client brings about does not send all others elsewhere."""
        self.answer(self.other, ALSO)

        def handle(call: Call) -> bytes | None:
            if call.header(b"User-Agent") != b"sqlmap":
                return FINE
            call.wire.reset()
            return None

        self.upstream.handler = handle
        before = len(self.upstream.pings)
        for number in range(1, 4):
            reply = await self.client.ask("GET", MANIFEST, "User-Agent: sqlmap")
            self.assertEqual(reply.body, b"from two")
            while len(self.upstream.pings) < before + number:
                await self.turn()
            self.assertEqual(await self.body(), b"from one")

    async def test_checked_in_time(self) -> None:
        """An upstream that says nothing to regbroker either rests."""
        self.answer(self.other, ALSO)
        self.upstream.ping = b"never"
        self.upstream.handler = None
        self.client.request("GET", MANIFEST)
        await self.upstream.call()
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT)
        self.assertEqual((await self.client.reply()).body, b"from two")
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT)
        await self.rested("one")
        self.assertEqual(await self.body(), b"from two")
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_retry_after(self) -> None:
        """One that says when is asked then."""
        self.answer(self.other, ALSO)
        one = self.answer(self.upstream, response(429, "Retry-After: 30"), FINE)
        await self.body()
        self.time.clock.advance(29.9)
        self.assertEqual(await self.body(), b"from two")
        self.time.clock.advance(0.2)
        self.assertEqual(await self.body(), b"from one")
        self.assertEqual(len(one), 2)

    async def test_one_tries(self) -> None:
        """After the rest one request finds out; the others do not wait for it."""
        self.answer(self.other, ALSO)
        self.down(self.upstream)
        await self.body()
        await self.rested("one")
        self.time.clock.advance(FIRST_PAUSE_SECONDS)
        self.upstream.handler = None
        self.client.request("GET", MANIFEST)
        trying = await self.upstream.call()
        second = await self.connect()
        self.assertEqual((await second.ask("GET", MANIFEST)).body, b"from two")
        trying.answer(FINE)
        self.assertEqual((await self.client.reply()).body, b"from one")
        self.answer(self.upstream, FINE)
        self.assertEqual((await second.ask("GET", MANIFEST)).body, b"from one")

    async def test_many_at_once(self) -> None:
        """What many requests see at once is one failure, and is told once."""
        self.answer(self.other, ALSO)
        clients = [await self.connect() for _ in range(5)]
        calls = []
        for client in clients:
            client.request("GET", MANIFEST)
            calls.append(await self.upstream.call())
        self.time.clock.advance(0.5)
        for call, client in zip(calls, clients, strict=True):
            call.reply(503)
            self.assertEqual((await client.reply()).body, b"from two")
        self.time.clock.advance(FIRST_PAUSE_SECONDS)
        self.answer(self.upstream, FINE)
        self.assertEqual(await self.body(), b"from one")

    async def test_slow_lists(self) -> None:
        """A list that takes long goes to the next, and says nothing of the first."""
        self.answer(self.other, response(200, body=b'{"name": "x", "tags": []}'))
        self.client.request("GET", "/v2/team/app/tags/list")
        await self.upstream.call()
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT)
        self.assertEqual((await self.client.reply()).status, 200)
        self.answer(self.upstream, FINE)
        self.assertEqual(await self.body(), b"from one")

    async def test_trial_by_head(self) -> None:
        """A HEAD that finds out ends the rest, as a GET does."""
        self.answer(self.other, ALSO)
        self.down(self.upstream)
        await self.body()
        await self.rested("one")
        self.time.clock.advance(FIRST_PAUSE_SECONDS)
        self.answer(self.upstream, FINE)
        await self.client.ask("HEAD", BLOB)
        self.assertEqual(await self.body(), b"from one")

    async def test_date_that_overflows(self) -> None:
        """A Retry-After that is no date is none."""
        self.answer(self.other, ALSO)
        date = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
        self.answer(self.upstream, response(429, f"Retry-After: {date}"))
        self.assertEqual(await self.body(), b"from two")

    async def test_client_leaves_a_trial(self) -> None:
        """A client that leaves while it finds out keeps nobody from trying again."""
        self.answer(self.other, ALSO)
        self.down(self.upstream)
        await self.body()
        await self.rested("one")
        self.time.clock.advance(FIRST_PAUSE_SECONDS)
        self.upstream.handler = None
        self.client.request("GET", MANIFEST)
        call = await self.upstream.call()
        self.client.reset()
        await call.wire.end()
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT)
        self.answer(self.upstream, FINE)
        self.client = await self.connect()
        self.assertEqual(await self.body(), b"from one")

    async def test_all_rest(self) -> None:
        """Better to ask too early than not at all."""
        self.answer(self.upstream, response(503), FINE)
        self.answer(self.other, response(503))
        reply = await self.client.ask("GET", MANIFEST)
        self.assertEqual(reply.status, 503)
        self.assertEqual(await self.body(), b"from one")

    async def test_logged(self) -> None:
        """The operator hears of the failure and of its end, each once."""
        self.answer(self.other, ALSO)
        self.down(self.upstream, FINE)
        failure = self.logged("regbroker.upstream.attempts", "seconds")
        await self.body()
        self.assertEqual((await failure)["what"], "[upstream one]")
        self.time.clock.advance(FIRST_PAUSE_SECONDS)
        end = self.logged("regbroker.upstream.attempts", "what")
        await self.body()
        self.assertIn("answers again", (await end)["log_format"])


class AllFailTests(FailoverTestCase):
    async def refused(self, one: bytes, two: bytes) -> tuple[int, bytes | None]:
        """The answer when both fail, at a time when neither rests."""
        await self.pass_time(7 * 3600)
        self.answer(self.upstream, one)
        self.answer(self.other, two)
        reply = await self.client.ask("GET", MANIFEST)
        self.assertNotIn(b"acme_", reply.body)
        return reply.status, reply.header(b"Retry-After")

    async def test_most_useful(self) -> None:
        """429 with its Retry-After says most, a 502 least."""
        limited = response(429, "Retry-After: 77")
        for one, two, expected in (
            (limited, response(502), (429, b"77")),
            (response(502), limited, (429, b"77")),
            (response(502), response(503), (503, None)),
            (response(504), response(502), (504, None)),
            (response(502), response(502), (502, None)),
        ):
            self.assertEqual(await self.refused(one, two), expected)

    async def test_not_there(self) -> None:
        """That the second does not have it says nothing of the first."""
        for status in (401, 403, 404):
            self.assertEqual(
                await self.refused(response(503), response(status)), (503, None)
            )

    async def test_event(self) -> None:
        """The log names the one whose answer it was."""
        event = self.event()
        await self.refused(response(429), response(404))
        self.assertIn(
            "upstream=one upstream_name=acme_team/app upstream_method=GET status=429",
            (await event)["line"],
        )

    async def test_resting(self) -> None:
        """One that has said when is not asked; the client is told how long still."""
        limited = response(429, "Retry-After: 100")
        self.assertEqual(await self.refused(limited, response(404)), (429, b"100"))
        one = self.answer(self.upstream, FINE)
        await self.pass_time(40)
        reply = await self.client.ask("GET", MANIFEST)
        self.assertEqual(
            (reply.status, reply.code, reply.header(b"Retry-After")),
            (429, "TOOMANYREQUESTS", b"60"),
        )
        self.assertEqual(one, [])


class FollowedTests(FailoverTestCase):
    """The first redirects, and redirects are followed here."""

    more = "redirects = follow"
    upstream_options = "redirect-hosts = 127.0.0.1"

    async def set_up(self) -> None:
        await super().set_up()
        self.storage = ScriptedUpstream()
        self.storage.start()
        self.two = self.answer(self.other, ALSO)
        self.redirect(f"{self.storage.url}/blob")

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.storage.stop()

    def redirect(self, location: str) -> None:
        """Have the first redirect, but for manifests."""

        def answer(call: Call) -> bytes:
            if "manifests" in call.target:
                return FINE
            return response(307, f"Location: {location}")

        self.upstream.handler = answer

    async def asked(self) -> Message:
        """Ask for a blob."""
        return await self.client.ask("GET", BLOB)

    async def test_followed(self) -> None:
        """What it leads to is the first one's answer."""
        self.storage.handler = lambda call: response(200, body=b"stored")
        self.assertEqual((await self.asked()).body, b"stored")
        self.assertEqual(self.two, [])

    async def test_storage_fails(self) -> None:
        """Then it is the second's turn, and the first does not rest for it."""
        for status in (404, 403, 429, 503, 500):
            self.storage.handler = lambda call, s=status: response(
                s, "Retry-After: 600"
            )
            self.assertEqual((await self.asked()).body, b"from two")
            self.assertEqual(await self.body(), b"from one")

    async def test_slow_storage(self) -> None:
        """Nor for one that does not answer in time."""
        self.client.request("GET", BLOB)
        await self.storage.call()
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT)
        self.assertEqual((await self.client.reply()).body, b"from two")
        self.assertEqual(await self.body(), b"from one")

    async def test_range_that_is_not_there(self) -> None:
        """A range that is not there is nowhere."""
        for status in (412, 416):
            self.storage.handler = lambda call, s=status: response(s)
            self.assertEqual((await self.asked()).status, status)
        self.assertEqual(self.two, [])

    async def test_refused(self) -> None:
        """A redirect that is not followed is no reason to rest, either."""
        self.redirect("nowhere://at-all")
        self.assertEqual((await self.asked()).body, b"from two")
        self.assertEqual(await self.body(), b"from one")


class JudgedTests(SynchronousTestCase):
    """Whose failure it is, as a pure function."""

    def fault(self, error: Exception, endpoint: Endpoint = Endpoint.BLOB) -> Fault:
        """Whose failure an error of a substitute is."""
        failed = failed_attempt("up", error, endpoint, is_substitute=True)
        assert failed is not None
        return failed.fault

    def test_faults(self) -> None:
        """A limit is the account's, nonsense the name's, an outage the upstream's."""
        for error, fault in (
            (TooManyRequests("limit"), Fault.ACCOUNT),
            (UpstreamRefused(429, b"", ()), Fault.ACCOUNT),
            (UpstreamMalformed("odd"), Fault.NAME),
            (RedirectRefused("nowhere"), Fault.NAME),
            (StorageRefused(503, "UNAVAILABLE", "down"), Fault.NAME),
            (UpstreamUnavailable("down"), Fault.UPSTREAM),
            (UpstreamTimeout("slow"), Fault.UPSTREAM),
            (UpstreamRefused(503, b"", ()), Fault.UPSTREAM),
            (UpstreamRefused(404, b"", ()), Fault.NOBODY),
            (Denied("no right"), Fault.NOBODY),
        ):
            self.assertIs(self.fault(error), fault, error)

    def test_slow(self) -> None:
        """To be slow is the upstream's failure, but for lists and for storages."""
        slow = TimedOut(CancelledError())
        self.assertIs(self.fault(slow), Fault.UPSTREAM)
        self.assertIs(self.fault(TimedOut(CancelledAtStorage())), Fault.NAME)
        for endpoint in (Endpoint.CATALOG, Endpoint.TAGS, Endpoint.REFERRERS):
            self.assertIs(self.fault(slow, endpoint), Fault.NAME)
        failed = failed_attempt("up", slow, Endpoint.BLOB, False)
        assert failed is not None
        self.assertEqual(
            (failed.error.status, failed.error.cause), (504, Cause.UPSTREAM_IDLE)
        )

    def test_about_no_upstream(self) -> None:
        """What the client has done, or we, is no upstream's failure."""
        for error in (CancelledError(), NameUnknown("x"), ClientError("x"), KeyError()):
            self.assertIsNone(failed_attempt("up", error, Endpoint.BLOB, True))

    def test_final(self) -> None:
        """Conditions and ranges are the same everywhere; a refusal is the first's."""
        for error, is_substitute, is_final in (
            (UpstreamRefused(412, b"", ()), True, True),
            (StorageRefused(416, "UNKNOWN", "range"), True, True),
            (UpstreamRefused(404, b"", ()), True, False),
            (Denied("no right"), True, False),
            (Denied("no right"), False, True),
        ):
            failed = failed_attempt("up", error, Endpoint.BLOB, is_substitute)
            assert failed is not None
            self.assertEqual(failed.is_final, is_final, error)
