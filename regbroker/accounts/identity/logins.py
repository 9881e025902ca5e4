"""JWTs as logins of one registry: the issuer picks the section."""

from __future__ import annotations

from collections.abc import Iterable

from regbroker.accounts.identity.jwts import parse_unverified
from regbroker.accounts.identity.registered_claims import shown
from regbroker.accounts.identity.verifier import Verifier
from regbroker.accounts.principals import Account, LoginRefused
from regbroker.protocol.token_texts import jwt_in

#: What records call such a login.
IDENTITY = "identity"


class IdentityLogins:
    """The `SignedLogins` of some ``[identity NAME]`` sections, with an issuer each."""

    kind = IDENTITY

    def __init__(self, verifiers: Iterable[Verifier]) -> None:
        self._verifiers = {each.expected.issuer: each for each in verifiers}

    def takes(self, text: str) -> bool:
        """Tell whether a text is a JWT, of whatever issuer but ourselves."""
        return parse_unverified(text) is not None

    def holds(self, text: str) -> bool:
        """Tell whether a JWT is part of a text, also one of our own."""
        return bool(jwt_in(text))

    def owns(self, user: str) -> bool:
        """Tell whether some claims make this user."""
        return any(v.expected.user.may_make(user) for v in self._verifiers.values())

    async def account(self, user: str, text: str) -> Account:
        """
        Return the account that a JWT is for, whatever `user` says.

        Raises `LoginRefused`, and `AccountsUnavailable` when no keys are to be had.
        """
        unverified = parse_unverified(text)
        assert unverified is not None
        # Compared byte for byte: an issuer is a name, not a place.
        verifier = self._verifiers.get(unverified.issuer)
        if verifier is None:
            raise LoginRefused(
                f"iss is {shown(unverified.claims.get('iss'))}, and no [identity NAME] "
                "of this registry has that issuer"
            )
        try:
            return await verifier.account(text, unverified)
        except LoginRefused as error:
            name = verifier.expected.name
            raise LoginRefused(f"[identity {name}] {error}", identity=name) from None
