"""Who tries wrong passwords is slowed and refused; everybody else is not."""

import random
from collections.abc import Hashable

from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts import throttle
from regbroker.accounts.throttle import Throttle, Verdict
from regbroker.protocol.addresses import place_of

HERE, THERE, OFFICE = "192.0.2.1", "198.51.100.7", "203.0.113.9"
AT_ONCE = Verdict()


class ThrottleCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 1e6
        self.throttle = Throttle(lambda: self.time)

    def fail_at(self, address: str, user: str, times: int = 1) -> int:
        """Try wrong passwords; return how many were checked."""
        checked = 0
        for _ in range(times):
            if self.throttle.before(address, user).retry_after is None:
                self.throttle.failed(address, user)
                checked += 1
        return checked

    def succeed(self, address: str, user: str) -> None:
        """Try the right password, which is let through."""
        self.assertIsNone(self.throttle.before(address, user).retry_after)
        self.throttle.succeeded(address, user)

    def flood(self, user: str, addresses: int = 500) -> None:
        """Fail for a user from many addresses."""
        for number in range(addresses):
            self.fail_at(f"10.0.{number // 256}.{number % 256}", user, 3)


class PairTests(ThrottleCase):
    def test_mistakes_are_free(self) -> None:
        """The first few attempts do not wait."""
        for _ in range(throttle.PAIR_FREE):
            self.assertEqual(self.throttle.before(HERE, "alice"), AT_ONCE)
            self.throttle.failed(HERE, "alice")
        self.assertGreater(self.throttle.before(HERE, "alice").delay, 0)

    def test_slowed_then_refused(self) -> None:
        """Delays double up to a bound; then attempts are refused."""
        delays = []
        while True:
            verdict = self.throttle.before(HERE, "alice")
            if verdict.retry_after is not None:
                break
            delays.append(verdict.delay)
            self.throttle.failed(HERE, "alice")
        self.assertEqual(delays, [0, 0, 0, 0.25, 0.5, 1, 2, 4, 5, 5])
        self.assertEqual(verdict, Verdict(retry_after=1))
        self.assertEqual(self.throttle.refusal(HERE, "alice"), 1)

    def test_come_again(self) -> None:
        """Who comes when told to is let in, one attempt at a time."""
        self.fail_at(HERE, "alice", 20)
        waits = []
        for _ in range(4):
            told = self.throttle.before(HERE, "alice").retry_after
            assert told is not None
            waits.append(told)
            wait = float(told)
            if wait > 1:
                self.time += wait - 1.01
                self.assertIsNotNone(self.throttle.refusal(HERE, "alice"))
                wait = 1.01
            self.time += wait
            self.assertEqual(self.fail_at(HERE, "alice"), 1)
        self.assertEqual(waits[0], 1)
        self.assertTrue(all(38 < wait < 46 for wait in waits[1:]), waits)

    def test_refused_is_not_counted(self) -> None:
        """Asking on while refused does not make it longer."""
        self.fail_at(HERE, "alice", 20)
        self.fail_at(HERE, "alice", 1000)
        self.assertEqual(self.throttle.refusal(HERE, "alice"), 1)

    def test_forgotten(self) -> None:
        """After half an hour it is nearly as if nothing had been."""
        self.fail_at(HERE, "alice", 20)
        self.time += 1800
        self.assertEqual(self.throttle.before(HERE, "alice"), AT_ONCE)

    def test_case_and_spaces(self) -> None:
        """Writing a name differently is still the same name."""
        for user in ("alice", "Alice", "ALICE", " alice ", "aliCe") * 2:
            self.fail_at(HERE, user)
        self.assertIsNotNone(self.throttle.refusal(HERE, "alicE"))

    def test_forgiven(self) -> None:
        """A failure that was none is taken back, and never more than that."""
        self.fail_at(HERE, "alice", 10)
        self.assertIsNotNone(self.throttle.refusal(HERE, "alice"))
        self.throttle.forgive(HERE, "alice")
        self.assertIsNone(self.throttle.refusal(HERE, "alice"))
        for _ in range(100):
            self.throttle.forgive(HERE, "alice")
        self.assertEqual(self.fail_at(HERE, "alice", 100), throttle.PAIR_LIMIT)


class AddressTests(ThrottleCase):
    def test_many_users(self) -> None:
        """An address that tries many users is refused for all of them."""
        checked = sum(self.fail_at(HERE, f"user{number}") for number in range(1000))
        self.assertEqual(checked, throttle.ADDRESS_LIMIT)
        self.assertIsNotNone(self.throttle.before(HERE, "somebody else").retry_after)

    def test_other_addresses(self) -> None:
        """Another address notices nothing, for any user."""
        for number in range(1000):
            self.fail_at(HERE, f"user{number % 50}")
        for number in range(50):
            verdict = self.throttle.before(THERE, f"user{number}")
            self.assertEqual(verdict, AT_ONCE)

    def test_shared_address(self) -> None:
        """Who has succeeded at the address is let through without delay."""
        self.succeed(HERE, "alice")
        for number in range(1000):
            self.fail_at(HERE, f"user{number}")
        self.assertEqual(self.throttle.before(HERE, "alice"), AT_ONCE)
        self.assertIsNotNone(self.throttle.before(HERE, "bob").retry_after)

    def test_outdated_machine(self) -> None:
        """A machine with an old password stops itself, not the others there."""
        for _ in range(3600):
            self.time += 1
            self.fail_at(OFFICE, "robot")
        self.assertIsNotNone(self.throttle.refusal(OFFICE, "robot"))
        self.assertLess(self.throttle.before(OFFICE, "alice").delay, 1)

    def test_own_account(self) -> None:
        """Logging in between guesses clears nothing."""
        checked = 0
        for number in range(1000):
            self.succeed(HERE, "mallory")
            checked += self.fail_at(HERE, f"user{number}")
        self.assertEqual(checked, throttle.ADDRESS_LIMIT)

    def test_places(self) -> None:
        """A /64 of IPv6 is one address; IPv4 is the same however written."""
        for text, place in {
            "192.0.2.1": "192.0.2.1",
            "::ffff:192.0.2.1": "192.0.2.1",
            "2001:db8::1": "2001:db8::",
            "2001:db8:0:0:ffff::1": "2001:db8::",
            "2001:db8:0:1::1": "2001:db8:0:1::",
            "fe80::1%eth0": "fe80::",
            "": "",
            "unix": "unix",
        }.items():
            self.assertEqual(place_of(text), place)
        self.fail_at("2001:db8::1", "alice", 20)
        self.assertIsNotNone(self.throttle.refusal("2001:db8::2", "alice"))
        self.assertIsNone(self.throttle.refusal("2001:db8:0:1::2", "alice"))


class UserTests(ThrottleCase):
    def test_where_she_works(self) -> None:
        """A flood from everywhere does not touch a user where she works."""
        self.succeed(HERE, "alice")
        self.flood("alice")
        self.assertEqual(self.throttle.before(HERE, "alice"), AT_ONCE)

    def test_fresh_address(self) -> None:
        """Nor is she refused for long at an address she never used."""
        self.flood("alice")
        waited = 0.0
        while True:
            verdict = self.throttle.before(THERE, "alice")
            if verdict.retry_after is None:
                break
            self.time += verdict.retry_after
            waited += verdict.retry_after
        self.assertLess(waited + verdict.delay, 15)
        self.throttle.succeeded(THERE, "alice")
        self.assertEqual(self.throttle.before(THERE, "alice"), AT_ONCE)

    def test_during_the_flood(self) -> None:
        """While 200 addresses go on guessing, she gets in, and they get little."""
        chance = random.Random(3)
        bots = [f"10.0.0.{number}" for number in range(200)]
        checked, next_try = 0, 0.0
        entered: list[float] = []
        begin = self.time
        for _ in range(600):
            self.time += 1
            for bot in chance.sample(bots, 50):
                checked += self.fail_at(bot, "alice")
            elapsed = self.time - begin
            if elapsed >= max(60, next_try):
                fresh = f"198.51.100.{len(entered)}"
                verdict = self.throttle.before(fresh, "alice")
                next_try = elapsed + (verdict.retry_after or 60)
                if verdict.retry_after is None:
                    entered.append(elapsed)
        self.assertGreaterEqual(len(entered), 8, entered)
        self.assertLess(checked, 200 * 3 + 600)

    def test_bounded_rate(self) -> None:
        """However many addresses guess for one user, the checks have a rate."""
        self.flood("alice", 20)
        checked = 0
        self.time += 60
        for second in range(60):
            self.time += 1
            for number in range(100):
                checked += self.fail_at(f"10.{second}.1.{number}", "alice")
        most = (60 + throttle.MAX_DELAY) / throttle.USER_SPACING + 1
        self.assertLessEqual(checked, most)

    def test_begin_of_a_flood(self) -> None:
        """From `USER_FREE` failures on, an address that has failed once is refused."""
        for number in range(throttle.USER_FREE):
            self.assertIsNone(self.throttle.refusal("10.0.0.0", "alice"), number)
            self.fail_at(f"10.0.0.{number}", "alice")
        self.assertIsNotNone(self.throttle.refusal("10.0.0.0", "alice"))

    def test_last_slot(self) -> None:
        """Who would wait for `MAX_DELAY` waits; who would wait longer is refused."""
        for number in range(throttle.USER_FREE):
            self.fail_at(f"10.0.0.{number}", "alice")
        slots = int(throttle.MAX_DELAY / throttle.USER_SPACING)
        verdicts = [
            self.throttle.before(f"10.0.1.{number}", "alice")
            for number in range(slots + 2)
        ]
        self.assertEqual(verdicts[slots], Verdict(throttle.MAX_DELAY))
        self.assertIsNotNone(verdicts[slots + 1].retry_after)

    def test_other_users(self) -> None:
        """A flood for one user touches no other."""
        self.flood("alice")
        self.assertEqual(self.throttle.before(THERE, "bob"), AT_ONCE)


class GoodPairTests(ThrottleCase):
    def test_guesses_from_her_address(self) -> None:
        """Guesses from a user's own address are slowed to a rate, never locked."""
        self.succeed(OFFICE, "alice")
        checked = 0
        for _ in range(600):
            self.time += 1
            for _ in range(10):
                checked += self.fail_at(OFFICE, "alice")
        self.assertLess(checked, throttle.GOOD_FREE + 600 / throttle.GOOD_SPACING + 4)
        verdict = self.throttle.before(OFFICE, "alice")
        self.assertLessEqual(verdict.retry_after or 0, 8)
        self.time += 10
        self.assertEqual(self.throttle.before(OFFICE, "alice"), AT_ONCE)

    def test_not_the_address(self) -> None:
        """Her mistakes there do not count for others at the address."""
        self.succeed(OFFICE, "alice")
        for _ in range(600):
            self.time += 1
            self.fail_at(OFFICE, "alice")
        self.assertEqual(self.throttle.before(OFFICE, "bob"), AT_ONCE)

    def test_ends(self) -> None:
        """After a week away, she is like anybody else there."""
        self.succeed(HERE, "alice")
        self.flood("alice")
        self.time += throttle.GOOD_SECONDS - 1
        self.flood("alice")
        self.assertEqual(self.throttle.before(HERE, "alice"), AT_ONCE)
        self.time += 1
        self.assertGreater(self.throttle.before(HERE, "alice").delay, 0)

    def test_success_keeps_it(self) -> None:
        """Each success begins another week."""
        for _ in range(5):
            self.succeed(HERE, "alice")
            self.time += throttle.GOOD_SECONDS - 1
        self.flood("alice")
        self.assertEqual(self.throttle.before(HERE, "alice"), AT_ONCE)


class MemoryTests(ThrottleCase):
    def test_bounded(self) -> None:
        """However many addresses and users come, the memory is bounded."""
        self.patch(throttle, "MAX_ENTRIES", 10)
        self.throttle = Throttle(lambda: self.time)
        for number in range(100):
            self.fail_at(f"10.0.0.{number}", f"user{number}" + "x" * 10**5)
            self.throttle.succeeded(f"10.0.0.{number}", f"user{number}")
            self.flood(f"user{number}", 20)
        kept: list[list[Hashable]] = [
            list(self.throttle._pairs._counted),
            list(self.throttle._addresses._counted),
            list(self.throttle._users._counted),
            list(self.throttle._slots),
            list(self.throttle._good),
        ]
        self.assertEqual([len(each) for each in kept], [10] * 5)
        self.assertNotIn("x" * 300, repr(kept))
