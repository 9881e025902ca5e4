"""Users that have no password: robot tokens are their only way in."""

from __future__ import annotations

from collections.abc import Collection

from regbroker.accounts.principals import Account


class RobotUsers:
    """The users that ``robots`` names."""

    name = "robots"
    has_groups = False
    cheap_look_up = True

    def __init__(self, users: Collection[str]) -> None:
        self._users = frozenset(users)

    def open(self) -> None:
        """Begin; there is nothing to begin."""

    def close(self) -> None:
        """End; there is nothing to end."""

    async def authenticate(self, user: str, password: str) -> Account | None:
        """Return None: no password is right."""
        return None

    async def look_up(self, user: str) -> Account | None:
        """Return the account of one of the users."""
        return Account(user) if user in self._users else None
