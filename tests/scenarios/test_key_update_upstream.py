"""New keys in the middle of a transfer: OpenSSL's own server is the upstream."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred

from tests.certificates import authority, issued
from tests.opensslprogram import NEW_KEYS, PART, OpenSSLTestCase
from tests.proxycase import BLOB, MANIFEST, UPLOAD, ProxyTestCase
from tests.scripted import response

#: What a server of TLS 1.2 asks for a new handshake with, and what answers it.
PLEASE = "HelloRequest"
HELLO = "ClientHello"

#: What the program prints about itself between the bytes that come.
NOTES = (b"SSL_do_handshake -> 1\n", b"Read BLOCK\n")


class ProgramUpstreamCase(OpenSSLTestCase, ProxyTestCase):
    """`program` is the upstream, and the test types its replies."""

    autostart = False
    version = "-tls1_3"
    #: What is typed between the parts of a body, and the message that each sends.
    COMMANDS: tuple[bytes, ...] = ()
    asks = NEW_KEYS

    async def set_up(self) -> None:
        await super().set_up()
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        certificate, key = issued("127.0.0.1").write(directory, "upstream")
        trusted = directory / "authority.pem"
        trusted.write_bytes(authority().certificate)
        self.program = await self.run_openssl(
            *("s_server", "-accept", "127.0.0.1:0", self.version),
            *("-cert", str(certificate), "-key", str(key)),
            until=b"ACCEPT ",
        )
        self.upstream_options = f"ca-file = {trusted}"
        service = Deferred.fromCoroutine(self.serve())
        await self.asked(b"GET /v2/ HTTP/1.1")
        self.program.type(response(200))
        await service
        self.client = await self.connect()

    def ini(self) -> str:
        url = f"https://127.0.0.1:{self.program.port}"
        return super().ini().replace(self.upstream.url, url)

    async def asked(self, line: bytes) -> None:
        """Wait until the upstream has printed a request and the end of its head."""
        program = self.program
        await self.until(lambda: b"\r\n\r\n" in program.output.partition(line)[2])

    def received(self, line: bytes) -> bytes:
        """The body that has come after the head of a request."""
        body = self.program.output.partition(line)[2].partition(b"\r\n\r\n")[2]
        for note in NOTES:
            body = body.replace(note, b"")
        return body

    async def pull(self) -> None:
        """Pull a body in parts, with a command after each but the last."""
        self.client.request("GET", BLOB)
        await self.asked(b"GET /v2/acme_team/")
        size = (len(self.COMMANDS) + 1) * len(PART)
        self.program.type(
            f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + PART
        )
        head = await self.client.head()
        self.assertEqual(
            (head.status, head.header(b"Content-Length")), (200, b"%d" % size)
        )
        for command in self.COMMANDS:
            self.assertEqual(await self.client.read(len(PART)), PART)
            await self.typed(self.program, command, self.asks)
            self.program.type(PART)
        self.assertEqual(await self.client.read(len(PART)), PART)

    async def push(self) -> None:
        """Push a body in parts, with a command after each but the last."""
        # The program has one connection at a time, and an upload gets one of its own.
        self.program.type(b"q\n")
        await self.until(lambda: b"DONE\n" in self.program.output)
        parts = len(self.COMMANDS) + 1
        size = f"Content-Length: {parts * len(PART)}"
        self.client.send(
            f"PATCH {UPLOAD} HTTP/1.1\r\nHost: a.test\r\n{size}\r\n\r\n".encode()
        )
        self.client.send(PART)
        for number, command in enumerate(self.COMMANDS, 1):
            await self.parts(self.program, number)
            await self.typed(self.program, command, self.asks)
            self.client.send(PART)
        await self.until(lambda: self.received(b"PATCH ") == PART * parts)
        location = "Location: /v2/acme_team/app/blobs/uploads/id"
        self.program.type(response(202, location))
        reply = await self.client.reply("PATCH")
        self.assertEqual(reply.status, 202)
        self.assertEqual(reply.header(b"Location"), UPLOAD.encode())


class KeyUpdateTests(ProgramUpstreamCase):
    """TLS 1.3: the upstream changes its keys, and twice asks for ours."""

    COMMANDS = (b"k", b"K", b"K")

    async def test_pull(self) -> None:
        """A body comes whole."""
        await self.pull()
        self.client.request("HEAD", MANIFEST)
        await self.asked(b"HEAD /v2/acme_team/")
        # Ours are changed as often as that is asked for.
        self.assertEqual(self.program.count("<<<", NEW_KEYS), 2)
        self.program.type(response(200))
        self.assertEqual((await self.client.reply("HEAD")).status, 200)

    async def test_push(self) -> None:
        """A body goes up whole, and its answer comes."""
        await self.push()
        self.assertEqual(self.program.count("<<<", NEW_KEYS), 2)


class RenegotiationTests(ProgramUpstreamCase):
    """TLS 1.2: the upstream negotiates anew, which is its right."""

    version = "-tls1_2"
    COMMANDS = (b"R", b"R")
    asks = PLEASE

    async def test_pull(self) -> None:
        """A body comes whole."""
        await self.pull()
        await self.until(lambda: self.program.count("<<<", HELLO) == 3)

    async def test_push(self) -> None:
        """A body goes up whole, and its answer comes."""
        before = self.program.count("<<<", HELLO)
        await self.push()
        self.assertEqual(self.program.count("<<<", HELLO) - before, 3)
