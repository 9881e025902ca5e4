"""A sandbox and a client of it, over real sockets."""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

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
        **headers: str | bytes,
    ) -> Reply:
        """Send a request; underscores in header names become dashes."""
        given = Headers()
        for name, value in headers.items():
            raw = value if isinstance(value, bytes) else value.encode()
            given.addRawHeader(name.replace("_", "-").encode(), raw)
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
        for _ in range(6000):
            if condition():
                return
            await deferLater(reactor, 0.01)
        self.fail("it did not happen within a minute")


def basic(user: str) -> str:
    return "Basic " + b64encode(user.encode()).decode()


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
