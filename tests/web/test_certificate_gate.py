"""Registries whose clients show a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from tests.certificates import Pair, authority, issued
from tests.proxycase import BLOB, MANIFEST, UPLOADS, ProxyTestCase
from tests.wire import Message, RawClient

RULES = """
[access people]
alice = team/**: pull, push, catalog
anonymous = team/open: pull
"""


@implementer(IOpenSSLClientConnectionCreator)
class Showing:
    """A TLS client that shows this certificate, and believes everybody."""

    def __init__(self, pair: Pair | None) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        if pair is not None:
            certificate = crypto.X509.from_cryptography(pair.loaded())
            self._context.use_certificate(certificate)
            key = pair.private()
            self._context.use_privatekey(crypto.PKey.from_cryptography_key(key))

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_connect_state()
        return connection


class CertificateGateTests(ProxyTestCase):
    listen = "tls:0:interface=127.0.0.1"
    registry = "team = acme_team"
    more = "accounts = certificate\naccess = people\n"

    def ini(self) -> str:
        return super().ini() + RULES

    async def serve(self, learnt: bool = True) -> Any:
        path = Path(self.mktemp()).absolute()
        path.write_bytes(authority().certificate)
        self.main = f"client-ca = {path}"
        return await super().serve(learnt)

    async def connected(self, pair: Pair | None) -> RawClient:
        """A client with this certificate."""
        return await self.connect(Showing(pair))

    async def asked(self, client: RawClient, method: str, target: str) -> Message:
        """The reply to a request that goes no further."""
        client.request(method, target, "Content-Length: 0")
        return await client.reply(method)

    async def set_up(self) -> None:
        await super().set_up()
        self.alice = await self.connected(issued("alice"))

    async def test_user(self) -> None:
        """The Common Name is the user, for the rights and for the log."""
        told = self.event()
        self.alice.request("GET", MANIFEST, "Authorization: Bearer something")
        call = await self.upstream.call()
        self.assertIsNone(call.header(b"Authorization"))
        call.reply(200)
        self.assertEqual((await self.alice.reply()).status, 200)
        self.assertEqual((await told)["event"].user, "alice")

    async def test_ping(self) -> None:
        """The ping is passed for who has a certificate, and without tokens."""
        self.alice.request("GET", "/v2/")
        reply = await self.alice.reply()
        self.assertEqual(reply.status, 200)
        self.assertIsNone(reply.header(b"WWW-Authenticate"))
        reply = await self.asked(self.alice, "GET", "/auth?service=x")
        self.assertEqual(reply.status, 404)

    async def test_others(self) -> None:
        """A certificate without rights is 403, whatever it is called."""
        for name in ("bob", "Alice", "alice ", "anonymous"):
            client = await self.connected(issued(name))
            reply = await self.asked(client, "GET", MANIFEST)
            self.assertEqual((reply.status, reply.code), (403, "DENIED"))

    async def test_rights(self) -> None:
        """What a user has no right to is 403."""
        reply = await self.asked(self.alice, "DELETE", MANIFEST)
        self.assertEqual(reply.status, 403)
        self.assertIn("alice may not delete here", reply.message)

    async def test_mount(self) -> None:
        """A mount of what may be pulled stays one."""
        digest = BLOB.rpartition("/")[2]
        target = f"{UPLOADS}?mount={digest}&from=team/other"
        self.alice.request("POST", target, "Content-Length: 0")
        call = await self.upstream.call()
        self.assertIn(b"from=acme_team%2Fother", call.head.line.replace(b"/o", b"%2Fo"))
        call.reply(201, f"Location: /v2/acme_team/app/blobs/{digest}")
        self.assertEqual((await self.alice.reply()).status, 201)

    async def test_none(self) -> None:
        """Who shows none is somebody without an account."""
        client = await self.connected(None)
        told = self.event()
        reply = await self.asked(client, "GET", MANIFEST)
        self.assertEqual((reply.status, reply.code), (403, "DENIED"))
        none = "the client has shown no certificate"
        self.assertIn(none, reply.message)
        self.assertEqual((await told)["event"].login_problem, none)
        client.request("GET", "/v2/team/open/manifests/1")
        (await self.upstream.call()).reply(200)
        self.assertEqual((await client.reply()).status, 200)

    async def test_not_trusted(self) -> None:
        """A certificate of somebody else, or one that is over, ends the handshake."""
        for pair, reason in (
            (issued("alice", by="Other CA"), "unable to get local issuer certificate"),
            (issued("alice", days=-1), "certificate has expired"),
        ):
            told = self.logged("regbroker.transport.server.failed_tls", "reason")
            client = await self.connected(pair)
            client.request("GET", MANIFEST)
            self.assertNotIn(b"HTTP/1.1", bytes(await client.end()))
            event = await told
            self.assertEqual(
                (event["client"], event["listener"], event["reason"]),
                (
                    "127.0.0.1",
                    self.listen,
                    f"the client's certificate is refused: {reason}",
                ),
            )
