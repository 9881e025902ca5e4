"""Redirects followed here: what the storage is asked, and what the client sees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher

from regbroker.protocol.headers import PSEUDONYM
from regbroker.service import RegbrokerService
from regbroker.transport.certificates.served import certificate_options
from regbroker.upstream.storages import STORAGE
from tests.certificates import issued
from tests.proxycase import (
    BLOB,
    DIGEST,
    MANIFEST,
    UPLOAD,
    UPLOADS,
    HeldTime,
    ProxyTestCase,
    TLSUpstream,
)
from tests.scripted import Call, ScriptedUpstream, response
from tests.severalcase import SeveralTestCase
from tests.watchedtime import PUBLIC, WatchedTime
from tests.wire import Flood, Message

TAGS = "/v2/team/app/tags/list"
METADATA = "169.254.169.254"

#: As long as it is secret.
SIGNATURE = "X-Amz-Signature=0a%2Fb+c&x"
SIGNED = f"/bucket/key?{SIGNATURE}"

#: What every reply of regbroker's has.
OURS = {b"server", b"date", b"docker-distribution-api-version", b"x-request-id"}


class FollowingTestCase(ProxyTestCase):
    """`storage` is a server beside the upstream, on loopback and allowed there."""

    more = "redirects = follow"
    upstream_options = "redirect-hosts = 127.0.0.1\nredirect-paths = /downloads/"

    time: WatchedTime

    async def set_up(self) -> None:
        self.storage = self.make_storage()
        self.storage.start()
        self.lines: list[str] = []
        observe: Any = self.note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        await super().set_up()

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.storage.stop()

    def note(self, event: Any) -> None:
        """Keep what regbroker tells its log."""
        self.lines.append(formatEvent(event))

    def make_storage(self) -> ScriptedUpstream:
        """The server that the upstream redirects to."""
        return ScriptedUpstream()

    def make_time(self) -> HeldTime:
        return WatchedTime()

    async def redirected(
        self,
        target: str = BLOB,
        *headers: str,
        method: str = "GET",
        status: int = 307,
        location: str = "",
        more: tuple[str, ...] = (),
    ) -> None:
        """Send a request, and have the upstream redirect it; by default to storage."""
        call = await self.relayed(method, target, *headers)
        where = location or f"{self.storage.url}{SIGNED}"
        page = b"" if method == "HEAD" else b"<a>Temporary Redirect</a>"
        call.reply(status, f"Location: {where}", *more, body=page)

    async def stored(self, *given: Any, **named: Any) -> Call:
        """The same, and return the request as the storage sees it."""
        await self.redirected(*given, **named)
        return await self.storage.call()

    async def fetched(self, answer: bytes, target: str = BLOB) -> Message:
        """Fetch something that the storage has."""
        (await self.stored(target)).answer(answer)
        return await self.client.reply()

    def assert_refused(self, reply: Message, status: int, code: str) -> None:
        """An error of our own, which does not tell who has failed."""
        self.assertEqual((reply.status, reply.code), (status, code))
        shown = str(reply.headers) + reply.body.decode()
        # What is made by chance may have the digits of a port.
        shown = re.sub(r"\b[0-9a-f]{12}\b", "", shown)
        for secret in (str(self.storage.port), "127.0.0.1", METADATA, "bucket", "Amz"):
            self.assertNotIn(secret, shown)
        self.assert_secrets_kept()

    def assert_secrets_kept(self) -> None:
        """No signed URL is in the log."""
        self.assertEqual([line for line in self.lines if "Amz" in line], [])


class AskedTests(FollowingTestCase):
    async def test_target(self) -> None:
        """The storage is asked for what the Location says, to the last byte."""
        for status in (301, 302, 303, 307, 308):
            call = await self.stored(status=status)
            self.assertEqual(call.head.line, f"GET {SIGNED} HTTP/1.1".encode())
            self.assertEqual(
                call.header(b"Host"), f"127.0.0.1:{self.storage.port}".encode()
            )
            call.reply(200, body=b"layer")
            reply = await self.client.reply()
            self.assertEqual((reply.status, reply.body), (200, b"layer"))
        self.assertEqual(len(self.storage.wires), 1)
        self.assertEqual(len({call.wire for call in self.upstream.calls}), 1)
        self.assert_secrets_kept()

    async def test_headers(self) -> None:
        """It learns what is wanted, and nothing of who wants it."""
        wanted = [
            "Accept: a/b",
            "Accept: c/d",
            "Accept-Encoding: gzip",
            "Range: bytes=5-",
            "If-Range: x",
            "If-None-Match: y",
            "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT",
            "User-Agent: docker/27",
        ]
        call = await self.stored(
            BLOB,
            "Authorization: Bearer secret",
            "Cookie: a=b",
            "Forwarded: for=1.2.3.4",
            "X-Forwarded-For: 1.2.3.4",
            "X_Forwarded_For: 1.2.3.4",
            "X-Real-IP: 1.2.3.4",
            "X-Registry-Auth: secret",
            "Referer: x",
            "Via: 1.1 proxy.client.test",
            *wanted,
        )
        (first,) = self.upstream.calls
        self.assertEqual(first.header(b"Authorization"), b"Bearer secret")
        told = [b": ".join(header).decode() for header in call.head.headers]
        host = f"Host: 127.0.0.1:{self.storage.port}"
        ours = [line for line in told if line.lower() != "connection: keep-alive"]
        via = f"Via: 1.1 {PSEUDONYM}"
        self.assertEqual(sorted(ours), sorted([host, via, *wanted]))
        call.reply(200)
        await self.client.reply()

    async def test_head(self) -> None:
        """HEAD stays HEAD, and has the length of what is there."""
        for status in (303, 307):
            call = await self.stored(method="HEAD", status=status)
            self.assertEqual(call.method, "HEAD")
            call.reply(200, "Content-Length: 12345", 'ETag: "x"')
            reply = await self.client.reply("HEAD")
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.header(b"Content-Length"), b"12345")
        self.assertEqual((await self.fetched(response(200))).status, 200)

    async def test_endpoints(self) -> None:
        """Whatever is read may lie elsewhere; lists have public names then, too."""
        for target in (MANIFEST, f"/v2/team/app/referrers/{DIGEST}"):
            reply = await self.fetched(response(200, body=b"{}"), target)
            self.assertEqual((reply.status, reply.body), (200, b"{}"))
        answer = response(200, body=b'{"name": "acme_team/app", "tags": ["1"]}')
        call = await self.stored(TAGS, "Accept-Encoding: gzip", "Range: bytes=1-")
        self.assertEqual(call.head.all(b"Accept-Encoding"), [b"identity"])
        self.assertIsNone(call.header(b"Range"))
        call.answer(answer)
        reply = await self.client.reply()
        self.assertEqual(reply.json(), {"name": "team/app", "tags": ["1"]})
        answer = response(200, body=b'{"repositories": ["acme_team/app", "x"]}')
        reply = await self.fetched(answer, "/v2/_catalog")
        self.assertEqual(reply.json(), {"repositories": ["team/app"]})

    async def test_not_for_writing(self) -> None:
        """What writes is the client's to follow, and an upload's place never is."""
        where = "https://elsewhere.test/x"
        for method, target in (
            ("PUT", MANIFEST),
            ("DELETE", MANIFEST),
            ("DELETE", BLOB),
            ("POST", UPLOADS),
            ("PATCH", UPLOAD),
            ("PUT", f"{UPLOAD}?digest={DIGEST}"),
            ("GET", UPLOAD),
            ("HEAD", UPLOAD),
            ("DELETE", UPLOAD),
        ):
            body = None if method in ("GET", "HEAD") else b""
            call = await self.relayed(method, target, body=body)
            call.reply(307, f"Location: {where}")
            reply = await self.client.reply(method)
            self.assertEqual(reply.status, 307, target)
            self.assertEqual(reply.header(b"Location"), where.encode())
        call = await self.relayed("POST", UPLOADS, body=b"")
        call.reply(202, f"Location: {self.upstream.url}/v2/acme_team/app/{UPLOAD[13:]}")
        self.assertEqual((await self.client.reply()).status, 202)
        self.assertEqual(self.storage.calls, [])

    async def test_no_redirects(self) -> None:
        """300 and 304 lead nowhere; other replies are the upstream's own."""
        where = f"Location: {self.storage.url}/x"
        for status in (300, 304, 404):
            reply = await self.exchange("GET", BLOB, response(status, where))
            self.assertEqual(reply.status, status)
        self.assertEqual(self.storage.calls, [])


class AnsweredTests(FollowingTestCase):
    async def test_headers(self) -> None:
        """The content is the storage's; what is said about it, the registry's."""
        about_the_content = [
            "Content-Length: 5",
            "Content-Type: application/octet-stream",
            "Content-Encoding: zstd",
            "Accept-Ranges: bytes",
            'ETag: "0a"',
            "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT",
            "Cache-Control: max-age=31536000",
        ]
        of_the_registry = [
            f"Docker-Content-Digest: {DIGEST}",
            "OCI-Subject: sha256:0",
            "ratelimit-limit: 100;w=21600",
            "ratelimit-remaining: 76;w=21600",
            "docker-ratelimit-source: 1.2.3.4",
            'Warning: 299 - "acme_team/app is old"',
        ]
        call = await self.stored(
            more=(*of_the_registry, "X-Up: 1", 'ETag: "up"', "Content-Type: text/html")
        )
        call.reply(
            200,
            *about_the_content,
            "x-amz-request-id: 1",
            "x-ms-version: 1",
            "Server: AmazonS3",
            "Set-Cookie: a=b",
            "Via: 1.1 cdn",
            "Access-Control-Allow-Origin: *",
            "Content-Disposition: attachment",
            "Docker-Content-Digest: sha256:evil",
            "OCI-Filters-Applied: evil",
            "Warning: 299 - evil",
            "Location: https://evil.test/",
            "Link: <https://evil.test/>; rel=next",
            "Strict-Transport-Security: max-age=1",
            "WWW-Authenticate: Basic",
            "Connection: X-Hop",
            "X-Hop: 1",
            body=b"layer",
        )
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.body), (200, b"layer"))
        seen = [
            b": ".join(header).decode()
            for header in reply.headers
            if header[0].lower() not in OURS
        ]
        wanted = [*about_the_content, *of_the_registry[:-1]]
        wanted.append('Warning: 299 - "team/app is old"')
        self.assertEqual(
            sorted(line.lower() for line in seen),
            sorted(line.lower() for line in wanted),
        )

    async def test_range(self) -> None:
        """206 says which part it is."""
        call = await self.stored(BLOB, "Range: bytes=2-4")
        self.assertEqual(call.header(b"Range"), b"bytes=2-4")
        call.reply(206, "Content-Range: bytes 2-4/10", body=b"234")
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.body), (206, b"234"))
        self.assertEqual(reply.header(b"Content-Range"), b"bytes 2-4/10")

    async def test_not_modified(self) -> None:
        """304 has no body, and the connections go on."""
        for _ in range(2):
            call = await self.stored(BLOB, 'If-None-Match: "0a"')
            self.assertEqual(call.header(b"If-None-Match"), b'"0a"')
            call.answer(response(304, 'ETag: "0a"'))
            reply = await self.client.reply()
            self.assertEqual((reply.status, reply.header(b"ETag")), (304, b'"0a"'))
        self.assertEqual(len(self.storage.wires), 1)

    async def test_refusals(self) -> None:
        """The status is the storage's, the words are ours."""
        page = b"<Error><BucketName>bucket</BucketName></Error>"
        for status, target, code in (
            (403, BLOB, "DENIED"),
            (404, BLOB, "BLOB_UNKNOWN"),
            (404, MANIFEST, "MANIFEST_UNKNOWN"),
            (404, TAGS, "NAME_UNKNOWN"),
            (410, BLOB, "BLOB_UNKNOWN"),
            (412, BLOB, "UNKNOWN"),
            (416, BLOB, "UNSUPPORTED"),
            (429, BLOB, "TOOMANYREQUESTS"),
            (503, BLOB, "UNAVAILABLE"),
        ):
            answer = response(
                status, "Content-Type: application/xml", "X-Amz-Id-2: 1", body=page
            )
            reply = await self.fetched(answer, target)
            self.assert_refused(reply, status, code)
        self.assertEqual(len(self.storage.wires), 1)

    async def test_about_refusals(self) -> None:
        """When to come again is kept, and how much there is."""
        for status in (429, 503):
            reply = await self.fetched(response(status, "Retry-After: 7"))
            self.assertEqual(reply.header(b"Retry-After"), b"7")
        reply = await self.fetched(response(404, "Retry-After: 7"))
        self.assertIsNone(reply.header(b"Retry-After"))
        reply = await self.fetched(response(416, "Content-Range: bytes */10"))
        self.assertEqual(reply.header(b"Content-Range"), b"bytes */10")

    async def test_refused_head(self) -> None:
        """A HEAD is refused without a body."""
        call = await self.stored(method="HEAD")
        call.answer(response(404, "Content-Length: 77"))
        self.assertEqual((await self.client.reply("HEAD")).status, 404)
        self.assertEqual((await self.fetched(response(200))).status, 200)

    async def test_other_statuses(self) -> None:
        """What a client cannot act on is a bad gateway."""
        for status in (201, 204, 300, 400, 401, 405, 418, 500, 502, 504, 599):
            call = await self.stored()
            call.answer(response(status, "WWW-Authenticate: Basic", body=b""))
            reply = await self.client.reply()
            self.assert_refused(reply, 502, "UNKNOWN")
            self.assertIsNone(reply.header(b"WWW-Authenticate"))

    async def test_no_http(self) -> None:
        """Nor can it with what is no HTTP."""
        call = await self.stored()
        call.answer(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.assert_refused(await self.client.reply(), 502, "UNKNOWN")

    async def test_down(self) -> None:
        """A storage that is down is not named."""
        await self.storage.stop()
        await self.redirected()
        while self.time.dialled[-1] != ("127.0.0.1", self.storage.port):
            await self.turn()
        replying = self.client.reply()
        # The endpoint notices by its clock that there is no other address.
        await self.turn()
        self.time.clock.advance(0.3)
        self.assert_refused(await replying, 503, "UNAVAILABLE")

    async def test_event(self) -> None:
        """The access log tells of the upstream, and of both waits."""
        call = await self.stored()
        self.time.clock.advance(2)
        event = self.event()
        call.reply(200, body=b"layer")
        await self.client.reply()
        told = (await event)["event"]
        self.assertEqual((told.status, told.bytes_out, told.outcome), (200, 5, "done"))
        self.assertEqual(told.upstream_seconds, 2)


class ChainTests(FollowingTestCase):
    async def test_within_storage(self) -> None:
        """A relative Location leads on from where it was said."""
        (await self.stored()).reply(302, "Location: other?sig=2")
        call = await self.storage.call()
        self.assertEqual(call.target, "/bucket/other?sig=2")
        call.reply(200, body=b"layer")
        self.assertEqual((await self.client.reply()).body, b"layer")

    async def test_own_host(self) -> None:
        """The upstream itself is asked again as it was asked first."""
        for location in (
            f"/downloads/{DIGEST}?a=%2F",
            f"{self.upstream.url}/downloads/{DIGEST}?a=%2F",
            f"http://registry.test/downloads/{DIGEST}?a=%2F",
            f"../../../../downloads/{DIGEST}?a=%2F",
        ):
            await self.redirected(
                BLOB,
                "Authorization: Bearer t",
                "OCI-More: 1",
                location=location,
                more=(f"Docker-Content-Digest: {DIGEST}", "OCI-Subject: sha256:1"),
            )
            call = await self.upstream.call()
            self.assertEqual(call.target, f"/downloads/{DIGEST}?a=%2F")
            *_, first, again = self.upstream.calls
            self.assertEqual(again.head.headers, first.head.headers)
            self.assertIs(again.wire, first.wire)
            call.reply(200, "X-Up: 1", "OCI-Subject: sha256:2", body=b"layer")
            reply = await self.client.reply()
            self.assertEqual((reply.status, reply.body), (200, b"layer"))
            self.assertEqual(reply.header(b"X-Up"), b"1")
            self.assertEqual(reply.header(b"OCI-Subject"), b"sha256:2")
            self.assertEqual(reply.header(b"Docker-Content-Digest"), DIGEST.encode())
        self.assertEqual(self.storage.calls, [])

    async def test_own_refusal(self) -> None:
        """What the upstream says then is said as ever."""
        location = "/downloads/x"
        await self.redirected(BLOB, "Authorization: Bearer t", location=location)
        challenge = 'Bearer realm="https://up/t",service="up"'
        (await self.upstream.call()).reply(401, f"WWW-Authenticate: {challenge}")
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))
        self.assertEqual(
            reply.header(b"WWW-Authenticate"),
            b'Bearer realm="http://registry.test/auth",service="up"',
        )

    async def test_through_both(self) -> None:
        """A registry's download service may lead on to storage."""
        await self.redirected(
            location="/downloads/x", more=(f"Docker-Content-Digest: {DIGEST}",)
        )
        (await self.upstream.call()).reply(
            302, f"Location: {self.storage.url}{SIGNED}", "OCI-Subject: sha256:1"
        )
        (await self.storage.call()).reply(200, body=b"layer")
        reply = await self.client.reply()
        self.assertEqual(reply.body, b"layer")
        self.assertEqual(reply.header(b"Docker-Content-Digest"), DIGEST.encode())
        self.assertEqual(reply.header(b"OCI-Subject"), b"sha256:1")

    async def test_back(self) -> None:
        """A storage cannot have the upstream asked for anything."""
        call = await self.stored(BLOB, "Authorization: Bearer t", "Cookie: a=b")
        call.reply(302, f"Location: {self.upstream.url}/v2/acme_team/app/blobs/x")
        self.assert_refused(await self.client.reply(), 502, "UNKNOWN")
        self.assertEqual(len(self.upstream.calls), 1)
        for host in (self.upstream.url, "http://registry.test"):
            (await self.stored()).reply(302, f"Location: {host}/downloads/x")
            self.assert_refused(await self.client.reply(), 502, "UNKNOWN")
        self.assertEqual(len(self.upstream.calls), 3)
        self.assertIn("back to the upstream", self.lines[-2])

    async def test_own_names(self) -> None:
        """Of the upstream's API only what is served here is asked for."""
        for asked, target in (
            (BLOB, f"/v2/acme_team/other/blobs/{DIGEST}?a=b"),
            (MANIFEST, f"/v2/acme_team/app/manifests/{DIGEST}"),
        ):
            for host in ("", self.upstream.url, "https://registry.test"):
                await self.redirected(asked, location=host + target)
                call = await self.upstream.call()
                self.assertEqual(call.target, target)
                call.reply(200, body=b"layer")
                self.assertEqual((await self.client.reply()).body, b"layer")
        self.upstream.calls.clear()
        targets = (
            f"/v2/private/app/blobs/{DIGEST}",
            f"/x/../v2/private/app/blobs/{DIGEST}",
            f"/%76%32/private/app/blobs/{DIGEST}",
            "../../../private/app/manifests/1",
            "/v2/acme_team/../private/manifests/1",
            "/v2/_catalog?last=private/app",
            # Another kind of endpoint.
            "/v2/acme_team/app/manifests/1.0",
            "/v2/acme_team/app/blobs/uploads/x",
            "/v2/_catalog",
            "/v2/",
            # What some servers take for /v2/.
            f"/V2/private/app/blobs/{DIGEST}",
            f"/v2;a/private/app/blobs/{DIGEST}",
            f"/%2576%2532/private/app/blobs/{DIGEST}",
            f"/downloads/%2e%2e/v2/private/app/blobs/{DIGEST}",
            f"/downloads/..;a/v2/private/app/blobs/{DIGEST}",
            f"/downloads/%252e%252e/v2/private/app/blobs/{DIGEST}",
            f"/downloads/..%2fv2/private/app/blobs/{DIGEST}",
            f"/downloads/..%5cv2/private/app/blobs/{DIGEST}",
        )
        for target in targets:
            await self.redirected(location=target)
            self.assert_refused(await self.client.reply(), 502, "UNKNOWN")
            self.assertIn("not served here", self.lines[-2], target)
        self.assertEqual(len(self.upstream.calls), len(targets))

    async def test_own_paths(self) -> None:
        """Outside the API, paths are asked for that the operator has named."""
        for target in ("/x", "/Downloads/x", "/downloads", "/downloadsx/y", "/admin/"):
            await self.redirected(location=target)
            self.assert_refused(await self.client.reply(), 502, "UNKNOWN")
            self.assertIn("redirect-paths = /", self.lines[-2])
        self.assertEqual(len(self.upstream.calls), 5)

    async def test_five(self) -> None:
        """Five are followed, a sixth is not."""
        for number in range(1, 6):
            await self.redirected() if number == 1 else None
            call = await self.storage.call()
            if number < 5:
                call.reply(302, f"Location: /{number}")
        call.reply(200, body=b"layer")
        self.assertEqual((await self.client.reply()).body, b"layer")
        self.storage.calls.clear()
        self.storage.handler = lambda call: response(302, f"Location: {call.target}")
        await self.redirected()
        self.assert_refused(await self.client.reply(), 502, "UNKNOWN")
        self.assertEqual(len(self.storage.calls), 5)
        self.assertIn("more than 5", self.lines[-2])

    async def test_without_location(self) -> None:
        """A redirect must say where."""
        reply = await self.exchange("GET", BLOB, response(307))
        self.assert_refused(reply, 502, "UNKNOWN")
        (await self.stored()).reply(302)
        self.assert_refused(await self.client.reply(), 502, "UNKNOWN")

    async def test_pages(self) -> None:
        """The page that comes with a redirect is read, but not without end."""
        where = f"Location: {self.storage.url}/x"
        call = await self.relayed("GET", BLOB)
        call.send(response(307, where, "Content-Length: 100000000", body=bytes(99999)))
        (await self.storage.call()).reply(200, body=b"layer")
        self.assertEqual((await self.client.reply()).body, b"layer")
        await call.wire.end()
        call = await self.relayed("GET", BLOB)
        call.send(response(307, where, "Content-Length: 10", body=b"slow"))
        while not self.time.clock.getDelayedCalls():
            await self.turn()
        for _ in range(30):
            await self.turn()
            self.time.clock.advance(1)
        (await self.storage.call()).reply(200, body=b"layer")
        self.assertEqual((await self.client.reply()).body, b"layer")
        await call.wire.end()


class BasePathTests(FollowingTestCase):
    upstream_options = "redirect-paths = /downloads/, /base/downloads/"

    def ini(self) -> str:
        return super().ini().replace(self.upstream.url, f"{self.upstream.url}/base")

    async def test_relative(self) -> None:
        """
        A Location is about the URL that was asked, base path and all. In the API it
        means the same without it.
        """
        blob = f"/v2/acme_team/app/blobs/{DIGEST}?y"
        for location, target in (
            (f"{DIGEST.replace(':', '%3A')}?y", f"/base{blob}".replace("6:", "6%3A")),
            (f"/base{blob}", f"/base{blob}"),
            (blob, f"/base{blob}"),
            (f"{self.upstream.url}{blob}", f"/base{blob}"),
            (f"https://registry.test{blob}", f"/base{blob}"),
            ("/downloads/x", "/downloads/x"),
            ("/base/downloads/x", "/base/downloads/x"),
        ):
            await self.redirected(location=location)
            call = await self.upstream.call()
            self.assertEqual(call.target, target)
            call.reply(200)
            self.assertEqual((await self.client.reply()).status, 200)
        for base in ("/base", ""):
            await self.redirected(location=f"{base}/v2/private/app/blobs/{DIGEST}")
            self.assert_refused(await self.client.reply(), 502, "UNKNOWN")


class RefusedTests(FollowingTestCase):
    """No host is named, so nothing but public addresses may be dialled."""

    upstream_options = ""

    async def refused(self, location: str) -> str:
        """Be redirected there in vain; return the line of the log."""
        dialled = list(self.time.dialled)
        self.lines.clear()
        await self.redirected(location=location)
        replying = self.client.reply()
        while not any("[upstream up]" in line for line in self.lines):
            await self.turn()
            # The endpoint notices by its clock that there is no other address.
            self.time.clock.advance(0.3)
        self.assert_refused(await replying, 502, "UNKNOWN")
        self.assertEqual(self.time.dialled, dialled)
        (line,) = [line for line in self.lines if "[upstream up]" in line]
        return line

    async def test_addresses(self) -> None:
        """Neither metadata nor neighbours, in no disguise; the log says what to do."""
        port = self.storage.port
        for host in (
            METADATA,
            f"127.0.0.1:{port}",
            f"127.1:{port}",
            f"2130706433:{port}",
            f"0177.0.0.1:{port}",
            f"[::1]:{port}",
            f"[::ffff:127.0.0.1]:{port}",
            f"[::ffff:a9fe:a9fe]:{port}",
            "10.0.0.1",
        ):
            for scheme in ("http", "https"):
                line = await self.refused(f"{scheme}://{host}{SIGNED}")
                name = host.removesuffix(f":{port}").strip("[]")
                self.assertIn(f"write 'redirect-hosts = {name}'", line)
        self.assertEqual(self.storage.calls, [])

    async def test_names(self) -> None:
        """Nor by a name, loopback included."""
        for address in (METADATA, "127.0.0.1", "::1", "10.0.0.1", "100.100.100.200"):
            self.time.names["evil.test"] = [[address]]
            for scheme in ("http", "https"):
                url = f"{scheme}://evil.test:{self.storage.port}{SIGNED}"
                self.time.asked.clear()
                line = await self.refused(url)
                self.assertEqual(self.time.asked, ["evil.test"])
                self.assertIn(address, line)
                self.assertIn("write 'redirect-hosts = evil.test'", line)

    async def test_rebound(self) -> None:
        """A name that was public a moment ago is judged anew for each connection."""
        self.time.routes[PUBLIC] = "127.0.0.1"
        self.time.names["turn.test"] = [[PUBLIC], ["127.0.0.1"], [METADATA]]
        url = f"http://turn.test:{self.storage.port}{SIGNED}"
        call = await self.stored(location=url)
        call.reply(200, "Connection: close", body=b"layer")
        self.assertEqual((await self.client.reply()).body, b"layer")
        call.wire.close()
        await call.wire.end()
        for _ in range(2):
            await self.refused(url)
        self.assertEqual(len(self.storage.calls), 1)

    async def test_mixed(self) -> None:
        """Of several addresses only a public one is dialled."""
        self.time.routes[PUBLIC] = "127.0.0.1"
        self.time.names["mixed.test"] = [[METADATA, "127.0.0.1", PUBLIC, "::1"]]
        await self.redirected(location=f"http://mixed.test:{self.storage.port}/x")
        dialled = self.time.dialled
        while dialled[-1] != (PUBLIC, self.storage.port):
            await self.turn()
            self.time.clock.advance(0.3)
        (await self.storage.call()).reply(200, body=b"layer")
        self.assertEqual((await self.client.reply()).body, b"layer")
        self.assertEqual(dialled.count((PUBLIC, self.storage.port)), 1)
        self.assertEqual({host for host, _ in dialled}, {"127.0.0.1", PUBLIC})
        self.assertNotIn(("127.0.0.1", self.storage.port), dialled)

    async def test_later_hop(self) -> None:
        """A public storage cannot lead inside either."""
        self.time.routes[PUBLIC] = "127.0.0.1"
        self.time.names["store.test"] = [[PUBLIC]]
        url = f"http://store.test:{self.storage.port}/x"
        (await self.stored(location=url)).reply(302, f"Location: http://{METADATA}/")
        while not any("not followed" in line for line in self.lines):
            await self.turn()
            self.time.clock.advance(0.3)
        self.assert_refused(await self.client.reply(), 502, "UNKNOWN")
        self.assertNotIn(METADATA, [host for host, _ in self.time.dialled])

    async def test_other_port(self) -> None:
        """The upstream's host on another port is another server."""
        line = await self.refused(f"http://127.0.0.1:{self.storage.port}/x")
        self.assertIn("write 'redirect-hosts = 127.0.0.1'", line)
        self.assertIn("[upstream up]", line)

    async def test_no_url(self) -> None:
        """Nor anything but HTTP, nor with credentials."""
        for location in (
            f"ftp://{METADATA}/x",
            "file:///etc/passwd",
            f"http://a:b@{METADATA}/",
            "http://",
        ):
            self.assertIn("http", await self.refused(location))


class TLSTests(TLSUpstream, FollowingTestCase):
    """Upstream and storage with certificates of one authority."""

    names = ("127.0.0.1",)
    signer = "Test CA"

    def make_storage(self) -> ScriptedUpstream:
        pair = issued(*self.names, by=self.signer)
        return ScriptedUpstream(tls=certificate_options(pair.certificate, pair.key))

    async def test_trusted(self) -> None:
        """The upstream's trust is good for its storage."""
        for _ in range(2):
            call = await self.stored(BLOB, "Authorization: Bearer t")
            self.assertIsNone(call.header(b"Authorization"))
            call.reply(200, body=b"layer")
            self.assertEqual((await self.client.reply()).body, b"layer")
        self.assertEqual(len(self.storage.wires), 1)

    async def test_https_stays(self) -> None:
        """What began as https does not end as http."""
        plain = ScriptedUpstream()
        plain.start()
        for location in (
            f"http://127.0.0.1:{plain.port}/x",
            self.storage.url.replace("https", "http"),
            self.upstream.url.replace("https", "http"),
        ):
            self.lines.clear()
            await self.redirected(location=location)
            self.assert_refused(await self.client.reply(), 502, "UNKNOWN")
            (line,) = [line for line in self.lines if "not followed" in line]
            self.assertIn("from https to http", line)
        (await self.stored()).reply(302, f"Location: http://127.0.0.1:{plain.port}/")
        self.assert_refused(await self.client.reply(), 502, "UNKNOWN")
        self.assertEqual(plain.wires, [])
        await plain.stop()


class TLSRefusedTests(FollowingTestCase):
    """The storage's certificate is somebody else's."""

    names: tuple[str, ...] = ("127.0.0.1",)
    signer = "Other CA"

    make_storage = TLSTests.make_storage

    async def refused(self) -> None:
        """Be redirected in vain."""
        await self.redirected(BLOB, "Authorization: Bearer t")
        self.assert_refused(await self.client.reply(), 503, "UNAVAILABLE")
        self.assertEqual(self.storage.calls, [])

    async def test_unknown_authority(self) -> None:
        """Who is not known is not asked."""
        await self.refused()


class WrongNameTests(TLSUpstream, TLSRefusedTests):
    """The certificate is for another host."""

    names = ("other.test",)
    signer = "Test CA"


class TransferTests(FollowingTestCase):
    async def test_from_the_first_byte(self) -> None:
        """A body flows as it comes."""
        call = await self.stored()
        call.send(response(200, "Content-Length: 4", body=b"ab"))
        head = await self.client.head()
        self.assertEqual(head.header(b"Content-Length"), b"4")
        self.assertEqual(await self.client.read(2), b"ab")
        call.answer(b"cd")
        self.assertEqual(await self.client.read(2), b"cd")

    async def test_broken_off(self) -> None:
        """A storage that breaks off breaks the client's transfer, visibly."""
        for head in (
            response(200, "Content-Length: 9", body=b"ab"),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        ):
            for how in ("close", "reset"):
                self.client = await self.connect()
                call = await self.stored()
                call.send(head)
                await self.client.head()
                getattr(call.wire, how)()
                rest = await self.client.end()
                self.assertNotIn(b"0\r\n\r\n", rest)
                self.assertLess(len(rest), 9)
                self.assertTrue(self.client.closed_in_order)

    async def test_client_does_not_read(self) -> None:
        """A client that does not read stops the reading from the storage."""
        call = await self.stored()
        call.send(response(200, "Content-Length: 100000000", body=b"x"))
        await self.client.head()
        self.client.pause()
        await self.assert_held_up(Flood(call.wire))

    async def test_stalled(self) -> None:
        """A storage that stops in the middle is given up."""
        call = await self.stored()
        call.send(response(200, "Content-Length: 100", body=b"ab"))
        await self.client.head()
        self.time.clock.pump([800, 101])
        self.assertEqual(await self.client.end(), b"ab")
        self.assertTrue(self.client.closed_in_order)
        await call.wire.end()

    async def test_silent(self) -> None:
        """One that says nothing is given up, too: 504."""
        call = await self.stored()
        self.time.clock.pump([800, 101])
        self.assert_refused(await self.client.reply(), 504, "UNAVAILABLE")
        await call.wire.end()

    async def test_closed(self) -> None:
        """One that hangs up without a word is not there: 503."""
        call = await self.stored()
        call.wire.close()
        self.assert_refused(await self.client.reply(), 503, "UNAVAILABLE")

    async def test_client_leaves(self) -> None:
        """A client that goes ends what was under way, wherever that is."""
        call = await self.stored()
        self.client.close()
        await call.wire.end()
        self.client = await self.connect()
        call = await self.stored()
        call.send(response(200, "Content-Length: 100", body=b"ab"))
        await self.client.head()
        self.client.close()
        await call.wire.end()
        self.client = await self.connect()
        call = await self.relayed("GET", BLOB)
        page = response(307, f"Location: {self.storage.url}/", "Content-Length: 9")
        call.send(page)
        while len(self.upstream.wires[-1].seen) == 0:
            await self.turn()
        self.client.close()
        await call.wire.end()

    async def test_stopped(self) -> None:
        """The connections to storages end with the service."""
        call = await self.stored()
        call.reply(200, body=b"layer")
        await self.client.reply()
        (service,) = self.services
        await self.stop(service)
        await call.wire.end()


class LoopTests(FollowingTestCase):
    async def test_to_ourselves(self) -> None:
        """A redirect to here by another name is asked once, and ends here."""
        before = len(self.upstream.calls)
        url = self.url + BLOB
        await self.redirected(location=url)
        self.assertEqual((await self.client.reply()).status, 502)
        self.assertEqual(len(self.upstream.calls), before + 1)


class OwnAccountTests(FollowingTestCase):
    """regbroker's own account, shared with whoever comes."""

    more = "redirects = follow\nanonymous = shared"

    async def serve(self, learnt: bool = True) -> RegbrokerService:
        path = Path(self.mktemp()).absolute()
        path.write_text("secret")
        self.upstream_options += f"\nusername = us\npassword-file = {path}"
        self.upstream.ping = response(401, "WWW-Authenticate: Basic")
        return await super().serve(learnt)

    async def test_storage(self) -> None:
        """The storage is not told our password."""
        call = await self.stored()
        self.assertTrue(self.upstream.calls[0].header(b"Authorization"))
        self.assertIsNone(call.header(b"Authorization"))
        call.reply(200, body=b"layer")
        self.assertEqual((await self.client.reply()).body, b"layer")

    async def test_own_host(self) -> None:
        """The upstream is; that it is not enough there is no fault of the client's."""
        await self.redirected(location="/downloads/x")
        call = await self.upstream.call()
        self.assertEqual(
            call.header(b"Authorization"),
            self.upstream.calls[0].header(b"Authorization"),
        )
        call.reply(401, "WWW-Authenticate: Basic")
        self.assert_refused(await self.client.reply(), 502, "UNKNOWN")


class PassTests(FollowingTestCase):
    """Without `redirects = follow` the client is sent on, as ever."""

    more = ""
    upstream_options = ""

    async def test_passed(self) -> None:
        """The Location is as the upstream wrote it, and nobody is dialled."""
        for location in (f"{self.storage.url}{SIGNED}", f"https://{METADATA}/"):
            await self.redirected(location=location)
            reply = await self.client.reply()
            self.assertEqual(reply.status, 307)
            self.assertEqual(reply.header(b"Location"), location.encode())
        self.assertEqual(self.storage.wires, [])
        self.assertEqual({port for _, port in self.time.dialled}, {self.upstream.port})


class SeveralTests(SeveralTestCase):
    """A storage that fails is not the upstream that names it."""

    wants_tokens = ()
    more = "redirects = follow"
    upstream_options = "redirect-hosts = 127.0.0.1"

    async def set_up(self) -> None:
        self.storage = ScriptedUpstream()
        self.storage.start()
        await super().set_up()

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.storage.stop()

    async def assert_no_rest(self) -> None:
        """The next blob is asked of the first upstream all the same."""
        where = f"Location: {self.storage.url}{SIGNED}"
        one = self.answer(self.upstream, response(307, where), response(200, body=b"1"))
        self.answer(self.other, response(200, body=b"2"))
        for body in (b"2", b"1"):
            reply = await self.client.ask("GET", BLOB)
            self.assertEqual((reply.status, reply.body), (200, body))
        self.assertEqual(len(one), 2)

    async def test_refused(self) -> None:
        """However long the storage wants to be left alone."""
        for status in (429, 503):
            answer = response(status, "Retry-After: 21600")
            self.storage.handler = lambda call, answer=answer: answer
            await self.assert_no_rest()

    async def test_failed(self) -> None:
        """Whether it hangs up, or speaks no HTTP, and the log says which it was."""
        for how in (lambda call: call.wire.close(), lambda call: b"SSH-2.0\r\n"):
            self.storage.handler = how
            logged = self.logged("regbroker.transport.client.errors", "reason")
            await self.assert_no_rest()
            line = formatEvent(await logged)
            self.assertTrue(line.startswith(f"{STORAGE}, {self.storage.url}: "), line)
