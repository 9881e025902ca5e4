"""
Verification of the JWTs of one issuer (RFC 7519, RFC 8725).

The order is the form, the key, the signature, the claims: what nobody has signed is not
looked at any closer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import jwt

from regbroker.accounts.claims import Condition, NamedConditions, no_conditions
from regbroker.accounts.identity.jwts import MAX_LENGTH, Unverified, parse_jwt_object
from regbroker.accounts.identity.keys import MAX_WITHOUT_KID, IssuerKey
from regbroker.accounts.identity.registered_claims import check_registered
from regbroker.accounts.identity.users import Template, UnfitClaim
from regbroker.accounts.principals import Account, LoginRefused

#: The ``typ`` of a JWT, where it has one: others (a logout token, a DPoP proof) are not
#: for logging in, whoever has signed them (RFC 8725, 3.11; RFC 9068).
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """
    What a section expects of a JWT, and the account that it makes of one.

    `leeway` is in seconds. All of `required` must hold.
    """

    name: str
    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway: float
    required: tuple[Condition, ...]
    user: Template
    groups: tuple[Template, ...]


class Keys(Protocol):
    """The keys of an issuer."""

    async def find(self, kid: str | None, algorithm: str) -> tuple[IssuerKey, ...]:
        """
        Return the keys that may have made a signature; none for an unknown one.

        Raises `regbroker.errors.AccountsUnavailable` when no keys are to be had.
        """


class Verifier:
    """
    Verifies the JWTs of one ``[identity NAME]``.

    `now` returns seconds since 1970.
    """

    def __init__(
        self,
        expected: Expected,
        keys: Keys,
        now: Callable[[], float],
        named_conditions: NamedConditions = no_conditions,
    ) -> None:
        self.expected = expected
        self._keys = keys
        self._now = now
        self._named_conditions = named_conditions
        self._jws = jwt.PyJWS(algorithms=list(expected.algorithms))

    async def account(self, text: str, unverified: Unverified) -> Account:
        """
        Return the account that a JWT is for; `unverified` is what it says of itself.

        Raises `LoginRefused`, and `AccountsUnavailable` when no keys are to be had.
        """
        if len(text) > MAX_LENGTH:
            raise LoginRefused(f"it has more than {MAX_LENGTH} characters")
        algorithm, kid = self._headers(unverified)
        keys = await self._keys.find(kid, algorithm)
        if not keys:
            if kid is None:
                raise LoginRefused(
                    f"it has no kid, and the issuer has no {algorithm} key, or more "
                    f"than {MAX_WITHOUT_KID}"
                )
            raise LoginRefused(f"the issuer has no {algorithm} key, kid {kid[:100]!r}")
        claims = self._verified(text, keys, algorithm)
        return self._account(claims)

    def _headers(self, unverified: Unverified) -> tuple[str, str | None]:
        header = unverified.header
        algorithm, kid, type = header.get("alg"), header.get("kid"), header.get("typ")
        if algorithm not in self.expected.algorithms or not isinstance(algorithm, str):
            raise LoginRefused(
                f"alg is {str(algorithm)[:100]!r}; algorithms here are "
                f"{', '.join(self.expected.algorithms)}"
            )
        if kid is not None and not isinstance(kid, str):
            raise LoginRefused("kid is no text")
        if (type.lower() if isinstance(type, str) else type) not in _TYPES:
            raise LoginRefused("typ is that of another kind of token")
        if "crit" in header or "b64" in header:
            raise LoginRefused(
                "it uses an extension (crit, b64) that is not known here"
            )
        return algorithm, kid

    def _verified(
        self, text: str, keys: tuple[IssuerKey, ...], algorithm: str
    ) -> Mapping[str, object]:
        """Return the claims that one of the keys has signed."""
        for each in keys:
            try:
                # The key says what it signs with, whatever the token says.
                payload = self._jws.decode(text, each.key, algorithms=[algorithm])
                break
            except jwt.PyJWTError:
                continue
        else:
            raise LoginRefused("the signature is wrong")
        claims = parse_jwt_object(payload)
        if claims is None:
            raise LoginRefused("its claims are no object")
        return MappingProxyType(claims)

    def _account(self, claims: Mapping[str, object]) -> Account:
        expected = self.expected
        expires = check_registered(
            claims, expected.issuer, expected.audience, self._now(), expected.leeway
        )
        for condition in expected.required:
            if not condition.holds(claims, frozenset()):
                raise LoginRefused(f"required-claims: not {condition}")
        try:
            user = expected.user.name(claims)
            groups = [template.names(claims) for template in expected.groups]
        except UnfitClaim as error:
            raise LoginRefused(str(error)) from None
        return Account(
            user,
            frozenset().union(*groups),
            identity=expected.name,
            claims=claims,
            conditions=self._named_conditions(claims),
            expires=expires,
        )
