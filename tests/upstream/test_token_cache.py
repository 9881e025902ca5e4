"""Tokens that are still good, and how many of them are kept."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.token_replies import IssuedToken
from regbroker.upstream import token_cache
from regbroker.upstream.token_cache import TokenCache


class TokenCacheTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.cache = TokenCache(self.clock.seconds)

    def put(
        self, key: str, life: float = 300, token: str = "t", scope: str | None = None
    ) -> IssuedToken:
        grant = IssuedToken(token, self.clock.seconds() + life, scope=scope)
        self.cache.put(key, grant)
        return grant

    def test_same_key(self) -> None:
        """A token is there for the same key, and for no other."""
        grant = self.put("a")
        self.assertIs(self.cache.get("a"), grant)
        self.assertIsNone(self.cache.get("b"))

    def test_a_minute_left(self) -> None:
        """A token is handed out while it lives for another minute."""
        grant = self.put("a", life=300)
        self.clock.advance(240)
        self.assertIs(self.cache.get("a"), grant)
        self.clock.advance(0.001)
        self.assertIsNone(self.cache.get("a"))
        self.assertEqual(len(self.cache), 0)

    def test_counted(self) -> None:
        """What is found is counted, and what `get` does not find."""
        self.put("a", life=90)
        self.cache.get("a")
        self.cache.get("b")
        self.assertEqual((self.cache.hits, self.cache.misses), (1, 1))
        self.assertIsNotNone(self.cache.find("a"))
        self.assertEqual((self.cache.hits, self.cache.misses), (2, 1))
        self.clock.advance(60)
        self.cache.get("a")
        self.assertIsNone(self.cache.find("a"))
        self.assertEqual((self.cache.hits, self.cache.misses), (2, 2))

    def test_age(self) -> None:
        """One that came too long ago is not found, and stays for who takes it."""
        grant = IssuedToken("t", self.clock.seconds() + 300, received=100)
        self.cache.put("a", grant)
        for seconds, found in ((99.9, None), (100, grant), (160, grant), (160.1, None)):
            self.clock.rightNow = seconds
            self.assertIs(self.cache.find("a", 60), found, seconds)
            self.assertIs(self.cache.get("a", 60), found, seconds)
        self.assertIs(self.cache.get("a"), grant)

    def test_replaced(self) -> None:
        """A newer token takes the place of the older one."""
        self.put("a")
        newer = self.put("a", token="new")
        self.assertIs(self.cache.get("a"), newer)
        self.assertEqual(len(self.cache), 1)

    def test_refresh_tokens(self) -> None:
        """A refresh token is one client's: nobody else is given it."""
        self.cache.put("a", IssuedToken("t", 300, refresh_token="r"))
        self.assertIsNone(self.cache.get("a"))
        self.assertEqual(len(self.cache), 0)

    def test_bounded_number(self) -> None:
        """The token that was not asked for the longest leaves first."""
        self.patch(token_cache, "MAX_CACHED_TOKENS", 3)
        self.cache = TokenCache(self.clock.seconds)
        for key in "abc":
            self.put(key)
        self.cache.get("a")
        self.put("d")
        self.assertEqual(len(self.cache), 3)
        kept = [key for key in "abcd" if self.cache.get(key)]
        self.assertEqual(kept, ["a", "c", "d"])

    def test_bounded_bytes(self) -> None:
        """Large tokens leave room for fewer, whatever happened before."""
        self.patch(token_cache, "MAX_CACHED_BYTES", 100)
        self.cache = TokenCache(self.clock.seconds)
        for _ in range(50):
            self.put("a", token="x" * 40)
        self.put("b", token="x" * 40)
        self.assertEqual(len(self.cache), 2)
        self.put("c", token="x" * 40)
        self.assertEqual([k for k in "abc" if self.cache.get(k)], ["b", "c"])
        self.clock.advance(300)
        self.assertEqual([k for k in "abc" if self.cache.get(k)], [])
        for key in "de":
            self.put(key, token="x" * 50)
        self.assertEqual(len(self.cache), 2)

    def test_bounded_scopes(self) -> None:
        """What a token is good for takes its room, too, and gives it back."""
        self.patch(token_cache, "MAX_CACHED_BYTES", 100)
        self.cache = TokenCache(self.clock.seconds)
        for _ in range(50):
            self.put("a", token="x" * 10, scope="s" * 30)
        self.put("b", token="x" * 10, scope="s" * 30)
        self.assertEqual(len(self.cache), 2)
        self.put("c", token="x" * 10, scope="s" * 30)
        self.assertEqual([k for k in "abc" if self.cache.get(k)], ["b", "c"])
        self.put("d", token="x", scope="s" * 100)
        self.assertEqual(len(self.cache), 0)

    def test_too_large(self) -> None:
        """A token beyond the bound is not kept, and does no harm."""
        self.patch(token_cache, "MAX_CACHED_BYTES", 100)
        self.cache = TokenCache(self.clock.seconds)
        self.put("a", token="x" * 101)
        self.assertEqual(len(self.cache), 0)
        self.put("b", token="x" * 100)
        self.assertIsNotNone(self.cache.get("b"))

    def test_as_shipped(self) -> None:
        """Many more keys than there is room for."""
        for i in range(token_cache.MAX_CACHED_TOKENS + 100):
            self.put(str(i))
        self.assertEqual(len(self.cache), token_cache.MAX_CACHED_TOKENS)
        self.assertIsNone(self.cache.get("99"))
        self.assertIsNotNone(self.cache.get("100"))
