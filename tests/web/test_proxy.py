"""What reaches the upstream, what does not, and what is answered here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import ClientError, EndpointUnknown
from regbroker.protocol.names import Endpoint
from regbroker.upstream.background_discovery import FIRST_RETRY_SECONDS
from regbroker.web.api_request import ApiRequest
from regbroker.web.mapped_target import MappedTarget
from regbroker.web.proxy import MAX_REMEMBERED, Proxy
from tests.proxycase import BLOB, DIGEST, MANIFEST, UPLOAD, UPLOADS, ProxyTestCase
from tests.scripted import ScriptedUpstream, response
from tests.web.requests import MAPPING, asked
from tests.wire import Message


class MappingTests(ProxyTestCase):
    async def test_paths(self) -> None:
        """Every endpoint reaches the upstream by its own name, the rest as it was."""
        for method, path in (
            ("GET", "tags/list?n=1"),
            ("HEAD", "manifests/latest"),
            ("PUT", f"manifests/{DIGEST}?tag=a&tag=b"),
            ("DELETE", "manifests/1.0"),
            ("GET", f"blobs/{DIGEST}"),
            ("GET", f"blobs/{DIGEST.replace(':', '%3A')}"),
            ("POST", "blobs/uploads/?digest-algorithm=sha512"),
            ("PATCH", "blobs/uploads/a~b_c-1=="),
            ("GET", "blobs/upload/ghcr"),
            ("GET", f"referrers/{DIGEST}?artifactType=a%2Fb"),
        ):
            self.client.request(method, f"/v2/team/a/b/{path}", "Content-Length: 0")
            call = await self.upstream.call()
            self.assertEqual(call.target, f"/v2/acme_team/a/b/{path}")
            call.reply(204)
            await self.client.reply(method)

    async def test_already_mapped(self) -> None:
        """A client may come back with an upstream name that it was shown."""
        call = await self.relayed("GET", MANIFEST.replace("team", "acme_team"))
        self.assertEqual(call.target, "/v2/acme_team/app/manifests/1.0")

    async def test_event(self) -> None:
        """One line tells client, user, registry, names, status, bytes and times."""
        event = self.event()
        call = await self.relayed(
            "PUT", MANIFEST, "Authorization: Basic YWxpY2U6czNjcmV0", body=b"{}"
        )
        self.time.clock.advance(2)
        call.reply(201, body=b"abc")
        await self.client.reply()
        told = await event
        line = told["line"]
        self.assertRegex(told["request_id"], "^[0-9a-f]{12}$")
        self.assertEqual(
            line,
            "client=127.0.0.1 user=alice registry=registry.test method=PUT "
            f"path={MANIFEST} name=team/app upstream=up upstream_name=acme_team/app "
            "upstream_method=PUT status=201 bytes_in=2 bytes_out=3 "
            "upstream_seconds=2.000 seconds=2.000 "
            f"tls=- request_id={told['request_id']} cause=done outcome=done",
        )
        self.assertNotIn("s3cret", line)
        self.assertNotIn("YWxp", line)


class RefusalTests(ProxyTestCase):
    """Bad input gets an OCI error, and nothing of it reaches the upstream."""

    async def assert_refused(self, status: int, code: str, *paths: str) -> None:
        """Each of these is refused by regbroker itself."""
        for path in paths:
            reply = await self.client.ask("GET", path)
            self.assertEqual((path, reply.status, reply.code), (path, status, code))
            self.assertEqual(
                reply.header(b"Docker-Distribution-Api-Version"), b"registry/2.0"
            )
        self.assertEqual(self.upstream.calls, [])

    async def test_names(self) -> None:
        """Dot segments, encoded and double slashes, and other names that are none."""
        await self.assert_refused(
            400,
            "NAME_INVALID",
            "/v2/team/../other/app/manifests/1",
            "/v2/team/./app/manifests/1",
            "/v2/../v2/team/app/manifests/1",
            "/v2/team/%2e%2e/app/manifests/1",
            "/v2/team%2fapp/manifests/1",
            "/v2/team%2Fapp/tags/list",
            "/v2/team//app/manifests/1",
            "/v2//team/app/manifests/1",
            "/v2/team/app//manifests/1",
            "/v2/Team/app/manifests/1",
            "/v2/team/app%00/manifests/1",
            "/v2/team\\app/manifests/1",
            "/v2/team;x/app/manifests/1",
            f"/v2/team/{'a' * 300}/manifests/1",
        )

    async def test_references(self) -> None:
        """References, digests and upload ids that are none."""
        await self.assert_refused(
            400,
            "TAG_INVALID",
            "/v2/team/app/manifests/..",
            "/v2/team/app/manifests/%2f",
        )
        await self.assert_refused(
            400, "TAG_INVALID", f"/v2/team/app/manifests/{'a' * 129}"
        )
        await self.assert_refused(
            400,
            "DIGEST_INVALID",
            "/v2/team/app/blobs/sha256",
            "/v2/team/app/blobs/sha256:..%2f",
            "/v2/team/app/referrers/latest",
        )
        await self.assert_refused(
            400,
            "UNSUPPORTED",
            "/v2/team/app/blobs/uploads/..",
            "/v2/team/app/blobs/uploads/%2e%2e",
            "/v2/team/app/blobs/uploads/a%2fb",
        )

    async def test_endpoints(self) -> None:
        """Paths that lead nowhere."""
        await self.assert_refused(
            404,
            "UNSUPPORTED",
            "/",
            "/v1/search",
            "/v2/team/app",
            "/v2/team/app/nothing",
            "/v2x/team/app/manifests/1",
            "//v2/team/app/manifests/1",
            "/token",
            "/metrics",
        )

    async def test_methods(self) -> None:
        """Wrong methods are told the right ones."""
        for method, path, allow in (
            ("POST", "/v2/", b"GET, HEAD"),
            ("DELETE", "/v2/_catalog", b"GET"),
            ("POST", MANIFEST, b"GET, HEAD, PUT, DELETE"),
            ("PUT", BLOB, b"GET, HEAD, DELETE"),
            ("GET", UPLOADS, b"POST"),
            ("OPTIONS", MANIFEST, b"GET, HEAD, PUT, DELETE"),
            ("TRACE", MANIFEST, b"GET, HEAD, PUT, DELETE"),
            ("get", MANIFEST, b"GET, HEAD, PUT, DELETE"),
            ("DELETE", "/auth", b"GET, POST"),
        ):
            reply = await self.client.ask(method, path, "Content-Length: 0")
            self.assertEqual((reply.status, reply.code), (405, "UNSUPPORTED"))
            self.assertEqual(reply.header(b"Allow"), allow)
        self.assertEqual(self.upstream.calls, [])

    async def test_bodies(self) -> None:
        """What reads has no body: it could be taken for a request of its own."""
        hidden = b"GET /v2/other/app/manifests/1 HTTP/1.1\r\nHost: x\r\n\r\n"
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden)
        for method in ("GET", "HEAD"):
            for path in ("/v2/", "/v2/_catalog", MANIFEST, BLOB, f"{UPLOADS}x"):
                if (method, path) == ("HEAD", "/v2/_catalog"):
                    continue
                for line, body in (
                    (f"Content-Length: {len(hidden)}", hidden),
                    ("Transfer-Encoding: chunked", chunked),
                ):
                    client = await self.connect()
                    client.request(method, path, line)
                    client.send(body)
                    reply = await client.reply(method)
                    self.assertEqual((reply.status, path), (400, path))
                    if method == "GET":
                        self.assertEqual(reply.code, "UNSUPPORTED")
                    if b"chunked" in line.encode():
                        # Nobody knows how much of it there will be.
                        self.assertEqual(await client.end(), b"")
                        continue
                    # The next request begins behind the body.
                    client.request("GET", "/v2/other/app/manifests/2")
                    self.assertEqual((await client.reply()).code, "NAME_UNKNOWN")
        self.assertEqual(self.upstream.calls, [])

    async def test_empty_body(self) -> None:
        """Chunks without a byte are no body: HAProxy and Envoy frame HTTP/2 so."""
        for path in (MANIFEST, BLOB, f"{UPLOADS}x"):
            for method in ("GET", "HEAD"):
                self.client.request(method, path, "Transfer-Encoding: chunked")
                self.client.send(b"0\r\n\r\n")
                call = await self.upstream.call()
                self.assertIsNone(call.header(b"Transfer-Encoding"))
                self.assertIsNone(call.header(b"Content-Length"))
                call.reply(200, "Content-Length: 0")
                reply = await self.client.reply(method)
                self.assertEqual((reply.status, path), (200, path))

    async def test_body_that_never_ends(self) -> None:
        """Whether there is one is not waited for without end."""
        self.client.request(
            "GET", MANIFEST, "Transfer-Encoding: chunked", "Expect: 100-continue"
        )
        self.assertEqual((await self.client.reply()).status, 100)
        self.time.clock.advance(31)
        self.assertEqual((await self.client.reply()).status, 408)
        self.assertEqual(await self.client.end(), b"")
        self.assertEqual(self.upstream.calls, [])

    async def test_expected_body(self) -> None:
        """Nor is one asked for."""
        headers = ("Content-Length: 5", "Expect: 100-continue")
        reply = await self.client.ask("GET", MANIFEST, *headers)
        self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))
        self.assertEqual(reply.header(b"Connection"), b"close")
        self.assertEqual(self.upstream.calls, [])

    async def test_absolute_targets(self) -> None:
        """A whole URL names one of our registries; regbroker dials no target."""
        for method, target, status in (
            ("GET", f"{self.upstream.url}/v2/other/app/manifests/1", 404),
            ("GET", "http://a.test", 404),
            ("GET", "*", 404),
            ("CONNECT", "127.0.0.1:22", 404),
        ):
            reply = await self.client.ask(method, target)
            self.assertEqual((reply.status, target), (status, target))
            self.assertIn(reply.code, ("NAME_UNKNOWN", "UNSUPPORTED"))
        self.assertEqual(self.upstream.calls, [])

    async def test_unmapped(self) -> None:
        """A name that no rule maps is told which namespaces there are."""
        for path in (
            "/v2/other/app/manifests/1",
            "/v2/teamx/app/manifests/1",
            "/v2/acme_other/app/tags/list",
            f"/v2/x/blobs/{DIGEST}",
        ):
            reply = await self.client.ask("GET", path)
            self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))
            self.assertIn("namespaces here: team", reply.message)
            self.assertNotIn(b"acme_team", reply.body)
        reply = await self.client.ask(
            "POST", "/v2/other/app/blobs/uploads/", "Content-Length: 0"
        )
        self.assertEqual(reply.code, "NAME_UNKNOWN")
        self.assertEqual(self.upstream.calls, [])


class PingTests(ProxyTestCase):
    tokens = True

    async def test_answered_here(self) -> None:
        """Without credentials the ping's challenge is known and needs no upstream."""
        for method in ("GET", "HEAD"):
            for path in ("/v2/", "/v2"):
                reply = await self.client.ask(method, path)
                self.assertEqual(reply.status, 401)
                self.assertEqual(
                    reply.all(b"WWW-Authenticate"),
                    [
                        b'Bearer realm="http://registry.test/auth",'
                        b'service="registry.upstream.test"'
                    ],
                )
        self.assertEqual(self.upstream.calls, [])
        self.assertEqual(len(self.upstream.pings), 1)

    async def test_with_credentials(self) -> None:
        """Credentials are for the upstream to judge."""
        for status in (200, 401):
            call = await self.relayed("GET", "/v2/", "Authorization: Bearer t")
            self.assertEqual(call.target, "/v2/")
            call.reply(status, body=b"{}")
            self.assertEqual((await self.client.reply()).status, status)

    async def test_without_slash(self) -> None:
        """The upstream is asked as the specification has it, with the slash."""
        for method in ("GET", "HEAD"):
            call = await self.relayed(method, "/v2", "Authorization: Bearer t")
            self.assertEqual((call.method, call.target), (method, "/v2/"))
            call.reply(200)
            self.assertEqual((await self.client.reply(method)).status, 200)


class SeveralChallengesTests(ProxyTestCase):
    def make_upstream(self) -> ScriptedUpstream:
        return ScriptedUpstream(
            response(401, 'WWW-Authenticate: Basic realm="x", Digest realm="y"')
        )

    async def test_basic(self) -> None:
        """An upstream of Basic credentials is pinged for just that."""
        reply = await self.client.ask("GET", "/v2/")
        self.assertEqual(
            reply.all(b"WWW-Authenticate"), [b'Basic realm="registry.test"']
        )
        self.assertEqual(self.upstream.calls, [])


class OpenTests(ProxyTestCase):
    async def test_open(self) -> None:
        """An upstream that wants no credentials answers the ping itself."""
        reply = await self.exchange("GET", "/v2/", response(200, body=b"{}"))
        self.assertEqual((reply.status, reply.body), (200, b"{}"))


class CatalogTests(ProxyTestCase):
    more = "catalog = deny"

    async def test_denied(self) -> None:
        """A catalog that is denied is not there."""
        reply = await self.client.ask("GET", "/v2/_catalog")
        self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))
        self.assertEqual(self.upstream.calls, [])


class OutageTests(ProxyTestCase):
    autostart = False
    tokens = True

    async def until_logged(self, *keys: str) -> None:
        """Let time go by until the upstream's log says something."""
        module = "background_discovery" if "seconds" in keys else "registry"
        logged = self.logged(f"regbroker.upstream.{module}", *keys)
        while not logged.called:
            self.time.clock.advance(0.001)
            await self.turn()

    async def asked(self, path: str) -> Message:
        """Ask, and let time go by until there is a reply."""
        before = len(self.client.seen)
        self.client.request("GET", path)
        while len(self.client.seen) == before:
            # Two addresses of one host would be tried at a distance.
            self.time.clock.advance(0.001)
            await self.turn()
        return await self.client.reply()

    async def test_down_at_start(self) -> None:
        """regbroker starts without its upstream, says so, and recovers by itself."""
        await self.upstream.stop()
        await self.serve(learnt=False)
        await self.until_logged("seconds")
        self.client = await self.connect()
        for path in ("/v2/", MANIFEST, "/auth?scope=repository:team/app:pull"):
            reply = await self.asked(path)
            self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
            self.assertNotIn(b"127.0.0.1", reply.body)
        self.upstream.start()
        await self.until_logged("service")
        reply = await self.client.ask("GET", "/v2/")
        self.assertEqual(reply.status, 401)
        self.assertEqual(self.upstream.calls, [])

    async def test_down_later(self) -> None:
        """An upstream that goes and comes back is no reason for a restart."""
        await self.serve()
        self.client = await self.connect()
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)
        await self.upstream.stop()
        reply = await self.asked(BLOB)
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
        # What is known is known still.
        self.assertEqual((await self.client.ask("GET", "/v2/")).status, 401)
        self.upstream.start()
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)

    async def test_answers_with_errors(self) -> None:
        """An upstream that is there, but not well, is asked again until it is."""
        good, self.upstream.ping = self.upstream.ping, response(502)
        failed = self.logged("regbroker.upstream.background_discovery", "seconds")
        await self.serve(learnt=False)
        await failed
        self.upstream.ping = good
        self.client = await self.connect()
        learnt = self.logged("regbroker.upstream.registry", "service")
        self.time.clock.advance(FIRST_RETRY_SECONDS + 0.1)
        await learnt
        self.assertEqual((await self.client.ask("GET", "/v2/")).status, 401)

    async def test_silent(self) -> None:
        """One that says nothing at all is 504 in time."""
        self.upstream.ping = b"never"
        await self.serve(learnt=False)
        self.client = await self.connect()
        self.client.request("GET", "/auth?scope=repository:team/app:pull")
        while not self.upstream.pings:
            await self.turn()
        event = self.event()
        self.time.clock.pump([15.1])
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (504, "UNAVAILABLE"))
        await event

    async def test_stopped(self) -> None:
        """Stopping ends what is under way, and leaves nothing behind."""
        service = await self.serve()
        self.client = await self.connect()
        await self.exchange("GET", BLOB, response(200))
        stopped: Deferred[None] = Deferred.fromCoroutine(self.stop(service))
        await stopped
        await self.upstream.wires[-1].end()


class Everybody:
    """A gate that lets everybody in, and what answers them."""

    def __init__(self) -> None:
        self.asked: list[ApiRequest] = []

    async def admit(self, asked: ApiRequest) -> ApiRequest:
        return asked

    async def serve(self, asked: ApiRequest) -> None:
        self.asked.append(asked)


class MemoryTests(SynchronousTestCase):
    """What method and path say is looked at once."""

    def setUp(self) -> None:
        self.answers = Everybody()
        parts: Any = self.answers
        self.proxy = Proxy(MAPPING, parts, parts, parts, extensions=["_ext"])

    def target(self, method: str, path: str) -> MappedTarget:
        """What a request is for that the proxy lets through."""
        request = asked("GET", MANIFEST)
        client = replace(request.client, method=method, path=path)
        self.successResultOf(
            Deferred.fromCoroutine(self.proxy.serve(client, request.event))
        )
        return self.answers.asked.pop().target

    def test_again(self) -> None:
        """The same is found again, for each method."""
        for path in (MANIFEST, BLOB, "/v2/", "/v2/team/app/_ext/x"):
            first = self.target("GET", path)
            self.assertIs(self.target("GET", path), first)
            head = path if first.endpoint is not Endpoint.EXTENSION else MANIFEST
            self.assertIsNot(self.target("HEAD", head), first)

    def test_same_repository(self) -> None:
        """What is to be done is the same for all blobs that a repository has."""
        elsewhere = BLOB.replace("team/app", "team/other")
        first = self.target("GET", BLOB).operation
        self.assertIs(self.target("GET", f"{BLOB}0").operation, first)
        for method, path in (("HEAD", BLOB), ("GET", MANIFEST), ("GET", elsewhere)):
            self.assertIsNot(self.target(method, path).operation, first)

    def test_uploads(self) -> None:
        """An upload is one client's alone, and is not kept."""
        self.assertIsNot(self.target("PATCH", UPLOAD), self.target("PATCH", UPLOAD))
        self.assertEqual(self.target("PATCH", UPLOAD), self.target("PATCH", UPLOAD))

    def test_long(self) -> None:
        """Very long paths are looked at each time."""
        path = f"/v2/team/{'a' * 240}/blobs/sha512:{'0' * 600}"
        self.assertEqual(self.target("GET", path), self.target("GET", path))
        self.assertIsNot(self.target("GET", path), self.target("GET", path))

    def test_errors(self) -> None:
        """What cannot be asked for is refused each time, with the same words."""
        for method, path in (
            ("GET", "/v2/other/app/manifests/1"),
            ("PATCH", MANIFEST),
            ("GET", "/v2/team/app/_other/x"),
            ("GET", "/v2/team/APP/manifests/1"),
        ):
            words = set()
            for _ in range(2):
                request = asked("GET", MANIFEST)
                client = replace(request.client, method=method, path=path)
                serving = self.proxy.serve(client, request.event)
                failure = self.failureResultOf(Deferred.fromCoroutine(serving))
                failure.trap(ClientError, EndpointUnknown)
                words.add(str(failure.value))
            self.assertEqual(len(words), 1)

    def test_bounded(self) -> None:
        """Who makes up targets does not fill the memory."""
        first = self.target("GET", MANIFEST)
        for number in range(MAX_REMEMBERED):
            self.target("GET", f"/v2/team/app/manifests/{number}")
        self.assertEqual(self.target("GET", MANIFEST), first)
        self.assertIsNot(self.target("GET", MANIFEST), first)
        self.assertLessEqual(len(self.proxy._targets), MAX_REMEMBERED)
