"""Test doubles for applications that embed regbroker."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor

from regbroker.testing import SandboxService
from tests.proxycase import SocketTestCase


class SandboxServiceTests(SocketTestCase):
    async def test_registry(self) -> None:
        """A started sandbox is a registry on loopback, with tokens of its own."""
        directory = Path(self.mktemp())
        sandbox = SandboxService(reactor, directory, {"alice": "wonderland"})
        sandbox.startService()
        self.addCleanup(sandbox.stopService)
        self.assertTrue(directory.is_dir())
        self.assertRegex(sandbox.url, r"^http://127\.0\.0\.1:\d+$")
        client = await self.connect_to(int(sandbox.url.rpartition(":")[2]))
        client.request("GET", "/v2/", f"Host: {sandbox.url[7:]}")
        reply = await client.reply()
        self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))
        challenge = reply.header(b"WWW-Authenticate") or b""
        self.assertIn(f'realm="{sandbox.url}/'.encode(), challenge)
