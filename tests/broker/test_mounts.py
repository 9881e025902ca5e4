"""Which mounts are answered with 401 for a wider token, and how often."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.broker.mounts import (
    CHALLENGED_SECONDS,
    MAX_CHALLENGED,
    MAX_NAMES,
    MAX_TOKENS,
    MountChallenges,
    RequestedPulls,
)

COPY, APP = ("up", "acme/copy"), ("up", "acme/app")


class AskedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.asked = RequestedPulls()

    def test_asked(self) -> None:
        """A token is known by what it was asked for."""
        self.asked.remember("t", [COPY, APP])
        self.assertTrue(self.asked.has("t", APP))
        self.assertFalse(self.asked.has("t", ("two", "acme/app")))
        self.assertFalse(self.asked.has("other", APP))
        self.assertFalse(self.asked.has("", APP))

    def test_one_name(self) -> None:
        """For one name alone nobody mounts."""
        self.asked.remember("t", [APP])
        self.assertFalse(self.asked.has("t", APP))

    def test_same_token(self) -> None:
        """A token that is given again and again was asked for with all of it."""
        self.asked.remember("t", [COPY, APP])
        self.asked.remember("t", [COPY])
        self.asked.remember("t", [COPY, ("up", "acme/third")])
        self.assertTrue(self.asked.has("t", APP))
        self.assertTrue(self.asked.has("t", ("up", "acme/third")))

    def test_bounded(self) -> None:
        """The oldest leave: beyond a number of tokens, and of names."""
        for number in range(MAX_TOKENS + 1):
            self.asked.remember(str(number), [COPY, APP])
        self.assertFalse(self.asked.has("0", APP))
        self.assertTrue(self.asked.has("1", APP))
        names = [("up", str(number)) for number in range(MAX_NAMES // 2)]
        for token in "abc":
            self.asked.remember(token, names)
        self.assertFalse(self.asked.has("a", names[0]))
        self.assertTrue(self.asked.has("b", names[0]))
        self.assertFalse(self.asked.has("1", APP))


class ChallengesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.challenges = MountChallenges(lambda: self.now)

    def challenges_for(
        self, client: str = "alice", mount: str = "m", can_widen: bool = True
    ) -> bool:
        """Whether a mount is answered with 401."""
        return self.challenges.attempt(client, (mount,), can_widen).challenge()

    def test_once(self) -> None:
        """Each client is challenged once for each mount."""
        self.assertTrue(self.challenges_for())
        self.assertFalse(self.challenges_for())
        self.assertTrue(self.challenges_for(client="bob"))
        self.assertTrue(self.challenges_for(mount="n"))

    def test_hashed(self) -> None:
        """Mounts are kept apart by all their texts, of which only a hash is kept."""
        for client, mount in (
            ("a", ("bc", "d")),
            ("ab", ("c", "d")),
            ("a", ("b", "cd")),
        ):
            attempt = self.challenges.attempt(client, mount, True)
            self.assertTrue(attempt.challenge())
        keys = list(self.challenges._challenged)
        self.assertEqual([len(key) for key in keys], [32] * 3)

    def test_cannot_widen(self) -> None:
        """A client with the best token that there is gets no challenge."""
        self.assertFalse(self.challenges_for(can_widen=False))
        self.assertTrue(self.challenges_for())

    def test_helped(self) -> None:
        """After a mount that succeeded the next one is challenged, too."""
        self.assertTrue(self.challenges_for())
        self.challenges.attempt("alice", ("m",), False).succeeded()
        self.assertTrue(self.challenges_for())
        self.assertFalse(self.challenges_for())

    def test_later(self) -> None:
        """After some minutes it is as if nothing had been said."""
        self.assertTrue(self.challenges_for())
        self.now = CHALLENGED_SECONDS - 1
        self.assertFalse(self.challenges_for())
        self.now = CHALLENGED_SECONDS
        self.assertTrue(self.challenges_for())

    def test_bounded(self) -> None:
        """The oldest are forgotten."""
        for number in range(MAX_CHALLENGED + 1):
            self.assertTrue(self.challenges_for(mount=str(number)))
        self.assertFalse(self.challenges_for(mount="1"))
        self.assertTrue(self.challenges_for(mount="0"))
