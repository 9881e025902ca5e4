"""A file with the claims of a token: whose they are."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

from regbroker.accounts.identity.jwts import parse_jwt_object
from regbroker.assembly.vouched import identity_here
from regbroker.runtime.unreadable import why_unreadable
from regbroker.runtime.watched_file import read_file
from regbroker.settings.config import Config, IdentityConfig, RegistryConfig

#: As long as any token that people show.
MAX_CLAIMS_BYTES = 64 * 1024


class NoClaims(Exception):
    """The file is of no use; says why."""


def read_claims(path: str) -> dict[str, object]:
    """Return the claims in a JSON file; raises `NoClaims`."""
    try:
        contents = read_file(Path(path), MAX_CLAIMS_BYTES)[0]
    except OSError as error:
        raise NoClaims(f"{path}: {why_unreadable(error)}") from None
    except ValueError as error:
        raise NoClaims(f"{path}: {error}; write the claims into a file") from None
    try:
        # As a login does: what it refuses is no object. But a file may have a mark.
        claims = parse_jwt_object(contents.removeprefix(BOM_UTF8))
    except ValueError:
        claims = None
    if claims is None:
        raise NoClaims(
            f"{path}: no JSON object of claims; it holds what stands between the two "
            "dots of a JWT, decoded"
        )
    return claims


def identity_of(
    config: Config, registry: RegistryConfig, claims: dict[str, object]
) -> IdentityConfig:
    """Return the identity of a registry that has the issuer; raises `NoClaims`."""
    issuer = claims.get("iss")
    known = [identity_here(config, registry, name) for name in registry.identities]
    issuers = {each.issuer: each for each in known if each is not None}
    if not isinstance(issuer, str) or issuer not in issuers:
        raise NoClaims(
            f"iss is {issuer!r:.200}; the issuers of [registry {registry.host}] are: "
            f"{', '.join(issuers) or 'none'}"
        )
    return issuers[issuer]
