"""
Passwords are checked here, whatever accounts they are of.

The way of one check, in this order:

1. The throttle lets it through, delays it, or refuses it. This comes before
   anything that could tell a right password from a wrong one.
2. A password that was right within the last `REMEMBER_SECONDS` is right, when
   its account has not changed since. What is remembered is a keyed hash.
3. The sources are asked in order: a few at a time, the same password once for
   all requests that bring it at the same moment. The first that accepts it decides.

A wrong password is never remembered. No password is ever logged, or part of an
error.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import DeferredSemaphore, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from regbroker.accounts.check_places import CheckPlaces, too_many
from regbroker.accounts.principals import Account, AccountSource
from regbroker.accounts.throttling import Throttling
from regbroker.errors import AccountsUnavailable
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.keyed_hash import KeyedHash
from regbroker.runtime.single_flight import Coalescer

#: `curl -u` in a loop costs one hash a minute; a changed password of an LDAP
#: account works on for as long.
REMEMBER_SECONDS = 60.0

#: One for each user who is active within a minute; 300 bytes each.
MAX_REMEMBERED = 4096

#: A hash takes a tenth of a second of one processor: some are left for relaying.
MAX_PARALLEL = 4

#: Checks under way and waiting: two or three seconds' worth. One address may
#: have half of them, so that another still finds a place.
MAX_CHECKS = 64
MAX_CHECKS_OF_ADDRESS = 32

#: Places, and turns, for those who have logged in from where they are before:
#: however many strangers guess from however many addresses, these get in.
MAX_GOOD_CHECKS = 32
MAX_GOOD_CHECKS_OF_ADDRESS = 8
GOOD_PARALLEL = 1

#: Attempts that the throttle delays; each holds a request open for seconds.
MAX_DELAYED = 1024
MAX_DELAYED_OF_ADDRESS = 64

#: A directory that does not answer. Docker gives a token request 15 s.
CHECK_SECONDS = 15.0

#: Longer than any password or access token that people use, and too short to
#: keep a hash busy.
MAX_LENGTH = 4096

#: NUL, and the halves of a character that no encoding takes.
_NOT_TEXT = re.compile("[\\0\ud800-\udfff]")


@dataclass(frozen=True)
class _Remembered:
    """A password that was right: its keyed hash, and whose it was."""

    digest: bytes
    source: AccountSource
    account: Account


@dataclass(frozen=True)
class _Answer:
    """What the sources say; `refused` when one of them knows that it is wrong."""

    account: Account | None = None
    refused: bool = False
    unavailable: AccountsUnavailable | None = None


class PasswordChecks:
    """
    Checks passwords against sources of accounts, in their order.

    `now` returns seconds and never goes back, as `time.monotonic`; `clock`
    is the reactor. `parallel` is how many passwords are checked at a time.
    """

    def __init__(
        self,
        sources: Sequence[AccountSource],
        clock: IReactorTime,
        now: Callable[[], float],
        throttle: Throttling,
        *,
        parallel: int = MAX_PARALLEL,
    ) -> None:
        self._sources = tuple(sources)
        self._clock = clock
        self._throttle = throttle
        self._hash = KeyedHash()
        self._remembered: BoundedMemory[str, _Remembered] = BoundedMemory(
            MAX_REMEMBERED, now=now, max_age=REMEMBER_SECONDS
        )
        self._turns = DeferredSemaphore(parallel)
        self._checks = CheckPlaces(MAX_CHECKS, MAX_CHECKS_OF_ADDRESS)
        self._good_turns = DeferredSemaphore(GOOD_PARALLEL)
        self._good_checks = CheckPlaces(MAX_GOOD_CHECKS, MAX_GOOD_CHECKS_OF_ADDRESS)
        self._delayed = CheckPlaces(MAX_DELAYED, MAX_DELAYED_OF_ADDRESS)
        self._asking: Coalescer[_Answer] = Coalescer(clock, CHECK_SECONDS)
        self._looking_up: Coalescer[Account | None] = Coalescer(clock, CHECK_SECONDS)

    @property
    def has_groups(self) -> bool:
        """Whether some account here may have groups."""
        return any(source.has_groups for source in self._sources)

    def open(self) -> None:
        """Begin: open the sources."""
        for source in self._sources:
            source.open()

    def close(self) -> None:
        """End the checks under way, and close the sources."""
        self._asking.cancel()
        self._looking_up.cancel()
        self._remembered.clear()
        for source in self._sources:
            source.close()

    async def check(self, user: str, password: str, address: str) -> Account | None:
        """
        Return the account when the password is right, None when it is wrong.

        `address` is the client's, without a port. Raises `TooManyRequests`, and
        `AccountsUnavailable` when a source that could know is down.
        """
        await self._admit(user, address)
        digest = self._hash.digest(user, password)
        remembered = self._remembered.get(user)
        if remembered is not None and hmac.compare_digest(remembered.digest, digest):
            account = await self._confirm(user, remembered)
            if account is not None:
                await self._throttle.succeeded(address, user)
                return account
            remembered = None
        # Not what was right a minute ago: that is an answer, and it counts now,
        # or guesses that are refused below would be free.
        contradicted = remembered is not None
        if contradicted:
            await self._throttle.failed(address, user)
        answer = await self._answer(user, password, digest, address)
        if answer.account is not None:
            if contradicted:
                await self._throttle.forgive(address, user)
            await self._throttle.succeeded(address, user)
        elif answer.refused and not contradicted:
            await self._throttle.failed(address, user)
        if answer.unavailable is not None:
            raise answer.unavailable
        return answer.account

    async def look_up(
        self, user: str, password_version: str | None = None
    ) -> Account | None:
        """
        Return the account of the first source that knows the user.

        With a password version, of the first that knows the user under it: a user may
        have several passwords. A herd of machines with one token is one search. Raises
        `AccountsUnavailable` when there is no such account and a source that could know
        is down.
        """
        try:
            return await self._looking_up.run(
                (user, password_version), lambda: self._look_up(user, password_version)
            )
        except TimeoutError:
            raise AccountsUnavailable(
                "looking up the user has taken too long"
            ) from None

    async def _look_up(self, user: str, password_version: str | None) -> Account | None:
        unavailable: AccountsUnavailable | None = None
        for source in self._sources:
            try:
                account = await source.look_up(user)
            except AccountsUnavailable as error:
                unavailable = unavailable or error
                continue
            if account is not None and password_version in (
                None,
                account.password_version,
            ):
                return account
        if unavailable is not None:
            raise unavailable
        return None

    async def _admit(self, user: str, address: str) -> None:
        verdict = await self._throttle.before(address, user)
        seconds = verdict.retry_after
        if seconds is None and verdict.delay:
            with self._delayed.place(address):
                await deferLater(self._clock, verdict.delay)
            seconds = await self._throttle.refusal(address, user)
        if seconds is not None:
            raise too_many("too many wrong passwords; wait before trying", seconds)

    async def _confirm(self, user: str, remembered: _Remembered) -> Account | None:
        """Return the account that is remembered, unless it has changed since."""
        if not remembered.source.cheap_look_up:
            return remembered.account
        try:
            account = await remembered.source.look_up(user)
        except AccountsUnavailable:
            return None
        if (
            account is None
            or account.password_version != remembered.account.password_version
        ):
            self._remembered.pop(user)
            return None
        return account

    async def _answer(
        self, user: str, password: str, digest: bytes, address: str
    ) -> _Answer:
        if not _is_possible(user, password):
            return _Answer(refused=True)

        room, turns = self._checks, self._turns
        if await self._throttle.is_good(address, user):
            room, turns = self._good_checks, self._good_turns

        async def ask() -> _Answer:
            with room.place(address):
                await turns.acquire()
                try:
                    return await self._ask(user, password, digest)
                finally:
                    turns.release()

        try:
            return await self._asking.run(digest, ask)
        except TimeoutError:
            raise AccountsUnavailable(
                "checking the password has taken too long"
            ) from None

    async def _ask(self, user: str, password: str, digest: bytes) -> _Answer:
        refused, unavailable = False, None
        for source in self._sources:
            try:
                account = await source.authenticate(user, password)
            except AccountsUnavailable as error:
                unavailable = unavailable or error
                continue
            if account is not None:
                self._remembered.put(user, _Remembered(digest, source, account))
                return _Answer(account)
            refused = True
        return _Answer(None, refused, unavailable)


def _is_possible(user: str, password: str) -> bool:
    """
    Tell whether this could be a user and a password at all.

    A directory takes an empty password for no login at all, and accepts it; a
    hash may end at NUL.
    """
    return all(
        0 < len(text) <= MAX_LENGTH and _NOT_TEXT.search(text) is None
        for text in (user, password)
    )
