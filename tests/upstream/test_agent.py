"""Twisted's interface of an HTTP client, on our connections."""

from __future__ import annotations

import gzip
from typing import Any

import treq
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.client import readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IClientRequest, IResponse
from zope.interface.verify import verifyObject

from regbroker.errors import UpstreamMalformed, UpstreamUnavailable
from regbroker.protocol.origins import Origin
from regbroker.transport.client.bytes_body import BytesBody
from regbroker.transport.client.pool import ConnectionPool
from regbroker.transport.client.trust import Trust
from regbroker.upstream.agent import PACKED, PooledAgent
from regbroker.upstream.origin_pools import OriginPools
from tests.askingcase import AskingTestCase


class PooledAgentTests(AskingTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.pools = OriginPools(self.make, 2)
        self.agent = PooledAgent(self.pools)

    def make(self, origin: Origin) -> ConnectionPool:
        """Make the pool of an origin."""
        endpoint = Trust().endpoint(self.reactor, origin, 5)
        return ConnectionPool(self.time, origin, endpoint, 5)

    async def tear_down(self) -> None:
        self.pools.close()
        await super().tear_down()

    def ask(self, target: str = "/x?y=%2F", method: bytes = b"GET") -> Deferred[Any]:
        """Send a request."""
        url = f"{self.upstream.url}{target}".encode()
        return self.agent.request(method, url, Headers({b"A": [b"1", b"2"]}))

    async def test_request(self) -> None:
        """Method, target, headers and body are sent; Host is that of the URL."""
        url = f"{self.upstream.url}/t?a=%2f".encode()
        asking = self.agent.request(
            b"POST", url, Headers({b"A": [b"1", b"2"]}), BytesBody(b"a=b")
        )
        call = await self.upstream.call()
        self.assertEqual(call.head.line, b"POST /t?a=%2f HTTP/1.1")
        self.assertEqual(call.head.all(b"A"), [b"1", b"2"])
        self.assertEqual(call.head.all(b"Host"), [self.upstream.url[7:].encode()])
        self.assertEqual(await call.body(), b"a=b")
        call.reply(201)
        self.assertEqual((await asking).code, 201)

    async def test_without_headers(self) -> None:
        """Headers and body may be left out."""
        asking = self.agent.request(b"GET", f"{self.upstream.url}/x".encode())
        call = await self.upstream.call()
        self.assertEqual({name for name, _ in call.head.headers}, {b"Host"})
        call.reply(204)
        self.assertEqual((await asking).code, 204)

    async def test_response(self) -> None:
        """The reply is an `IResponse`; its body is delivered when it is asked for."""
        asking = self.ask()
        (await self.upstream.call()).reply(404, "B: 1", "B: 2", body=b"none")
        response = await asking
        verifyObject(IResponse, response)
        verifyObject(IClientRequest, response.request)
        self.assertEqual((response.code, response.length), (404, 4))
        self.assertEqual(response.version, (b"HTTP", 1, 1))
        self.assertEqual(response.headers.getRawHeaders(b"B"), [b"1", b"2"])
        self.assertEqual(response.request.method, b"GET")
        self.assertEqual(
            response.request.absoluteURI, f"{self.upstream.url}/x?y=%2F".encode()
        )
        self.assertIsNone(response.previousResponse)
        self.assertEqual(await readBody(response), b"none")

    async def test_packed(self) -> None:
        """A packed body comes as it is, with its encoding under another name."""
        for values, packed in (
            (["gzip"], b"gzip"),
            (["gzip", "br"], b"gzip,br"),
            ([], b""),
        ):
            asking = self.ask()
            headers = [f"Content-Encoding: {value}" for value in values]
            body = gzip.compress(b"x")
            (await self.upstream.call()).reply(200, *headers, body=body)
            response = await asking
            self.assertIsNone(response.headers.getRawHeaders("Content-Encoding"))
            self.assertEqual(response.headers.getRawHeaders(PACKED), [packed])
            self.assertEqual(await readBody(response), body)

    async def test_kept(self) -> None:
        """A second request goes over the same connection."""
        for _ in range(2):
            asking = self.ask()
            (await self.upstream.call()).reply(200)
            await readBody(await asking)
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_no_url(self) -> None:
        """What is no URL of HTTP is sent nowhere."""
        verifyObject(IAgent, self.agent)
        for uri in (b"/x", b"ftp://a/b", b"http://a@b/", b"http://a/\xff"):
            await self.assertFailure(self.agent.request(b"GET", uri), UpstreamMalformed)

    async def test_failed(self) -> None:
        """A failure is that of the connections."""
        asking = self.ask()
        (await self.upstream.call()).wire.reset()
        await self.assertFailure(asking, UpstreamUnavailable)

    async def test_cancelled(self) -> None:
        """A cancelled request ends its connection."""
        await self.assert_cancelled(self.ask())

    async def test_redirect(self) -> None:
        """treq follows a redirect, and finds the reply before it."""
        asking = HTTPClient(self.agent).get(f"{self.upstream.url}/a")
        (await self.upstream.call()).reply(302, "Location: /b")
        call = await self.upstream.call()
        self.assertEqual(call.target, "/b")
        call.reply(200, body=b"there")
        response = await asking
        self.assertEqual(await treq.content(response), b"there")
        (before,) = response.history()
        self.assertEqual(before.code, 302)
