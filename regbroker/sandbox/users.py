"""The sandbox's users: names and passwords, and no groups."""

from __future__ import annotations

from collections.abc import Mapping

from regbroker.accounts.principals import Account
from regbroker.runtime.keyed_hash import KeyedHash


class Users:
    """
    The accounts of a mapping of names to passwords, kept as keyed hashes.

    Wrong passwords are neither counted nor slowed down: everybody comes from the
    address of the regbroker in front, which sees to that.
    """

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._hash = KeyedHash()
        self._accounts = {
            user: Account(user, password_version=self._version(user, password))
            for user, password in passwords.items()
        }

    async def check(self, user: str, password: str, address: str) -> Account | None:
        """Return the account when the password is right, None when it is wrong."""
        return await self.look_up(user, self._version(user, password))

    async def look_up(
        self, user: str, password_version: str | None = None
    ) -> Account | None:
        """Return the account of this name and, if one is given, this version."""
        account = self._accounts.get(user)
        if account is None or password_version in (None, account.password_version):
            return account
        return None

    def _version(self, user: str, password: str) -> str:
        return self._hash.digest(user, password).hex()
