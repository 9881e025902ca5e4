"""
How often passwords may be tried: slowed first, then refused for a while.

Three things are counted, each as a number of failures that halves every
`HALF_LIFE` seconds: those of a pair (an address and a user), of an address, and
of a user wherever somebody tries. They limit in different ways, so that who
tries wrong passwords harms himself and nobody else:

- A pair is slowed, then refused. One build machine with an outdated password
  stops itself here, long before it would harm others at its address.
- An address is slowed, then refused: it tries many users.
- A user is never refused. When many addresses have failed for one, an address
  that has failed for this user lately has to wait; all others share one check
  per `USER_SPACING`. An attacker needs a new address for each few attempts, and
  the user still gets in from a new place.
- A pair that has succeeded within `GOOD_SECONDS` stands outside all this. It has
  only its own failures to answer for, and is never refused for long: past
  `GOOD_FREE` it gets one check per `GOOD_SPACING`. The price: a client that shares an
  address with a user may guess at that rate. Behind a proxy that hides all
  addresses, everybody shares one: name it in ``trusted-proxies``.

What is refused does not count as a failure, so a limit ends by itself. All is
kept in memory, bounded, and a restart forgets it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from regbroker.accounts.principals import MAX_USER_LENGTH
from regbroker.protocol.addresses import place_of
from regbroker.runtime.bounded_memory import BoundedMemory

#: Failures count half after five minutes: nobody waits much longer for a
#: mistake, and a limit of N lets N * ln 2 / 300 s = N / 433 s through for ever.
HALF_LIFE = 300.0

#: People try what they have typed again, then another password they know.
PAIR_FREE = 3
#: In the long run 2000 a day: nothing to a password that is not in a list.
PAIR_LIMIT = 10

#: An office, or a rack of build machines, behind one address: several people
#: mistype at once, and several machines (PAIR_LIMIT each) have old passwords.
ADDRESS_FREE = 10
ADDRESS_LIMIT = 30

#: Twice what one address can fail: from here on, somebody tries from many.
USER_FREE = 20
#: Then one failure for the user makes an address wait, eight minutes in the long
#: run: 200 addresses, each back when it may, make one check in 2.4 s.
USER_PAIR_LIMIT = 0.5
#: What all others share, well above what those 200 can use of it.
USER_SPACING = 0.5

#: A place of work is one for a week without the user showing up.
GOOD_SECONDS = 7 * 86400.0
GOOD_FREE = 10
GOOD_SPACING = 2.0

#: The first delay; each further failure doubles it. Docker gives a token
#: request 15 s, of which the check itself wants some.
FIRST_DELAY = 0.25
MAX_DELAY = 5.0

#: Entries of each kind. One is about 500 bytes: 8 MB of each kind at most.
MAX_ENTRIES = 16384


@dataclass(frozen=True)
class Verdict:
    """
    What to do with an attempt: check it after `delay` seconds, or refuse it.

    `retry_after` is None, or in how many seconds a refused one may come again.
    """

    delay: float = 0.0
    retry_after: int | None = None


def _same_user(user: str) -> str:
    # Directories ignore case and repeated spaces in names: whoever varies them
    # guesses for one user. Two users that only differ in this share limits.
    return " ".join(user[:MAX_USER_LENGTH].casefold().split())


class Throttle:
    """
    Counts failures and decides about attempts.

    `now` returns seconds from any beginning, and never goes back.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._pairs = _Failures(now)
        self._addresses = _Failures(now)
        self._users = _Failures(now)
        #: By user, or by pair for good ones: when the next check may begin.
        self._slots: BoundedMemory[Hashable, float] = BoundedMemory(MAX_ENTRIES)
        #: Pairs that have succeeded lately.
        self._good: BoundedMemory[Hashable, bool] = BoundedMemory(
            MAX_ENTRIES, now=now, max_age=GOOD_SECONDS
        )

    def before(self, address: str, user: str) -> Verdict:
        """Decide about an attempt; call it once for each."""
        place, user = place_of(address), _same_user(user)
        pair = (place, user)
        retry_after = self._refusal(place, user)
        if retry_after is not None:
            return Verdict(retry_after=retry_after)
        failures = self._pairs.count(pair)
        if self._is_good(pair):
            if failures < GOOD_FREE:
                return Verdict()
            return self._next_slot(pair, GOOD_SPACING)
        delay = max(
            _delay(failures, PAIR_FREE),
            _delay(self._addresses.count(place), ADDRESS_FREE),
        )
        if self._users.count(user) < USER_FREE:
            return Verdict(delay)
        slot = self._next_slot(user, USER_SPACING)
        return Verdict(max(delay, slot.delay), slot.retry_after)

    def refusal(self, address: str, user: str) -> int | None:
        """
        Return in how many seconds an attempt may come, or None for now.

        For an attempt that has been delayed: others may have failed meanwhile.
        """
        return self._refusal(place_of(address), _same_user(user))

    def is_good(self, address: str, user: str) -> bool:
        """Tell whether the user has logged in from there lately."""
        return self._is_good((place_of(address), _same_user(user)))

    def failed(self, address: str, user: str) -> None:
        """Count a wrong password."""
        self._count(address, user, 1)

    def forgive(self, address: str, user: str) -> None:
        """Take back a failure that was none."""
        self._count(address, user, -1)

    def succeeded(self, address: str, user: str) -> None:
        """
        Remember that the user works there.

        Failures stay counted: otherwise anybody with an account could clear his
        address by logging in between guesses.
        """
        self._good.put((place_of(address), _same_user(user)), True)

    def _count(self, address: str, user: str, number: int) -> None:
        place, user = place_of(address), _same_user(user)
        pair = (place, user)
        self._pairs.add(pair, number)
        self._users.add(user, number)
        if not self._is_good(pair):
            self._addresses.add(place, number)

    def _refusal(self, place: str, user: str) -> int | None:
        pair = (place, user)
        if self._is_good(pair):
            return None
        limit = PAIR_LIMIT if self._users.count(user) < USER_FREE else USER_PAIR_LIMIT
        waits = (
            _wait(self._pairs.count(pair), limit),
            _wait(self._addresses.count(place), ADDRESS_LIMIT),
        )
        return max((wait for wait in waits if wait is not None), default=None)

    def _is_good(self, pair: Hashable) -> bool:
        return self._good.get(pair) is not None

    def _next_slot(self, key: Hashable, spacing: float) -> Verdict:
        now = self._now()
        slot = max(now, self._slots.get(key) or now)
        if slot - now > MAX_DELAY:
            return Verdict(retry_after=math.ceil(slot - now))
        self._slots.put(key, slot + spacing)
        return Verdict(slot - now)


def _delay(failures: float, free: int) -> float:
    if failures < free:
        return 0.0
    return min(MAX_DELAY, FIRST_DELAY * math.pow(2, failures - free))


def _wait(failures: float, limit: float) -> int | None:
    """Return the seconds until less than `limit` failures are left, None for now."""
    if failures < limit:
        return None
    return max(1, math.ceil(HALF_LIFE * math.log2(failures / limit)))


class _Failures:
    """Failures by key, which lose half of their weight every `HALF_LIFE`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        #: The weight at a time, and that time.
        self._counted: BoundedMemory[Hashable, tuple[float, float]] = BoundedMemory(
            MAX_ENTRIES
        )

    def count(self, key: Hashable) -> float:
        weight, since = self._counted.get(key) or (0.0, self._now())
        return weight * math.pow(2, (since - self._now()) / HALF_LIFE)

    def add(self, key: Hashable, number: int) -> None:
        self._counted.put(key, (max(0.0, self.count(key) + number), self._now()))
