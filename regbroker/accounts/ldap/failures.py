"""How talking to a directory fails, and what is said about it to whom."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectError, ConnectionClosed

from regbroker.accounts.ldap.answers import DirectoryError
from regbroker.errors import AccountsUnavailable

#: How talking to a directory fails.
FAILURES = (
    DirectoryError,
    ConnectError,
    ConnectionClosed,
    SSL.Error,
    OSError,
)


def describe(error: BaseException) -> str:
    """Return a sentence for the log; none of our errors holds a secret."""
    if isinstance(error, DirectoryError):
        return str(error)
    if isinstance(error, SSL.Error):
        stack = error.args[0] if error.args else ()
        reasons = [str(entry[-1]) for entry in stack if isinstance(entry, tuple)]
        return f"no trusted TLS connection: {', '.join(reasons) or 'TLS ended early'}"
    if isinstance(error, ConnectionClosed):
        return "it closed the connection in the middle of a check"
    return f"it cannot be connected to: {error}"


def unavailable() -> AccountsUnavailable:
    """Return the error for clients, who learn nothing of the directory."""
    return AccountsUnavailable(
        "passwords cannot be checked now, since the directory of accounts does not "
        "answer; its operator finds the reason in the log"
    )
