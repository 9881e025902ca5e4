"""
Any checker of `twisted.cred` as a source of accounts, for those who embed.

A checker knows passwords and nothing else: its accounts have no groups and no password
version, so they get no identity tokens. A checker that blocks, blocks the reactor: let
it use threads.
"""

from __future__ import annotations

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, maybeDeferred
from twisted.logger import Logger

from regbroker.accounts.principals import Account
from regbroker.errors import AccountsUnavailable

_log = Logger()


class CheckerAccounts:
    """
    A source of accounts (`regbroker.accounts.principals.AccountSource`) around a
    checker.

    The avatar's id, UTF-8, is the name of the account. `name` is for the log.
    Raises `ValueError` for a checker that takes no passwords.
    """

    has_groups = False
    cheap_look_up = False

    def __init__(self, checker: ICredentialsChecker, name: str = "") -> None:
        interfaces = checker.credentialInterfaces
        if not any(each.isOrExtends(IUsernamePassword) for each in interfaces):
            raise ValueError("this checker does not take a user name and password")
        self._checker = checker
        self.name = name or f"checker {type(checker).__name__}"

    def open(self) -> None:
        """Nothing to begin: the checker is its maker's."""

    def close(self) -> None:
        """Nothing to end."""

    async def authenticate(self, user: str, password: str) -> Account | None:
        """Ask the checker; what it fails with other than "no" is not "no"."""
        credentials = UsernamePassword(user.encode(), password.encode())
        try:
            avatar = await maybeDeferred(self._checker.requestAvatarId, credentials)
            # An empty tuple is cred's word for somebody without a name.
            return Account(avatar.decode()) if avatar else None
        except UnauthorizedLogin:
            return None
        except CancelledError:
            raise
        except Exception as error:
            # Its text is somebody else's, and could name the password.
            kind = type(error).__name__
            _log.error("{source} failed with {kind}", source=self.name, kind=kind)
            raise AccountsUnavailable("the accounts cannot be asked now") from None

    async def look_up(self, user: str) -> Account | None:
        """Return None: a checker knows nobody without a password."""
        return None
