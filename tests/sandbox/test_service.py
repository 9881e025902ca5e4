"""The sandbox as clients see it: over real sockets, from the first 401 on."""

import json
import os
import time
from base64 import b64encode
from datetime import datetime
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from regbroker.errors import StateError
from regbroker.sandbox import SandboxService

IMAGE = "application/vnd.oci.image.manifest.v1+json"
ALL = "repository:a/b:pull,push,delete"
EMPTY = "sha256:" + sha256(b"").hexdigest()


def digest_of(data: bytes) -> str:
    return "sha256:" + sha256(data).hexdigest()


class Reply:
    """A reply and its whole body."""

    def __init__(self, response: Any, body: bytes) -> None:
        self.status: int = response.code
        self.headers: Headers = response.headers
        self.length: int = response.length
        self.body = body

    def header(self, name: str) -> str | None:
        values = self.headers.getRawHeaders(name, [None])
        assert len(values) == 1, values
        return values[0]

    def json(self) -> Any:
        return json.loads(self.body)

    def code(self) -> Any:
        """The code of the OCI error document."""
        return self.json()["errors"][0]["code"]


class SandboxTestCase(TestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.pool = HTTPConnectionPool(reactor)
        self.agent = Agent(reactor, pool=self.pool)
        self.addCleanup(self.pool.closeCachedConnections)
        self.start()
        self.addCleanup(lambda: self.service.stopService())

    def start(self) -> None:
        self.service = SandboxService(
            cast(Any, reactor), self.directory, {"alice": "wonderland"}
        )
        self.service.startService()
        self.url = self.service.url

    async def restart(self) -> None:
        await self.service.stopService()
        self.start()

    async def ask(
        self,
        method: str,
        path: str,
        data: Any = None,
        token: str | None = None,
        **headers: str,
    ) -> Reply:
        """Send a request; underscores in header names become dashes."""
        given = Headers()
        for name, value in headers.items():
            given.addRawHeader(name.replace("_", "-"), value)
        if token is not None:
            given.addRawHeader("Authorization", f"Bearer {token}")
        client = treq.client.HTTPClient(self.agent)
        response = await client.request(
            method,
            self.url + path,
            headers=given,
            data=data,
            allow_redirects=False,
            unbuffered=True,
        )
        return Reply(response, await treq.content(response))

    async def token(self, *scopes: str, user: str | None = "alice:wonderland") -> str:
        query = urlencode([("scope", scope) for scope in scopes])
        headers = {"Authorization": basic(user)} if user else {}
        reply = await self.ask("GET", f"/token?{query}", **headers)
        self.assertEqual(reply.status, 200)
        token: str = reply.json()["token"]
        return token

    async def push_blob(self, name: str, data: bytes, token: str) -> str:
        digest = digest_of(data)
        reply = await self.ask("POST", f"/v2/{name}/blobs/uploads/", b"", token)
        location = reply.header("Location")
        reply = await self.ask("PUT", f"{location}&digest={digest}", data, token)
        self.assertEqual(reply.status, 201)
        return digest

    async def push_image(
        self, name: str, tag: str, token: str, **more: Any
    ) -> tuple[str, bytes]:
        """Push a small image; return its digest and its manifest's bytes."""
        blobs = [await self.push_blob(name, b, token) for b in (b"{}", b"layer")]
        config, layer = [{"mediaType": "t/t", "digest": b, "size": 2} for b in blobs]
        document = {"schemaVersion": 2, "mediaType": IMAGE, "config": config}
        body = json.dumps(document | {"layers": [layer]} | more).encode()
        reply = await self.ask(
            "PUT", f"/v2/{name}/manifests/{tag}", body, token, Content_Type=IMAGE
        )
        self.assertEqual(reply.status, 201, reply.body)
        return digest_of(body), body

    async def raw(self, request: str) -> Any:
        """Connect, and send what a client library would not."""
        port = urlsplit(self.url).port or 0
        client: Any = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", port), RawClient()
        )
        self.addCleanup(lambda: client.lost)
        self.addCleanup(client.transport.abortConnection)
        client.transport.write(request.encode("latin-1"))
        return client

    async def until(self, condition: Any) -> None:
        """Wait for something that the other side of a socket does."""
        for _ in range(500):
            if condition():
                return
            await deferLater(reactor, 0.01)
        self.fail("it did not happen within five seconds")


def basic(user: str) -> str:
    return "Basic " + b64encode(user.encode()).decode()


class TokenTests(SandboxTestCase):
    async def test_by_query(self) -> None:
        """GET with Basic: all scopes of all parameters, and a refresh token."""
        reply = await self.ask(
            "GET",
            "/token?service=regbroker-sandbox&account=alice&offline_token=true"
            "&scope=repository:a:pull+repository:b:push&scope=repository:c:pull",
            Authorization=basic("alice:wonderland"),
        )
        document = reply.json()
        self.assertEqual(document["token"], document["access_token"])
        self.assertEqual(document["expires_in"], 300)
        self.assertIn("refresh_token", document)
        issued = datetime.fromisoformat(document["issued_at"].replace("Z", "+00:00"))
        self.assertLess(abs(issued.timestamp() - time.time()), 60)
        token = document["token"]
        for name, status in (("a", 404), ("b", 401), ("c", 404), ("d", 401)):
            reply = await self.ask("GET", f"/v2/{name}/tags/list", None, token)
            self.assertEqual(reply.status, status)

    async def test_by_form(self) -> None:
        """POST by password, then by the refresh token that it brought."""
        form = {"service": "regbroker-sandbox", "scope": f"{ALL} aws"}
        reply = await self.ask(
            "POST",
            "/token",
            form
            | {
                "grant_type": "password",
                "username": "alice",
                "password": "wonderland",
                "access_type": "offline",
            },
        )
        self.assertEqual(reply.json()["scope"], ALL)
        refresh = reply.json()["refresh_token"]
        reply = await self.ask(
            "POST",
            "/token",
            form | {"grant_type": "refresh_token", "refresh_token": refresh},
        )
        self.assertNotIn("refresh_token", reply.json())
        token = reply.json()["access_token"]
        self.assertEqual((await self.ask("GET", "/v2/", None, token)).status, 200)

    async def test_granted(self) -> None:
        """A user gets what a registry knows, and nothing else."""
        everything = "pull,push,delete,*"
        for asked, granted in (
            ("repository:a/b:pull,push", "repository:a/b:pull,push"),
            ("repository:a/b:push,fly", "repository:a/b:push"),
            (
                "repository:a:delete repository:b:*",
                f"repository:a:delete repository:b:{everything}",
            ),
            ("repository(plugin):a:pull", "repository(plugin):a:pull"),
            ("registry:catalog:*", "registry:catalog:*"),
            ("registry:other:*", ""),
            ("repository:A:pull", ""),
            ("aws", ""),
            ("", ""),
        ):
            form = {"grant_type": "password", "username": "alice", "scope": asked}
            reply = await self.ask("POST", "/token", form | {"password": "wonderland"})
            self.assertEqual(reply.json()["scope"], granted)

    async def test_refused(self) -> None:
        """Wrong credentials are 401, whatever way they come; what are none is 400."""
        for authorization in (basic("alice:wrong"), basic("bob:wonderland")):
            reply = await self.ask("GET", "/token", Authorization=authorization)
            self.assertEqual((reply.status, reply.code()), (401, "UNAUTHORIZED"))
            self.assertEqual(
                reply.header("WWW-Authenticate"),
                f'Basic realm="{urlsplit(self.url).netloc}"',
            )
        for authorization in ("Basic !", "Bearer x"):
            reply = await self.ask("GET", "/token", Authorization=authorization)
            self.assertEqual(reply.status, 400)
        for form in (
            {"grant_type": "password", "username": "alice", "password": "wrong"},
            {"grant_type": "refresh_token", "refresh_token": "made up"},
        ):
            reply = await self.ask("POST", "/token", form)
            self.assertEqual(reply.status, 401)

    async def test_bad_requests(self) -> None:
        """Other grants and methods, and forms without end, are refused."""
        reply = await self.ask("POST", "/token", {"grant_type": "magic"})
        self.assertEqual(reply.status, 400)
        reply = await self.ask("PUT", "/token", b"")
        self.assertEqual((reply.status, reply.header("Allow")), (405, "GET, POST"))
        reply = await self.ask("POST", "/token", b"x" * 100_000)
        self.assertEqual(reply.status, 413)


class AccessTests(SandboxTestCase):
    def challenge(self, reply: Reply) -> str:
        self.assertEqual((reply.status, reply.code()), (401, "UNAUTHORIZED"))
        self.assertEqual(
            reply.header("Docker-Distribution-Api-Version"), "registry/2.0"
        )
        start = f'Bearer realm="{self.url}/token",service="regbroker-sandbox"'
        challenge = reply.header("WWW-Authenticate") or ""
        self.assertTrue(challenge.startswith(start), challenge)
        return challenge.removeprefix(start)

    async def test_without_token(self) -> None:
        """The challenge of each endpoint says what is needed."""
        for method, path, scope in (
            ("GET", "/v2/", None),
            ("GET", "/v2/_catalog", "registry:catalog:*"),
            ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
            ("PUT", "/v2/a/b/manifests/1", "repository:a/b:pull,push"),
            ("DELETE", "/v2/a/b/manifests/1", "repository:a/b:delete"),
            (
                "POST",
                f"/v2/a/b/blobs/uploads/?mount={EMPTY}&from=c",
                "repository:a/b:pull,push repository:c:pull",
            ),
        ):
            reply = await self.ask(method, path)
            wanted = f',scope="{scope}"' if scope else ""
            self.assertEqual(self.challenge(reply), wanted)

    async def test_not_enough(self) -> None:
        """A token is good for its own repository and actions only."""
        pull = await self.token("repository:a/b:pull")
        for method, path in (
            ("PUT", "/v2/a/b/manifests/1"),
            ("POST", "/v2/a/b/blobs/uploads/"),
            ("DELETE", f"/v2/a/b/blobs/{EMPTY}"),
            ("GET", "/v2/a/c/tags/list"),
            ("GET", "/v2/_catalog"),
        ):
            rest = self.challenge(await self.ask(method, path, None, pull))
            self.assertTrue(rest.endswith(',error="insufficient_scope"'), rest)

    async def test_invalid_token(self) -> None:
        """A token that is unknown, also one from before a restart, says so."""
        reply = await self.ask(
            "GET", "/token?offline_token=1", Authorization=basic("alice:wonderland")
        )
        token, refresh = reply.json()["token"], reply.json()["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        self.assertEqual((await self.ask("POST", "/token", form)).status, 200)
        await self.restart()
        for given in (token, refresh, "made-up", ""):
            reply = await self.ask("GET", "/v2/", None, given)
            self.assertEqual(self.challenge(reply), ',error="invalid_token"')
        self.assertEqual((await self.ask("POST", "/token", form)).status, 401)

    async def test_strangers(self) -> None:
        """Without credentials there is a token, but nothing that it allows."""
        token = await self.token("repository:a/b:pull", user=None)
        self.assertEqual((await self.ask("GET", "/v2/", None, token)).status, 200)
        reply = await self.ask("GET", "/v2/a/b/tags/list", None, token)
        self.assertIn("insufficient_scope", self.challenge(reply))

    async def test_outside(self) -> None:
        """Paths that are no endpoints, and wrong methods, are refused as OCI JSON."""
        for path, status, code in (
            ("/", 404, "UNSUPPORTED"),
            ("/v2/a/b/nothing", 404, "UNSUPPORTED"),
            ("/v2/A/tags/list", 400, "NAME_INVALID"),
            ("/v2/a/../b/tags/list", 400, "NAME_INVALID"),
        ):
            response = await self.agent.request(b"GET", (self.url + path).encode())
            reply = Reply(response, await treq.content(response))
            self.assertEqual((reply.status, reply.code()), (status, code))
        reply = await self.ask("PUT", "/v2/a/tags/list", b"")
        self.assertEqual((reply.status, reply.header("Allow")), (405, "GET, HEAD"))


class BlobTests(SandboxTestCase):
    async def test_download(self) -> None:
        """GET sends the bytes, HEAD the same headers without them."""
        token = await self.token(ALL)
        data = os.urandom(1_000_000)
        path = f"/v2/a/b/blobs/{await self.push_blob('a/b', data, token)}"
        got = await self.ask("GET", path, None, token)
        self.assertEqual((got.status, got.body), (200, data))
        head = await self.ask("HEAD", path, None, token)
        self.assertEqual((head.status, head.body), (200, b""))
        client = await self.raw_request("HEAD", path, token)
        await self.until(lambda: client.data.endswith(b"\r\n\r\n"))
        self.assertEqual(got.length, 1_000_000)
        self.assertIn(b"\r\nContent-Length: 1000000\r\n", client.data)
        for reply in (got, head):
            self.assertEqual(reply.header("Content-Type"), "application/octet-stream")
            self.assertEqual(reply.header("Docker-Content-Digest"), digest_of(data))
            self.assertEqual(reply.header("ETag"), f'"{digest_of(data)}"')
        reply = await self.ask(
            "GET", path, None, token, If_None_Match=f'"{digest_of(data)}"'
        )
        self.assertEqual((reply.status, reply.body), (304, b""))

    async def test_ranges(self) -> None:
        """Parts of a blob: what docker resumes with."""
        token = await self.token(ALL)
        path = f"/v2/a/b/blobs/{await self.push_blob('a/b', b'0123456789', token)}"
        for wanted, status, body, content_range in (
            ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
            ("bytes=7-", 206, b"789", "bytes 7-9/10"),
            ("bytes=-2", 206, b"89", "bytes 8-9/10"),
            ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
            ("bytes=4-2", 200, b"0123456789", None),
            ("lines=1-2", 200, b"0123456789", None),
            ("bytes=-", 200, b"0123456789", None),
        ):
            reply = await self.ask("GET", path, None, token, Range=wanted)
            self.assertEqual(
                (reply.status, reply.body, reply.header("Content-Range")),
                (status, body, content_range),
            )
        for wanted in ("bytes=10-", "bytes=-0"):
            reply = await self.ask("GET", path, None, token, Range=wanted)
            self.assertEqual(reply.status, 416)
            self.assertEqual(reply.header("Content-Range"), "bytes */10")

    async def test_unknown(self) -> None:
        """What the repository does not hold is unknown."""
        token = await self.token(ALL)
        for digest in (EMPTY, "md5:abc", "sha256:" + "0" * 500):
            reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
            self.assertEqual((reply.status, reply.code()), (404, "BLOB_UNKNOWN"))
        reply = await self.ask("GET", "/v2/a/b/blobs/abc", None, token)
        self.assertEqual((reply.status, reply.code()), (400, "DIGEST_INVALID"))

    async def test_delete(self) -> None:
        """A deleted blob is gone; an empty one is a blob as well."""
        token = await self.token(ALL)
        path = f"/v2/a/b/blobs/{await self.push_blob('a/b', b'', token)}"
        reply = await self.ask("GET", path, None, token)
        self.assertEqual((reply.status, reply.length), (200, 0))
        self.assertEqual((await self.ask("DELETE", path, None, token)).status, 202)
        self.assertEqual((await self.ask("DELETE", path, None, token)).status, 404)

    async def test_client_goes_away(self) -> None:
        """A download that nobody takes any more is given up; its file is closed."""
        token = await self.token(ALL)
        digest = await self.push_blob("a/b", bytes(20_000_000), token)
        client = await self.raw_request("GET", f"/v2/a/b/blobs/{digest}", token)
        await self.until(lambda: client.received)
        self.assertIn(digest.partition(":")[2], " ".join(open_files()))
        client.transport.abortConnection()
        await self.until(lambda: digest.partition(":")[2] not in " ".join(open_files()))

    async def test_backpressure(self) -> None:
        """A client that does not read stops the reading of the file."""
        token = await self.token(ALL)
        size = 50_000_000
        digest = await self.push_blob("a/b", bytes(size), token)
        client = await self.raw_request("GET", f"/v2/a/b/blobs/{digest}", token)
        await self.until(lambda: client.received)
        client.transport.pauseProducing()
        await deferLater(reactor, 0.3)
        self.assertLess(file_position(digest.partition(":")[2]), size // 2)
        client.transport.resumeProducing()
        await self.until(lambda: client.received >= size)

    async def raw_request(self, method: str, path: str, token: str) -> Any:
        return await self.raw(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\n\r\n",
        )


class UploadTests(SandboxTestCase):
    def uploads(self) -> list[Path]:
        """The files of the uploads under way."""
        return list((self.directory / "images").rglob("_uploads/*"))

    async def start_upload(self, token: str) -> str:
        reply = await self.ask("POST", "/v2/a/b/blobs/uploads/", b"", token)
        self.assertEqual(reply.status, 202)
        location = self.location(reply)
        id = reply.header("Docker-Upload-UUID")
        self.assertTrue(location.startswith(f"/v2/a/b/blobs/uploads/{id}?_state="))
        self.assertEqual(reply.header("Range"), "0-0")
        return location

    def location(self, reply: Reply) -> str:
        location = reply.header("Location")
        assert location is not None
        return location

    async def test_streamed(self) -> None:
        """POST, PATCH without a range, PUT without a body: what docker does."""
        token = await self.token(ALL)
        data = os.urandom(300_000)
        location = await self.start_upload(token)
        reply = await self.ask("PATCH", location, data, token)
        self.assertEqual((reply.status, reply.header("Range")), (202, "0-299999"))
        self.assertEqual(reply.length, 0)
        location = self.location(reply)
        digest = quote(digest_of(data))
        reply = await self.ask("PUT", f"{location}&digest={digest}", b"", token)
        self.assertEqual(reply.status, 201)
        self.assertEqual(reply.header("Docker-Content-Digest"), digest_of(data))
        reply = await self.ask("GET", self.location(reply), None, token)
        self.assertEqual(reply.body, data)
        reply = await self.ask("GET", location, None, token)
        self.assertEqual((reply.status, reply.code()), (404, "BLOB_UPLOAD_UNKNOWN"))

    async def test_post_then_put(self) -> None:
        """The whole blob in the PUT: what oras does; with SHA-512 too."""
        token = await self.token(ALL)
        for digest in (digest_of(b"layer"), "sha512:" + sha512(b"layer").hexdigest()):
            location = await self.start_upload(token)
            path = f"{location}&digest={digest}"
            reply = await self.ask("PUT", path, b"layer", token)
            self.assertEqual(reply.status, 201)
            reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
            self.assertEqual(reply.body, b"layer")

    async def test_chunks(self) -> None:
        """Chunks must follow each other; 416 says where the upload stands."""
        token = await self.token(ALL)
        location = await self.start_upload(token)
        reply = await self.ask("PATCH", location, b"01234", token, Content_Range="0-4")
        self.assertEqual((reply.status, reply.header("Range")), (202, "0-4"))
        for given in ("0-4", "6-10", "5-8", "9-5", "nonsense", "5-" + "9" * 5000):
            reply = await self.ask(
                "PATCH", location, b"56789", token, Content_Range=given
            )
            self.assertEqual((reply.status, reply.header("Range")), (416, "0-4"))
            self.assertEqual(reply.code(), "BLOB_UPLOAD_INVALID")
            self.location(reply)
        reply = await self.ask("GET", location, None, token)
        self.assertEqual((reply.status, reply.header("Range")), (204, "0-4"))
        reply = await self.ask(
            "PUT",
            f"{self.location(reply)}&digest={digest_of(b'0123456789')}",
            b"56789",
            token,
            Content_Range="5-9",
        )
        self.assertEqual(reply.status, 201)

    async def test_resumed_after_restart(self) -> None:
        """Upload and Location outlive the process."""
        location = await self.start_upload(await self.token(ALL))
        token = await self.token(ALL)
        await self.ask("PATCH", location, b"first", token)
        await self.restart()
        token = await self.token(ALL)
        digest = digest_of(b"first, second")
        reply = await self.ask("PUT", f"{location}&digest={digest}", b", second", token)
        self.assertEqual(reply.status, 201)
        await self.restart()
        token = await self.token(ALL)
        reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
        self.assertEqual(reply.body, b"first, second")

    async def test_wrong_digest(self) -> None:
        """Bytes that are others than announced are no blob, and no upload any more."""
        token = await self.token(ALL)
        location = await self.start_upload(token)
        reply = await self.ask("PUT", f"{location}&digest={EMPTY}", b"data", token)
        self.assertEqual((reply.status, reply.code()), (400, "DIGEST_INVALID"))
        self.assertEqual(self.uploads(), [])
        reply = await self.ask("GET", location, None, token)
        self.assertEqual(reply.status, 404)
        reply = await self.ask("PUT", await self.start_upload(token), b"data", token)
        self.assertEqual((reply.status, reply.code()), (400, "DIGEST_INVALID"))

    async def test_cancel(self) -> None:
        """A cancelled upload is unknown."""
        token = await self.token(ALL)
        location = await self.start_upload(token)
        self.assertEqual((await self.ask("DELETE", location, None, token)).status, 204)
        self.assertEqual((await self.ask("PATCH", location, b"x", token)).status, 404)

    async def test_state(self) -> None:
        """A Location is good as it is, and not for another repository."""
        token = await self.token(ALL, "repository:c:pull,push")
        location = await self.start_upload(token)
        without = location.partition("?")[0]
        for other in (without, location[:-10], location.replace("/a/b/", "/c/")):
            reply = await self.ask("PATCH", other, b"data", token)
            self.assertEqual((reply.status, reply.code()), (404, "BLOB_UPLOAD_UNKNOWN"))

    async def test_mount(self) -> None:
        """
        A mount needs the blob, and pull on where it is; else it is an upload.

        A client that could have asked for that right is told so once.
        """
        digest = await self.push_blob("a/b", b"layer", await self.token(ALL))
        both = await self.token("repository:c:pull,push", "repository:a/b:pull")
        only = await self.token("repository:c:pull,push")
        path = "/v2/c/blobs/uploads/?from={}&mount={}"
        for token, source, mounted, status in (
            (only, "a/b", digest, 401),
            (only, "a/b", digest, 202),
            (both, "a/b", EMPTY, 202),
            (both, "C", digest, 202),
            (both, "a/b", digest, 201),
        ):
            reply = await self.ask("POST", path.format(source, mounted), b"", token)
            self.assertEqual(reply.status, status)
        self.assertEqual(reply.header("Location"), f"/v2/c/blobs/{digest}")
        reply = await self.ask("GET", f"/v2/c/blobs/{digest}", None, both)
        self.assertEqual(reply.body, b"layer")

    async def test_client_goes_away(self) -> None:
        """
        An upload that breaks off is no blob, and goes on from where it broke.

        Nothing is logged as an error.
        """
        token = await self.token(ALL)
        location = await self.start_upload(token)
        data = bytes(100_000)
        digest = digest_of(data)
        client = await self.raw(
            f"PATCH {location} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: 100000\r\n\r\n",
        )
        client.transport.write(data[:60_000])
        await self.until(lambda: open_files("_uploads"))
        await deferLater(reactor, 0.05)
        client.transport.loseConnection()
        await self.until(lambda: not open_files("_uploads"))
        reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
        self.assertEqual(reply.status, 404)
        self.assertEqual(len(self.uploads()), 1)
        reply = await self.ask("GET", location, None, token)
        self.assertEqual(reply.header("Range"), "0-59999")
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_refused_early(self) -> None:
        """A client that waits with its body is refused before it sends it."""
        client = await self.raw(
            "PATCH /v2/a/b/blobs/uploads/x HTTP/1.1\r\nHost: x\r\n"
            "Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n",
        )
        await self.until(lambda: client.data.endswith(b"}\n"))
        self.assertTrue(client.data.startswith(b"HTTP/1.1 401 "), client.data)

    async def test_full_disk(self) -> None:
        """A write that fails is said, and logged."""
        token = await self.token(ALL)
        location = await self.start_upload(token)
        (data,) = self.uploads()
        data.unlink()
        data.symlink_to("/dev/full")
        reply = await self.ask("PATCH", location, bytes(200_000), token)
        self.assertEqual((reply.status, reply.code()), (500, "UNKNOWN"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class ManifestTests(SandboxTestCase):
    async def test_push_and_pull(self) -> None:
        """A manifest comes back byte for byte, by tag and by digest."""
        token = await self.token(ALL)
        digest, body = await self.push_image("a/b", "1.0", token)
        await self.restart()
        token = await self.token(ALL)
        for reference in ("1.0", digest):
            for method in ("GET", "HEAD"):
                reply = await self.ask(
                    method, f"/v2/a/b/manifests/{reference}", None, token
                )
                self.assertEqual(reply.status, 200)
                self.assertEqual(reply.body, body if method == "GET" else b"")
                self.assertEqual(reply.header("Content-Type"), IMAGE)
                self.assertEqual(reply.header("Docker-Content-Digest"), digest)
        reply = await self.ask(
            "GET", "/v2/a/b/manifests/1.0", None, token, If_None_Match=f'"{digest}"'
        )
        self.assertEqual(reply.status, 304)

    async def test_by_digest_with_tags(self) -> None:
        """PUT by digest can set tags, and says which; another digest is refused."""
        token = await self.token(ALL)
        digest, body = await self.push_image("a/b", "1", token)
        path = f"/v2/a/b/manifests/{digest}?tag=2&tag=3"
        reply = await self.ask("PUT", path, body, token, Content_Type=IMAGE)
        self.assertEqual(reply.status, 201)
        self.assertEqual(reply.headers.getRawHeaders("OCI-Tag"), ["2", "3"])
        self.assertEqual(reply.header("Location"), f"/v2/a/b/manifests/{digest}")
        for reference, code in (
            (EMPTY, "DIGEST_INVALID"),
            (f"{digest}?tag=..", "TAG_INVALID"),
        ):
            reply = await self.ask(
                "PUT", f"/v2/a/b/manifests/{reference}", body, token, Content_Type=IMAGE
            )
            self.assertEqual((reply.status, reply.code()), (400, code))
        reply = await self.ask("GET", "/v2/a/b/tags/list", None, token)
        self.assertEqual(reply.json(), {"name": "a/b", "tags": ["1", "2", "3"]})

    async def test_refused(self) -> None:
        """Missing blobs, nonsense and giants are refused."""
        token = await self.token(ALL)
        missing = json.dumps({"mediaType": IMAGE, "config": {"digest": EMPTY}})
        for body, status, code in (
            (missing.encode(), 400, "MANIFEST_BLOB_UNKNOWN"),
            (b"nonsense", 400, "MANIFEST_INVALID"),
            (bytes(5_000_000), 413, "SIZE_INVALID"),
        ):
            reply = await self.ask("PUT", "/v2/a/b/manifests/1", body, token)
            self.assertEqual((reply.status, reply.code()), (status, code))

    async def test_delete(self) -> None:
        """By tag only the tag goes, by digest everything."""
        token = await self.token(ALL)
        digest, _ = await self.push_image("a/b", "1", token)
        for reference, tag_status, digest_status in (
            ("1", 404, 200),
            (digest, 404, 404),
        ):
            path = f"/v2/a/b/manifests/{reference}"
            self.assertEqual((await self.ask("DELETE", path, None, token)).status, 202)
            for asked, status in (("1", tag_status), (digest, digest_status)):
                reply = await self.ask("GET", f"/v2/a/b/manifests/{asked}", None, token)
                self.assertEqual(reply.status, status)
        self.assertEqual(reply.code(), "MANIFEST_UNKNOWN")

    async def test_referrers(self) -> None:
        """Referrers are an index of descriptors, filtered by type if asked."""
        token = await self.token(ALL)
        subject, body = await self.push_image("a/b", "1", token)
        named = {"mediaType": IMAGE, "digest": subject, "size": len(body)}
        for kind in ("test/sbom", "test/sig"):
            await self.push_image("a/b", "x", token, subject=named, artifactType=kind)
        digest, body = await self.push_image("a/b", "y", token, subject=named)
        reply = await self.ask(
            "PUT", f"/v2/a/b/manifests/{digest}", body, token, Content_Type=IMAGE
        )
        self.assertEqual(reply.header("OCI-Subject"), subject)
        path = f"/v2/a/b/referrers/{subject}"
        reply = await self.ask("GET", path, None, token)
        self.assertEqual(
            reply.header("Content-Type"), "application/vnd.oci.image.index.v1+json"
        )
        self.assertEqual(len(reply.json()["manifests"]), 3)
        self.assertIsNone(reply.header("OCI-Filters-Applied"))
        reply = await self.ask("GET", f"{path}?artifactType=test/sig", None, token)
        self.assertEqual(
            [entry["artifactType"] for entry in reply.json()["manifests"]], ["test/sig"]
        )
        self.assertEqual(reply.header("OCI-Filters-Applied"), "artifactType")
        reply = await self.ask("GET", f"/v2/a/b/referrers/{EMPTY}", None, token)
        self.assertEqual(reply.json()["manifests"], [])


class ListTests(SandboxTestCase):
    async def pages(self, path: str, key: str, token: str) -> list[list[str]]:
        """Follow Link from page to page."""
        found = []
        next: str | None = path
        while next is not None:
            reply = await self.ask("GET", next, None, token)
            self.assertEqual(reply.status, 200)
            found.append(reply.json()[key])
            link = reply.header("Link")
            if link is not None:
                self.assertTrue(link.endswith('>; rel="next"'))
                link = link[1:].partition(">")[0]
            next = link
        return found

    async def test_pages(self) -> None:
        """Tags and repositories come sorted, n at a time, each once."""
        names = ["a", "a/b", "a-b", "c"]
        token = await self.token(
            "registry:catalog:*", *(f"repository:{name}:*" for name in names)
        )
        for name in names:
            for tag in ("2", "10", "latest"):
                await self.push_image(name, tag, token)
        for path, key, pages in (
            ("/v2/_catalog", "repositories", [["a", "a-b", "a/b", "c"]]),
            ("/v2/_catalog?n=3", "repositories", [["a", "a-b", "a/b"], ["c"]]),
            ("/v2/_catalog?last=a-b", "repositories", [["a/b", "c"]]),
            ("/v2/a/b/tags/list", "tags", [["10", "2", "latest"]]),
            ("/v2/a/b/tags/list?n=2", "tags", [["10", "2"], ["latest"]]),
            ("/v2/a/b/tags/list?n=0", "tags", [[]]),
            ("/v2/a/b/tags/list?last=2", "tags", [["latest"]]),
        ):
            self.assertEqual(await self.pages(path, key, token), pages)

    async def test_refused(self) -> None:
        """An unknown repository has no list; n is a number."""
        token = await self.token(ALL)
        reply = await self.ask("GET", "/v2/a/b/tags/list", None, token)
        self.assertEqual((reply.status, reply.code()), (404, "NAME_UNKNOWN"))
        await self.push_image("a/b", "1", token)
        reply = await self.ask("GET", "/v2/a/b/tags/list?n=-1", None, token)
        self.assertEqual(
            (reply.status, reply.code()), (400, "PAGINATION_NUMBER_INVALID")
        )


class ServiceTests(SandboxTestCase):
    async def test_stop_ends_connections(self) -> None:
        """Stopping cuts what is still open, and frees the port."""
        client = await self.raw("GET /v2/ HTTP/1.1\r\nHost: x\r\n")
        port = urlsplit(self.url).port or 0
        await self.service.stopService()
        await client.lost
        again = reactor.listenTCP(port, ServerFactory(), interface="127.0.0.1")
        await maybeDeferred(again.stopListening)
        await self.service.stopService()

    async def test_started_again(self) -> None:
        """The same service starts again with what was pushed, on some port."""
        digest = await self.push_blob("a/b", b"layer", await self.token(ALL))
        await self.service.stopService()
        self.service.startService()
        self.url = self.service.url
        token = await self.token(ALL)
        reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
        self.assertEqual(reply.body, b"layer")

    async def test_tls_is_refused_at_once(self) -> None:
        """Whoever tries TLS first need not wait for an answer."""
        client = await self.raw("\x16\x03\x01\x02\x00")
        await client.lost

    def test_no_directory(self) -> None:
        """A directory that cannot be made is said in one line."""
        file = Path(self.mktemp())
        file.touch()
        service = SandboxService(cast(Any, reactor), file, {})
        with self.assertRaises(StateError):
            service.startService()


class RawClient(Protocol):
    """A client that keeps what it receives and can stop reading."""

    def __init__(self) -> None:
        self.data = b""
        self.received = 0
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data = (self.data + data)[:10_000]
        self.received += len(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost.callback(None)


def open_files(part: str = "") -> list[str]:
    """The files that this process has open whose path contains `part`."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if f"/{part}" in path and path.startswith(os.getcwd()):
            found.append(path)
    return found


def file_position(part: str) -> int:
    """How far this process has read in the file whose path contains `part`."""
    for name in os.listdir("/proc/self/fd"):
        if part in os.readlink(f"/proc/self/fd/{name}"):
            information = Path(f"/proc/self/fdinfo/{name}").read_text()
            return int(information.split()[1])
    raise AssertionError("no such file is open")
