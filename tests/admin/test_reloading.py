"""The admin listener while the service is reloaded and drained."""

from __future__ import annotations

from hashlib import sha256
from pathlib import PurePath

from regbroker.settings.ini import parse_config
from tests.admin.case import AdminTestCase
from tests.proxycase import BLOB, MANIFEST
from tests.scripted import Call, response

REQUESTS = (
    'regbroker_http_requests_total{endpoint="manifest",method="GET",registry="*",'
    'status="200"}'
)


class ReloadingTests(AdminTestCase):
    def reload(self, old: str, new: str) -> None:
        """Turn to a configuration in which this is changed."""
        text = self.ini()
        self.assertIn(old, text)
        text = text.replace(old, new)
        config = parse_config(text, PurePath(self.directory), lambda _: None)
        self.services[0].reload(config)

    async def pull(self) -> None:
        """A client pulls a manifest."""
        self.upstream.handler = lambda call: response(200, body=b"{}")
        self.assertEqual((await self.client.ask("GET", MANIFEST)).status, 200)

    async def test_reloaded(self) -> None:
        """What was counted stays, and the page shows the new rules."""
        await self.pull()
        self.assertIn("acme_team", (await self.ask_admin("/status")).body.decode())
        self.reload("team = acme_team", "team = other_team")
        await self.pull()
        self.assertEqual((await self.scrape())[REQUESTS], 2)
        page = (await self.ask_admin("/status")).body.decode()
        self.assertIn("other_team", page)
        self.assertNotIn("acme_team", page)

    async def test_transfer_of_before(self) -> None:
        """What began before a reload is under way after it, and counted at its end."""
        call = await self.relayed("GET", MANIFEST)
        self.reload("team = acme_team", "team = other_team")
        under_way = 'regbroker_requests_under_way{endpoint="manifest",registry="*"}'
        self.assertEqual((await self.scrape())[under_way], 1)
        call.answer(response(200, body=b"{}"))
        await self.client.reply()
        found = await self.scrape()
        self.assertEqual((found[under_way], found[REQUESTS]), (0, 1))

    async def test_by_repository(self) -> None:
        """Repositories are counted from the reload on that asks for it."""
        await self.pull()
        self.assertNotIn("team/app", str(await self.scrape()))
        self.reload(
            "admin-listen = tcp:0", "admin-listen = tcp:0\nmetrics-repositories = yes"
        )
        await self.pull()
        name = 'regbroker_repository_requests_total{action="pull",registry="*",'
        self.assertEqual((await self.scrape())[f'{name}repository="team/app"}}'], 1)

    async def test_manifests_in_memory(self) -> None:
        """Manifests stay in memory while their upstream is the same."""
        cached = "manifest-cache = 1M\nurl = "
        self.reload("url = ", cached)
        named = f"Docker-Content-Digest: sha256:{sha256(b'{}').hexdigest()}"

        def answer(call: Call) -> bytes:
            length, body = "Content-Length: 2", b"" if call.method == "HEAD" else b"{}"
            return response(200, named, "Content-Type: a/b", length, body=body)

        self.upstream.handler = answer
        await self.client.ask("GET", MANIFEST)
        self.reload("url = ", cached.replace("1M", "1024K"))
        await self.client.ask("GET", MANIFEST)
        asked = [call.method for call in self.upstream.calls]
        self.assertEqual(asked, ["HEAD", "GET", "HEAD"])
        found = await self.scrape()
        for result in ("hit", "miss"):
            labels = f'{{result="{result}",upstream="up"}}'
            name = f"regbroker_manifest_cache_requests_total{labels}"
            self.assertEqual(found[name], 1)

    async def test_taken_out(self) -> None:
        """Without the option nothing listens and counts any more; it may come back."""
        self.reload("admin-listen = tcp:0", "")
        service = self.services[0]
        self.assertIsNone(service.admin)
        self.assertEqual(service.under_way.observers, [])
        self.reload("admin-listen = tcp:0", "admin-listen = tcp:0\n")
        self.assertEqual(len(service.under_way.observers), 1)
        await self.pull()
        self.assertEqual((await self.scrape())[REQUESTS], 1)

    async def test_drained(self) -> None:
        """While requests end, it goes on answering, and says that it drains."""
        self.client.request("GET", BLOB)
        call = await self.upstream.call()
        drained = self.services[0].drain()
        reply = await self.ask_admin("/ready")
        self.assertEqual((reply.status, reply.json()["draining"]), (503, True))
        self.assertEqual((await self.scrape())["regbroker_draining"], 1)
        self.assertIn("draining", (await self.ask_admin("/status")).body.decode())
        call.answer(response(200, body=b"blob"))
        await self.client.reply()
        self.client.close()
        await drained
