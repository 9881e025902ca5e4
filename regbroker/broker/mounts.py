"""
Mounts whose token does not say that its holder may pull from there.

A client that takes its scopes from the 401 (as the specification has it) shows a token
for the repository that it pushes to. A 401 with a wider scope makes it come again with
a wider token. A client that may not pull there, or that never asks for more, would get
that 401 for ever; for it a mount is an ordinary upload (202). So a client is challenged
once:

- not when its token was asked for with that right: it is the best that it can get;
- not when it was challenged for the same mount a moment ago, whatever token it brings
  now.

What is known of the upstream's tokens is what was asked for here; our own tokens say it
themselves. On another machine, or after a restart, the worst is one 401 more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.keyed_hash import KeyedHash

#: Tokens of which it is remembered what they were asked for, and names in all.
MAX_TOKENS = 16384
MAX_NAMES = 65536

#: A client that was challenged comes again at once.
CHALLENGED_SECONDS = 300.0
MAX_CHALLENGED = 4096

Name = tuple[str, str]
"""An upstream, and a repository's name there."""


class RequestedPulls:
    """Which repositories tokens were asked for to pull from; bounded, oldest first."""

    def __init__(self) -> None:
        self._hash = KeyedHash()
        self._asked: BoundedMemory[bytes, frozenset[Name]] = BoundedMemory(
            MAX_TOKENS, weigh=len, max_weight=MAX_NAMES
        )

    def remember(self, token: str, names: Iterable[Name]) -> None:
        """Note what a token was asked for; one name is no mount, and is not kept."""
        asked = frozenset(names)
        digest = self._hash.digest(token)
        # Some token services give everybody the same token, whatever is asked for.
        asked |= self._asked.pop(digest) or frozenset()
        if len(asked) > 1:
            self._asked.put(digest, asked)

    def has(self, token: str, name: Name) -> bool:
        """Tell whether a token is known to have been asked for with a name."""
        return bool(token) and name in (self._asked.get(self._hash.digest(token)) or ())


class MountChallenges:
    """The mounts that were answered with 401 lately; `now` returns seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._hash = KeyedHash()
        self._challenged: BoundedMemory[bytes, bool] = BoundedMemory(
            MAX_CHALLENGED, now=now, max_age=CHALLENGED_SECONDS
        )

    def attempt(
        self, client: str, mount: Sequence[str], can_widen: bool
    ) -> MountAttempt:
        """
        Return one client's mount of one blob from one repository to another.

        `can_widen` says that it has a token which was not asked for with that right,
        as far as that is known.
        """
        # Hashed: what clients write takes no room.
        return MountAttempt(self, self._hash.digest(client, *mount), can_widen)

    def note(self, key: bytes) -> None:
        """Note that a mount was answered with 401."""
        self._challenged.put(key, True)

    def forget(self, key: bytes) -> None:
        """Note that the 401 has helped."""
        self._challenged.pop(key)

    def is_noted(self, key: bytes) -> bool:
        """Tell whether a mount was answered with 401 lately."""
        return self._challenged.get(key) is not None


class MountAttempt:
    """One mount, and whether to challenge its client for a wider token."""

    def __init__(
        self, challenges: MountChallenges, key: bytes, can_widen: bool
    ) -> None:
        self._challenges = challenges
        self._key = key
        self._can_widen = can_widen

    def challenge(self) -> bool:
        """Tell whether to answer 401, and note that this is the answer."""
        if not self._can_widen or self._challenges.is_noted(self._key):
            return False
        self._challenges.note(self._key)
        return True

    def succeeded(self) -> None:
        """Note that it is mounted: this client knows how to come again."""
        self._challenges.forget(self._key)
