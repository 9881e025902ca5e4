"""Manifests out of memory: rights are asked each time, bodies are fetched once."""

from __future__ import annotations

from hashlib import sha256
from itertools import groupby
from typing import Any

from regbroker.errors import UpstreamUnavailable
from regbroker.runtime.json_lines import json_line
from regbroker.web.exchange import Exchange, UpstreamRequest
from regbroker.web.forward import Forwarder
from regbroker.web.manifests import RememberedManifests
from tests.proxycase import MANIFEST, ProxyTestCase
from tests.scripted import Call, response
from tests.wire import Message

TYPE = "Content-Type: application/vnd.oci.image.manifest.v1+json"
ALICE, MALLORY = "Authorization: Bearer alice", "Authorization: Bearer mallory"


def digest(body: bytes) -> str:
    return f"sha256:{sha256(body).hexdigest()}"


class ManifestsCase(ProxyTestCase):
    """The upstream has one manifest, `body`, which mallory may not read."""

    upstream_options = "manifest-cache = 1M"
    body = b'{"schemaVersion":2}'
    digest = ""

    async def set_up(self) -> None:
        await super().set_up()
        self.upstream.handler = self.serve_manifest

    def serve_manifest(self, call: Call) -> bytes | None:
        """Answer as a registry does."""
        if call.header(b"Authorization") == b"Bearer mallory":
            return self.refused(call)
        return self.found(call)

    def refused(self, call: Call) -> bytes:
        """The reply to who may not read it."""
        challenge = 'WWW-Authenticate: Bearer realm="https://a.test/t",service="s"'
        return response(401, challenge, *self.length(call, b"{}"), body=b"")

    def found(self, call: Call, *more: str) -> bytes:
        """The reply that has the manifest."""
        named = f"Docker-Content-Digest: {self.digest or digest(self.body)}"
        body = b"" if call.method == "HEAD" else self.body
        length = f"Content-Length: {len(self.body)}"
        return response(200, TYPE, named, length, *more, body=body)

    def length(self, call: Call, body: bytes) -> list[str]:
        """No length of a body that does not come."""
        return ["Content-Length: 0"]

    async def pull(self, target: str = MANIFEST, *headers: str) -> Message:
        """Pull as alice, or as these headers say."""
        return await self.client.ask("GET", target, *(headers or (ALICE,)))

    def sent(self) -> list[str]:
        """The methods of what the upstream was asked."""
        return [call.method for call in self.upstream.calls]


class PullTests(ManifestsCase):
    async def test_by_tag(self) -> None:
        """The second pull gets the body from memory, once the upstream agrees."""
        first = await self.pull()
        second = await self.pull()
        self.assertEqual(self.sent(), ["HEAD", "GET", "HEAD"])
        for reply in first, second:
            self.assertEqual((reply.status, reply.body), (200, self.body))
            named = reply.header(b"Docker-Content-Digest")
            self.assertEqual(named, digest(self.body).encode())
            self.assertEqual(reply.header(b"Content-Type"), TYPE[14:].encode())
        asked = self.upstream.calls[-1]
        self.assertEqual(asked.header(b"Authorization"), b"Bearer alice")
        self.assertEqual(asked.target, "/v2/acme_team/app/manifests/1.0")

    async def test_by_digest(self) -> None:
        """A digest that is not here is fetched at once; later HEAD decides."""
        target = f"/v2/team/app/manifests/{digest(self.body)}"
        for _ in range(2):
            reply = await self.pull(target)
            self.assertEqual((reply.status, reply.body), (200, self.body))
        self.assertEqual(self.sent(), ["GET", "HEAD"])

    async def test_counted(self) -> None:
        """Hits and misses are among the metrics' sources."""
        memories = []
        start = RememberedManifests.__init__

        def note(manifests: RememberedManifests, *given: Any) -> None:
            memories.append(given[0])
            start(manifests, *given)

        self.patch(RememberedManifests, "__init__", note)
        await self.serve()
        self.client = await self.connect()
        for _ in range(3):
            await self.pull()
        # A client's own HEAD is asked as it is.
        await self.client.ask("HEAD", MANIFEST, ALICE)
        self.assertEqual([(one.hits, one.misses) for one in memories], [(2, 1)])

    async def test_rights(self) -> None:
        """Who may not read a manifest does not get it from memory either."""
        await self.pull()
        for target in MANIFEST, f"/v2/team/app/manifests/{digest(self.body)}":
            reply = await self.pull(target, MALLORY)
            self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))
            self.assertIn(b"Bearer realm=", reply.header(b"WWW-Authenticate") or b"")
            self.assertNotIn(self.body, reply.body)
        self.assertEqual(self.sent(), ["HEAD", "GET", "HEAD", "HEAD"])

    async def test_denied_and_gone(self) -> None:
        """After another refusal of HEAD, GET has the upstream's own words."""
        await self.pull()
        for status in (403, 404, 405, 501):
            self.upstream.handler = lambda call, status=status: response(status)
            self.assertEqual((await self.pull()).status, status)
        self.assertEqual(self.sent(), ["HEAD", "GET"] + 4 * ["HEAD", "GET"])

    async def test_limited(self) -> None:
        """A limit is not asked about twice."""
        self.upstream.handler = lambda call: response(429, "Retry-After: 7")
        reply = await self.pull()
        self.assertEqual((reply.status, reply.header(b"Retry-After")), (429, b"7"))
        self.assertEqual(self.sent(), ["HEAD"])

    async def test_moved_tag(self) -> None:
        """A tag that has moved leads to what it names now."""
        await self.pull()
        self.body = b'{"schemaVersion":2,"moved":true}'
        self.assertEqual((await self.pull()).body, self.body)
        self.assertEqual((await self.pull()).body, self.body)
        self.assertEqual(self.sent(), ["HEAD", "GET", "HEAD", "GET", "HEAD"])

    async def test_wrong_digest(self) -> None:
        """A body that does not match its digest is never kept."""
        self.digest = digest(b"something else")
        for _ in range(2):
            await self.pull()
        self.assertEqual(self.sent(), 2 * ["HEAD", "GET"])

    async def test_other_type(self) -> None:
        """The same bytes under another media type are fetched."""
        await self.pull()
        body, other = self.body, "Content-Type: application/json"
        named = f"Docker-Content-Digest: {digest(body)}"
        self.upstream.handler = lambda call: response(
            200,
            other,
            named,
            f"Content-Length: {len(body)}",
            body=b"" if call.method == "HEAD" else body,
        )
        reply = await self.pull()
        self.assertEqual(reply.header(b"Content-Type"), b"application/json")
        self.assertEqual(self.sent(), 2 * ["HEAD", "GET"])

    async def test_redirect(self) -> None:
        """A redirect is passed on, as that of GET."""
        self.upstream.handler = lambda call: response(
            307, "Location: https://storage.test/x"
        )
        reply = await self.pull()
        self.assertEqual(reply.header(b"Location"), b"https://storage.test/x")
        self.assertEqual(self.sent(), ["HEAD", "GET"])

    async def test_conditions(self) -> None:
        """A part, and what may be here already, are asked for as they are."""
        await self.pull()
        for header in ("Range: bytes=0-1", 'If-None-Match: "x"'):
            await self.pull(MANIFEST, ALICE, header)
        self.assertEqual(self.sent(), ["HEAD", "GET", "GET", "GET"])


class HeadUnknownTests(ManifestsCase):
    """Upstreams that do not answer HEAD as they should: the pull goes on with GET."""

    async def test_status(self) -> None:
        """HEAD is not allowed, or not implemented."""
        for answer in (response(405), response(501)):
            self.answers_head(answer)
            reply = await self.pull()
            self.assertEqual((reply.status, reply.body), (200, self.body))
        self.assertEqual(self.sent(), 2 * ["HEAD", "GET"])

    async def test_without_digest(self) -> None:
        """HEAD does not name the digest."""
        self.answers_head(response(200, TYPE, f"Content-Length: {len(self.body)}"))
        for _ in range(2):
            reply = await self.pull()
            self.assertEqual((reply.status, reply.body), (200, self.body))
        self.assertEqual(self.sent(), 2 * ["HEAD", "GET"])

    async def test_dropped(self) -> None:
        """The connection breaks off without a reply, new or kept."""
        self.answers_head(None)
        for _ in range(2):
            reply = await self.pull()
            self.assertEqual((reply.status, reply.body), (200, self.body))
        self.assertEqual(self.methods(), 2 * ["HEAD", "GET"])

    async def test_dropped_always(self) -> None:
        """If GET fares no better, the client is told so."""
        self.upstream.handler = self.drop
        self.assertEqual((await self.pull()).status, 503)
        self.assertEqual(self.methods(), ["HEAD", "GET"])

    async def test_unreachable(self) -> None:
        """Where nobody listens, GET is not tried."""
        asked = []

        async def forward(_: object, request: UpstreamRequest) -> Exchange:
            asked.append(request.asked.client.method)
            raise UpstreamUnavailable("no such host")

        self.patch(Forwarder, "forward", forward)
        self.assertEqual((await self.pull()).status, 503)
        self.assertEqual(asked, ["HEAD"])

    def methods(self) -> list[str]:
        """What was sent, without what is sent once more over a new connection."""
        return [method for method, _ in groupby(self.sent())]

    def answers_head(self, answer: bytes | None) -> None:
        """Answer HEAD so, with None by hanging up, and all else as a registry does."""

        def handler(call: Call) -> bytes | None:
            if call.method != "HEAD":
                return self.serve_manifest(call)
            return self.drop(call) if answer is None else answer

        self.upstream.handler = handler

    def drop(self, call: Call) -> bytes:
        """End the connection without a reply."""
        call.wire.close()
        return b""


class LogTests(ManifestsCase):
    async def test_methods(self) -> None:
        """The log says what the upstream was asked with."""
        for methods in ("HEAD,GET", "HEAD"):
            logged = self.event()
            await self.pull()
            fields = await logged
            self.assertEqual(fields["method"], "GET")
            self.assertEqual(fields["upstream_method"], methods)
            self.assertIn(f" upstream_method={methods} ", fields["line"])
            self.assertIn(f'"upstream_method": "{methods}"', json_line(fields))

    async def test_together(self) -> None:
        """So it does for who has shared the answer of somebody else's request."""
        await self.pull()
        self.upstream.handler = None
        other = await self.connect()
        for client in (self.client, other):
            client.request("GET", MANIFEST, ALICE)
        call = await self.upstream.call()
        await self.turn()
        logged = self.event()
        call.answer(self.found(call))
        for client in (self.client, other):
            self.assertEqual((await client.reply()).body, self.body)
        self.assertEqual((await logged)["upstream_method"], "HEAD")
        self.assertEqual(self.sent(), ["HEAD", "GET", "HEAD"])

    async def test_not_asked(self) -> None:
        """A dash where no upstream was asked."""
        logged = self.event()
        await self.client.ask("GET", "/v2/nowhere/app/manifests/1.0", ALICE)
        self.assertIsNone((await logged)["upstream_method"])


class HerdTests(ManifestsCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.asked = 0
        serves = RememberedManifests.serves

        def count(manifests: RememberedManifests, request: UpstreamRequest) -> bool:
            self.asked += 1
            return serves(manifests, request)

        self.patch(RememberedManifests, "serves", count)

    async def test_one_account(self) -> None:
        """200 clients of one account at once: one HEAD and one GET."""
        self.upstream.handler = None
        clients = [await self.connect() for _ in range(200)]
        for client in clients:
            client.request("GET", MANIFEST, ALICE)
        for method in ("HEAD", "GET"):
            call = await self.upstream.call()
            self.assertEqual(call.method, method)
            if method == "HEAD":
                await self.all_are_in(200)
            call.answer(self.found(call))
        for client in clients:
            reply = await client.reply()
            self.assertEqual((reply.status, reply.body), (200, self.body))
        self.assertEqual(self.sent(), ["HEAD", "GET"])

    async def all_are_in(self, count: int) -> None:
        """Wait until so many requests have come to the memory."""
        while self.asked < count:
            await self.turn()

    async def test_two_accounts(self) -> None:
        """Another account's question is never shared."""
        self.upstream.handler = None
        other = await self.connect()
        self.client.request("GET", MANIFEST, ALICE)
        alices = await self.upstream.call()
        other.request("GET", MANIFEST, MALLORY)
        mallorys = await self.upstream.call()
        self.assertEqual(mallorys.header(b"Authorization"), b"Bearer mallory")
        mallorys.answer(self.refused(mallorys))
        self.assertEqual((await other.reply()).status, 401)
        self.upstream.handler = self.serve_manifest
        alices.answer(self.found(alices))
        self.assertEqual((await self.client.reply()).body, self.body)

    async def test_other_credentials(self) -> None:
        """Nor is that of somebody who shows a token by another name."""
        self.upstream.handler = None
        for shown in ("PRIVATE-TOKEN: a", "job-token: a", "X-Meta-Auth: a"):
            member, stranger = await self.connect(), await self.connect()
            member.request("GET", MANIFEST, shown)
            members = await self.upstream.call()
            stranger.request("GET", MANIFEST)
            strangers = await self.upstream.call()
            strangers.answer(self.refused(strangers))
            self.assertEqual((await stranger.reply()).status, 401)
            self.upstream.handler = self.serve_manifest
            members.answer(self.found(members))
            self.assertEqual((await member.reply()).body, self.body)
            self.upstream.handler = None

    async def test_other_host(self) -> None:
        """Nor is that of somebody who names another host, which replies may lead to."""

        def led_to_host(call: Call) -> bytes:
            host = (call.header(b"X-Forwarded-Host") or b"").decode()
            return response(307, f"Location: https://{host}/x")

        def no_head(call: Call) -> bytes | None:
            return response(405) if call.method == "HEAD" else None

        self.upstream.handler = no_head
        other = await self.connect()
        self.client.request("GET", MANIFEST, ALICE, "Host: other.test")
        others = await self.upstream.call()
        other.request("GET", MANIFEST, ALICE)
        while len(self.upstream.calls) < 3:
            await self.turn()
        for _ in range(3):
            await self.turn()
        self.client.reset()
        await self.client.end()
        self.upstream.handler = led_to_host
        others.answer(led_to_host(others))
        for call in self.upstream.calls[3:]:
            call.answer(led_to_host(call))
        reply = await other.reply()
        self.assertEqual(reply.header(b"Location"), b"https://registry.test/x")

    async def test_first_leaves(self) -> None:
        """When the one who asked first leaves, the others get their answer."""
        self.upstream.handler = None
        other = await self.connect()
        self.client.request("GET", MANIFEST, ALICE)
        call = await self.upstream.call()
        other.request("GET", MANIFEST, ALICE)
        await self.all_are_in(2)
        self.client.reset()
        await self.client.end()
        self.upstream.handler = self.serve_manifest
        call.answer(self.found(call))
        self.assertEqual((await other.reply()).body, self.body)


class OffTests(ManifestsCase):
    upstream_options = ""

    async def test_off(self) -> None:
        """Without the option, each pull is one GET."""
        for _ in range(2):
            await self.pull()
        self.assertEqual(self.sent(), ["GET", "GET"])
