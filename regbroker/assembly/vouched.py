"""The account that claims would make, for questions about rights: nobody logs in."""

from __future__ import annotations

from collections.abc import Mapping

from regbroker.accounts.identity.users import UnfitClaim
from regbroker.accounts.principals import Account
from regbroker.assembly.named_conditions import named_conditions
from regbroker.settings.config import Config, IdentityConfig, RegistryConfig


def vouched(
    identity: IdentityConfig,
    claims: Mapping[str, object],
    conditions: frozenset[str] = frozenset(),
    groups: frozenset[str] = frozenset(),
    *,
    whole: bool = True,
) -> tuple[Account, str]:
    """
    Return the account that claims make, and why a login with them is refused, if so.

    `conditions` are named ones that hold, with `whole` beside those that the claims
    fulfil. `groups` come on top of those that the
    claims make. Without `whole`, the claims may be some of those that a token has: no
    user need be made of them then.
    """
    problem = ""
    try:
        user = identity.user.name(claims)
    except UnfitClaim as error:
        user, problem = "", str(error) if whole else ""
    try:
        made = [template.names(claims) for template in identity.groups]
    except UnfitClaim as error:
        made, problem = [], str(error)
    for condition in identity.required_claims:
        if not condition.holds(claims, frozenset()):
            problem = f"required-claims: not {condition}"
    if whole:
        conditions |= named_conditions(identity)(claims)
    account = Account(
        user,
        groups.union(*made),
        identity=identity.name,
        claims=claims,
        conditions=conditions,
    )
    return account, problem and f"[identity {identity.name}] {problem}"


def identity_here(
    config: Config, registry: RegistryConfig, name: str
) -> IdentityConfig | None:
    """Return an ``[identity NAME]`` of a registry; None for one that it has not."""
    return config.identities.get(name) if name in registry.identities else None
