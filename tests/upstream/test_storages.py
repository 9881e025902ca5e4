"""Servers that an upstream redirects to: which are dialled, and how they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred

from regbroker.causes import Cause
from regbroker.errors import RedirectRefused, UpstreamError, UpstreamUnavailable
from regbroker.protocol.origins import Origin
from regbroker.protocol.urls import Url
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.sent_request import IDLE_SECONDS
from regbroker.transport.client.trust import Trust
from regbroker.transport.client.way_out import Proxy, WayOut
from regbroker.transport.flow.stalls import Stalls
from regbroker.upstream.storages import MAX_ORIGINS, Storages
from tests.certificates import authority, issued
from tests.proxycase import SocketTestCase
from tests.scripted import Call, ScriptedUpstream
from tests.watchedtime import PUBLIC, WatchedTime

METADATA = "169.254.169.254"


class CountingTrust(Trust):
    """Counts how often an endpoint is made."""

    made = 0

    def new_endpoint(self, reactor: Any, origin: Origin, connect_timeout: float) -> Any:
        self.made += 1
        return super().new_endpoint(reactor, origin, connect_timeout)


class StoragesTestCase(SocketTestCase):
    """`storage` is at store.test, which has a public address that leads to loopback."""

    scheme = "http"

    async def set_up(self) -> None:
        await super().set_up()
        self.time = WatchedTime()
        self.time.routes[PUBLIC] = "127.0.0.1"
        self.time.names["store.test"] = [[PUBLIC]]
        self.storage = self.make_storage()
        self.storage.start()
        self.trust = self.make_trust()
        self.storages = self.made()

    def make_storage(self) -> ScriptedUpstream:
        """The server that is redirected to."""
        return ScriptedUpstream()

    def make_trust(self) -> CountingTrust:
        """Whom to believe."""
        return CountingTrust()

    def made(self, *named_hosts: str) -> Storages:
        """Storages with some hosts that may be anywhere."""
        time = cast(Any, self.time)
        return Storages(time, self.trust, named_hosts, 5, Stalls(time))

    async def tear_down(self) -> None:
        self.storages.close()
        await self.storage.stop()

    def ask(
        self, host: str = "store.test", target: str = "/b?sig=1"
    ) -> Deferred[Reply]:
        """Ask a host, at the storage's port."""
        place = Url(Origin(self.scheme, host, self.storage.port), target)
        headers = [(b"Range", b"bytes=0-1")]

        async def ask() -> Reply:
            return await self.storages.request("GET", place, headers)

        return Deferred.fromCoroutine(ask())

    async def fetched(self, host: str = "store.test") -> Call:
        """Ask a host, have it answered, and read the answer."""
        asking = self.ask(host)
        call = await self.storage.call()
        call.reply(200, body=b"bytes")
        self.assertEqual(await gather_body(await asking, 100), b"bytes")
        return call

    async def failure(self, host: str, kind: type[UpstreamError]) -> Exception:
        """Ask a host in vain."""
        asking = self.ask(host)
        # The endpoint tries an address every 0.3 s, and then notices the end.
        self.time.clock.pump([0.3] * 4)
        try:
            await asking
        except kind as error:
            return error
        self.fail(f"{host} has answered")

    async def refused(self, host: str) -> RedirectRefused:
        """Ask a host that must not be dialled."""
        before = list(self.time.dialled)
        calls = len(self.storage.calls)
        error = await self.failure(host, RedirectRefused)
        self.assertEqual(self.time.dialled, before)
        self.assertEqual(len(self.storage.calls), calls)
        assert isinstance(error, RedirectRefused)
        return error


class GateTests(StoragesTestCase):
    async def test_public(self) -> None:
        """A public address is dialled, and asked as the place says."""
        call = await self.fetched()
        self.assertEqual(call.head.line, b"GET /b?sig=1 HTTP/1.1")
        self.assertEqual(
            call.head.headers,
            [
                (b"Host", f"store.test:{self.storage.port}".encode()),
                (b"Range", b"bytes=0-1"),
            ],
        )
        self.assertEqual(self.time.dialled, [(PUBLIC, self.storage.port)])

    async def test_literals(self) -> None:
        """Addresses that are not public are not dialled, in whatever form."""
        for host in (
            METADATA,
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "2852039166",
            "0",
            "10.0.0.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "fd00:ec2::254",
            "fe80::1",
        ):
            error = await self.refused(host)
            self.assertIn(f"'redirect-hosts = {host}'", error.why)
            self.assertNotIn(host, str(error))

    async def test_names(self) -> None:
        """Neither are those that a name leads to."""
        for address in ("127.0.0.1", METADATA, "192.168.0.1", "::1", "fe80::1%1"):
            self.time.names["evil.test"] = [[address]]
            error = await self.refused("evil.test")
            self.assertIn(address, error.why)
        self.time.names["evil.test"] = [["10.0.0.1", "127.0.0.1", "::1"]]
        await self.refused("evil.test")

    async def test_mixed(self) -> None:
        """Of several addresses only the public ones are dialled."""
        for addresses in (
            ["127.0.0.1", PUBLIC, METADATA],
            [PUBLIC, "127.0.0.1"],
            ["::1", "10.0.0.1", PUBLIC],
        ):
            self.storages.close()
            self.time.dialled.clear()
            self.time.names["mixed.test"] = [addresses]
            asking = self.ask("mixed.test")
            self.time.clock.pump([0.3] * 3)
            (await self.storage.call()).reply(200)
            await asking
            self.assertEqual(self.time.dialled, [(PUBLIC, self.storage.port)])

    async def test_rebinding(self) -> None:
        """Each connection is judged by the address that it goes to."""
        self.time.names["turn.test"] = [[PUBLIC], ["127.0.0.1"], [METADATA]]
        call = await self.fetched("turn.test")
        self.time.clock.advance(IDLE_SECONDS)
        await call.wire.end()
        for _ in range(2):
            await self.refused("turn.test")

    async def test_named(self) -> None:
        """A host that the configuration names may be anywhere, and no other."""
        self.storages = self.made("127.0.0.1", "near.test")
        self.time.names["near.test"] = [["127.0.0.1"]]
        for host in ("127.0.0.1.near.test", "near.test.", "ar.test"):
            self.time.names[host] = [["127.0.0.1"]]
            await self.refused(host)
        for host in ("127.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"):
            await self.refused(host)
        await self.fetched("127.0.0.1")
        await self.fetched("near.test")

    async def test_no_names(self) -> None:
        """What no server can be called is refused, or fails in order."""
        for scheme in ("http", "https"):
            self.scheme = scheme
            for host in ("a" * 64, "a..b", ".", "-", "_", "x." * 130, "::::"):
                await self.failure(host, UpstreamError)
        self.assertEqual(self.time.dialled, [])

    async def test_unknown(self) -> None:
        """A name without addresses, and a server that is down."""
        for host in ("nowhere.test", "down.test"):
            self.time.names["down.test"] = [["1.1.1.1"]]
            error = await self.failure(host, UpstreamUnavailable)
            self.assertNotIn(host, str(error))
            self.assertIn("storage", str(error))
        self.assertEqual(self.time.dialled, [("1.1.1.1", self.storage.port)])


class PoolTests(StoragesTestCase):
    async def test_kept(self) -> None:
        """One connection serves an origin's requests, one after the other."""
        for _ in range(3):
            await self.fetched()
        self.assertEqual(len(self.storage.wires), 1)
        self.assertEqual(self.trust.made, 1)

    async def test_closed(self) -> None:
        """Closing closes what nobody uses."""
        call = await self.fetched()
        self.storages.close()
        await call.wire.end()
        self.assertEqual(self.time.clock.getDelayedCalls(), [])
        await self.fetched()

    async def test_bounded(self) -> None:
        """The origin that was not used for longest goes when there are too many."""
        first = await self.fetched()
        second = await self.fetched(PUBLIC)
        for number in range(MAX_ORIGINS - 2):
            self.time.names[f"n{number}.test"] = [[PUBLIC]]
            await self.fetched(f"n{number}.test")
        self.assertIs((await self.fetched()).wire, first.wire)
        self.time.names["more.test"] = [[PUBLIC]]
        await self.fetched("more.test")
        await second.wire.end()
        self.assertIs((await self.fetched()).wire, first.wire)
        self.assertEqual(self.trust.made, MAX_ORIGINS + 1)


class TLSTests(StoragesTestCase):
    scheme = "https"

    def make_storage(self) -> ScriptedUpstream:
        pair = issued("store.test")
        return ScriptedUpstream(tls=certificate_options(pair.certificate, pair.key))

    def make_trust(self) -> CountingTrust:
        path = Path(self.mktemp()).absolute()
        path.write_bytes(authority().certificate)
        return CountingTrust(path)

    async def test_right(self) -> None:
        """The certificate names the host, and the upstream's CA signed it."""
        await self.fetched()
        await self.fetched()
        self.assertEqual((self.trust.made, len(self.storage.wires)), (1, 1))

    async def test_wrong_name(self) -> None:
        """A certificate for another host is not enough, at the right address."""
        self.time.names["other.test"] = [[PUBLIC]]
        for host in ("other.test", PUBLIC):
            await self.failure(host, UpstreamUnavailable)
        self.assertEqual(self.storage.calls, [])

    async def test_unknown_authority(self) -> None:
        """Neither is one that somebody else has signed."""
        self.trust = CountingTrust()
        self.storages = self.made()
        error = await self.failure("store.test", UpstreamUnavailable)
        self.assertIn("TLS", str(error))
        self.assertEqual(self.storage.calls, [])

    async def test_gate(self) -> None:
        """The gate is in front of TLS, too."""
        self.time.names["evil.test"] = [["127.0.0.1"]]
        for host in ("evil.test", METADATA, "127.1", "::ffff:127.0.0.1"):
            await self.refused(host)


class ProxyTests(StoragesTestCase):
    """With a proxy, which alone knows what address a name has."""

    def make_trust(self) -> CountingTrust:
        proxy = Proxy(Origin("http", "127.0.0.1", self.storage.port))
        return CountingTrust(way=WayOut(proxies={"http": proxy}))

    async def test_asked(self) -> None:
        """A public name is what the proxy is asked for; it is not resolved here."""
        asking = self.ask()
        call = await self.storage.call()
        self.assertEqual(
            call.head.line,
            f"CONNECT store.test:{self.storage.port} HTTP/1.1".encode(),
        )
        self.assertEqual(self.time.dialled, [("127.0.0.1", self.storage.port)])
        self.assertNotIn("store.test", self.time.asked)
        call.reply(403)
        with self.assertRaises(UpstreamUnavailable) as caught:
            await asking
        self.assertIs(caught.exception.cause, Cause.PROXY_REFUSED)

    async def test_not_public(self) -> None:
        """What does not look public is not asked for, unless it is named."""
        for host in (METADATA, "localhost", "store", "minio.internal", "::1"):
            error = await self.refused(host)
            self.assertIn(f"redirect-hosts = {host}", str(error.why))
        self.storages = self.made("minio.internal")
        asking = self.ask("minio.internal")
        (await self.storage.call()).reply(502)
        with self.assertRaises(UpstreamUnavailable) as caught:
            await asking
        self.assertIs(caught.exception.cause, Cause.STORAGE_UNREACHABLE)
