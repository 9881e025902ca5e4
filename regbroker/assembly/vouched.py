"""
The account that claims would make, and the rules that it would meet.

It is for questions about rights: nobody logs in.
"""

from __future__ import annotations

from collections.abc import Mapping

from regbroker.accounts.access import AccessRules
from regbroker.accounts.identity.registered_claims import check_addressed
from regbroker.accounts.identity.users import UnfitClaim
from regbroker.accounts.principals import Account, LoginRefused
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

    `conditions` are named ones that hold, beside those that the claims fulfil. `groups`
    come on top of those that the claims make. Without `whole`, the claims may be some
    of those that a token has: who it is from and for, and the user, need not be among
    them then. Times are not looked at. Raises `ConfigurationError` for conditions that
    cannot be worked out.
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
    usual = {"iss": identity.issuer, "aud": identity.audience[0], "sub": "somebody"}
    try:
        check_addressed(
            claims if whole else {**usual, **claims}, identity.issuer, identity.audience
        )
    except LoginRefused as error:
        problem = str(error)
    account = Account(
        user,
        groups.union(*made),
        identity=identity.name,
        claims=claims,
        conditions=conditions | named_conditions(identity)(_as_json(claims)),
    )
    return account, problem and f"[identity {identity.name}] {problem}"


def _as_json(claims: Mapping[str, object]) -> dict[str, object]:
    return {n: list(v) if isinstance(v, tuple) else v for n, v in claims.items()}


def identity_here(
    config: Config, registry: RegistryConfig, name: str
) -> IdentityConfig | None:
    """Return an ``[identity NAME]`` of a registry; None for one that it has not."""
    return config.identities.get(name) if name in registry.identities else None


def why_only_claims(config: Config, registry: RegistryConfig, user: str) -> str:
    """
    Say why nobody logs in as a user with a password; '' if somebody may.

    A name that an issuer's claims could make is that issuer's alone.
    """
    for name in registry.identities:
        identity = config.identities[name]
        if identity.user.may_make(user):
            return (
                f"'{user}' is a name that [identity {name}] alone gives; nobody else "
                "may have it"
            )
    return ""


def access_of(config: Config, registry: RegistryConfig) -> tuple[str, AccessRules]:
    """Return the title of a registry's access section, and its rules."""
    for name, rules in config.access.items():
        if rules is registry.access:
            return f"[access {name}]", rules
    return "[access]", registry.access or AccessRules(())
