"""Connections that are looked at closely."""

from __future__ import annotations

import socket
from typing import Any

from regbroker.cli.doctor.wire import Failed, Looking, ask, dial, endpoint, resolve
from tests.certificates import authority, issued
from tests.doctorcase import DoctorCase, Fake, reactor

PING = b"GET /v2/ HTTP/1.1\r\nHost: a.test\r\n\r\n"


def at(port: int) -> Any:
    """What connects to a port of loopback."""
    return endpoint(reactor, "127.0.0.1", port, 5.0)


class WireTests(DoctorCase):
    async def failure(self, port: int, tls: Looking | None = None) -> Failed:
        """How dialling a port, and asking there, fails."""
        try:
            peer = await dial(reactor, at(port), 1.0, tls)
            await ask(reactor, peer, PING, 0.5)
        except Failed as error:
            return error
        self.fail("it does not fail")

    async def test_resolve(self) -> None:
        """Addresses are themselves; names have some; others fail."""
        self.assertEqual(await resolve(reactor, "127.0.0.1", 5), ["127.0.0.1"])
        self.assertEqual(await resolve(reactor, "::1", 5), ["::1"])
        found = await resolve(reactor, "localhost", 5)
        self.assertTrue({"127.0.0.1", "::1"}.issuperset(found))

        def getaddrinfo(*_: object, **__: object) -> None:
            # A name server would have to be asked, which is beyond loopback.
            raise socket.gaierror(-2, "Name or service not known")

        self.patch(socket, "getaddrinfo", getaddrinfo)
        with self.assertRaises(Failed) as caught:
            await resolve(reactor, "a.invalid", 5)
        self.assertEqual(caught.exception.kind, "name")
        self.assertEqual(caught.exception.detail, "Name or service not known")

    async def test_ask(self) -> None:
        """The answer to a request, whole."""
        port = self.listen(Fake().answer)
        peer = await dial(reactor, at(port), 5.0)
        data = await ask(reactor, peer, PING, 5.0)
        self.assertTrue(data.startswith(b"HTTP/1.1 200 "))
        self.assertTrue(data.endswith(b"\r\n\r\n{}"))

    async def test_limit(self) -> None:
        """Of an endless body no more is waited for than is wanted."""
        port = self.listen_at_once(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000)
        peer = await dial(reactor, at(port), 5.0)
        data = await ask(reactor, peer, PING, 5.0, limit=10)
        self.assertGreater(len(data), 10)

    async def test_failures(self) -> None:
        """Each has a kind of its own."""
        self.assertEqual((await self.failure(self.closed_port())).kind, "refused")
        self.assertEqual((await self.failure(self.listen(None))).kind, "silent")
        port = self.listen_at_once(b"")
        self.assertEqual((await self.failure(port)).kind, "closed")
        tls = Looking("a.test", None, ())
        error = await self.failure(self.listen_at_once(b"HTTP/1.1 400 no\r\n\r\n"), tls)
        self.assertEqual(error.kind, "tls")
        self.assertTrue(error.detail)
        tls = Looking("a.test", None, ())
        self.assertEqual(
            (await self.failure(self.listen(None), tls)).kind, "tls-timeout"
        )

    async def test_looking(self) -> None:
        """What was shown is kept, and what OpenSSL objects to; nothing is refused."""
        port = self.listen(Fake().answer, issued("a.test"))
        for ca_file, errors in ((self.ca_file, []), (None, [(0, 20)])):
            tls = Looking("a.test", ca_file, (b"http/1.1",))
            peer = await dial(reactor, at(port), 5.0, tls)
            self.assertEqual(tls.chain, [issued("a.test").loaded()])
            self.assertIn("TLSv1", tls.version)
            self.assertEqual([e for e in tls.errors if e in errors], errors)
            self.assertEqual(bool(tls.errors), bool(errors))
            peer.close()
        self.assertNotEqual(authority().loaded(), issued("a.test").loaded())
