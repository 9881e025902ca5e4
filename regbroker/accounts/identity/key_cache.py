"""
Keys of an issuer, kept: fetched at the start, again before they end, and for a ``kid``
that is not known.

What strangers can make of that is bounded: a ``kid`` that was asked for in vain is not
asked for again for a while, and all that are unknown share a few fetches. Requests
never wait for keys that are there already. One that needs others waits for the fetch
that is under way, also for the first one, and for a bounded time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.accounts.identity.issuer import FetchedKeys, IssuerFailed
from regbroker.accounts.identity.keys import IssuerKey, KeySet
from regbroker.errors import AccountsUnavailable
from regbroker.protocol.retry_after import retry_after
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.in_time import InTime
from regbroker.runtime.single_flight import Coalescer

#: Two documents; and how long a request waits for keys. docker gives a token 15 s, and
#: some of it is the registry's.
FETCH_SECONDS = 8.0

#: Keys are fetched again when this part of their time has passed.
REFRESH_AT = 0.8

#: After a failure: at once nearly, then ever slower up to a minute.
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 60.0

#: So long after a failure, requests that need keys do not ask again. What asks by
#: itself meanwhile they join.
REST_SECONDS = 1.0

#: For how long keys count that cannot be fetched again: an outage of a day ends no
#: build, and a key that was taken back is not good for ever.
STALE_SECONDS = 86400.0

#: Fetches for unknown keys: so many at once, and then one in so many seconds. Issuers
#: change keys every few weeks; some change several at once.
UNKNOWN_FETCHES = 4
UNKNOWN_SECONDS = 10.0

#: A ``kid`` that the issuer did not know is not asked for again for so long.
UNKNOWN_KID_SECONDS = 60.0
MAX_UNKNOWN_KIDS = 1024
MAX_KID_LENGTH = 256

#: All who need keys share one fetch.
_KEYS = "keys"

_log = Logger()


class KeyCache:
    """
    The keys of one ``[identity NAME]``, a `regbroker.accounts.identity.verifier.Keys`.

    `fetch` gets them from the issuer, and raises `IssuerFailed`. `clock` is the
    reactor.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Coroutine[Any, Any, FetchedKeys]],
        clock: IReactorTime,
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        #: When the keys end, for want of newer ones.
        self._end = 0.0
        # It ends by itself before this timeout.
        self._fetching: Coalescer[KeySet] = Coalescer(clock, 2 * FETCH_SECONDS, True)
        self._timer: IDelayedCall | None = None
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._is_open = False
        self._unknown: BoundedMemory[tuple[str | None, str], bool] = BoundedMemory(
            MAX_UNKNOWN_KIDS, now=clock.seconds, max_age=UNKNOWN_KID_SECONDS
        )
        self._fetches_left = float(UNKNOWN_FETCHES)
        self._counted = 0.0
        #: Why there are no newer keys, and when that was; empty when there are.
        self.problem = ""
        self._failed = 0.0

    def open(self) -> None:
        """Fetch the keys, and again before they end."""
        self._is_open = True
        self._counted = self._clock.seconds()
        self._refresh()

    def close(self) -> None:
        """Fetch nothing any more."""
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._fetching.cancel()

    @property
    def keys(self) -> KeySet | None:
        """The keys that count now; None when there are none."""
        if self._keys is not None and self._clock.seconds() >= self._end:
            self._keys = None
        return self._keys

    async def find(self, kid: str | None, algorithm: str) -> tuple[IssuerKey, ...]:
        """
        Return the keys that may have made a signature; none for an unknown one.

        Raises `AccountsUnavailable` when no keys are to be had, or none that are newer:
        the one that is asked for may be among these.
        """
        if kid is not None and len(kid) > MAX_KID_LENGTH:
            return ()
        if self.keys is None:
            return await self._found_anew(kid, algorithm)
        found = self.keys.find(kid, algorithm)
        if found or self._unknown.get((kid, algorithm)):
            return found
        if self._may_ask():
            return await self._found_anew(kid, algorithm)
        if self.problem:
            raise self._unavailable()
        return ()

    async def _found_anew(
        self, kid: str | None, algorithm: str
    ) -> tuple[IssuerKey, ...]:
        """Return what `find` does, of keys that are fetched now; wait, not for ever."""
        finding = self._find_anew(kid, algorithm)
        try:
            return await InTime(finding, FETCH_SECONDS, self._clock)
        except TimeoutError:
            raise self._unavailable() from None

    async def _find_anew(
        self, kid: str | None, algorithm: str
    ) -> tuple[IssuerKey, ...]:
        has_begun = self._fetching.is_under_way(_KEYS)
        found = (await self._fetched()).find(kid, algorithm)
        if not found and has_begun:
            # What the issuer had when that fetch began; this key may be newer, and
            # another one who has waited for it may have got it by now.
            found = self.keys.find(kid, algorithm) if self.keys else ()
            if found or not self._may_ask():
                return found
            found = (await self._fetched()).find(kid, algorithm)
        if not found:
            self._unknown.put((kid, algorithm), True)
        return found

    def _may_ask(self) -> bool:
        """
        Tell whether keys may be fetched for an unknown one.

        It takes one of the few fetches for that; to join another costs none.
        """
        if self._fetching.is_under_way(_KEYS):
            return True
        now = self._clock.seconds()
        gained = (now - self._counted) / UNKNOWN_SECONDS
        self._fetches_left = min(self._fetches_left + gained, float(UNKNOWN_FETCHES))
        self._counted = now
        if self._fetches_left < 1:
            return False
        self._fetches_left -= 1
        return True

    async def _fetched(self) -> KeySet:
        """Return keys that are fetched now, once for all who wait for them."""
        if not self._is_open:
            raise AccountsUnavailable("identities cannot be checked now")
        is_resting = self._clock.seconds() - self._failed < REST_SECONDS
        if self._fetching.is_under_way(_KEYS) or not (self.problem and is_resting):
            try:
                return await self._fetching.run(_KEYS, self._fetch_keys)
            except IssuerFailed:
                pass
        raise self._unavailable()

    def _unavailable(self) -> AccountsUnavailable:
        return AccountsUnavailable(
            "the issuer of this identity gives no keys now; come again later",
            headers=[retry_after(REST_SECONDS)],
        )

    async def _fetch_keys(self) -> KeySet:
        try:
            fetched = await InTime(self._fetch(), FETCH_SECONDS, self._clock)
        except TimeoutError:
            self._note(f"no answer within {FETCH_SECONDS:g} s")
            raise IssuerFailed(self.problem) from None
        except IssuerFailed as error:
            self._note(str(error))
            raise
        if self.keys is None or self.problem:
            _log.info(
                "[identity {name}]: the issuer's keys are here; keys: {count}",
                name=self._name,
                count=len(fetched.keys.keys),
            )
        self._keys = fetched.keys
        self._end = self._clock.seconds() + fetched.seconds + STALE_SECONDS
        self.problem = ""
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._again_in(fetched.seconds * REFRESH_AT)
        return fetched.keys

    def _note(self, problem: str) -> None:
        """Note that the issuer gives no keys, and why."""
        self.problem = problem
        self._failed = self._clock.seconds()
        _log.warn(
            "[identity {name}]: {problem}{kept}; asking again in {seconds:g} s",
            name=self._name,
            problem=problem,
            kept="; the keys that are here still count" if self.keys else "",
            seconds=self._retry_seconds,
        )
        self._again_in(self._retry_seconds)
        self._retry_seconds = min(self._retry_seconds * 2, LAST_RETRY_SECONDS)

    def _refresh(self) -> None:
        self._timer = None
        refreshing = self._fetching.run(_KEYS, self._fetch_keys)
        refreshing.addBoth(_tell_of_mistake)

    def _again_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_open:
            self._timer = self._clock.callLater(seconds, self._refresh)


def _tell_of_mistake(result: object) -> None:
    if not isinstance(result, Failure):
        return
    # Of the others it has been told.
    if result.check(IssuerFailed, CancelledError) is None:
        _log.failure("fetching the keys of an issuer has failed", result)
