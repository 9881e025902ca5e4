"""TLS of several workers: sessions resume at any, and all show a new certificate."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

from twisted.internet.threads import deferToThread

from tests.certificates import issued
from tests.workers.case import FrontTestCase


class SessionsTests(FrontTestCase):
    """A client that comes again, to one worker and then to the other."""

    def configuration(self) -> str:
        """With TLS."""
        issued("first.test").write(self.directory, "server")
        text = (
            self.text()
            .replace("tcp:", "tls:")
            .replace(
                "[registry",
                "[tls]\ncertificate = server.pem\nkey = server.key\n[registry",
            )
        )
        return text

    def setUp(self) -> Any:
        self.contexts = []
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.maximum_version = newest
            self.contexts.append(context)
        #: By TLS version.
        self.sessions: list[Any] = [None, None]
        return super().setUp()

    def connect(self) -> list[bool]:
        """Connect with either version; whether the session before was resumed."""
        resumed = []
        for number, context in enumerate(self.contexts):
            plain = socket.create_connection(("127.0.0.1", self.port), 20)
            with context.wrap_socket(
                plain, server_hostname="a.test", session=self.sessions[number]
            ) as client:
                client.sendall(b"GET /v3 HTTP/1.0\r\nHost: a.test\r\n\r\n")
                with contextlib.suppress(ssl.SSLZeroReturnError):
                    while client.recv(4096):
                        pass
                self.sessions[number] = client.session
                resumed.append(bool(client.session_reused))
                self.shown = client.getpeercert(True)
        return resumed

    async def assert_resumed(self, *resumed: bool) -> None:
        """Connect, and see whether sessions were resumed, whatever the version."""
        for expected in resumed:
            found = await deferToThread(self.connect)
            self.assertEqual(found, [expected] * 2)

    async def test_across(self) -> None:
        """A session of one worker goes on at another, at a new one, after a reload."""
        first, second = self.front.pool.serving
        with self.stopped(second):
            await self.assert_resumed(False, True)
        with self.stopped(first):
            await self.assert_resumed(True)
        await self.replaced(first)
        await self.reload(self.served + "\n")
        with self.stopped(second):
            await self.assert_resumed(True)
        # A certificate on disk is another one for all of them, and for sessions, too.
        new = issued("second.test")
        new.write(self.directory, "server")
        await self.reload(self.served)
        for worker in self.front.pool.serving:
            with self.stopped(worker):
                self.sessions = [None, None]
                await self.assert_resumed(False, True)
                self.assertEqual(
                    ssl.DER_cert_to_PEM_cert(self.shown or b"").encode(),
                    new.certificate,
                )
