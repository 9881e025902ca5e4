"""
Why a request ended as it did: a closed list, and the side it is about.

The names are for programs that read the log; a sentence for people stands beside
them. `docs/operating.md` has a table of them all, with what has happened.
"""

from __future__ import annotations

from enum import Enum


class Side(Enum):
    """The server that is asked, in the words of an error for people."""

    UPSTREAM = "the upstream registry"
    STORAGE = "the storage that the upstream redirects to"
    TOKENS = "the upstream's token service"
    SEARCH = "the upstream's search service"


class Cause(Enum):
    """Why a request ended: the side at fault, and what it did."""

    #: The client got the whole reply, be it a refusal or an upstream's own error.
    DONE = "done"
    #: The client closed its connection, or lost it.
    CLIENT_LEFT = "client-left"
    #: Nothing of the request's body came for ``client-timeout`` seconds.
    CLIENT_IDLE = "client-idle"
    #: The body came slower than ``min-upload-rate``, or not within ``body-timeout``.
    CLIENT_SLOW = "client-slow"
    #: The client read nothing for the upstream's ``timeout`` seconds.
    CLIENT_NOT_READING = "client-not-reading"
    #: The client's request line, headers or body are not HTTP/1.1, or too long.
    CLIENT_MALFORMED = "client-malformed"
    #: No connection to the upstream, or none that is trusted.
    UPSTREAM_UNREACHABLE = "upstream-unreachable"
    #: The upstream closed the connection before its reply was complete.
    UPSTREAM_BROKE_OFF = "upstream-broke-off"
    #: Nothing came from the upstream for as long as it is waited for.
    UPSTREAM_IDLE = "upstream-idle"
    #: The upstream took nothing of an upload for ``timeout`` seconds.
    UPSTREAM_NOT_READING = "upstream-not-reading"
    #: The upstream sent what cannot be understood or passed on.
    UPSTREAM_MALFORMED = "upstream-malformed"
    #: The upstream answered with an error where regbroker itself had asked.
    UPSTREAM_FAILED = "upstream-failed"
    #: The upstream has failed or said no before, and is not asked again yet.
    UPSTREAM_RESTING = "upstream-resting"
    #: No connection to the proxy that leads there, or no answer of it.
    PROXY_UNREACHABLE = "proxy-unreachable"
    #: The proxy does not let regbroker through: its rules, or its accounts.
    PROXY_REFUSED = "proxy-refused"
    #: As for the upstream, for the storage that the upstream redirects to.
    STORAGE_UNREACHABLE = "storage-unreachable"
    STORAGE_BROKE_OFF = "storage-broke-off"
    STORAGE_IDLE = "storage-idle"
    STORAGE_MALFORMED = "storage-malformed"
    #: As for the upstream, for its token service.
    TOKENS_UNREACHABLE = "tokens-unreachable"
    TOKENS_BROKE_OFF = "tokens-broke-off"
    TOKENS_IDLE = "tokens-idle"
    TOKENS_MALFORMED = "tokens-malformed"
    #: The token service answered with an error where regbroker itself had asked, or
    #: did so a moment ago, and is not asked again yet.
    TOKENS_FAILED = "tokens-failed"
    #: As for the upstream, for its search service.
    SEARCH_UNREACHABLE = "search-unreachable"
    SEARCH_BROKE_OFF = "search-broke-off"
    SEARCH_IDLE = "search-idle"
    SEARCH_MALFORMED = "search-malformed"
    #: The upstream does not take regbroker's own account.
    OWN_ACCOUNT_REFUSED = "own-account-refused"
    #: The password or helper of regbroker's own account gives nothing.
    OWN_ACCOUNT_MISSING = "own-account-missing"
    #: The upstream redirects to where regbroker does not go.
    REDIRECT_REFUSED = "redirect-refused"
    #: The directory does not answer that could tell a right password.
    ACCOUNTS_UNAVAILABLE = "accounts-unavailable"
    #: A bound was reached: the size of a body, the number of attempts.
    BOUND_REACHED = "bound-reached"
    #: What is configured leads back to regbroker itself.
    LOOP = "loop"
    #: regbroker was stopped.
    STOPPED = "stopped"
    #: A mistake in regbroker; its log has a traceback.
    FAILED = "failed"

    def __init__(self, word: str) -> None:
        #: The same as `value`, which calls a function in Python 3.11.
        self.word = word


class Kind(Enum):
    """What a side that was asked has done; the end of a cause's name."""

    UNREACHABLE = "unreachable"
    BROKE_OFF = "broke-off"
    IDLE = "idle"
    MALFORMED = "malformed"


def cause_of(what: str, kind: Kind) -> Cause:
    """Return the cause for `what`, mostly the words of a `Side`: else the upstream."""
    names = {side.value: side.name.lower() for side in Side}
    return Cause(f"{names.get(what, 'upstream')}-{kind.value}")
