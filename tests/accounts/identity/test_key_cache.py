"""Keys of an issuer, kept."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.identity.issuer import FetchedKeys, IssuerFailed
from regbroker.accounts.identity.key_cache import (
    FETCH_SECONDS,
    FIRST_RETRY_SECONDS,
    REST_SECONDS,
    STALE_SECONDS,
    UNKNOWN_FETCHES,
    UNKNOWN_KID_SECONDS,
    UNKNOWN_SECONDS,
    KeyCache,
)
from regbroker.accounts.identity.keys import IssuerKey, parse_key_set
from regbroker.errors import AccountsUnavailable
from tests.issuers import ec_key, jwk, jwks


class KeyCacheTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.fetches = 0
        self.kids = ["one"]
        self.down = False
        self.slow: Deferred[None] | None = None
        self.cache = KeyCache("ci", self.fetch, self.clock)
        self.addCleanup(self.cache.close)

    async def fetch(self) -> FetchedKeys:
        self.fetches += 1
        entries = [jwk(ec_key(kid), kid) for kid in self.kids]
        if self.slow is not None:
            await self.slow
        if self.down:
            raise IssuerFailed("it is down")
        return FetchedKeys(parse_key_set(jwks(*entries)), 600.0)

    def asking(self, kid: str | None = "one") -> Deferred[tuple[IssuerKey, ...]]:
        return Deferred.fromCoroutine(self.cache.find(kid, "ES256"))

    def knows(self, kid: str) -> bool:
        return bool(self.successResultOf(self.asking(kid)))

    def assert_unavailable(self, kid: str = "one") -> None:
        self.failureResultOf(self.asking(kid), AccountsUnavailable)

    def test_kept(self) -> None:
        """Keys are fetched once, and again before they end."""
        self.cache.open()
        for _ in range(5):
            self.assertTrue(self.knows("one"))
        self.assertEqual(self.fetches, 1)
        self.clock.advance(480)
        self.assertEqual(self.fetches, 2)

    def test_rotation(self) -> None:
        """A new key is fetched with the first token that names it."""
        self.cache.open()
        self.kids = ["one", "two"]
        self.assertTrue(self.knows("two"))
        self.assertEqual(self.fetches, 2)
        self.assertTrue(self.knows("one"))

    def test_flood(self) -> None:
        """However many kids strangers make up, fetches are few; known keys count."""
        self.cache.open()
        for number in range(1000):
            self.assertFalse(self.knows(f"made up {number}"))
        self.assertEqual(self.fetches, 1 + UNKNOWN_FETCHES)
        self.assertTrue(self.knows("one"))
        # A real one is fetched with the next turn.
        self.kids = ["two"]
        self.clock.advance(UNKNOWN_SECONDS)
        self.assertTrue(self.knows("two"))
        self.assertEqual(self.fetches, 2 + UNKNOWN_FETCHES)

    def test_unknown_kid_once(self) -> None:
        """One kid is asked for once in a while; a very long one never."""
        self.cache.open()
        for _ in range(10):
            self.assertFalse(self.knows("unknown"))
        self.assertFalse(self.knows("x" * 10_000))
        self.assertEqual(self.fetches, 2)
        self.clock.advance(UNKNOWN_KID_SECONDS)
        self.assertFalse(self.knows("unknown"))
        self.assertEqual(self.fetches, 3)

    def test_down_at_start(self) -> None:
        """An issuer that is down is asked until it is not, by requests, too."""
        self.down = True
        self.cache.open()
        for _ in range(5):
            self.assert_unavailable()
        self.assertEqual(self.fetches, 1)
        self.assertEqual(self.cache.problem, "it is down")
        self.down = False
        self.clock.advance(REST_SECONDS)
        self.assertTrue(self.knows("one"))
        self.assertEqual(self.cache.problem, "")

    def test_down_later(self) -> None:
        """Its last keys count for a bounded time; of others, nobody can tell."""
        self.cache.open()
        self.assertFalse(self.knows("unknown"))
        self.down = True
        self.clock.advance(480)
        self.assertEqual(self.cache.problem, "it is down")
        self.assertTrue(self.knows("one"))
        for number in range(2 * UNKNOWN_FETCHES):
            self.assert_unavailable(f"new {number}")
            self.clock.advance(REST_SECONDS)
        self.down = False
        self.clock.advance(UNKNOWN_SECONDS)
        self.assertFalse(self.knows("unknown"))
        self.assertEqual(self.cache.problem, "")
        self.down = True
        self.clock.advance(480)
        self.clock.pump([600.0] * int(STALE_SECONDS / 600 + 1))
        self.assert_unavailable()

    def test_slow(self) -> None:
        """One fetch serves all who wait, and none waits for ever."""
        self.slow = Deferred()
        self.cache.open()
        waiting = [self.asking() for _ in range(5)]
        self.assertEqual(self.fetches, 1)
        self.slow.callback(None)
        for each in waiting:
            self.assertTrue(self.successResultOf(each))

    def test_too_slow(self) -> None:
        """An issuer that does not answer gives no keys."""
        self.slow = Deferred()
        self.cache.open()
        waiting = self.asking()
        self.clock.advance(FETCH_SECONDS)
        self.failureResultOf(waiting, AccountsUnavailable)
        self.assertIn("no answer", self.cache.problem)

    def test_old_answer(self) -> None:
        """A key that is newer than the fetch under way is asked for once more."""
        self.cache.open()
        slow = self.slow = Deferred()
        first = self.asking("made up")
        self.assertEqual(self.fetches, 2)
        # The issuer has answered in its mind; only then it has a new key.
        self.kids = ["one", "two"]
        second = self.slow = Deferred()
        waiting = [self.asking("two") for _ in range(2 * UNKNOWN_FETCHES)]
        stranger = self.asking("made up, too")
        slow.callback(None)
        self.assertEqual(self.successResultOf(first), ())
        self.assertEqual(self.fetches, 3)
        self.slow = None
        second.callback(None)
        for each in waiting:
            self.assertTrue(self.successResultOf(each))
        self.assertEqual(self.successResultOf(stranger), ())
        self.assertEqual(self.fetches, 3)
        # To join has cost nothing.
        for number in range(UNKNOWN_FETCHES):
            self.assertFalse(self.knows(f"unknown {number}"))
        self.assertEqual(self.fetches, 1 + UNKNOWN_FETCHES)

    def test_bounded_wait(self) -> None:
        """Who joins a fetch and needs another one waits no longer for both."""
        self.cache.open()
        slow = self.slow = Deferred()
        self.asking("made up")
        self.slow = Deferred()
        self.clock.advance(1)
        waiting = self.asking("two")
        self.clock.advance(FETCH_SECONDS - 2)
        slow.callback(None)
        self.clock.advance(1)
        self.assertNoResult(waiting)
        self.assertEqual(self.fetches, 3)
        self.clock.advance(1)
        self.failureResultOf(waiting, AccountsUnavailable)
        self.assertTrue(self.knows("one"))

    def test_joined_after_failure(self) -> None:
        """Soon after a failure, who comes joins what asks by itself, or comes again."""
        self.down = True
        self.cache.open()
        refused = self.failureResultOf(self.asking(), AccountsUnavailable)
        self.assertEqual(refused.value.headers, ((b"Retry-After", b"1"),))
        self.down, self.slow = False, Deferred()
        self.clock.advance(FIRST_RETRY_SECONDS)
        self.assertLess(FIRST_RETRY_SECONDS, REST_SECONDS)
        waiting = [self.asking() for _ in range(3)]
        self.assertEqual(self.fetches, 2)
        self.slow.callback(None)
        for each in waiting:
            self.assertTrue(self.successResultOf(each))

    def test_one_who_leaves(self) -> None:
        """Who waits no longer ends the fetch for nobody."""
        self.slow = Deferred()
        self.cache.open()
        leaving, staying = self.asking(), self.asking()
        leaving.addErrback(lambda _: None)
        leaving.cancel()
        self.slow.callback(None)
        self.assertTrue(self.successResultOf(staying))

    def test_closed(self) -> None:
        """Nothing is fetched before and after."""
        self.assert_unavailable()
        self.cache.open()
        self.cache.close()
        self.clock.advance(10_000)
        self.assertEqual(self.fetches, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
