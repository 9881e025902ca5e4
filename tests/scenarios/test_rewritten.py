"""Lists and errors: the bodies that are read, and written anew."""

from __future__ import annotations

import gzip
import json
import zlib

from regbroker.protocol.bodies import MAX_ERROR_BYTES
from tests.proxycase import (
    MANIFEST,
    ProxyTestCase,
)
from tests.scripted import response
from tests.wire import Message

TAGS = "/v2/team/app/tags/list"
REALM = 'realm="http://registry.test/auth"'


class ListTests(ProxyTestCase):
    async def test_tags(self) -> None:
        """The list speaks of the name that the client has asked for."""
        body = json.dumps(
            {"name": "acme_team/app", "tags": ["acme_team", "1"]}
        ).encode()
        for headers, sent in (
            ([], body),
            (["Content-Encoding: gzip"], gzip.compress(body)),
            (["Content-Encoding: deflate"], zlib.compress(body)),
        ):
            reply = await self.exchange(
                "GET", TAGS, response(200, *headers, "ETag: x", body=sent)
            )
            self.assertEqual(
                reply.json(), {"name": "team/app", "tags": ["acme_team", "1"]}
            )
            self.assertIsNone(reply.header(b"Content-Encoding"))
            self.assertIsNone(reply.header(b"ETag"))
            self.assertEqual(reply.header(b"Content-Type"), b"application/json")

    async def test_upstream_name(self) -> None:
        """A client that asks by the upstream's name is answered by it."""
        reply = await self.exchange(
            "GET", "/v2/acme_team/app/tags/list", response(200, body=b'{"tags": []}')
        )
        self.assertEqual(reply.json()["name"], "acme_team/app")

    async def test_head(self) -> None:
        """HEAD does not tell the length of another body."""
        reply = await self.exchange("HEAD", TAGS, response(200, "Content-Length: 77"))
        self.assertEqual((reply.status, reply.header(b"Content-Length")), (200, None))

    async def test_no_list(self) -> None:
        """What is no list is the upstream's fault."""
        for answer in (
            response(200, body=b"<h1>"),
            response(200, body=b"[]"),
            response(200, "Content-Encoding: gzip", body=b"nonsense"),
            response(200, "Content-Encoding: br", body=b"{}"),
            response(200, body=b'{"a":' * 100_000),
        ):
            reply = await self.exchange("GET", TAGS, answer)
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))

    async def test_broken_off(self) -> None:
        """So is a list without its end."""
        call = await self.relayed("GET", TAGS)
        call.send(response(200, "Content-Length: 99", body=b'{"tags": ["1"'))
        call.wire.close()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))


class ErrorTests(ProxyTestCase):
    async def refused(self, status: int, *headers: str, body: bytes = b"") -> Message:
        """What becomes of this refusal."""
        return await self.exchange(
            "GET", MANIFEST, response(status, *headers, body=body)
        )

    async def test_names(self) -> None:
        """Names in messages and details are public ones."""
        document = {
            "errors": [
                {
                    "code": "MANIFEST_UNKNOWN",
                    "message": "acme_team/app:1.0 is not at "
                    f"{self.upstream.url[7:]}/acme_team/app",
                    "detail": {"name": "acme_team/app", "Name": "acme_team/other"},
                }
            ]
        }
        body = json.dumps(document).encode()
        for headers, sent in (
            ([], body),
            (["Content-Encoding: gzip"], gzip.compress(body)),
        ):
            reply = await self.refused(404, *headers, "ETag: x", body=sent)
            (error,) = reply.json()["errors"]
            self.assertEqual(error["code"], "MANIFEST_UNKNOWN")
            self.assertEqual(
                error["message"], "team/app:1.0 is not at registry.test/team/app"
            )
            self.assertEqual(
                error["detail"], {"name": "team/app", "Name": "team/other"}
            )
            self.assertIsNone(reply.header(b"Content-Encoding"))
            self.assertIsNone(reply.header(b"ETag"))

    async def test_no_json(self) -> None:
        """HTML, text, nothing, too much, or broken: an OCI document all the same."""
        bomb = gzip.compress(bytes(50_000_000))
        for headers, body in (
            (["Content-Type: text/html"], b"<h1>acme_team</h1>"),
            ([], b""),
            ([], b"x" * (MAX_ERROR_BYTES + 1)),
            (["Content-Encoding: gzip"], b"nonsense"),
            (["Content-Encoding: gzip"], bomb),
            (["Content-Encoding: zstd"], b"nonsense"),
        ):
            reply = await self.refused(503, *headers, body=body)
            self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
            self.assertNotIn(b"acme", reply.body)
            self.assertIsNone(reply.header(b"Content-Encoding"))

    async def test_retry_after(self) -> None:
        """429 says when to come again."""
        reply = await self.refused(429, "Retry-After: 7", "ratelimit-remaining: 0")
        self.assertEqual((reply.status, reply.code), (429, "TOOMANYREQUESTS"))
        self.assertEqual(reply.header(b"Retry-After"), b"7")
        self.assertEqual(reply.header(b"ratelimit-remaining"), b"0")

    async def test_allow(self) -> None:
        """An upstream that forbids a method says what it allows."""
        reply = await self.refused(405, "Allow: GET, HEAD")
        self.assertEqual(reply.header(b"Allow"), b"GET, HEAD")

    async def test_broken_off(self) -> None:
        """A refusal without its end is a refusal still."""
        call = await self.relayed("GET", MANIFEST)
        call.send(response(403, "Content-Length: 99", body=b"<h1"))
        call.wire.close()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (403, "DENIED"))
