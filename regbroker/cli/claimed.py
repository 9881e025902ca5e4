"""Somebody whom an issuer vouches for, of a file with the claims of a token."""

from __future__ import annotations

import json
from pathlib import Path

from regbroker.accounts.principals import Account
from regbroker.runtime.watched_file import read_file
from regbroker.settings.config import Config

#: As long as any token that people show.
MAX_CLAIMS_BYTES = 64 * 1024


class NoClaims(Exception):
    """Nobody can be made of the file; says why."""


def account_of(config: Config, path: str, identity: str = "") -> Account:
    """
    Return the account with the claims in a JSON file; raises `NoClaims`.

    `identity` is the name of its section: where the rights name one alone, it may be
    empty. Nothing is verified: that is a question about rights, and no login.
    """
    try:
        claims = json.loads(read_file(Path(path), MAX_CLAIMS_BYTES)[0])
    except OSError as error:
        raise NoClaims(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise NoClaims(
            f"{path}: no JSON object of claims; it holds what stands between the two "
            "dots of a JWT, decoded"
        )
    known = sorted(
        {name for rules in config.access.values() for name in rules.identities}
    )
    if not identity and len(known) == 1:
        identity = known[0]
    if identity not in known:
        raise NoClaims(
            "write --identity NAME; identities that have rights here: "
            f"{', '.join(known) or 'none'}"
        )
    subject = claims.get("sub")
    user = subject if isinstance(subject, str) else identity
    return Account(user, identity=identity, claims=claims)
