"""
Assembly of what local accounts need: sources, checks, the signing key.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime

from regbroker.accounts.access import AccessRules
from regbroker.accounts.identity.logins import IdentityLogins
from regbroker.accounts.identity.verifier import Verifier
from regbroker.accounts.password_checks import PasswordChecks
from regbroker.accounts.principals import AccountSource
from regbroker.accounts.robot_tokens import RevokedTokens, RobotTokens
from regbroker.accounts.signing import SigningKeys, TokenSigner
from regbroker.accounts.throttling import Throttling
from regbroker.accounts.tokens import ACCESS_LIFE, LEEWAY, OWN_ISSUER
from regbroker.assembly.account_sources import build_source
from regbroker.assembly.own_keys import open_keys
from regbroker.broker.local_broker import LocalBroker
from regbroker.errors import ConfigurationError
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import (
    AccountsConfig,
    Config,
    RegistryConfig,
)


class ChecksService(Service):
    """
    The checks of one ``[accounts NAME]``: `checks` work while it runs.

    `more_sources` are asked after those of the configuration. Raises
    `ConfigurationError`.
    """

    def __init__(
        self,
        entry: AccountsConfig,
        more_sources: Sequence[AccountSource],
        throttle: Throttling,
        reactor: INetworkReactor,
    ) -> None:
        sources = [build_source(source, reactor) for source in entry.sources]
        if entry.application and not more_sources:
            raise ConfigurationError(
                [
                    f"[accounts {entry.name}] application: this process brings no "
                    "accounts for this section; an application passes them to "
                    f"build_service: account_sources={{'{entry.name}': [...]}}"
                ]
            )
        self.checks = PasswordChecks(
            [*sources, *more_sources], reactor, time.monotonic, throttle
        )

    def startService(self) -> None:
        """Open the sources; one that is down is asked again later."""
        super().startService()
        self.checks.open()

    def stopService(self) -> None:
        """Close the sources."""
        super().stopService()
        self.checks.close()


def build_keys(config: Config, clock: IReactorTime) -> SigningKeys:
    """Return the keys of our own tokens, made where there is none; or `StateError`."""
    lives = [entry.token_life for entry in config.registries]
    # A key that leaves the file verifies as long as its last token lives.
    grace = max([ACCESS_LIFE, *lives]) + LEEWAY
    return open_keys(config, lambda path: SigningKeys(path, clock.seconds, grace=grace))


def signer_of(entry: RegistryConfig, keys: SigningKeys) -> TokenSigner:
    """Return what signs the tokens of one registry."""
    # Machines that share the key take each other's tokens, for the same section: one
    # for * signs for any host that its clients name.
    issuer = f"{OWN_ISSUER}{entry.host}"
    return TokenSigner(keys, issuer, time.time, access_life=entry.token_life)


def build_revoked(config: Config, clock: IReactorTime) -> RevokedTokens | None:
    """Return the robot tokens that are revoked; None where there is no file of them."""
    if config.revoked_tokens is None:
        return None
    return RevokedTokens(Path(config.revoked_tokens), clock.seconds)


class LocalParts:
    """
    The accounts of all registries that have local ones.

    Registries that name the same ``[accounts NAME]`` share its checks; those of ``""``
    have nobody with a password. `verifiers` are those of ``[identity NAME]`` sections.
    Without `revoked`, no robot token is taken. `applications` are the accounts that an
    application brings some of: to it a JWT may be a password.
    """

    def __init__(
        self,
        keys: SigningKeys,
        checks: Mapping[str, PasswordChecks],
        revoked: RevokedTokens | None = None,
        verifiers: Mapping[str, Verifier] = {},
        applications: Collection[str] = (),
    ) -> None:
        self._keys = keys
        self._checks = checks
        self._revoked = revoked
        self._verifiers = verifiers
        self._applications = applications

    def parts_of(self, entry: RegistryConfig) -> list[object]:
        """Return what a registry with accounts of our own is made of."""
        assert entry.accounts is not None
        verifiers = [self._verifiers[name] for name in entry.identities]
        return [self._keys, self._checks[entry.accounts], self._revoked, *verifiers]

    def broker(self, entry: RegistryConfig) -> LocalBroker:
        """Return the token service of a registry with local accounts."""
        assert entry.accounts is not None
        signer = signer_of(entry, self._keys)
        checks = self._checks[entry.accounts]
        robots = RobotTokens(
            signer,
            entry.host,
            self._revoked if entry.robot_tokens else None,
            checks.look_up,
            time.monotonic,
        )
        verifiers = [self._verifiers[name] for name in entry.identities]
        # Without identities a JWT is refused as one of an unknown issuer: a directory
        # must not learn it, and a cluster that shows it has guessed no password.
        takes_jwts = verifiers or entry.accounts not in self._applications
        logins = [IdentityLogins(verifiers)] if takes_jwts else []
        return LocalBroker(
            entry.host,
            checks,
            entry.access or AccessRules(()),
            signer,
            entry.mapping,
            time.time,
            [robots, *logins],
            robots.is_revoked,
        )
