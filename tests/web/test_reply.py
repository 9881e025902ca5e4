"""The way back: what the client sees of an upstream's reply."""

from __future__ import annotations

import gzip
from typing import Any

from twisted.logger import capturedLogs

from regbroker.protocol.scopes import MAX_SCOPES
from tests.proxycase import (
    BLOB,
    DIGEST,
    MANIFEST,
    UPLOAD,
    UPLOADS,
    ProxyTestCase,
)
from tests.scripted import response
from tests.wire import Message

TAGS = "/v2/team/app/tags/list"
REALM = 'realm="http://registry.test/auth"'


class UnchangedTests(ProxyTestCase):
    async def test_bytes(self) -> None:
        """Bodies are bytes, names in them included, and so are their headers."""
        body = b'{"name": "acme_team/app",\r\n  "x": "\xff\x00"}'
        headers = [
            "Content-Type: application/vnd.docker.distribution.manifest.v1+json",
            f"Docker-Content-Digest: {DIGEST}",
            f'ETag: "{DIGEST}"',
            "Content-Encoding: x-strange",
            "Cache-Control: max-age=5",
            "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT",
            "OCI-Subject: sha256:x",
            'Warning: 299 - "old"',
            "ratelimit-limit: 100;w=21600",
            "X-Many: 1",
            "X-Many: 2",
            "Accept-Ranges: bytes",
        ]
        reply = await self.exchange("GET", MANIFEST, response(200, *headers, body=body))
        self.assertEqual((reply.status, reply.body), (200, body))
        for header in headers:
            name, _, value = header.partition(": ")
            self.assertIn(value.encode(), reply.all(name.encode()))
        self.assertEqual(reply.header(b"Content-Length"), str(len(body)).encode())
        self.assertIsNone(reply.header(b"Transfer-Encoding"))

    async def test_limits(self) -> None:
        """How often a client may still ask, whatever comes of the request."""
        headers = [
            "ratelimit-limit: 100;w=21600",
            "ratelimit-remaining: 99;w=21600",
            "docker-ratelimit-source: 192.0.2.7",
            'Warning: 299 - "sign in"',
        ]
        for method, path, status in (
            ("HEAD", MANIFEST, 200),
            ("GET", MANIFEST, 200),
            ("GET", TAGS, 200),
            ("GET", BLOB, 307),
            ("GET", MANIFEST, 404),
            ("GET", MANIFEST, 429),
        ):
            more = [*headers]
            if status == 307:
                more.append("Location: https://storage.test/x")
            if status == 429:
                more.append("Retry-After: 30")
            answer = response(status, *more, body=b"" if method == "HEAD" else b"{}")
            reply = await self.exchange(method, path, answer)
            self.assertEqual(reply.status, status)
            for header in more:
                name, _, value = header.partition(": ")
                self.assertEqual(reply.all(name.encode()), [value.encode()])

    async def test_packed(self) -> None:
        """What the upstream has packed stays packed."""
        body = gzip.compress(b"layer" * 1000)
        reply = await self.exchange(
            "GET", BLOB, response(200, "Content-Encoding: gzip", body=body)
        )
        self.assertEqual(reply.body, body)
        self.assertEqual(reply.header(b"Content-Encoding"), b"gzip")

    async def test_head(self) -> None:
        """HEAD has the blob's length and no body."""
        for path in (BLOB, MANIFEST):
            reply = await self.exchange(
                "HEAD",
                path,
                response(200, "Content-Length: 123456789", f"ETag: {DIGEST}"),
            )
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.header(b"Content-Length"), b"123456789")
            self.assertEqual(reply.header(b"ETag"), DIGEST.encode())
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)
        # The list of tags has the public name: the upstream's length is another one.
        reply = await self.exchange("HEAD", TAGS, response(200, "Content-Length: 33"))
        self.assertEqual((reply.status, reply.header(b"Content-Length")), (200, None))

    async def test_head_without_length(self) -> None:
        """A HEAD without a length gets none made up."""
        reply = await self.exchange("HEAD", BLOB, b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertIsNone(reply.header(b"Content-Length"))
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)

    async def test_head_refused(self) -> None:
        """A HEAD that is refused has no body either."""
        reply = await self.exchange("HEAD", BLOB, response(404, "Content-Length: 77"))
        self.assertEqual(reply.status, 404)
        self.assertEqual((await self.exchange("GET", BLOB, response(200))).status, 200)

    async def test_digest(self) -> None:
        """What was asked for by its digest has that, if the upstream names none."""
        by_digest = f"/v2/team/app/manifests/{DIGEST}"
        for method, path, status, digest in (
            ("GET", BLOB, 200, DIGEST.encode()),
            ("HEAD", BLOB, 200, DIGEST.encode()),
            ("GET", BLOB, 206, DIGEST.encode()),
            ("GET", by_digest, 200, DIGEST.encode()),
            ("GET", MANIFEST, 200, None),
            ("GET", BLOB, 304, None),
            ("DELETE", BLOB, 202, None),
        ):
            reply = await self.exchange(method, path, response(status))
            found = reply.header(b"Docker-Content-Digest")
            self.assertEqual((reply.status, found), (status, digest), (method, path))

    async def test_no_content(self) -> None:
        """204 and 304 have no body, and the connection goes on."""
        for answer in (
            b"HTTP/1.1 204 No Content\r\nRange: 0-5\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nRange: 0-5\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nRange: 0-5\r\nContent-Length: 99\r\n\r\n",
        ):
            reply = await self.exchange("GET", UPLOAD, answer)
            self.assertEqual(reply.header(b"Range"), b"0-5")
            self.assertIsNone(reply.header(b"Transfer-Encoding"))
            self.assertIsNone(reply.header(b"Content-Length"))

    async def test_empty(self) -> None:
        """An empty blob has a length of nothing."""
        reply = await self.exchange("GET", BLOB, response(200))
        self.assertEqual((reply.body, reply.header(b"Content-Length")), (b"", b"0"))

    async def test_ranges(self) -> None:
        """206 says which part it is; 416 how much there is."""
        reply = await self.exchange(
            "GET", BLOB, response(206, "Content-Range: bytes 2-4/10", body=b"234")
        )
        self.assertEqual((reply.status, reply.body), (206, b"234"))
        self.assertEqual(reply.header(b"Content-Range"), b"bytes 2-4/10")
        reply = await self.exchange(
            "GET", BLOB, response(416, "Content-Range: bytes */10", "Range: 0-9")
        )
        self.assertEqual((reply.status, reply.code), (416, "UNSUPPORTED"))
        self.assertEqual(reply.header(b"Content-Range"), b"bytes */10")
        self.assertEqual(reply.header(b"Range"), b"0-9")

    async def test_hop_by_hop(self) -> None:
        """What is about the upstream's connection ends here."""
        reply = await self.exchange(
            "GET",
            BLOB,
            response(
                200,
                "Connection: X-Foo, close",
                "X-Foo: 1",
                "X-Bar: 2",
                "Keep-Alive: timeout=5",
                "Trailer: X-T",
                "Upgrade: h2",
                "Proxy-Authenticate: Basic",
                "Alt-Svc: h3=x",
                "X-Request-ID: upstream's",
                "Server: nginx",
                "Docker-Distribution-Api-Version: registry/1.0",
            ),
        )
        names = {name.lower() for name, _ in reply.headers}
        self.assertEqual(
            names,
            {
                b"x-bar",
                b"date",
                b"docker-content-digest",
                b"server",
                b"content-length",
                b"docker-distribution-api-version",
                b"x-request-id",
            },
        )
        self.assertEqual(reply.header(b"Server"), b"regbroker")
        self.assertRegex(str(reply.header(b"X-Request-ID")), "^b.[0-9a-f]{12}.$")
        self.assertEqual(
            reply.header(b"Docker-Distribution-Api-Version"), b"registry/2.0"
        )

    async def test_length_that_ends_here(self) -> None:
        """A length that an upstream calls its connection's affair is said anew."""
        for method, length in ("GET", b"4"), ("HEAD", None):
            reply = await self.exchange(
                method,
                BLOB,
                response(200, "Connection: Content-Length", body=b"blob"),
            )
            self.assertEqual(reply.all(b"Content-Length"), [length] if length else [])
            self.assertEqual(reply.body, b"blob" if length else b"")
            self.assertIsNone(reply.header(b"Transfer-Encoding"))

    async def test_not_about_this_host(self) -> None:
        """What a browser would keep for the upstream's host is not passed on."""
        reply = await self.exchange(
            "GET",
            BLOB,
            response(
                200,
                "Set-Cookie: session=1",
                "Set-Cookie: b=2",
                "Strict-Transport-Security: max-age=31536000",
                "X-Kept: 1",
            ),
        )
        self.assertEqual(reply.all(b"Set-Cookie"), [])
        self.assertIsNone(reply.header(b"Strict-Transport-Security"))
        self.assertEqual(reply.header(b"X-Kept"), b"1")

    async def test_warnings(self) -> None:
        """Warnings are sentences: names in them are public ones."""
        reply = await self.exchange(
            "GET",
            MANIFEST,
            response(
                200,
                'Warning: 299 - "acme_team/app is old"',
                'Warning: 299 - "f\xfcr acme_team/b"',
            ),
        )
        self.assertEqual(
            reply.all(b"Warning"),
            [b'299 - "team/app is old"', b'299 - "f\xfcr team/b"'],
        )

    async def test_statuses(self) -> None:
        """A status that there is not is the upstream's fault."""
        for status in ("0", "42", "600", "99999", "-200"):
            reply = await self.exchange(
                "GET",
                BLOB,
                f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode(),
            )
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"), status)

    async def test_no_http(self) -> None:
        """Neither is one that speaks something else."""
        for answer in (b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 OK\r\n\r\n"):
            reply = await self.exchange("GET", BLOB, answer)
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))

    async def test_reason(self) -> None:
        """The reason is ours: the upstream's may hold anything."""
        reply = await self.exchange(
            "GET", BLOB, b"HTTP/1.1 299 acme_team\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertEqual(reply.status, 299)
        self.assertNotIn(b"acme", reply.line)


class LocationTests(ProxyTestCase):
    async def location(self, method: str, path: str, status: int, given: str) -> Any:
        """The Location that the client gets for the upstream's."""
        given = given.replace("UP", self.upstream.url)
        reply = await self.exchange(
            method,
            path,
            response(status, f"Location: {given}", "Docker-Upload-UUID: u"),
        )
        self.assertEqual(reply.header(b"Docker-Upload-UUID"), b"u")
        return (reply.header(b"Location") or b"").decode()

    async def test_uploads(self) -> None:
        """Absolute or relative, an upload's Location is ours; its state is not read."""
        state = "_state=YWNtZV90ZWFt%2fapp==&x=%20+"
        for given in ("UP", "https://registry.test", "http://registry.test", ""):
            location = await self.location(
                "POST",
                UPLOADS,
                202,
                f"{given}/v2/acme_team/app/blobs/uploads/id?{state}",
            )
            self.assertEqual(location, f"{UPLOAD}?{state}")

    async def test_made(self) -> None:
        """So is that of what was made, and that of an upload's progress."""
        for method, path, status, given, ours in (
            ("PUT", MANIFEST, 201, f"/v2/acme_team/app/manifests/{DIGEST}", None),
            ("PATCH", UPLOAD, 202, "UP/v2/acme_team/app/blobs/uploads/id", None),
            ("GET", UPLOAD, 204, "/v2/acme_team/app/blobs/uploads/id", None),
        ):
            location = await self.location(method, path, status, given)
            expected = ours or given.removeprefix("UP").replace("acme_team", "team")
            self.assertEqual(location, expected)

    async def test_made_elsewhere(self) -> None:
        """What was made is made, though its Location cannot be told."""
        call = await self.relayed("PUT", MANIFEST, "Content-Length: 0")
        call.reply(201, "Location: /somewhere/else")
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.header(b"Location")), (201, None))

    async def test_upload_elsewhere(self) -> None:
        """An upload that would go past regbroker does not begin."""
        for given in (
            "https://x.test/upload/1",
            "/v2/other/app/blobs/uploads/1",
            "/V2/other/app/blobs/uploads/1",
            "/v2;a/other/app/blobs/uploads/1",
            "/%2576%2532/other/app/blobs/uploads/1",
            "/x/../v2/other/app/blobs/uploads/1",
            "/x/%2e%2e/v2/other/app/blobs/uploads/1",
            "/x%2f..%2fv2/other/app/blobs/uploads/1",
            "//v2/other/app/blobs/uploads/1",
            "///v2/other/app/blobs/uploads/1",
            "javascript:alert(1)",
        ):
            reply = await self.exchange(
                "POST", UPLOADS, response(202, f"Location: {given}")
            )
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))

    async def test_redirects(self) -> None:
        """To storage as they are; to the registry's own host, mapped."""
        storage = "https://s3.test/acme_team/app?X-Amz-Signature=a%2Fb&c=+"
        for target, given, ours in (
            (BLOB, storage, storage),
            (MANIFEST, f"UP/v2/acme_team/app/blobs/{DIGEST}?a=b", f"{BLOB}?a=b"),
            (BLOB, "/v2/acme_team/app/manifests/1.0", MANIFEST),
        ):
            self.assertEqual(await self.location("GET", target, 307, given), ours)

    async def test_redirect_past_the_rules(self) -> None:
        """A redirect to what is not served here leads nowhere."""
        reply = await self.exchange(
            "GET", BLOB, response(307, f"Location: /v2/other/app/blobs/{DIGEST}")
        )
        self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))

    async def test_links(self) -> None:
        """The next page is ours, or there is none."""
        for given, ours in (
            (
                '</v2/acme_team/app/tags/list?n=2&last=b>; rel="next"',
                b'</v2/team/app/tags/list?n=2&last=b>; rel="next"',
            ),
            (
                f'<{self.upstream.url}/v2/acme_team/app/tags/list?last=b>; rel="next"',
                b'</v2/team/app/tags/list?last=b>; rel="next"',
            ),
            ('</v2/other/tags/list>; rel="next"', None),
            ("nonsense", None),
        ):
            reply = await self.exchange(
                "GET", TAGS, response(200, f"Link: {given}", body=b'{"tags": []}')
            )
            self.assertEqual(reply.header(b"Link"), ours)

    async def test_link_elsewhere(self) -> None:
        """A link that cannot be ours is left out, and the log says so, once."""
        with capturedLogs() as events:
            for _ in range(2):
                answer = response(
                    200,
                    'Link: </v2/other/x/tags/list?last=b>; rel="next"',
                    body=b'{"tags": []}',
                )
                reply = await self.exchange("GET", TAGS, answer)
                self.assertIsNone(reply.header(b"Link"))
        told = [e for e in events if "a Link to more" in e.get("log_format", "")]
        self.assertEqual(len(told), 1)


class ChallengeTests(ProxyTestCase):
    ENDPOINTS = (
        ("GET", "/v2/_catalog"),
        ("GET", TAGS),
        ("HEAD", MANIFEST),
        ("GET", MANIFEST),
        ("DELETE", MANIFEST),
        ("GET", BLOB),
        ("DELETE", BLOB),
        ("POST", UPLOADS),
        ("GET", UPLOAD),
        ("DELETE", UPLOAD),
        ("GET", f"/v2/team/app/referrers/{DIGEST}"),
    )

    async def challenge(self, method: str, path: str, *given: str) -> list[bytes]:
        """What becomes of these challenges."""
        headers = [f"WWW-Authenticate: {value}" for value in given]
        reply = await self.exchange(method, path, response(401, *headers))
        self.assertEqual(reply.status, 401)
        return reply.all(b"WWW-Authenticate")

    async def test_every_endpoint(self) -> None:
        """Our realm, the upstream's service, public names, and its error."""
        for method, path in self.ENDPOINTS:
            lines = await self.challenge(
                method,
                path,
                'Bearer realm="https://auth.up.test/token",service="up",'
                'scope="repository:acme_team/app:pull,push",error="insufficient_scope"',
            )
            self.assertEqual(
                lines,
                [
                    f'Bearer {REALM},service="up",'
                    'scope="repository:team/app:pull,push",'
                    'error="insufficient_scope"'.encode()
                ],
            )

    async def test_upstream_name(self) -> None:
        """A client that uses the upstream's name is challenged with it."""
        (line,) = await self.challenge(
            "GET",
            MANIFEST.replace("team", "acme_team"),
            'Bearer realm="https://x/t",scope="repository:acme_team/app:pull"',
        )
        self.assertIn(b'scope="repository:acme_team/app:pull"', line)

    async def test_several(self) -> None:
        """One challenge a line, Bearer first, whatever way they came."""
        bearer = f'Bearer {REALM},service="s"'.encode()
        basic = b'Basic realm="registry.test"'
        for given in (
            ['Basic realm="x", Bearer realm="https://x/t",service="s"'],
            ['Basic realm="x"', 'Bearer service="s",realm="https://x/t"'],
            ["Negotiate", 'bearer realm="https://x/t", service=s', 'BASIC realm="x"'],
            ['Bearer realm="https://x/t",service="s"'] * 2 + ["Basic"],
        ):
            self.assertEqual(
                await self.challenge("GET", MANIFEST, *given), [bearer, basic]
            )

    async def test_basic_only(self) -> None:
        """A registry of Basic credentials is that here, too."""
        lines = await self.challenge("GET", MANIFEST, 'Basic realm="Registry Realm"')
        self.assertEqual(lines, [b'Basic realm="registry.test"'])

    async def test_nothing_empty(self) -> None:
        """Docker and podman stop at an empty parameter: there is none."""
        lines = await self.challenge(
            "GET", MANIFEST, 'Bearer realm="https://x/t",service="",scope="",error=""'
        )
        self.assertEqual(lines, [f"Bearer {REALM}".encode()])

    async def test_placeholder(self) -> None:
        """A scope that is about something else does not become one of ours."""
        (line,) = await self.challenge(
            "GET",
            MANIFEST,
            'Bearer realm="https://x/t",scope="repository:user/image:pull"',
        )
        self.assertNotIn(b"user/image", line)

    async def test_many_scopes(self) -> None:
        """An upstream that names very many scopes has refused all the same."""
        scopes = [f"repository:acme_team/a{n}:pull" for n in range(200)]
        (line,) = await self.challenge(
            "GET", MANIFEST, f'Bearer realm="https://x/t",scope="{" ".join(scopes)}"'
        )
        # As many as a client may name when it comes for a token.
        public = " ".join(scopes[:MAX_SCOPES]).replace("acme_team", "team")
        self.assertEqual(line, f'Bearer {REALM},scope="{public}"'.encode())

    async def test_host_as_asked(self) -> None:
        """The realm is at the host, and the port, that the client has used."""
        call = await self.relayed("GET", MANIFEST, "Host: r.test:5000")
        call.reply(401, 'WWW-Authenticate: Bearer realm="https://x/t"')
        (line,) = (await self.client.reply()).all(b"WWW-Authenticate")
        self.assertEqual(line, b'Bearer realm="http://r.test:5000/auth"')


class KnownChallengeTests(ProxyTestCase):
    tokens = True

    async def test_none_of_ours(self) -> None:
        """A 401 that leads nowhere gets the challenge that is known."""
        for headers in (
            [],
            ["WWW-Authenticate: Negotiate"],
            ["WWW-Authenticate: Negotiate", 'WWW-Authenticate: Digest realm="x"'],
            ["WWW-Authenticate: "],
        ):
            reply = await self.exchange("GET", MANIFEST, response(401, *headers))
            self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))
            self.assertEqual(
                reply.all(b"WWW-Authenticate"),
                [f'Bearer {REALM},service="registry.upstream.test"'.encode()],
            )


class SilentTests(ProxyTestCase):
    """Upstreams that fall silent in the middle of what is read whole here."""

    upstream_options = "timeout = 40"

    async def silent(self, method: str, path: str, status: int) -> Message:
        """What the client gets of a reply that never ends."""
        call = await self.relayed(method, path, "Content-Length: 0")
        call.wire.socket.setTcpNoDelay(True)
        call.send(response(status, "Content-Length: 100", body=b'{"'))
        await self.seen()
        for _ in range(3):
            # Who sends something now and then is not silent.
            self.time.clock.advance(30)
            call.send(b"x")
            await self.seen()
        self.assertEqual(bytes(self.client.seen), b"")
        self.time.clock.advance(41)
        reply = await self.client.reply()
        await call.wire.end()
        self.client.seen.clear()
        return reply

    async def seen(self) -> None:
        """Let regbroker see what was sent."""
        for _ in range(10):
            await self.turn()

    async def test_errors(self) -> None:
        """An error is known by its status, whatever it wanted to say."""
        for method, path, status, code in (
            ("GET", MANIFEST, 404, "NAME_UNKNOWN"),
            ("POST", UPLOADS, 429, "TOOMANYREQUESTS"),
            ("GET", TAGS, 403, "DENIED"),
            ("GET", "/v2/_catalog", 404, "NAME_UNKNOWN"),
        ):
            reply = await self.silent(method, path, status)
            self.assertEqual((reply.status, reply.code), (status, code), path)

    async def test_lists(self) -> None:
        """Half a list is none."""
        for path in (TAGS, "/v2/_catalog"):
            reply = await self.silent("GET", path, 200)
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"), path)
