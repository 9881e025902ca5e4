"""The service as it is reloaded and drained, in this process."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.web.resource import Resource
from twisted.web.server import Site

from regbroker.assembly import running
from regbroker.assembly.certificates import LOOK_SECONDS
from regbroker.causes import Cause
from regbroker.errors import StateError
from regbroker.transport.server.streaming_channel import NEXT_REQUEST_SECONDS
from tests.assembly.runningcase import PORT, RunningTestCase
from tests.certificates import Looking, Pair, issued
from tests.proxycase import BLOB, MANIFEST
from tests.scripted import response
from tests.wire import RawClient


class StartTests(RunningTestCase):
    autostart = False

    async def test_kept_memory(self) -> None:
        """A service that begins to serve has malloc keep what large bodies need."""
        asked: list[str] = []
        self.patch(running, "keep_freed_memory", lambda: asked.append("keep"))
        await self.serve()
        self.assertEqual(asked, ["keep"])

    async def test_once(self) -> None:
        """One that was stopped is not started again: it would say that it stops."""
        await self.serve()
        await self.service.stopService()
        for start in (self.service.privilegedStartService, self.service.startService):
            with self.assertRaisesRegex(RuntimeError, "runs once; build another one"):
                start()
        self.assertFalse(self.service.running)
        self.assertEqual([one.port for one in self.service.listeners], [None])


class ListenerTests(RunningTestCase):
    """Sockets."""

    def port(self, number: int) -> int:
        """The port of a listener."""
        return int(self.service.listeners[number].url.rpartition(":")[2])

    async def test_limits(self) -> None:
        """Limits of connections count for the next ones."""
        self.reload("[registry *]", "max-connections-per-address = 1\n[registry *]")
        await self.ask(self.client)
        reply = await (await self.connect()).ask("GET", MANIFEST)
        self.assertEqual(reply.status, 503)

    async def test_kept(self) -> None:
        """A listener that has not changed keeps its socket."""
        before = self.port(0)
        self.reload("team = acme_team", "team = other_team")
        self.assertEqual(self.port(0), before)

    async def test_added_and_removed(self) -> None:
        """A new listener serves; one that is gone ends with its clients' next reply."""
        self.reload(PORT, f"{PORT}\n  tcp:0:interface=127.0.0.2")
        self.assertEqual(len(self.service.listeners), 2)
        first = self.port(0)
        self.url = self.service.listeners[0].url
        self.reload(PORT, "tcp:0:interface=127.0.0.2")
        self.assertEqual(len(self.service.listeners), 1)
        reply = await self.ask(self.client)
        self.assertEqual(reply.header(b"Connection"), b"close")
        await self.client.end()
        with self.assertRaises(Refused):
            await self.connect_to(first)
        while len(list(self.service)) > 3:
            await self.turn()

    async def test_taken(self) -> None:
        """A port that is taken leaves everything as it was."""
        services = list(self.service)
        taken = self.reactor.listenTCP(0, Site(Resource()), interface="127.0.0.1")
        self.addCleanup(taken.stopListening)
        port = taken.getHost().port
        config = self.changed(
            PORT,
            f"tcp:0:interface=127.0.0.2\n  tcp:{port}:interface=127.0.0.1",
            "team = acme_team",
            "team = other_team",
        )
        error = self.assertRaises(StateError, self.service.reload, config)
        self.assertIn("Address already in use", str(error))
        self.assertEqual(list(self.service), services)
        await self.ask(self.client)
        await self.ask(await self.connect())

    async def test_tls(self) -> None:
        """A socket may speak TLS from now on; who is connected goes on without."""
        issued("a.test").write(self.directory, "server")
        self.reload(
            PORT,
            f"tls:{PORT}",
            "[registry *]",
            "[tls]\ncertificate = server.pem\nkey = server.key\n[registry *]",
        )
        await self.ask(self.client)
        looking = Looking("a.test")
        await self.ask(await self.connect(looking))
        self.assertTrue(self.service.listeners[0].url.startswith("https://"))


class AdminTests(RunningTestCase):
    """The listener for operators."""

    ADMIN = "admin-listen = tcp:0\n[registry *]"

    async def alive(self) -> int:
        """Ask whether the process lives; the status."""
        admin = self.service.admin
        assert admin is not None
        (url,) = admin.urls
        client = await self.connect_to(int(url.rpartition(":")[2]))
        return (await client.ask("GET", "/live")).status

    async def test_comes_and_goes(self) -> None:
        """It is there when the configuration has it."""
        self.assertIsNone(self.service.admin)
        self.reload("[registry *]", self.ADMIN)
        self.assertEqual(await self.alive(), 200)
        admin = self.service.admin
        assert admin is not None
        (url,) = admin.urls
        self.reload("[registry *]", self.ADMIN, "= acme_team", "= other_team")
        self.assertEqual(admin.urls, [url])
        self.reload("= acme_team", "= other_team")
        self.assertIsNone(self.service.admin)

    async def test_watches_what_serves(self) -> None:
        """It tells about the upstreams and registries in use, and goes on counting."""
        self.reload("[registry *]", self.ADMIN)
        admin = self.service.admin
        assert admin is not None
        before = admin.monitor.health["up"]
        self.reload("[registry *]", self.ADMIN, "= acme_team", "= other_team")
        self.assertIs(admin.monitor.health["up"], before)
        self.assertEqual(
            admin.monitor.watched.registries, self.service.config.registries
        )
        await self.ask(self.client, "other_team")
        counted = b'endpoint="manifest",method="GET",registry="*",status="200"} 1.0'
        self.assertIn(counted, admin.monitor.text())

    async def test_taken(self) -> None:
        """Where it cannot be had, nothing changes."""
        taken = self.service.listeners[0].url.rpartition(":")[2]
        wrong = f"admin-listen = tcp:{taken}\n[registry *]"
        changes = ("[registry *]", wrong, "= acme_team", "= other_team")
        error = self.assertRaises(StateError, self.reload, *changes)
        self.assertIn("admin-listen", str(error))
        self.assertIsNone(self.service.admin)
        await self.ask(self.client)


class CertificateTests(RunningTestCase):
    """A pair that is replaced."""

    listen = f"tls:{PORT}"
    autostart = False

    async def test_replaced(self) -> None:
        """New connections see the new certificate; those that are there go on."""
        first, second = issued("a.test", "1.test"), issued("a.test", "2.test")
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        paths = first.write(directory, "server")
        self.more = "[tls]\ncertificate = {}\nkey = {}\n".format(*paths)
        await self.serve()
        client = await self.shown(first)
        second.write(directory, "server")
        await self.shown(first)
        self.time.clock.advance(LOOK_SECONDS)
        await self.shown(second)
        await self.ask(client)

    async def shown(self, pair: Pair) -> RawClient:
        """A new client, which is shown this certificate."""
        looking = Looking("a.test")
        client = await self.connect(looking)
        await self.ask(client)
        seen = looking.looking.get_peer_certificate().to_cryptography()
        self.assertEqual(seen, pair.loaded())
        return client


class DrainTests(RunningTestCase):
    """The end in peace."""

    def drain(self) -> Deferred[None]:
        """Begin to end."""
        drained = self.service.drain()
        self.assertTrue(self.service.draining)
        return drained

    async def test_nobody(self) -> None:
        """With nobody connected it is over at once."""
        self.client.close()
        await self.client.end()
        while self.service.entrance.occupancy.total:
            await self.turn()
        self.assertTrue(self.drain().called)

    async def test_nothing(self) -> None:
        """A client that asks for nothing is waited for a moment."""
        await self.ask(self.client)
        drained = self.drain()
        self.time.clock.advance(NEXT_REQUEST_SECONDS)
        self.assertEqual(await self.client.end(), b"")
        await drained

    async def test_asks_meanwhile(self) -> None:
        """A client that asks while another one gets its last reply is answered."""
        await self.ask(self.client)
        other = await self.connect()
        await self.ask(other)
        drained = self.drain()
        await self.ask(self.client)
        self.client.close()
        await self.client.end()
        self.assertFalse(drained.called)
        reply = await self.ask(other)
        self.assertEqual(reply.header(b"Connection"), b"close")
        other.close()
        await drained

    async def test_waits(self) -> None:
        """What is under way ends, and its connection with it."""
        call = await self.relayed("GET", BLOB)
        drained = self.drain()
        await self.turn()
        self.assertFalse(drained.called)
        call.answer(response(200, body=b"whole"))
        reply = await self.client.reply()
        self.assertEqual(reply.body, b"whole")
        self.assertEqual(reply.header(b"Connection"), b"close")
        self.client.close()
        await drained

    async def test_time(self) -> None:
        """It takes no longer than it may."""
        await self.relayed("GET", BLOB)
        drained = self.drain()
        self.time.clock.advance(29)
        await self.turn()
        self.assertFalse(drained.called)
        self.time.clock.advance(1)
        await drained
        told = self.event()
        stopping = self.service.stopService()
        self.assertEqual((await self.client.reply()).status, 503)
        self.assertIs((await told)["event"].cause, Cause.STOPPED)
        await stopping

    async def test_hurry(self) -> None:
        """Nor longer than anybody wants to wait."""
        await self.relayed("GET", BLOB)
        drained = self.drain()
        self.service.hurry()
        await drained
