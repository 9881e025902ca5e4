"""What is known of an upstream, and whom to believe that it is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from regbroker.errors import TooManyRequests, UpstreamUnavailable
from regbroker.protocol.headers import came_from_here
from regbroker.protocol.origins import Origin
from regbroker.settings.config import UpstreamConfig
from regbroker.transport.certificates.served import certificate_options
from regbroker.upstream.background_discovery import (
    FIRST_RETRY_SECONDS,
    LAST_RETRY_SECONDS,
    REDISCOVER_SECONDS,
)
from regbroker.upstream.discovery import Discovered
from regbroker.upstream.registry import Upstream
from tests.certificates import authority, issued
from tests.proxycase import HeldTime, SocketTestCase
from tests.scripted import ScriptedUpstream, response


def challenge(*values: str) -> bytes:
    """A ping's answer."""
    return response(401, *[f"WWW-Authenticate: {value}" for value in values])


class UpstreamTestCase(SocketTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.time: Any = HeldTime()
        self.served = ScriptedUpstream()
        self.served.start()
        self.upstream: Any = None

    async def tear_down(self) -> None:
        if self.upstream is not None:
            self.upstream.close()
            self.assertEqual(self.time.clock.getDelayedCalls(), [])
        await self.served.stop()

    def make(self, **options: Any) -> Upstream:
        """Make the upstream, and open it."""
        if self.upstream is not None:
            self.upstream.close()
        origin = Origin("http", "127.0.0.1", self.served.port)
        self.upstream = Upstream(
            UpstreamConfig(name="up", origin=origin, **options), self.time
        )
        self.upstream.open(origin)
        made: Upstream = self.upstream
        return made

    async def discovered(self, *values: str, **options: Any) -> Discovered:
        """What is known when the ping says this."""
        self.served.ping = challenge(*values)
        return await self.make(**options).discover()


class KnowledgeTests(UpstreamTestCase):
    async def test_bearer(self) -> None:
        """Realm and service, on another port and path of the same host."""
        discovered = await self.discovered(
            'Bearer realm="http://127.0.0.1:1/t?a=b",service="s"'
        )
        self.assertEqual(str(discovered.realm), "http://127.0.0.1:1/t?a=b")
        self.assertEqual((discovered.service, discovered.problem), ("s", ""))

    async def test_logged(self) -> None:
        """What an upstream calls itself cannot write into a terminal."""
        with capturedLogs() as events:
            discovered = await self.discovered(
                'Bearer realm="http://127.0.0.1:1/t",service="a\x9b2K"'
            )
        self.assertEqual(discovered.service, "a\x9b2K")
        lines = [formatEvent(event) for event in events]
        self.assertTrue(any("service 'a" in line for line in lines), lines)
        self.assertFalse(any("\x9b" in line for line in lines), lines)

    async def test_two_in_a_line(self) -> None:
        """Bearer is found wherever it stands."""
        discovered = await self.discovered(
            'Basic realm="x", Bearer realm="http://127.0.0.1/t"'
        )
        self.assertEqual(str(discovered.realm), "http://127.0.0.1/t")
        self.assertEqual([c.scheme for c in discovered.challenges], ["basic", "bearer"])

    async def test_basic(self) -> None:
        """Basic alone is a challenge without a token service."""
        discovered = await self.discovered('Basic realm="x"')
        self.assertEqual((len(discovered.challenges), discovered.realm), (1, None))
        self.assertEqual(discovered.problem, "")

    async def test_open(self) -> None:
        """An upstream that wants nothing."""
        self.served.ping = response(200)
        self.assertEqual(await self.make().discover(), Discovered(()))

    async def test_refused(self) -> None:
        """A realm that nobody allows is a problem, with its remedy."""
        with capturedLogs() as events:
            discovered = await self.discovered(
                'Bearer realm="https://auth.evil.test/t",service="s"'
            )
        (level,) = [e["log_level"] for e in events if "evil" in formatEvent(e)]
        self.assertIs(level, LogLevel.error)
        self.assertIsNone(discovered.realm)
        self.assertIn("token-hosts = auth.evil.test", discovered.problem)

    async def test_redirected(self) -> None:
        """A ping that is led back to itself is a problem that may be mended there."""
        self.served.ping = response(302, "Location: /v2/")
        with capturedLogs() as events:
            discovered = await self.make().discover()
        self.assertIn("itself", discovered.problem)
        (level,) = [e["log_level"] for e in events if "itself" in formatEvent(e)]
        self.assertIs(level, LogLevel.warn)

    async def test_allowed(self) -> None:
        """Unless the configuration allows it."""
        discovered = await self.discovered(
            'Bearer realm="https://auth.test/t"', token_hosts=("auth.test",)
        )
        self.assertEqual(str(discovered.realm), "https://auth.test/t")

    async def test_configured(self) -> None:
        """Or says itself what it is."""
        discovered = await self.discovered(
            'Bearer realm="https://evil.test/t",service="theirs"',
            realm="https://auth.test/t",
        )
        self.assertEqual(str(discovered.realm), "https://auth.test/t")
        self.assertEqual(discovered.service, "theirs")
        discovered = await self.discovered(realm="https://auth.test/t", service="ours")
        self.assertEqual(discovered.service, "ours")

    async def test_asked_once(self) -> None:
        """All who want to know wait for the same ping; later it is known."""
        self.served.ping = b"never"
        upstream = self.make()
        waiting = [Deferred.fromCoroutine(upstream.discover()) for _ in range(5)]
        while not self.served.pings:
            await self.turn()
        self.served.pings[0].answer(challenge("Basic"))
        for one in waiting:
            await one
        await upstream.discover()
        self.assertEqual(len(self.served.pings), 1)

    async def test_base_path(self) -> None:
        """An upstream below a path is asked there."""
        await self.discovered("Basic", base_path="/repo")
        self.assertEqual(self.served.pings[0].target, "/repo/v2/")


class LearningTests(UpstreamTestCase):
    async def next_ping(self, seconds: float) -> None:
        """The next ping comes after so many seconds, and not before."""
        before = len(self.served.pings)
        await self.settled()
        self.time.clock.advance(seconds - 0.01)
        await self.settled()
        self.assertEqual(len(self.served.pings), before)
        self.time.clock.advance(0.02)
        while len(self.served.pings) == before:
            await self.turn()

    async def settled(self) -> None:
        """Let what is on its way arrive."""
        for _ in range(20):
            await self.turn()

    async def test_again(self) -> None:
        """What was learnt is learnt again, and noticed when it changes."""
        discovered = await self.discovered('Bearer realm="http://127.0.0.1/one"')
        self.served.ping = challenge('Bearer realm="http://127.0.0.1/two"')
        await self.next_ping(REDISCOVER_SECONDS)
        await self.settled()
        self.assertNotEqual(self.upstream.discovered, discovered)
        self.assertEqual(str(self.upstream.discovered.realm), "http://127.0.0.1/two")

    async def test_failure_forgets_nothing(self) -> None:
        """An outage is no reason to forget."""
        discovered = await self.discovered('Bearer realm="http://127.0.0.1/one"')
        self.served.ping = response(502)
        await self.next_ping(REDISCOVER_SECONDS)
        await self.settled()
        self.assertEqual(self.upstream.discovered, discovered)

    async def test_retries(self) -> None:
        """After failures ever slower, up to a minute."""
        self.served.ping = response(503)
        self.make()
        while not self.served.pings:
            await self.turn()
        seconds = FIRST_RETRY_SECONDS
        for _ in range(9):
            await self.next_ping(seconds)
            seconds = min(seconds * 2, LAST_RETRY_SECONDS)
        self.assertEqual(seconds, LAST_RETRY_SECONDS)

    async def test_via(self) -> None:
        """A ping that comes back to where it was sent from would be known."""
        await self.make().discover()
        via = self.served.pings[0].header(b"Via") or b""
        self.assertTrue(came_from_here([via]), via)

    async def test_too_many_requests(self) -> None:
        """429 says nothing about challenges."""
        self.served.ping = response(429, "Retry-After: 20")
        asking = Deferred.fromCoroutine(self.make().discover())
        error: Any = await self.assertFailure(asking, TooManyRequests)
        self.assertEqual(error.header(b"Retry-After"), "20")
        self.assertIsNone(self.upstream.discovered)
        # It has said when to come again.
        await self.next_ping(20)


class CertificateTests(UpstreamTestCase):
    """Nothing is sent to who cannot show that it is the upstream."""

    async def asked(self, pair: Any, host: str = "127.0.0.1") -> Any:
        """Ask an upstream that shows this certificate."""
        await self.served.stop()
        self.served = ScriptedUpstream(
            challenge('Bearer realm="https://127.0.0.1/t"'),
            certificate_options(pair.certificate, pair.key),
        )
        self.served.start()
        ca_file = Path(self.mktemp())
        ca_file.write_bytes(authority().certificate)
        origin = Origin("https", host, self.served.port)
        config = UpstreamConfig(name="up", origin=origin, ca_file=ca_file)
        self.upstream = Upstream(config, self.time)
        self.upstream.open(origin)
        return await self.upstream.discover()

    async def test_good(self) -> None:
        """The right name, by an authority that is trusted: address or name."""
        discovered = await self.asked(issued("127.0.0.1"))
        self.assertEqual(str(discovered.realm), "https://127.0.0.1/t")
        self.upstream.close()
        await self.asked(issued("localhost"), "localhost")

    async def assert_not_trusted(self, pair: Any, host: str = "127.0.0.1") -> None:
        """There is no connection, and the upstream sees no request."""
        asking = Deferred.fromCoroutine(self.asked(pair, host))
        error: Any = await self.assertFailure(asking, UpstreamUnavailable)
        self.assertIn("no trusted TLS connection", error.message)
        self.assertEqual(self.served.pings, [])
        self.assertEqual([bytes(wire.seen) for wire in self.served.wires], [b""])

    async def test_wrong_name(self) -> None:
        """Another host's certificate."""
        await self.assert_not_trusted(issued("127.0.0.2", "localhost"))

    async def test_name_in_subject_only(self) -> None:
        """A name that stands in the subject alone counts for nothing."""
        await self.assert_not_trusted(authority(), "localhost")

    async def test_wrong_authority(self) -> None:
        """Signed by somebody else."""
        await self.assert_not_trusted(issued("127.0.0.1", by="Other CA"))

    async def test_over(self) -> None:
        """No longer valid."""
        await self.assert_not_trusted(issued("127.0.0.1", days=-1))
