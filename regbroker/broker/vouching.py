"""What is kept of who vouches for an account: in our tokens, and for the audit log."""

from __future__ import annotations

import json

from regbroker.accounts.access import AccessRules
from regbroker.accounts.claims import claim
from regbroker.accounts.principals import Account
from regbroker.accounts.tokens import Vouched
from regbroker.events import Event

#: Who has issued the token, and to whom: kept whatever the rules look at.
_ALWAYS = frozenset({"iss", "sub"})


def vouched_of(account: Account | None, rules: AccessRules) -> Vouched | None:
    """Return what the rules look at of what an issuer says; None without one."""
    if account is None or not account.identity:
        return None
    claims = {
        name: value
        for name in sorted(rules.claims_of(account.identity) | _ALWAYS)
        if (value := claim(account.claims, name)) is not None
    }
    return Vouched(
        account.identity,
        claims,
        account.conditions,
        account.groups & rules.groups,
        account.expires,
    )


def note(event: Event | None, vouched: Vouched | None) -> None:
    """Note in the record of a request who has vouched, and what decides by rules."""
    if event is None or vouched is None:
        return
    event.identity = vouched.identity
    event.issuer, event.subject = vouched.claim("iss"), vouched.claim("sub")
    deciding = {k: v for k, v in vouched.claims.items() if k not in _ALWAYS}
    event.claims = json.dumps(deciding) if deciding else ""
