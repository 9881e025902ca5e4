"""
New keys in the middle of a transfer: OpenSSL's own client asks for them.

``openssl s_client`` takes a line with ``k`` as "update my keys", with ``K`` as "and you
yours", with ``R`` as "negotiate anew".
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest

from tests.proxycase import BLOB, UPLOAD, ProxyTestCase

#: A part of a body: several reads, and many records.
LINE = b"sixty-four bytes of a body, which is many of them.".ljust(64, b".")
PART = LINE * 16384

NEW_KEYS = "KeyUpdate"


class OpenSSLClient(ProcessProtocol):
    """What s_client prints; its list of TLS messages is in the file `messages`."""

    def __init__(self, messages: Path) -> None:
        self.messages = messages
        self.output = self.errors = b""
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.output += data

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)

    def type(self, text: bytes) -> None:
        """Type something, which is sent unless it is a command."""
        transport: Any = self.transport
        transport.write(text)

    def count(self, direction: str, message: str) -> int:
        """How many such messages have gone (``>>>``) or come (``<<<``)."""
        return sum(
            line.startswith(direction) and line.endswith(message)
            for line in self.messages.read_text().splitlines()
        )


class KeyUpdateCase(ProxyTestCase):
    listen = "tls:0:interface=127.0.0.1"

    async def set_up(self) -> None:
        self.openssl = shutil.which("openssl")
        if self.openssl is None:
            raise SkipTest("openssl is not installed")
        await super().set_up()

    async def dial(self, *options: str) -> OpenSSLClient:
        """Connect OpenSSL's client."""
        assert self.openssl is not None
        port = self.url.rpartition(":")[2]
        messages = Path(self.mktemp())
        words = ["s_client", "-connect", f"127.0.0.1:{port}", *options]
        words += ["-msg", "-msgfile", str(messages)]
        client = OpenSSLClient(messages)
        process = self.reactor.spawnProcess(client, self.openssl, ["openssl", *words])

        async def end() -> None:
            if not client.ended.called:
                process.signalProcess("KILL")
            await client.ended

        self.addCleanup(end)
        await self.until(lambda: b"Verify return code" in client.output)
        return client

    async def until(self, is_so: Any) -> None:
        """Wait; the test's timeout is the deadline."""
        while not is_so():
            await deferLater(self.reactor, 0.01)

    async def typed(self, client: OpenSSLClient, command: bytes, message: str) -> None:
        """Type a command, and wait until the message has gone out that it means."""
        before = client.count(">>>", message)
        client.type(command + b"\n")
        await self.until(lambda: client.count(">>>", message) > before)


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
        lines = len(PART) // len(LINE)
        for number, command in enumerate(self.COMMANDS, 1):
            await self.until(lambda n=number: client.output.count(LINE) == n * lines)
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
