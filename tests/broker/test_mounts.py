"""Who is told to come with a wider token, and how often."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.broker.mounts import (
    MAX_NAMES,
    MAX_TOKENS,
    MAX_TOLD,
    TOLD_SECONDS,
    RequestedPulls,
    ToldMounts,
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


class ToldTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.told = ToldMounts(lambda: self.now)

    def tells(
        self, who: str = "alice", mount: str = "m", can_widen: bool = True
    ) -> bool:
        """Whether somebody is told."""
        return self.told.attempt(who, mount, can_widen).tell()

    def test_once(self) -> None:
        """Somebody is told once about a mount; others, and of others, too."""
        self.assertTrue(self.tells())
        self.assertFalse(self.tells())
        self.assertTrue(self.tells(who="bob"))
        self.assertTrue(self.tells(mount="n"))

    def test_cannot_widen(self) -> None:
        """Who has the best token there is, is not told."""
        self.assertFalse(self.tells(can_widen=False))
        self.assertTrue(self.tells())

    def test_helped(self) -> None:
        """Who mounted then is told the next time, too."""
        self.assertTrue(self.tells())
        self.told.attempt("alice", "m", False).succeeded()
        self.assertTrue(self.tells())
        self.assertFalse(self.tells())

    def test_later(self) -> None:
        """After some minutes it is as if nothing had been said."""
        self.assertTrue(self.tells())
        self.now = TOLD_SECONDS - 1
        self.assertFalse(self.tells())
        self.now = TOLD_SECONDS
        self.assertTrue(self.tells())

    def test_bounded(self) -> None:
        """The oldest are forgotten."""
        for number in range(MAX_TOLD + 1):
            self.assertTrue(self.tells(mount=str(number)))
        self.assertFalse(self.tells(mount="1"))
        self.assertTrue(self.tells(mount="0"))
