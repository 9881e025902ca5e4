"""What a registry's section becomes, seen from its clients and its upstreams."""

from __future__ import annotations

from pathlib import Path

from tests.proxycase import MANIFEST, ProxyTestCase
from tests.scripted import ScriptedUpstream, response
from tests.severalcase import ALICE, SeveralTestCase

FINE = response(200, body=b"{}")
TOKEN = "Authorization: Bearer theirs"
PRIVATE = "PRIVATE-TOKEN: theirs"


class UpstreamAccountsTests(ProxyTestCase):
    """Clients have their accounts at the upstream."""

    tokens = True

    async def test_passed_on(self) -> None:
        """What a client brings goes up as it came, by whatever name."""
        call = await self.relayed("GET", MANIFEST, TOKEN, PRIVATE)
        self.assertEqual(call.header(b"Authorization"), b"Bearer theirs")
        self.assertEqual(call.header(b"PRIVATE-TOKEN"), b"theirs")

    async def test_one_token(self) -> None:
        """With one upstream, the token is the upstream's own."""
        body = b'{"token": "plain"}'
        self.upstream.handler = lambda call: response(200, body=body)
        reply = await self.client.ask("GET", "/auth?scope=repository:team/app:pull")
        self.assertEqual(reply.json()["token"], "plain")


class OwnAccountsTests(ProxyTestCase):
    """Clients have their accounts here."""

    more = "accounts = staff\ncatalog = deny\nredirects = follow"
    upstream_options = "redirect-hosts = 127.0.0.1"

    def ini(self) -> str:
        path = Path(self.mktemp()).absolute()
        path.touch()
        return (
            f"{super().ini()}\n[accounts staff]\nhtpasswd = {path}\n"
            "[access staff]\nanonymous = team/**: pull\n"
        )

    async def test_stays_here(self) -> None:
        """A client's credentials and private headers stay here."""
        reply = await self.client.ask("GET", "/auth?scope=repository:team/app:pull")
        ours = f"Authorization: Bearer {reply.json()['token']}"
        call = await self.relayed("GET", MANIFEST, ours, PRIVATE)
        self.assertIsNone(call.header(b"Authorization"))
        self.assertIsNone(call.header(b"PRIVATE-TOKEN"))

    async def test_rights(self) -> None:
        """What nobody may do is refused before the upstream hears of it."""
        reply = await self.client.ask("PUT", MANIFEST, body=b"{}")
        self.assertEqual(reply.status, 401)
        self.assertEqual(self.upstream.calls, [])

    async def test_followed(self) -> None:
        """Redirects are followed here, as the section says."""
        storage = ScriptedUpstream()
        storage.start()
        storage.handler = lambda call: response(200, body=b"stored")
        location = f"Location: {storage.url}/x"
        self.upstream.handler = lambda call: response(307, location)
        reply = await self.client.ask("GET", MANIFEST)
        await storage.stop()
        self.assertEqual((reply.status, reply.body), (200, b"stored"))

    async def test_no_catalog(self) -> None:
        """There is no catalog, and no search, where the section has none."""
        for path in ("/v2/_catalog", "/v1/search?q=x"):
            self.assertEqual((await self.client.ask("GET", path)).status, 404)


class ReadOnlyTests(ProxyTestCase):
    """Nothing may be written, and some pages may read."""

    more = "writes = deny\ncors-origins = https://ui.test"

    async def test_read_only(self) -> None:
        """The API and the preflights say the same."""
        reply = await self.client.ask("PUT", MANIFEST, body=b"{}")
        self.assertEqual(reply.status, 405)
        client = await self.connect()
        reply = await client.ask(
            "OPTIONS",
            MANIFEST,
            "Origin: https://ui.test",
            "Access-Control-Request-Method: PUT",
        )
        self.assertEqual(reply.header(b"Access-Control-Allow-Methods"), b"GET, HEAD")

    async def test_origin_stays_here(self) -> None:
        """The upstream is not told which page asks."""
        call = await self.relayed("GET", MANIFEST, "Origin: https://ui.test")
        self.assertIsNone(call.header(b"Origin"))
        call.answer(FINE)
        reply = await self.client.reply()
        self.assertEqual(
            reply.header(b"Access-Control-Allow-Origin"), b"https://ui.test"
        )


class SeveralUpstreamsTests(SeveralTestCase):
    """Clients have accounts at the first upstream alone."""

    async def test_composite(self) -> None:
        """A token is a composite one; the upstream gets its own out of it."""
        self.answer(self.upstream, FINE)
        reply = await self.client.ask(
            "GET", "/auth?scope=repository:app:pull", f"Authorization: {ALICE}"
        )
        token = reply.json()["token"]
        self.assertNotEqual(token, "one-token")
        calls = self.answer(self.upstream, FINE)
        await self.client.ask(
            "GET", "/v2/app/manifests/1", f"Authorization: Bearer {token}"
        )
        self.assertEqual(calls[0].header(b"Authorization"), b"Bearer one-token")

    async def test_password(self) -> None:
        """A password goes to the upstream that has the accounts."""
        self.answer(self.upstream, FINE)
        await self.client.ask(
            "GET", "/auth?scope=repository:app:pull", f"Authorization: {ALICE}"
        )
        self.assertTrue(self.upstream.calls)
        self.assertEqual(self.other.calls, [])
