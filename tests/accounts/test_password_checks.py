"""Passwords are checked once, a few at a time, and by those who may ask."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts import password_checks, throttle
from regbroker.accounts.password_checks import PasswordChecks
from regbroker.accounts.principals import Account, AccountSource
from regbroker.accounts.throttle import Throttle
from regbroker.accounts.throttling import LocalThrottling
from regbroker.errors import AccountsUnavailable, TooManyRequests

HERE, THERE = "192.0.2.1", "198.51.100.7"
SECRET = "wonderland-secret"
ALICE = Account("alice", frozenset({"staff"}), "version 1")


class FakeSource:
    """A source whose answers the test gives, now or when it likes."""

    has_groups = False

    def __init__(self, name: str, cheap: bool = False) -> None:
        self.name = name
        self.cheap_look_up = cheap
        self.is_open = False
        #: Passwords asked for, in order, and the answers that are owed.
        self.asked: list[tuple[str, str]] = []
        self.owed: list[Deferred[Account | None]] = []
        self.answer: Callable[[str, str], Deferred[Account | None]] | None = None
        self.known: dict[str, Account] = {}
        self.looked_up: list[str] = []
        #: What a look-up waits for.
        self.delay: Deferred[None] | None = None
        self.down = False

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    async def authenticate(self, user: str, password: str) -> Account | None:
        self.asked.append((user, password))
        if self.down:
            raise AccountsUnavailable(f"{self.name} is down")
        if self.answer is not None:
            return await self.answer(user, password)
        self.owed.append(Deferred())
        return await self.owed[-1]

    async def look_up(self, user: str) -> Account | None:
        self.looked_up.append(user)
        if self.down:
            raise AccountsUnavailable(f"{self.name} is down")
        if self.delay is not None:
            await self.delay
        return self.known.get(user)

    def accept(self, password: str = SECRET, account: Account = ALICE) -> None:
        """Answer at once from now on: one account with one password."""
        self.known = {account.user: account}
        self.answer = lambda user, given: succeed(
            account if (user, given) == (account.user, password) else None
        )


class CheckingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.source = FakeSource("first")
        self.pending: list[Deferred[Account | None]] = []
        self.make_checks([self.source])

    def tearDown(self) -> None:
        """End what a test has left under way, or its remains meet another test."""
        self.checks.close()
        for check in self.pending:
            check.cancel()
            check.addErrback(lambda _: None)

    def make_checks(self, sources: Sequence[AccountSource], parallel: int = 2) -> None:
        seconds = self.clock.seconds
        self.throttle = Throttle(seconds)
        self.checks = PasswordChecks(
            sources,
            self.clock,
            seconds,
            LocalThrottling(self.throttle),
            parallel=parallel,
        )

    def check(
        self, password: str = SECRET, user: str = "alice", address: str = HERE
    ) -> Deferred[Account | None]:
        check = Deferred.fromCoroutine(self.checks.check(user, password, address))
        self.pending.append(check)
        return check

    def assert_too_many(self, result: Deferred[Any]) -> int:
        """Hold that a check was refused; return after how many seconds."""
        error = self.failureResultOf(result, TooManyRequests).value
        ((name, value),) = error.headers
        self.assertEqual(name, b"Retry-After")
        self.assertIn(f"again in {int(value)} s", error.message)
        return int(value)


class KnownTests(CheckingCase):
    def test_good(self) -> None:
        """Where the right password has come from lately is known, asked or not."""
        self.source.accept()
        self.successResultOf(self.check())
        self.assertTrue(self.throttle.is_good(HERE, "alice"))
        self.assertFalse(self.throttle.is_good(THERE, "alice"))
        self.successResultOf(self.check(address=THERE))
        self.assertEqual(len(self.source.asked), 1)
        self.assertTrue(self.throttle.is_good(THERE, "alice"))
        self.successResultOf(self.check("wrong", "bob"))
        self.assertFalse(self.throttle.is_good(HERE, "bob"))


class SourcesTests(CheckingCase):
    def setUp(self) -> None:
        super().setUp()
        self.second = FakeSource("second")
        self.make_checks([self.source, self.second])

    def test_first_that_accepts(self) -> None:
        """The sources are asked in order, and the first that accepts decides."""
        self.source.accept()
        self.second.accept(account=Account("alice", password_version="other"))
        self.assertEqual(self.successResultOf(self.check()), ALICE)
        self.assertEqual(self.second.asked, [])

    def test_later_accepts(self) -> None:
        """What the first refuses, the second may accept."""
        self.source.accept("another password")
        self.second.accept()
        self.assertEqual(self.successResultOf(self.check()), ALICE)

    def test_nobody_accepts(self) -> None:
        """Wrong for everybody is wrong, and counts as one failure."""
        self.source.accept()
        self.second.accept()
        self.assertIsNone(self.successResultOf(self.check("wrong")))
        self.assertEqual(self.throttle._pairs.count((HERE, "alice")), 1)

    def test_down_and_accepted(self) -> None:
        """A source that is down does not matter when another accepts."""
        self.source.down = True
        self.second.accept()
        self.assertEqual(self.successResultOf(self.check()), ALICE)

    def test_down_is_not_wrong(self) -> None:
        """When a source that could know is down, nothing is called wrong."""
        for down, up in ((self.source, self.second), (self.second, self.source)):
            down.down, up.down = True, False
            up.accept("another password")
            error = self.failureResultOf(self.check(), AccountsUnavailable).value
            self.assertEqual(error.message, f"{down.name} is down")

    def test_down_counts_what_is_known(self) -> None:
        """An outage lets nobody guess at the sources that are up."""
        self.source.down = True
        self.second.accept()
        for number in range(50):
            self.check(f"guess {number}").addErrback(lambda _: None)
            self.clock.advance(10)
        self.assertLess(len(self.second.asked), 25)
        self.assertGreater(self.assert_too_many(self.check("guess")), 0)

    def test_all_down_counts_nothing(self) -> None:
        """Who cannot be told, has not failed."""
        self.source.down = self.second.down = True
        for _ in range(50):
            self.failureResultOf(self.check(), AccountsUnavailable)
        self.source.down = False
        self.source.accept()
        self.assertEqual(self.successResultOf(self.check()), ALICE)

    def test_unexpected(self) -> None:
        """What a source fails with otherwise is not "wrong" either."""
        check = self.check()
        self.source.owed[0].errback(ValueError("bug"))
        self.failureResultOf(check, ValueError)

    def test_impossible(self) -> None:
        """What no password can be is wrong without asking anybody."""
        for user, password in (
            ("", SECRET),
            ("alice", ""),
            ("alice", "a\0b"),
            ("al\0ice", SECRET),
            ("alice", "a" * (password_checks.MAX_LENGTH + 1)),
            ("bob", "\ud800"),
        ):
            self.assertIsNone(self.successResultOf(self.check(password, user)))
        self.assertEqual(self.source.asked, [])
        self.assertGreater(self.throttle._addresses.count(HERE), 5)

    def test_open_and_close(self) -> None:
        """The sources begin and end with the checks, and waiting ends, too."""
        self.checks.open()
        self.assertTrue(self.source.is_open and self.second.is_open)
        check = self.check()
        self.checks.close()
        self.assertFalse(self.source.is_open or self.second.is_open)
        self.failureResultOf(check, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_has_groups(self) -> None:
        """Groups are possible when one source has them."""
        self.assertFalse(self.checks.has_groups)
        self.second.has_groups = True
        self.assertTrue(self.checks.has_groups)


class LookUpTests(CheckingCase):
    def setUp(self) -> None:
        super().setUp()
        self.second = FakeSource("second")
        self.make_checks([self.source, self.second])
        self.other = Account("alice", password_version="version 2")
        self.second.known = {"alice": self.other}

    def look_up(
        self, user: str, password_version: str | None = None
    ) -> Deferred[Account | None]:
        return Deferred.fromCoroutine(self.checks.look_up(user, password_version))

    def test_in_order(self) -> None:
        """The first source that knows the user answers."""
        self.assertEqual(self.successResultOf(self.look_up("alice")), self.other)
        self.source.known = {"alice": ALICE}
        self.assertEqual(self.successResultOf(self.look_up("alice")), ALICE)
        self.assertIsNone(self.successResultOf(self.look_up("bob")))

    def test_stamp(self) -> None:
        """With a password version, the source that gave it answers."""
        self.source.known = {"alice": ALICE}
        found = self.look_up("alice", "version 2")
        self.assertEqual(self.successResultOf(found), self.other)
        self.assertIsNone(self.successResultOf(self.look_up("alice", "version 0")))

    def test_down(self) -> None:
        """That somebody is gone is said only when everybody has answered."""
        self.source.down = True
        self.assertEqual(self.successResultOf(self.look_up("alice")), self.other)
        self.failureResultOf(self.look_up("bob"), AccountsUnavailable)
        self.failureResultOf(self.look_up("alice", "version 1"), AccountsUnavailable)

    def test_joined(self) -> None:
        """Who is looked up for many at the same moment is looked up once."""
        self.source.delay = Deferred()
        herd = [self.look_up("alice") for _ in range(100)]
        other = self.look_up("alice", "version 2")
        herd[0].cancel()
        self.failureResultOf(herd[0], CancelledError)
        self.assertNoResult(herd[1])
        self.source.delay.callback(None)
        self.assertEqual(
            [self.successResultOf(each) for each in herd[1:]], [self.other] * 99
        )
        self.assertEqual(self.successResultOf(other), self.other)
        self.assertEqual(self.source.looked_up, ["alice", "alice"])
        self.assertEqual(self.successResultOf(self.look_up("alice")), self.other)
        self.assertEqual(len(self.source.looked_up), 3)

    def test_too_long(self) -> None:
        """A source that never answers keeps nobody for ever."""
        self.source.delay = Deferred()
        look_up = self.look_up("alice")
        self.clock.advance(password_checks.CHECK_SECONDS)
        self.failureResultOf(look_up, AccountsUnavailable)

    def test_closed(self) -> None:
        """What is under way ends with the accounts."""
        self.source.delay = Deferred()
        look_up = self.look_up("alice")
        self.checks.close()
        self.failureResultOf(look_up, CancelledError)


class RememberingTests(CheckingCase):
    def setUp(self) -> None:
        super().setUp()
        self.source.accept()

    def test_one_hash_for_many_requests(self) -> None:
        """A password that was right is right for a minute, from anywhere."""
        for number in range(100):
            check = self.check(address=f"10.0.0.{number}")
            self.assertEqual(self.successResultOf(check), ALICE)
            self.clock.advance(0.5)
        self.assertEqual(len(self.source.asked), 1)

    def test_a_minute(self) -> None:
        """After a minute it is checked again, however often it was used."""
        for _ in range(61):
            self.successResultOf(self.check())
            self.clock.advance(1)
        self.assertEqual(len(self.source.asked), 2)

    def test_another_password(self) -> None:
        """Another password is another matter, and counts once."""
        self.successResultOf(self.check())
        self.assertIsNone(self.successResultOf(self.check("wrong")))
        self.assertIsNone(self.successResultOf(self.check(SECRET + "x")))
        self.assertIsNone(self.successResultOf(self.check(SECRET, "alic")))
        self.assertEqual(len(self.source.asked), 4)
        self.assertEqual(self.throttle._pairs.count((HERE, "alice")), 2)
        self.assertEqual(self.successResultOf(self.check()), ALICE)
        self.assertEqual(len(self.source.asked), 4)

    def test_wrong_is_not_remembered(self) -> None:
        """A password that was wrong may be right the next moment."""
        self.assertIsNone(self.successResultOf(self.check("new")))
        self.source.accept("new")
        self.assertEqual(self.successResultOf(self.check("new")), ALICE)

    def test_new_password(self) -> None:
        """A new password works at once, and is no failure."""
        self.successResultOf(self.check())
        self.source.accept("new")
        self.assertEqual(self.successResultOf(self.check("new")), ALICE)
        self.assertEqual(self.throttle._pairs.count((HERE, "alice")), 0)

    def test_no_password_is_kept(self) -> None:
        """What is remembered does not give the password away."""
        self.successResultOf(self.check())
        (remembered,) = self.checks._remembered.values()
        self.assertNotIn(SECRET, repr((vars(self.checks), remembered)))
        others = PasswordChecks(
            [self.source],
            self.clock,
            self.clock.seconds,
            LocalThrottling(self.throttle),
        )
        self.assertNotEqual(
            others._hash.digest("alice", SECRET),
            self.checks._hash.digest("alice", SECRET),
        )
        self.assertNotEqual(
            self.checks._hash.digest("ab", "c"), self.checks._hash.digest("a", "bc")
        )

    def test_bounded(self) -> None:
        """Who was checked longest ago is forgotten first."""
        self.patch(password_checks, "MAX_REMEMBERED", 2)
        self.make_checks([self.source])
        for user in ("a", "b", "c"):
            self.source.accept(account=Account(user))
            self.successResultOf(self.check(user=user))
        self.source.accept(account=Account("a"))
        self.successResultOf(self.check(user="c"))
        self.assertEqual(len(self.source.asked), 3)
        self.successResultOf(self.check(user="a"))
        self.assertEqual(len(self.source.asked), 4)

    def make_cheap(self) -> None:
        self.source = FakeSource("cheap", cheap=True)
        self.source.accept()
        self.make_checks([self.source])
        self.successResultOf(self.check())

    def test_stamp_changes(self) -> None:
        """Where it costs nothing, a changed password ends the old one at once."""
        self.make_cheap()
        self.source.accept("new", Account("alice", password_version="version 2"))
        self.assertIsNone(self.successResultOf(self.check()))
        self.assertEqual(len(self.source.asked), 2)
        self.assertEqual(self.throttle._pairs.count((HERE, "alice")), 1)

    def test_user_removed(self) -> None:
        """A user who is gone is gone."""
        self.make_cheap()
        self.source.accept(account=Account("bob"))
        self.assertIsNone(self.successResultOf(self.check()))

    def test_groups_change(self) -> None:
        """The groups are those of now."""
        self.make_cheap()
        changed = Account("alice", frozenset({"other"}), "version 1")
        self.source.known = {"alice": changed}
        self.assertEqual(self.successResultOf(self.check()), changed)
        self.assertEqual(len(self.source.asked), 1)

    def test_cheap_is_down(self) -> None:
        """When it cannot be looked up, it is asked in full."""
        self.make_cheap()
        self.source.down = True
        self.failureResultOf(self.check(), AccountsUnavailable)
        self.assertEqual(len(self.source.asked), 2)


class ParallelTests(CheckingCase):
    def test_joined(self) -> None:
        """The same password at the same moment is checked once."""
        checks = [self.check(address=f"10.0.0.{n}") for n in range(200)]
        self.assertEqual(len(self.source.asked), 1)
        self.source.owed[0].callback(ALICE)
        self.assertEqual([self.successResultOf(c) for c in checks], [ALICE] * 200)

    def test_joined_and_wrong(self) -> None:
        """Each who brings it has failed for himself."""
        checks = [self.check("wrong", address=a) for a in (HERE, HERE, THERE)]
        self.source.owed[0].callback(None)
        self.assertEqual([self.successResultOf(c) for c in checks], [None] * 3)
        self.assertEqual(self.throttle._pairs.count((HERE, "alice")), 2)
        self.assertEqual(self.throttle._pairs.count((THERE, "alice")), 1)

    def test_one_leaves(self) -> None:
        """Who leaves does not end the check for the others."""
        first, second = self.check(), self.check()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.source.owed[0].callback(ALICE)
        self.assertEqual(self.successResultOf(second), ALICE)

    def test_a_few_at_a_time(self) -> None:
        """No more than a few are checked at once; the others wait their turn."""
        checks = [self.check(f"{n}", address=f"10.0.0.{n}") for n in range(5)]
        self.assertEqual(len(self.source.asked), 2)
        self.source.owed[1].callback(None)
        self.assertEqual(len(self.source.asked), 3)
        self.source.owed[0].errback(AccountsUnavailable("down"))
        self.source.owed[2].errback(ValueError("bug"))
        self.assertEqual(len(self.source.asked), 5)
        self.assertIsNone(self.successResultOf(checks[1]))
        self.failureResultOf(checks[0], AccountsUnavailable)
        self.failureResultOf(checks[2], ValueError)

    def test_full(self) -> None:
        """Beyond the bound one is told to come again in a second."""
        checks = [
            self.check(f"{n}", f"user{n}", f"10.0.0.{n}")
            for n in range(password_checks.MAX_CHECKS)
        ]
        self.assertEqual(self.assert_too_many(self.check()), 1)
        for n in range(password_checks.MAX_CHECKS):
            self.assertNoResult(checks[n])
            self.source.owed[n].callback(None)
        again = self.check()
        self.source.owed[-1].callback(ALICE)
        self.assertEqual(self.successResultOf(again), ALICE)

    def test_share_of_one_address(self) -> None:
        """One address cannot take all places, and being full is no failure."""
        for n in range(password_checks.MAX_CHECKS * 2):
            self.check(f"{n}", f"user{n}").addErrback(lambda _: None)
        self.assertEqual(self.assert_too_many(self.check()), 1)
        self.assertEqual(self.throttle._addresses.count(HERE), 0)
        there = self.check(address=THERE)
        for n in range(password_checks.MAX_CHECKS_OF_ADDRESS):
            self.source.owed[n].callback(None)
        self.source.owed[-1].callback(ALICE)
        self.assertEqual(self.successResultOf(there), ALICE)

    def test_too_long(self) -> None:
        """A source that does not answer is down, and its place is free again."""
        checks = [self.check(f"{n}") for n in range(3)]
        self.clock.advance(password_checks.CHECK_SECONDS)
        for check in checks:
            self.failureResultOf(check, AccountsUnavailable)
        self.assertEqual(self.throttle._pairs.count((HERE, "alice")), 0)
        self.source.accept()
        self.assertEqual(self.successResultOf(self.check()), ALICE)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ThrottledTests(CheckingCase):
    def setUp(self) -> None:
        super().setUp()
        self.source.accept()

    def fail_free(self, address: str = HERE) -> None:
        """Use up the mistakes that do not wait."""
        for number in range(throttle.PAIR_FREE):
            self.assertIsNone(
                self.successResultOf(self.check(f"wrong {number}", address=address))
            )

    def test_delayed(self) -> None:
        """After some failures, the answer takes longer; a right one comes."""
        self.fail_free()
        asked = len(self.source.asked)
        check = self.check()
        self.assertNoResult(check)
        self.assertEqual(len(self.source.asked), asked)
        self.clock.advance(throttle.FIRST_DELAY)
        self.assertEqual(self.successResultOf(check), ALICE)

    def test_leaves_while_delayed(self) -> None:
        """Who goes away while delayed leaves nothing behind."""
        self.fail_free()
        asked = len(self.source.asked)
        check = self.check()
        check.cancel()
        self.failureResultOf(check, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.assertEqual(len(self.source.asked), asked)
        self.assertEqual(self.checks._delayed._taken, {})

    def test_refused(self) -> None:
        """Then it is refused, right or wrong, and no source is asked."""
        for number in range(throttle.PAIR_LIMIT):
            self.check(f"wrong {number}")
            self.clock.advance(throttle.MAX_DELAY)
        while self.throttle.refusal(HERE, "alice") is None:
            self.check("wrong again")
            self.clock.advance(throttle.MAX_DELAY)
        asked = len(self.source.asked)
        for password in (SECRET, "wrong"):
            self.assertGreater(self.assert_too_many(self.check(password)), 1)
        self.assertEqual(len(self.source.asked), asked)
        self.assertEqual(self.successResultOf(self.check(address=THERE)), ALICE)

    def test_refused_after_delay(self) -> None:
        """Who is delayed is asked again for others' failures meanwhile."""
        self.fail_free()
        checks = [self.check(f"guess {n}") for n in range(throttle.PAIR_LIMIT + 5)]
        self.clock.advance(throttle.FIRST_DELAY)
        # What has halved a little meanwhile leaves room for one more.
        refused = checks[throttle.PAIR_LIMIT - throttle.PAIR_FREE + 1 :]
        self.assertEqual(len(refused), 7)
        for check in refused:
            self.assert_too_many(check)

    def test_delayed_are_bounded(self) -> None:
        """So many may be delayed for one address, and not for another."""
        self.patch(password_checks, "MAX_DELAYED_OF_ADDRESS", 4)
        self.make_checks([self.source])
        self.fail_free()
        self.fail_free(THERE)
        delayed = [self.check(f"guess {n}") for n in range(4)]
        self.assertEqual(self.assert_too_many(self.check("guess 5")), 1)
        self.assertNoResult(self.check("guess", address=THERE))
        for check in delayed:
            self.assertNoResult(check)
        self.clock.advance(throttle.MAX_DELAY)

    def test_no_oracle(self) -> None:
        """What is remembered answers no more guesses than a source would."""
        self.successResultOf(self.check())
        answered = 0
        for number in range(2000):
            check = self.check(f"guess {number}", address=THERE)
            results: list[Any] = []
            check.addBoth(results.append)
            answered += results == [None]
            self.clock.advance(0.01)
        self.assertLessEqual(answered, throttle.PAIR_LIMIT)

    def test_no_oracle_when_full(self) -> None:
        """Nor when the guesses find no place to be checked."""
        self.successResultOf(self.check())
        self.source.answer = None
        for n in range(password_checks.MAX_CHECKS_OF_ADDRESS):
            self.check(f"{n}", f"user{n}", THERE)
        told = [self.check(f"guess {n}", address=THERE) for n in range(50)]
        for check in told:
            check.addErrback(lambda _: None)
        self.clock.advance(throttle.MAX_DELAY)
        self.assertIsNotNone(self.throttle.refusal(THERE, "alice"))
        self.assertEqual(self.successResultOf(self.check()), ALICE)

    def test_flood(self) -> None:
        """A load of wrong passwords, and the right one still gets in."""
        self.successResultOf(self.check())
        for second in range(120):
            for n in range(20):
                guess = self.check(f"{second} {n}", address=f"10.0.{second % 3}.{n}")
                guess.addErrback(lambda _: None)
            self.assertEqual(self.successResultOf(self.check()), ALICE)
            self.clock.advance(1)


class SecretsTests(CheckingCase):
    def test_no_password_is_told(self) -> None:
        """No log and no error has a password in it."""
        outcomes: list[Any] = []
        with capturedLogs() as events:
            self.source.down = True
            self.check().addBoth(outcomes.append)
            self.source.down = False
            self.check().addBoth(outcomes.append)
            self.clock.advance(password_checks.CHECK_SECONDS)
            self.source.accept("other")
            for _ in range(30):
                self.check().addBoth(outcomes.append)
                self.clock.advance(throttle.MAX_DELAY)
        told = [repr(event) for event in events]
        told += [repr(outcome) + str(outcome) for outcome in outcomes]
        told += [
            repr(vars(outcome.value)) for outcome in outcomes if outcome is not None
        ]
        self.assertGreater(len(outcomes), 30)
        self.assertEqual([text for text in told if SECRET in text], [])


class KnownPlaceTests(CheckingCase):
    """Who has logged in from there before is not kept out by a crowd."""

    def test_crowd(self) -> None:
        """Strangers from everywhere take all places but those kept for the known."""
        self.throttle.succeeded(HERE, "alice")
        for number in range(password_checks.MAX_CHECKS):
            self.check("guess", f"user{number}", f"198.51.{number}.7")
        crowded = self.check("guess", "mallory", THERE)
        self.failureResultOf(crowded, TooManyRequests)
        known = self.check()
        # Two turns are the crowd's; alice's check has one of its own.
        self.assertEqual(self.source.asked[-1], ("alice", SECRET))
        self.source.owed[-1].callback(ALICE)
        self.assertEqual(self.successResultOf(known), ALICE)
