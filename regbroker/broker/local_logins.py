"""
Who logs in with an account of ours: by a password, or by a signed text in its place.

Which of the two a text is, its form says. A signed one goes to nobody who knows
passwords, whether it is good or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.logger import Logger

from regbroker.accounts.principals import Account, LoginRefused, SignedLogins
from regbroker.events import Event
from regbroker.protocol.token_texts import user_for_log

_log = Logger()

#: What is wrong where somebody shows a token in a form that nobody takes.
_STRAY = (
    "the password is not a token alone: the token is in the place of the user, has a "
    "space, the end of a line or other text beside it, or was issued by regbroker "
    "itself"
)


class Passwords(Protocol):
    """Tells whose a password is; see `regbroker.accounts.password_checks`."""

    async def check(self, user: str, password: str, address: str) -> Account | None:
        """Return the account when the password is right, None when it is wrong."""

    async def look_up(
        self, user: str, password_version: str | None = None
    ) -> Account | None:
        """Return the account of this name and, if one is given, this version."""


class LocalLogins:
    """
    The logins of one registry; `host` is its section.

    A text that one of `signed` takes is seen by that one alone; one that holds such a
    login is seen by nobody.
    """

    def __init__(
        self, host: str, passwords: Passwords, signed: Sequence[SignedLogins]
    ) -> None:
        self._host = host
        self._passwords = passwords
        self._signed = tuple(signed)

    def signed(self, text: str) -> SignedLogins | None:
        """Return who takes a text for a signed login; None for a password."""
        return next((each for each in self._signed if each.takes(text)), None)

    async def check(
        self, user: str, password: str, address: str, event: Event | None = None
    ) -> Account | None:
        """
        Return the account whose password, or signed login, is right; None if none is.

        `address` is the client's; `event` notes whose login it is said to be, and what
        else is to be said of it. Raises as `Passwords.check`, and
        `AccountsUnavailable` when nobody can tell.
        """
        if event is not None:
            # A login that is refused has a name, too.
            event.user = user_for_log(user)
        login = self.signed(password)
        if self._holds(user) or (login is None and self._holds(password)):
            self.note_refused(_STRAY, address, event)
            return None
        if login is not None:
            return await self.check_signed(login, user, password, address, event)
        account = await self._passwords.check(user, password, address)
        return None if account is None else self.unless_owned(account)

    def _holds(self, text: str) -> bool:
        return any(each.holds(text) for each in self._signed)

    def note_refused(self, why: str, address: str, event: Event | None) -> None:
        """Note why a login is refused: for the log and `event`, not for the client."""
        if event is not None:
            event.login_problem = why
        _log.warn(
            "[registry {host}]: a login from {address} is refused: {why}",
            host=self._host,
            address=address,
            why=why,
        )

    async def check_signed(
        self,
        login: SignedLogins,
        user: str,
        text: str,
        address: str,
        event: Event | None = None,
    ) -> Account | None:
        """Return the account of a signed login; the log says why it is not good."""
        event = event or Event(lambda: 0.0)
        event.credentials = login.kind
        try:
            account = await login.account(user, text)
        except LoginRefused as error:
            event.token_id, event.identity = error.token_id, error.identity
            self.note_refused(str(error), address, event)
            return None
        event.token_id = account.token_id
        return self.unless_owned(account, login)

    def unless_owned(
        self, account: Account, by: SignedLogins | None = None
    ) -> Account | None:
        """Return an account, unless somebody else than `by` alone may give its name."""
        if not any(each.owns(account.user) for each in self._signed if each is not by):
            return account
        _log.warn(
            "[registry {host}]: {user} is a user of ours with a name that only an "
            "issuer may give; the login is refused",
            host=self._host,
            user=account.user,
        )
        return None
