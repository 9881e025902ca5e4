"""Who is behind a request to a registry with accounts of ours, and what he may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regbroker.accounts.principals import Account
from regbroker.accounts.tokens import AccessToken, Robot
from regbroker.protocol.names import Action


class WrongToken(Exception):
    """The client's token is not ours, or not good any more."""


@dataclass(frozen=True)
class Principal:
    """
    The account behind a request, and what it may do.

    `may` takes an action and a canonical public name. `user` is empty for
    somebody without credentials.
    """

    user: str
    has_token: bool
    may: Callable[[Action, str], bool]
    may_list: bool
    account: Account | None = None
    #: The robot token that the client's token was issued for.
    robot: Robot | None = None
    #: Whether pulling from a repository was asked for with this token, and not granted.
    was_refused: Callable[[str], bool] = lambda name: False

    @property
    def is_anonymous(self) -> bool:
        """Whether the client brought nothing."""
        return not self.user and not self.has_token


def bearer_of(token: AccessToken) -> Principal:
    """Return who has a token of ours, with what it grants."""
    vouched = token.vouched
    return Principal(
        token.user,
        True,
        lambda action, name: token.allows("repository", name, action.value),
        token.allows("registry", "catalog", "*"),
        # Without what its issuer said, nobody could tell any more what it may see.
        account=None
        if vouched is None
        else Account(
            token.user,
            vouched.groups,
            identity=vouched.identity,
            claims=vouched.claims,
            conditions=vouched.conditions,
            expires=token.expires,
        ),
        robot=token.robot,
        was_refused=token.refuses_pull,
    )
