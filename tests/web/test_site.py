"""Which registry a request is for; and the same site inside another one."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from twisted.web.server import Site

from regbroker.protocol.headers import PSEUDONYM
from tests.certificates import Looking
from tests.malformed import MALFORMED, REPEATED
from tests.proxycase import (
    BLOB,
    DIGEST,
    MANIFEST,
    UPLOAD,
    ProxyTestCase,
)
from tests.scripted import ScriptedUpstream, response
from tests.wire import Flood, RawClient


class HostTests(ProxyTestCase):
    def ini(self) -> str:
        given = super().ini()
        section = given[given.index("[registry *]") : given.index("[upstream")]
        other = section.replace("team = acme_team", "* = hub_*").replace(
            "[registry *]", "[registry hub.test]\ntoken-path = /hub/token"
        )
        six = section.replace("[registry *]", "[registry [::1]]")
        return given.replace("[registry *]", "[registry a.test]") + other + six

    async def asked(self, *headers: str, path: str = MANIFEST) -> str:
        """What the upstream is asked for; or the code of our refusal."""
        self.upstream.handler = lambda call: response(200)
        client = await self.connect()
        head = "\r\n".join([f"GET {path} HTTP/1.1", *headers, "", ""])
        client.send(head.encode("latin-1"))
        before = len(self.upstream.calls)
        reply = await client.reply()
        if reply.status == 200:
            return self.upstream.calls[-1].target
        self.assertEqual(len(self.upstream.calls), before)
        return f"{reply.status} {reply.code}"

    async def test_picked(self) -> None:
        """The Host picks, in whatever case, with whatever port, and with a last dot."""
        for host in (
            *("a.test", "A.Test", "a.test:5000", "[::1]:443", "[::1]"),
            # RFC 3986, 3.2.2: the same name, for resolvers that search in domains.
            *("a.test.", "A.Test.:5000"),
        ):
            self.assertEqual(
                await self.asked(f"Host: {host}"), "/v2/acme_team/app/manifests/1.0"
            )
        self.assertEqual(
            await self.asked("Host: hub.test"), "/v2/hub_team/app/manifests/1.0"
        )

    async def test_counted_by(self) -> None:
        """The event has section, endpoint and kind of credentials, for counting."""
        for authorization, kind in (
            ("Basic YTpi", "password"),
            ("bearer t", "token"),
            ("Digest x", "other"),
        ):
            told = self.event()
            await self.asked("Host: a.test:5000", f"Authorization: {authorization}")
            event = (await told)["event"]
            self.assertEqual(
                (event.section, event.endpoint, event.credentials),
                ("a.test", "manifest", kind),
            )
        told = self.event()
        await self.asked("Host: b.test")
        event = (await told)["event"]
        self.assertEqual(
            (event.section, event.endpoint, event.credentials), ("", "", "")
        )

    async def test_picked_by_target(self) -> None:
        """A whole URL for a target picks, whatever the Host is."""
        for host in ("Host: a.test", "Host: b.test"):
            for url in ("http://hub.test", "HTTPS://Hub.Test:5000"):
                self.assertEqual(
                    await self.asked(host, path=f"{url}{MANIFEST}"),
                    "/v2/hub_team/app/manifests/1.0",
                )
            for url, refusal in (
                ("http://b.test", "421 NAME_UNKNOWN"),
                ("http://user@hub.test", "400 UNSUPPORTED"),
            ):
                self.assertEqual(
                    await self.asked(host, path=f"{url}{MANIFEST}"), refusal
                )

    async def test_unknown(self) -> None:
        """A host that is not served is misdirected."""
        for host in ("b.test", "x.a.test", "127.0.0.1", "b.test.", "a.test..", "."):
            event = self.event()
            self.assertEqual(await self.asked(f"Host: {host}"), "421 NAME_UNKNOWN")
            # The log tells which one was asked for.
            self.assertIn(f" registry={host} ", (await event)["line"])

    async def test_bad(self) -> None:
        """No Host, two of them, or one that is none."""
        for headers in (
            [],
            ["Host: a.test", "Host: hub.test"],
            ["Host:"],
            ["Host: a.test, hub.test"],
            ["Host: user@a.test"],
            ["Host: a.test/x"],
            ["Host: a.test:0"],
            ["Host: a.test:99999"],
            ["Host: a test"],
        ):
            self.assertEqual(await self.asked(*headers), "400 UNSUPPORTED", headers)

    async def test_not_picked_by_claims(self) -> None:
        """Nobody picks by a header that only proxies may send."""
        asked = await self.asked("Host: a.test", "X-Forwarded-Host: hub.test")
        self.assertEqual(asked, "/v2/acme_team/app/manifests/1.0")

    async def test_token_paths(self) -> None:
        """Each registry has its own token service."""
        for host, path, known in (
            ("a.test", "/auth", True),
            ("a.test", "/auth/", True),
            ("a.test", "/hub/token", False),
            ("hub.test", "/hub/token", True),
            ("hub.test", "/auth", False),
            ("a.test", "/authx", False),
        ):
            client = await self.connect()
            reply = await client.ask("DELETE", path, f"Host: {host}")
            self.assertEqual(reply.status, 405 if known else 404)


class NamedHostsTests(ProxyTestCase):
    """``[registry *]`` that stands for some hosts alone, beside one with a name."""

    main = "ns =\n    docker.io = *\n    quay.io = own.test\n"
    more = "hosts = a.test, *.b.test [::1]"
    tokens = True

    def ini(self) -> str:
        given = super().ini()
        section = given[given.index("[registry *]") : given.index("[upstream")]
        own = section.replace("[registry *]", "[registry own.test]")
        return given + own.replace(self.more, "")

    async def status(self, path: str, *headers: str) -> str:
        """What becomes of a request."""
        self.upstream.handler = lambda call: response(200)
        client = await self.connect()
        client.request("GET", path, *headers)
        reply = await client.reply()
        return "200" if reply.status == 200 else f"{reply.status} {reply.code}"

    async def test_served(self) -> None:
        """Those that are named, in whatever case and with whatever port."""
        for host in ("a.test", "A.Test:5000", "x.b.test", "[::1]:443", "own.test"):
            self.assertEqual(await self.status(MANIFEST, f"Host: {host}"), "200", host)
            told = self.upstream.calls[-1].header(b"X-Forwarded-Host")
            self.assertEqual(told, host.encode())

    async def test_others(self) -> None:
        """Others are as hosts that nobody knows, whatever is asked for."""
        for host in ("b.test", "x.y.b.test", "c.test", "a.test.evil.test", "127.0.0.1"):
            for path in (MANIFEST, "/v2/", "/auth", "/v1/_ping", "/x"):
                refusal = await self.status(path, f"Host: {host}")
                self.assertEqual(refusal, "421 NAME_UNKNOWN", (host, path))
        self.assertEqual(self.upstream.calls, [])

    async def test_whole_url(self) -> None:
        """The host in a whole URL is what counts."""
        for host, expected in (("a.test", "200"), ("c.test", "421 NAME_UNKNOWN")):
            path = f"http://{host}{MANIFEST}"
            self.assertEqual(await self.status(path, "Host: a.test"), expected)

    async def test_sources(self) -> None:
        """A source leads here for the named hosts; elsewhere as ever."""
        for source, host, expected in (
            ("docker.io", "a.test", "200"),
            ("docker.io", "c.test", "421 NAME_UNKNOWN"),
            ("quay.io", "a.test", "200"),
            ("quay.io", "c.test", "200"),
        ):
            status = await self.status(f"{MANIFEST}?ns={source}", f"Host: {host}")
            self.assertEqual(status, expected, (source, host))

    async def test_source_beside_the_api(self) -> None:
        """Elsewhere a parameter of that name is nobody's, and leads nowhere."""
        client = await self.connect()
        for path, source in ((MANIFEST, b"quay.io"), ("/x", None)):
            client.request("GET", f"{path}?ns=quay.io", "Host: a.test")
            if source:
                (await self.upstream.call()).reply(200)
            reply = await client.reply()
            self.assertEqual(reply.header(b"OCI-Namespace"), source)


class TrustedNamedHostsTests(NamedHostsTests):
    """What a trusted proxy says that the client has asked for, is what counts."""

    main = NamedHostsTests.main + "trusted-proxies = 127.0.0.1"

    async def test_claims(self) -> None:
        """One way and the other."""
        for host, claim, expected in (
            ("c.test", "a.test", "200"),
            ("a.test", "c.test", "421 NAME_UNKNOWN"),
        ):
            status = await self.status(
                MANIFEST, f"Host: {host}", f"X-Forwarded-Host: {claim}"
            )
            self.assertEqual(status, expected)

    async def test_who_has_named_it(self) -> None:
        """A host that is not served is told apart from one that a proxy claims."""
        for headers, is_claimed in (
            (["Host: a.test", "X-Forwarded-Host: c.test"], True),
            (["Host: c.test", "X-Forwarded-Host: c.test"], False),
            (["Host: c.test"], False),
        ):
            client = await self.connect()
            reply = await client.ask("GET", MANIFEST, *headers)
            self.assertEqual(reply.status, 421)
            self.assertEqual(b"X-Forwarded-Host" in reply.body, is_claimed, headers)


class TargetTests(ProxyTestCase):
    async def test_bytes(self) -> None:
        """A target has printable ASCII without '#'; one with anything else is 400."""
        self.upstream.handler = lambda call: response(200)
        for each in range(0x100):
            client = await self.connect()
            client.send(b"GET /v2/?x%cy HTTP/1.1\r\nHost: a\r\n\r\n" % each)
            is_refused = (await client.reply()).status == 400
            is_printable = 0x21 <= each <= 0x7E and each != ord("#")
            self.assertEqual(is_refused, not is_printable, each)


class LoopTests(ProxyTestCase):
    async def test_refused(self) -> None:
        """What was sent from here is not sent again, whatever it is for."""
        for target in (BLOB, "/v2/", "/auth", "/x", "/v2/\x7f"):
            for via in (PSEUDONYM, f"regbroker-0a1b2c3d, 1.1 {PSEUDONYM}"):
                reply = await self.client.ask("GET", target, f"Via: 1.1 {via}")
                self.assertEqual((reply.status, reply.code), (508, "UNSUPPORTED"))
        self.assertEqual(self.upstream.calls, [])
        call = await self.relayed("GET", BLOB, "Via: 1.1 regbroker-0a1b2c3d")
        call.reply(200)
        self.assertEqual((await self.client.reply()).status, 200)


class ToItselfTests(ProxyTestCase):
    """The upstream's url is our own."""

    autostart = False

    def ini(self) -> str:
        return super().ini().replace(self.upstream.url, f"http://127.0.0.1:{self.port}")

    async def test_ends(self) -> None:
        """It is asked once, and says what is wrong."""
        self.port = self.upstream.port
        await self.upstream.stop()
        self.listen = f"tcp:{self.port}:interface=127.0.0.1"
        await self.serve(learnt=False)
        self.client = await self.connect()
        reply = await self.client.ask("GET", "/v2/acme_team/app/manifests/1")
        self.assertEqual((reply.status, reply.code), (508, "UNSUPPORTED"))


class TrustedHostTests(HostTests):
    """A proxy that is trusted may say what the client has asked for."""

    main = "trusted-proxies = 127.0.0.1"

    async def test_not_picked_by_claims(self) -> None:
        """The proxy's word counts."""
        asked = await self.asked("Host: a.test", "X-Forwarded-Host: hub.test")
        self.assertEqual(asked, "/v2/hub_team/app/manifests/1.0")

    async def test_first_claim(self) -> None:
        """Of several hops' words, that of the one nearest to the client counts."""
        asked = await self.asked("Host: a.test", "X-Forwarded-Host: hub.test, b.test")
        self.assertEqual(asked, "/v2/hub_team/app/manifests/1.0")

    async def test_bad_claims(self) -> None:
        """But what makes no host does not."""
        for claim in ("x y", "b@a.test"):
            asked = await self.asked("Host: a.test", f"X-Forwarded-Host: {claim}")
            self.assertEqual(asked, "400 UNSUPPORTED")


class RequestIdTests(ProxyTestCase):
    """Each request has an id, which its client, the upstream and the log are told."""

    #: What the client says, and it counts for nothing.
    claim: ClassVar[list[str]] = ["X-Request-ID: 0f8fad5b-d9cb-469f"]
    expected = "^[0-9a-f]{12}$"

    async def test_relayed(self) -> None:
        """All three are told the same, and each request has another."""
        seen = set()
        for _ in range(3):
            told = self.event()
            call = await self.relayed("GET", MANIFEST, *self.claim)
            call.reply(200, "X-Request-ID: upstream's")
            reply = await self.client.reply()
            request_id = (await told)["request_id"]
            self.assertRegex(request_id, self.expected)
            self.assertEqual(call.header(b"X-Request-ID"), request_id.encode())
            ids = [v for n, v in reply.headers if n.lower() == b"x-request-id"]
            self.assertEqual(ids, [request_id.encode()])
            seen.add(request_id)
        self.assertEqual(len(seen), 1 if self.expected.startswith("^0f8") else 3)

    async def test_errors(self) -> None:
        """An error's detail has it, and what else it says is as it was."""
        for target, detail in (
            ("/v2/elsewhere/app/manifests/1", {"name": "elsewhere/app"}),
            ("/auth", {}),
            ("/nothing", {}),
        ):
            told = self.event()
            reply = await self.client.ask("PATCH", target, *self.claim, body=b"")
            request_id = (await told)["request_id"]
            self.assertRegex(request_id, self.expected)
            self.assertEqual(reply.header(b"X-Request-ID"), request_id.encode())
            (error,) = json.loads(reply.body)["errors"]
            self.assertEqual(error["detail"]["request_id"], request_id)
            if error["code"] == "NAME_UNKNOWN":
                self.assertEqual(error["detail"] | detail, error["detail"])

    async def test_not_understood(self) -> None:
        """What is refused before its headers are read has one of its own."""
        told = self.event()
        reply = await self.client.ask("GET", "/v2/#", *self.claim)
        request_id = (await told)["request_id"]
        self.assertRegex(request_id, "^[0-9a-f]{12}$")
        self.assertEqual(reply.header(b"X-Request-ID"), request_id.encode())


class TrustedRequestIdTests(RequestIdTests):
    """A trusted proxy's id is taken."""

    main = "trusted-proxies = 127.0.0.1"
    expected = "^0f8fad5b-d9cb-469f$"


class TLSTests(ProxyTestCase):
    """The way of most clients: TLS up to regbroker."""

    listen = "tls:0:interface=127.0.0.1"
    tokens = True

    async def connect(self, tls: Any = None) -> RawClient:
        return await super().connect(tls or Looking("localhost"))

    async def test_scheme(self) -> None:
        """Realms are https, and the upstream is told how the client came."""
        reply = await self.client.ask("GET", "/v2/")
        self.assertIn(
            b'realm="https://registry.test/auth"',
            reply.header(b"WWW-Authenticate") or b"",
        )
        call = await self.relayed("GET", MANIFEST)
        self.assertEqual(call.header(b"X-Forwarded-Proto"), b"https")
        call.reply(200, body=b"abc")
        self.assertEqual((await self.client.reply()).body, b"abc")

    async def test_certificate(self) -> None:
        """Without a configured certificate there is one of our own."""
        looking = Looking("localhost", protocols=(b"h2", b"http/1.1"))
        client = await self.connect(looking)
        await client.ask("GET", "/v2/")
        self.assertEqual(looking.names, {"localhost", "127.0.0.1", "::1"})
        agreed = looking.looking.get_alpn_proto_negotiated()
        self.assertEqual(agreed, b"http/1.1")

    async def test_large(self) -> None:
        """Every byte of a large body arrives, either way."""
        body = bytes(range(256)) * 20_000
        call = await self.relayed("PATCH", UPLOAD, body=body)
        self.assertTrue(await call.body() == body)
        call.reply(202)
        await self.client.reply()
        reply = await self.exchange("GET", BLOB, response(200, body=body))
        self.assertTrue(reply.body == body)

    async def test_backpressure(self) -> None:
        """What is encrypted here is not gathered here, either way."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, "Content-Length: 100000000", body=b"x"))
        await self.client.head()
        self.client.pause()
        down = Flood(call.wire)
        self.client = await self.connect()
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 100000000")
        call.wire.pause()
        up = Flood(self.client)
        await self.assert_held_up(down, up)

    async def test_broken_off(self) -> None:
        """A reply that breaks off ends without close_notify."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, "Content-Length: 9", body=b"a"))
        await self.client.head()
        call.wire.reset()
        await self.client.end()
        self.assertFalse(self.client.closed_in_order)

    async def test_plain_http(self) -> None:
        """Who speaks plain HTTP to a TLS port is told so, and nothing else."""
        port = int(self.url.rpartition(":")[2])
        client = await self.connect_to(port)
        client.request("GET", "/v2/")
        answer = bytes(await client.end())
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertEqual(answer.count(b"HTTP/1.1"), 1)


class PlainSiteTests(ProxyTestCase):
    """The root of a service in a site of somebody else's: bodies come spooled."""

    async def set_up(self) -> None:
        await super().set_up()
        site = Site(self.services[0].root, reactor=self.time)
        site.noisy = False
        self.plain = self.reactor.listenTCP(0, site, interface="127.0.0.1")
        self.client = await self.connect_to(self.plain.getHost().port)

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.plain.stopListening()

    async def test_download(self) -> None:
        """A blob, and its head."""
        body = bytes(range(256)) * 4000
        reply = await self.exchange("GET", BLOB, response(200, body=body))
        self.assertTrue(reply.body == body)
        reply = await self.exchange("HEAD", BLOB, response(200, "Content-Length: 9"))
        self.assertEqual(reply.header(b"Content-Length"), b"9")

    async def test_upload(self) -> None:
        """Small, large (on disk by then), and chunked."""
        for size in (2, 1_000_000):
            call = await self.relayed("PATCH", UPLOAD, body=bytes(size))
            self.assertEqual(len(await call.body()), size)
            call.reply(202)
            self.assertEqual((await self.client.reply()).status, 202)
        self.client.request("PATCH", UPLOAD, "Transfer-Encoding: chunked")
        self.client.send(b"2\r\nab\r\n0\r\n\r\n")
        call = await self.upstream.call()
        self.assertEqual(await call.body(), b"ab")
        call.reply(202)
        self.assertEqual((await self.client.reply()).status, 202)

    async def test_refusals(self) -> None:
        """Refusals are OCI JSON here, too."""
        reply = await self.client.ask("GET", "/v2/other/manifests/1")
        self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))
        reply = await self.client.ask("POST", "/auth", body=b"grant_type=x")
        self.assertEqual(reply.status, 400)
        reply = await self.client.ask("GET", BLOB, body=b"x")
        self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))

    async def test_malformed(self) -> None:
        """What Twisted lets through and we do not, is 400 here, too."""
        cases = {
            **REPEATED,
            **{
                n: raw
                for n, raw in MALFORMED.items()
                if re.search(r", [017][\da-f] ", n)
            },
        }
        self.assertGreater(len(cases), 160)
        for name, raw in cases.items():
            for target in (b"/v2/", b"/auth", b"/v1/search?q=a"):
                client = await self.connect_to(self.plain.getHost().port)
                client.send(raw.replace(b"/v2/", target, 1))
                reply = await client.reply()
                if reply.status == 100:
                    reply = await client.reply()
                self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"), name)
                client.reset()
        self.assertEqual(self.upstream.calls, [])

    async def test_early_reply(self) -> None:
        """An upstream that refuses a body early is heard."""
        call = await self.relayed("PATCH", UPLOAD, body=bytes(20_000_000))
        call.send(response(413))
        self.assertEqual((await self.client.reply()).status, 413)

    async def test_broken_off(self) -> None:
        """A reply that breaks off does not look complete."""
        call = await self.relayed("GET", BLOB)
        call.send(response(200, "Content-Length: 9", body=b"a"))
        await self.client.head()
        call.wire.reset()
        self.assertEqual(await self.client.end(), b"a")


class SandboxTests(ProxyTestCase):
    """The ordinary way, to a registry that plays by the rules."""

    autostart = False

    def make_upstream(self) -> ScriptedUpstream:
        upstream = ScriptedUpstream()
        upstream.serves = False
        return upstream

    def ini(self) -> str:
        users = "users =\n    alice:wonderland"
        return (
            super()
            .ini()
            .replace(f"url = {self.upstream.url}", f"url = sandbox:\n{users}")
        )

    async def test_push_and_pull(self) -> None:
        """Challenge, token, upload, manifest, list and download."""
        await self.serve()
        client: RawClient = await self.connect()
        reply = await client.ask("POST", "/v2/team/app/blobs/uploads/")
        self.assertIn(
            b'scope="repository:team/app:pull,push"',
            reply.header(b"WWW-Authenticate") or b"",
        )
        reply = await client.ask(
            "GET",
            "/auth?service=x&scope=repository:team/app:pull,push",
            "Authorization: Basic YWxpY2U6d29uZGVybGFuZA==",
        )
        bearer = f"Authorization: Bearer {reply.json()['token']}"
        reply = await client.ask("POST", "/v2/team/app/blobs/uploads/", bearer)
        self.assertEqual(reply.status, 202)
        location = (reply.header(b"Location") or b"").decode()
        self.assertTrue(location.startswith("/v2/team/app/blobs/uploads/"), location)
        empty = (
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        )
        mark = "&" if "?" in location else "?"
        reply = await client.ask(
            "PUT", f"{location}{mark}digest={empty}", bearer, "Content-Length: 0"
        )
        self.assertEqual(reply.status, 201)
        self.assertEqual(
            reply.header(b"Location"), f"/v2/team/app/blobs/{empty}".encode()
        )
        reply = await client.ask("GET", f"/v2/team/app/blobs/{empty}", bearer)
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertEqual(reply.header(b"Docker-Content-Digest"), empty.encode())
        reply = await client.ask("GET", f"/v2/team/app/blobs/{DIGEST}", bearer)
        self.assertEqual((reply.status, reply.code), (404, "BLOB_UNKNOWN"))
