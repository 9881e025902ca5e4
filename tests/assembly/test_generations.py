"""Generations that follow one another: what changes, and what goes on."""

from __future__ import annotations

from regbroker.causes import Cause
from regbroker.errors import StateError
from tests.assembly.runningcase import RunningTestCase
from tests.proxycase import BLOB, MANIFEST
from tests.scripted import ScriptedUpstream, response


class GenerationsTests(RunningTestCase):
    async def test_mapping(self) -> None:
        """What is under way ends as it began; the next request has the new rules."""
        call = await self.relayed("GET", MANIFEST)
        self.reload("team = acme_team", "team = other_team")
        other = await self.connect()
        await self.ask(other, "other_team")
        call.answer(
            response(
                404,
                body=b'{"errors": [{"code": "NAME_UNKNOWN", '
                b'"message": "acme_team/app"}]}',
            )
        )
        reply = await self.client.reply()
        # Names are mapped back by the rules that it began with.
        self.assertIn("team/app", reply.message)
        self.assertNotIn("acme_team", reply.message)
        await self.ask(self.client, "other_team")

    async def test_connections_kept(self) -> None:
        """The connection to an upstream that has not changed is used again."""
        # For a manifest, connections are opened ahead: some may come later.
        await self.ask(self.client, target=BLOB)
        count = len(self.upstream.wires)
        for name in ("other_team", "third_team"):
            self.reload("team = acme_team", f"team = {name}")
            await self.ask(self.client, name, BLOB)
        self.assertEqual(len(self.upstream.wires), count)

    async def test_other_upstream(self) -> None:
        """What asks the old upstream ends there; then its connections are closed."""
        second = ScriptedUpstream()
        second.start()
        self.addCleanup(second.stop)
        call = await self.relayed("GET", BLOB)
        self.reload(self.upstream.url, second.url)
        other = await self.connect()
        other.request("GET", MANIFEST)
        (await second.call()).answer(response(200))
        self.assertEqual((await other.reply()).status, 200)
        call.answer(response(200, body=b"from the first"))
        self.assertEqual((await self.client.reply()).body, b"from the first")
        self.assertEqual(len(self.service._generations.leaving), 0)
        await call.wire.end()

    async def test_twenty(self) -> None:
        """Twenty reloads leave one request as it is, and nothing behind."""
        call = await self.relayed("GET", BLOB)
        services = len(list(self.service))
        for number in range(20):
            self.reload("team = acme_team", f"team = team_{number}")
        self.assertEqual(len(self.service._generations.leaving), 20)
        call.answer(response(200, body=b"whole"))
        self.assertEqual((await self.client.reply()).body, b"whole")
        self.assertEqual(len(self.service._generations.leaving), 0)
        self.assertEqual(len(list(self.service)), services)
        await self.ask(self.client, "team_19")

    async def test_aborted(self) -> None:
        """What was prepared and is not wanted is gone, and what serves goes on."""
        second = ScriptedUpstream()
        second.start()
        self.addCleanup(second.stop)
        services = list(self.service)
        prepared = self.service.prepare(self.changed(self.upstream.url, second.url))
        self.assertNotEqual(list(self.service), services)
        prepared.abort()
        self.assertEqual(list(self.service), services)
        self.assertEqual(self.service._generations.leaving, [])
        await self.ask(self.client)

    async def test_cannot_be_built(self) -> None:
        """A configuration that cannot be built changes nothing."""
        (self.directory / "ca.pem").write_text("nothing")
        wrong = f"{self.upstream.url}\nca-file = ca.pem"
        error = self.assertRaises(StateError, self.reload, self.upstream.url, wrong)
        self.assertIn("[upstream up] ca-file: ", str(error))
        await self.ask(self.client)

    async def test_stopped_while_leaving(self) -> None:
        """Who is answered by an older generation is told of the end, too."""
        second = ScriptedUpstream()
        second.start()
        self.addCleanup(second.stop)
        await self.relayed("GET", BLOB)
        self.reload(self.upstream.url, second.url)
        told = self.event()
        stopping = self.service.stopService()
        self.assertEqual((await self.client.reply()).status, 503)
        self.assertIs((await told)["event"].cause, Cause.STOPPED)
        await stopping
