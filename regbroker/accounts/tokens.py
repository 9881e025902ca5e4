"""
What a token of ours says: who may do what, where, and until when.

Source: distribution's ``docs/content/spec/auth/jwt.md`` (the claims and their
meaning), RFC 7519 (JWT) and RFC 8725 section 3.11 (a ``typ`` for each kind of
token). `regbroker.accounts.signing` puts a signature under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from regbroker.protocol.scopes import Scope

#: Begins the issuer of our own tokens; a section's name follows. No issuer on the web
#: has such a name.
OWN_ISSUER = "regbroker "

#: Seconds. What most registries grant: a push that lasts longer asks again.
ACCESS_LIFE = 300.0
#: Seconds. What `docker login` keeps instead of a password.
IDENTITY_LIFE = 30 * 86400.0

#: Seconds by which the clocks of machines that share a key may differ.
LEEWAY = 10.0


class InvalidToken(ValueError):
    """
    A token is not good, or not good here; the text says why, not the token.

    `token_id` is the token's, if it was signed by us.
    """

    def __init__(self, why: str, token_id: str = "") -> None:
        super().__init__(why)
        self.token_id = token_id


@dataclass(frozen=True, kw_only=True)
class _Token:
    """
    What all kinds have in common.

    Times are whole seconds since 1970. `audience` is the service that the
    token is for, `user` is empty for strangers, `id` is there to tell tokens
    apart in a log.
    """

    issuer: str
    audience: str
    user: str
    issued: int
    expires: int
    id: str

    def check(self, issuer: str, audience: str, now: float) -> None:
        """Raise `InvalidToken` unless the token is good there, at that time."""
        if self.issuer != issuer:
            raise InvalidToken("the token is somebody else's", self.id)
        if self.audience != audience:
            raise InvalidToken("the token is for another service", self.id)
        if self.has_expired(now):
            raise InvalidToken("the token has expired", self.id)
        if now < self.issued - LEEWAY:
            raise InvalidToken("the token is not good yet", self.id)

    def has_expired(self, now: float) -> bool:
        """Tell whether the token has ended, whatever clock it was made by."""
        return now >= self.expires + LEEWAY

    def _claims(self) -> dict[str, Any]:
        return {
            "iss": self.issuer,
            "sub": self.user,
            "aud": self.audience,
            "exp": self.expires,
            "nbf": self.issued,
            "iat": self.issued,
            "jti": self.id,
        }


@dataclass(frozen=True)
class Vouched:
    """
    Who vouches for the user of a token, and what our rules look at of what they say.

    The fields are those of `regbroker.accounts.principals.Account`. It ends at
    `expires`, whatever clocks differ by.
    """

    identity: str
    claims: Mapping[str, object] = field(default_factory=dict, hash=False)
    conditions: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    expires: float | None = None

    def claim(self, name: str) -> str:
        """Return a claim that is a text, and an empty one for any other."""
        value = self.claims.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Robot:
    """The robot token that an access token was issued for: its id, and its rights."""

    id: str
    rights: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AccessToken(_Token):
    """What a client shows for each request: the access that it was granted."""

    #: The ``typ`` of such a token, as the specification writes it.
    TYPE: ClassVar = "JWT"

    access: tuple[Scope, ...] = ()
    #: Repositories from which to pull was asked for, too, and not granted: there is no
    #: better token to be had.
    refused_pulls: tuple[str, ...] = ()
    #: None for accounts of our own.
    vouched: Vouched | None = None
    #: None for everybody who has not shown a robot token.
    robot: Robot | None = None

    def has_expired(self, now: float) -> bool:
        """
        Tell whether the token has ended, or the JWT that it was issued for.

        That one ends to the second. Where clocks differ, the machine that is ahead
        refuses the JWT itself at the same time.
        """
        end = None if self.vouched is None else self.vouched.expires
        return (end is not None and now >= end) or super().has_expired(now)

    def allows(self, type: str, name: str, action: str) -> bool:
        """Tell whether the action on this repository, or registry, is granted."""
        return any(
            scope.type == type
            and scope.name == name
            and (action in scope.actions or "*" in scope.actions)
            for scope in self.access
        )

    def refuses_pull(self, name: str) -> bool:
        """Tell whether pulling from a repository was asked for, and not granted."""
        return name in self.refused_pulls

    def claims(self) -> dict[str, Any]:
        """Return the claims; scopes that do not parse grant nothing."""
        claims = {
            **self._claims(),
            "access": [_entry(scope) for scope in self.access if scope.type],
        }
        if self.refused_pulls:
            claims["refused_pulls"] = list(self.refused_pulls)
        if self.vouched is not None:
            claims["vouched"] = {
                "identity": self.vouched.identity,
                "claims": dict(self.vouched.claims),
                "conditions": sorted(self.vouched.conditions),
                "groups": sorted(self.vouched.groups),
            }
            if self.vouched.expires is not None:
                claims["vouched"]["exp"] = self.vouched.expires
        if self.robot is not None:
            claims["robot"] = {
                "jti": self.robot.id,
                "rights": list(self.robot.rights),
            }
        return claims


@dataclass(frozen=True, kw_only=True)
class IdentityToken(_Token):
    """
    What stands for a user's password, and is good for new access tokens only.

    `password_version` is that of `regbroker.accounts.principals.Account` when the token
    was made: with another one, the password is another one. `client_id` is what the
    client called itself.
    """

    #: Not that of an access token: neither can be taken for the other.
    TYPE: ClassVar = "identity+jwt"

    password_version: str
    client_id: str = ""

    def claims(self) -> dict[str, Any]:
        """Return the claims."""
        return {
            **self._claims(),
            # The claim has this name in tokens that are out.
            "stamp": self.password_version,
            "client_id": self.client_id,
        }


@dataclass(frozen=True, kw_only=True)
class RobotToken(_Token):
    """
    What a machine shows as its password.

    Its audience is the section of the registry that it is for. `rights` are lines as
    in an access section (`regbroker.accounts.narrowing`).
    """

    #: Not that of any other token: none can be taken for another.
    TYPE: ClassVar = "robot+jwt"

    rights: tuple[str, ...]

    def check(self, issuer: str, audience: str, now: float) -> None:
        """Raise `InvalidToken` unless the token is good there, at that time."""
        if self.audience != audience:
            raise InvalidToken(f"it is for [registry {self.audience}]", self.id)
        super().check(issuer, audience, now)

    def claims(self) -> dict[str, Any]:
        """Return the claims."""
        return {**self._claims(), "rights": list(self.rights)}


Token = AccessToken | IdentityToken | RobotToken


def _entry(scope: Scope) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": scope.type,
        "name": scope.name,
        "actions": list(scope.actions),
    }
    if scope.resource_class:
        entry["class"] = scope.resource_class
    return entry
