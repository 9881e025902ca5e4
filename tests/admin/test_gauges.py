"""What a scrape reads at its moment."""

from __future__ import annotations

from pathlib import Path

from regbroker import __version__
from regbroker.upstream.circuit_breaker import FIRST_PAUSE_SECONDS
from tests.admin.case import AdminTestCase
from tests.proxycase import BLOB, MANIFEST, UPLOADS, OtherUpstream
from tests.scripted import response

TOKEN = b'{"token":"t","expires_in":300}'


class TransferTests(AdminTestCase):
    async def test_under_way(self) -> None:
        """A transfer counts while it is under way, and not twice when it is over."""
        labels = '{endpoint="uploads",registry="*"}'
        self.client.request("POST", UPLOADS, "Content-Length: 6")
        self.client.send(b"abc")
        call = await self.upstream.call()
        await self.received_so_far(3)
        found = await self.scrape()
        self.assertEqual(found[f"regbroker_requests_under_way{labels}"], 1)
        self.assertEqual(found[f"regbroker_received_bytes_total{labels}"], 3)
        self.client.send(b"def")
        await call.body()
        call.reply(202, "Location: /v2/acme_team/app/blobs/uploads/id", body=b"")
        await self.client.reply()
        found = await self.scrape()
        self.assertEqual(found[f"regbroker_requests_under_way{labels}"], 0)
        self.assertEqual(found[f"regbroker_received_bytes_total{labels}"], 6)

    async def test_sent(self) -> None:
        """What a client has got of a reply is counted before its end."""
        (await self.relayed("GET", BLOB)).answer(
            b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabcde"
        )
        while (found := await self.scrape())[
            'regbroker_sent_bytes_total{endpoint="blob",registry="*"}'
        ] < 5:
            await self.turn()
        name = 'regbroker_requests_under_way{endpoint="blob",registry="*"}'
        self.assertEqual(found[name], 1)

    async def test_connections(self) -> None:
        """The clients' alone; and what is no HTTP."""
        found = await self.scrape()
        self.assertEqual(found["regbroker_connections"], 1)
        self.assertLess(1, found["regbroker_connections_limit"])
        self.client.send(b"nonsense\r\n\r\n")
        await self.client.end()
        found = await self.scrape()
        self.assertEqual(found["regbroker_malformed_requests_total"], 1)
        for limit in ("max-connections", "max-connections-per-address"):
            name = f'regbroker_refused_connections_total{{limit="{limit}"}}'
            self.assertEqual(found[name], 0)

    async def test_itself(self) -> None:
        """Version, state, and what the process uses."""
        found = await self.scrape()
        self.assertEqual(found[f'regbroker_build_info{{version="{__version__}"}}'], 1)
        self.assertEqual(found["regbroker_draining"], 0)
        self.assertLess(0, found["process_open_fds"])
        self.services[0].draining = True
        self.assertEqual((await self.scrape())["regbroker_draining"], 1)

    async def test_upstream_up(self) -> None:
        """A scrape does not wait for the upstream; the next one knows."""
        name = 'regbroker_upstream_up{upstream="up"}'
        self.assertEqual((await self.scrape())[name], 1)
        self.upstream.ping = response(503)
        self.time.clock.advance(60)
        while (await self.scrape())[name]:
            await self.turn()


class ConnectionLimitTests(AdminTestCase):
    main = "admin-listen = tcp:0\nmax-connections-per-address = 1"

    async def test_refused(self) -> None:
        """Connections that are refused; the admin listener goes on answering."""
        second = await self.connect()
        await second.ask("GET", MANIFEST)
        found = await self.scrape()
        name = (
            'regbroker_refused_connections_total{limit="max-connections-per-address"}'
        )
        self.assertEqual(found[name], 1)


class CertificateTests(AdminTestCase):
    listen = "tls:0:interface=127.0.0.1"

    async def set_up(self) -> None:
        self.autostart = False
        await super().set_up()

    async def test_expiry(self) -> None:
        """Our own certificate lives for more than a year."""
        await self.serve()
        found = await self.scrape()
        left = found['regbroker_certificate_expiry_seconds{certificate="self-signed"}']
        self.assertTrue(390 * 86400 < left < 398 * 86400, left)
        self.assertTrue(Path(self.directory, "state", "self-signed.pem").exists())


class TokenCacheTests(AdminTestCase):
    tokens = True

    async def test_counted(self) -> None:
        """The first token is a miss, the same one again a hit."""
        self.upstream.handler = lambda call: response(200, body=TOKEN)
        for _ in range(3):
            reply = await self.client.ask(
                "GET",
                "/auth?scope=repository:team/app:pull",
                "Authorization: Basic YTpi",
            )
            self.assertEqual(reply.status, 200)
        found = await self.scrape()
        start = 'regbroker_token_cache_requests_total{result="'
        self.assertEqual(found[f'{start}miss",upstream="up"}}'], 1)
        self.assertEqual(found[f'{start}hit",upstream="up"}}'], 2)
        self.assertEqual(found['regbroker_token_cache_tokens{upstream="up"}'], 1)
        name = 'regbroker_logins_total{outcome="accepted",registry="*"}'
        self.assertEqual(found[name], 3)


class CircuitTests(OtherUpstream, AdminTestCase):
    def ini(self) -> str:
        given = super().ini().replace("upstream = up\n", "upstream = up, other\n")
        return f"{given}\n[upstream other]\nurl = {self.other.url}\n"

    def state(self, found: dict[str, float]) -> list[str]:
        """The state of the first upstream's circuit."""
        start = 'regbroker_upstream_circuit_state{service="registry",state="'
        return [
            state
            for state in ("closed", "open", "half-open")
            if found[f'{start}{state}",upstream="up"}}']
        ]

    async def test_trips(self) -> None:
        """Open after a failure that a ping confirms, with a trip; then half-open."""
        trips = (
            'regbroker_upstream_circuit_trips_total{service="registry",upstream="up"}'
        )
        self.other.handler = lambda call: response(200, body=b"{}")
        found = await self.scrape()
        self.assertEqual((self.state(found), found[trips]), (["closed"], 0))
        self.upstream.ping = response(503)
        self.upstream.handler = lambda call: response(503)
        await self.client.ask("GET", MANIFEST)
        while not (found := await self.scrape())[trips]:
            await self.turn()
        self.assertEqual((self.state(found), found[trips]), (["open"], 1))
        circuits = self.monitor.watched.upstreams["up"].upstream.circuits
        self.assertIn("503", circuits.last_failure)
        self.time.clock.advance(FIRST_PAUSE_SECONDS)
        self.assertEqual(self.state(await self.scrape()), ["half-open"])
