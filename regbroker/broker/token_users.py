"""Whose tokens they are that were given out here, and what they were asked for."""

from __future__ import annotations

import secrets

from regbroker.accounts.principals import MAX_USER_LENGTH
from regbroker.broker.mounts import RequestedPulls
from regbroker.runtime.bounded_memory import BoundedMemory

#: Whose token it is is remembered for this many tokens, for the log.
MAX_REMEMBERED_USERS = 16384


class TokenUsers:
    """
    Whose tokens they are; of the tokens only a keyed hash is kept.

    The user that is found goes into the log, the audit log and the pages of the admin
    listener. A limit (429) that the request meets counts for that user's account, and
    so does a mount that is challenged. Nobody is let in by it: the upstream looks at
    the token itself.

    Each request looks its token up, so the hash is Python's (SipHash, PEP 456), with a
    secret key of its own, since `PYTHONHASHSEED` may say what Python's is. Without the
    key (128 bits) there is no known way to make two tokens with one hash. Of all tokens
    that somebody makes up, one in 2**50 has the hash of one that is remembered, and is
    taken for that user's, whoever that is. Where Python is built for 32 bits, it is one
    in 2**18.
    """

    def __init__(self) -> None:
        self.asked = RequestedPulls()
        self._key = secrets.token_hex(16)
        self._users: BoundedMemory[int, str] = BoundedMemory(MAX_REMEMBERED_USERS)

    def remember(self, token: str, user: str) -> None:
        """Note the user who got a token; empty for somebody without credentials."""
        self._users.put(hash(self._key + token), user[:MAX_USER_LENGTH])

    def find(self, token: str) -> str | None:
        """Return the user who got a token; None when that is not known."""
        return self._users.get(hash(self._key + token)) if token else None
