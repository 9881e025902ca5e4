"""New keys in the middle of a transfer: OpenSSL's own client asks for them."""

from __future__ import annotations

from tests.opensslprogram import NEW_KEYS, PART, OpenSSLProgram, OpenSSLTestCase
from tests.proxycase import BLOB, UPLOAD, ProxyTestCase


class KeyUpdateCase(OpenSSLTestCase, ProxyTestCase):
    listen = "tls:0:interface=127.0.0.1"

    async def dial(self, *options: str) -> OpenSSLProgram:
        """Connect OpenSSL's client."""
        port = self.url.rpartition(":")[2]
        where = ("s_client", "-connect", f"127.0.0.1:{port}")
        return await self.run_openssl(*where, *options, until=b"Verify return code")


class KeyUpdateTests(KeyUpdateCase):
    """TLS 1.3: both sides have their keys changed three times."""

    COMMANDS = (b"k", b"K", b"K")

    async def test_pull(self) -> None:
        """A body comes whole, whoever changes keys while it comes."""
        client = await self.dial("-tls1_3")
        client.type(f"GET {BLOB} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        call = await self.upstream.call()
        size = (len(self.COMMANDS) + 1) * len(PART)
        call.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        call.send(PART)
        for number, command in enumerate(self.COMMANDS, 1):
            await self.parts(client, number)
            await self.typed(client, command, NEW_KEYS)
            call.send(PART)
        await self.until(lambda: client.output.count(PART * 4) == 1)
        call.done()
        # Ours are changed as often as that is asked for.
        self.assertEqual(client.count("<<<", NEW_KEYS), 2)

    async def test_push(self) -> None:
        """A body goes up whole, and its answer comes."""
        client = await self.dial("-tls1_3")
        size = (len(self.COMMANDS) + 1) * len(PART)
        head = f"PATCH {UPLOAD} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}"
        client.type(f"{head}\r\n\r\n".encode())
        call = await self.upstream.call()
        client.type(PART)
        for command in self.COMMANDS:
            self.assertEqual(await call.wire.read(len(PART)), PART)
            await self.typed(client, command, NEW_KEYS)
            client.type(PART)
        self.assertEqual(await call.wire.read(len(PART)), PART)
        call.reply(202, "Location: /v2/acme_team/app/blobs/uploads/id")
        await self.until(lambda: b"HTTP/1.1 202" in client.output)
        # Ours are changed before the next byte that we send.
        self.assertGreaterEqual(client.count("<<<", NEW_KEYS), 1)


class RenegotiationTests(KeyUpdateCase):
    async def test_refused(self) -> None:
        """A client of TLS 1.2 that negotiates anew is refused."""
        client = await self.dial("-tls1_2")
        self.assertEqual(client.count("<<<", "ServerHello"), 1)
        await self.typed(client, b"R", "ClientHello")
        await client.ended
        self.assertEqual(client.count("<<<", "no_renegotiation"), 1)
        self.assertEqual(client.count("<<<", "ServerHello"), 1)
