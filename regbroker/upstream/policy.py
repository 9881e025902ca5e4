"""
Whose credentials requests to one upstream carry: a value, fixed at assembly.

Clients may have accounts there, and then what they bring goes on as it came. And
regbroker's own account may be shared with them: for nothing, for what they do without
credentials, or for everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from regbroker.protocol.scopes import Scope

#: What Azure wants for lists of tags: no more than who pulls can see.
_ALONG_WITH_PULL = frozenset({"metadata_read"})


class CredentialOwner(Enum):
    """Who a request is made for, as the upstream sees it."""

    CLIENT = "client"
    OURS = "ours"
    NOBODY = "nobody"

    def __init__(self, value: str) -> None:
        #: Whether a refusal is our affair, and not the client's.
        self.is_ours = value != "client"


@dataclass(frozen=True)
class Policy:
    """
    Whose credentials requests to an upstream carry.

    `clients` says that they have accounts there. `shared` are the actions that our
    account is shared for with clients without credentials, ``pull`` mostly; None shares
    it for everything with every client.
    """

    clients: bool
    shared: frozenset[str] | None = frozenset()

    @property
    def shares(self) -> bool:
        """Whether our account is shared for anything."""
        return self.shared is None or bool(self.shared)

    def owner(
        self, client_authorization: str | None, needed: tuple[Scope, ...]
    ) -> CredentialOwner:
        """
        Return whose credentials a request carries.

        `client_authorization` is the client's own Authorization, None without; `needed`
        are the scopes that the request needs. Nothing is shared in part.
        """
        if self.shared is None:
            return CredentialOwner.OURS
        if self.clients and client_authorization is not None:
            return CredentialOwner.CLIENT
        if self.shared and self.share(needed) == needed:
            return CredentialOwner.OURS
        return CredentialOwner.CLIENT if self.clients else CredentialOwner.NOBODY

    def share(self, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        """Return repository scopes cut down to what is shared, without empty ones."""
        if self.shared is None:
            return scopes
        shared = (
            self.shared | _ALONG_WITH_PULL if "pull" in self.shared else self.shared
        )
        cut = (
            scope.with_actions(tuple(a for a in scope.actions if a in shared))
            for scope in scopes
            if scope.is_repository
        )
        return tuple(scope for scope in cut if scope.actions)


#: Clients' own accounts, and nobody else's.
CLIENTS_OWN = Policy(clients=True)

#: Our account, for everybody: clients have theirs here.
OURS = Policy(clients=False, shared=None)
