"""
A generation: what answers requests, built from one `Config`.

A reload builds the next generation beside the one in use. What the new configuration
has not changed is the same object in both: connections, tokens, throttles and circuits
go on. What has changed is new, and the old object lives until its last request is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from twisted.application.service import Service

from regbroker.accounts.principals import AccountSource
from regbroker.assembly.certificates import contents_of
from regbroker.assembly.inheritance import Inheritance
from regbroker.assembly.part import Part
from regbroker.assembly.registries import build_registry
from regbroker.assembly.seal import build_seal
from regbroker.assembly.upstreams import UpstreamService, build_upstream
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import (
    CERTIFICATE,
    AccountsConfig,
    Config,
    LdapConfig,
    RegistryConfig,
)
from regbroker.web.health import Health
from regbroker.web.registry import Registry
from regbroker.web.serving import UnderWay
from regbroker.web.site import VirtualHosts

if TYPE_CHECKING:
    # Imported where they are built: not every configuration needs them.
    from regbroker.accounts.identity.verifier import Verifier
    from regbroker.assembly.identities import IssuerKeysService
    from regbroker.assembly.local_accounts import ChecksService, LocalParts

#: The sources of accounts that a program has which embeds regbroker, by section.
AccountSources = Mapping[str, Sequence[AccountSource]]


class Generation:
    """
    Everything that one `Config` asks for, but for listeners.

    `before` is the generation whose objects are taken over where their configuration
    is the same. `services` must run before `root` is asked. Requests of all generations
    are in `under_way`; `part` is what other processes have in common with this one.
    Raises `ConfigurationError` or `StateError`, and has started
    nothing then.
    """

    def __init__(
        self,
        config: Config,
        reactor: INetworkReactor,
        account_sources: AccountSources,
        under_way: UnderWay,
        health: Health | None,
        before: Generation | None = None,
        part: Part | None = None,
    ) -> None:
        self.config = config
        self._part = part or Part()
        self._reactor = reactor
        inherited = before._kept if before is not None else None
        self._kept: Inheritance = Inheritance(inherited)
        self.upstreams = {name: self._upstream(name) for name in config.upstreams}
        checks = self._checks(account_sources)
        self.issuer_keys = {n: self._issuer_keys(n) for n in config.identities}
        self._local = self._local_parts(checks) if checks else None
        self.services: list[Service] = [*self.upstreams.values(), *checks.values()]
        if self._part.serves:
            # Only who checks logins needs keys; each process has its own.
            self.services += self.issuer_keys.values()
        place = config.signing_key, config.state_directory
        self._seal = self._kept.get(
            "seal",
            "",
            place,
            lambda: build_seal(config, reactor, self._part.key("seal")),
        )
        self.root = VirtualHosts(
            [self._registry(entry) for entry in config.registries],
            config.trusted_proxies,
            config.denied_user_agents,
            reactor,
            config.mirrors,
            health,
            under_way,
        )
        self._kept.is_done()

    @property
    def sandboxes(self) -> dict[str, str]:
        """The URLs of the upstreams that run here, by name."""
        urls = {name: each.sandbox_url for name, each in self.upstreams.items()}
        return {name: url for name, url in urls.items() if url is not None}

    def _upstream(self, name: str) -> UpstreamService:
        config, entry = self.config, self.config.upstreams[name]
        # The sandbox keeps its images in the state directory.
        place = config.state_directory if entry.origin is None else None
        files = [
            _read(path)
            for path in (entry.ca_file, entry.client_certificate, entry.client_key)
        ]
        return self._kept.get(
            "upstream",
            name,
            (entry, place, files),
            lambda: build_upstream(entry, config, self._reactor),
        )

    def _checks(self, account_sources: AccountSources) -> dict[str, ChecksService]:
        checks: dict[str, ChecksService] = {}
        sections = dict(self.config.accounts)
        if any(entry.accounts == "" for entry in self.config.registries):
            # There, nobody has a password.
            sections[""] = AccountsConfig(name="", sources=())
        if not sections:
            return {}
        from regbroker.assembly.local_accounts import ChecksService

        for name, entry in sections.items():
            trust = [
                _read(source.ca_file)
                for source in entry.sources
                if isinstance(source, LdapConfig)
            ]
            more = tuple(account_sources.get(name, ()))
            # Who guesses passwords is not forgotten for another file of users.
            throttle = self._kept.get(
                "throttle",
                name,
                None,
                partial(self._part.throttling, name),
            )
            build = partial(ChecksService, entry, more, throttle, self._reactor)
            checks[name] = self._kept.get("accounts", name, (entry, trust, more), build)
        return checks

    def _local_parts(self, checks: Mapping[str, ChecksService]) -> LocalParts:
        from regbroker.assembly.local_accounts import (
            LocalParts,
            build_keys,
            build_revoked,
        )

        config = self.config
        lives = tuple(entry.token_life for entry in config.registries)
        keys = self._kept.get(
            "keys",
            "",
            (config.signing_key, config.state_directory, max(lives)),
            lambda: build_keys(config, self._reactor),
        )
        revoked = self._kept.get(
            "revoked",
            "",
            config.revoked_tokens,
            lambda: build_revoked(config, self._reactor),
        )
        by_name = {name: each.checks for name, each in checks.items()}
        verifiers = {name: self._verifier(name) for name in config.identities}
        applications = [n for n, each in config.accounts.items() if each.application]
        return LocalParts(keys, by_name, revoked, verifiers, applications)

    def _issuer_keys(self, name: str) -> IssuerKeysService:
        from regbroker.assembly.identities import IssuerKeysService, keys_of

        entry = self.config.identities[name]
        return self._kept.get(
            "issuer keys",
            name,
            (keys_of(entry), _read(entry.ca_file)),
            lambda: IssuerKeysService(entry, self._reactor),
        )

    def _verifier(self, name: str) -> Verifier:
        from regbroker.assembly.identities import build_verifier

        entry, keys = self.config.identities[name], self.issuer_keys[name].keys
        return self._kept.get(
            "identity", name, (entry, keys), lambda: build_verifier(entry, keys)
        )

    def _registry(self, entry: RegistryConfig) -> Registry:
        behind = [self.upstreams[name] for name in entry.upstreams]
        parts: list[object] = [entry, self._seal, *behind]
        if entry.accounts not in (None, CERTIFICATE) and self._local is not None:
            parts += self._local.parts_of(entry)
        # It seals for a minute what its token services have not answered.
        key = self._kept.get(
            "composite",
            entry.host,
            None,
            lambda: self._part.key("composite", entry.host),
        )
        return self._kept.get(
            "registry",
            entry.host,
            parts,
            lambda: build_registry(
                entry,
                self.upstreams,
                self._local,
                self._reactor,
                self._seal,
                key,
                is_alone=not self._part.is_worker,
            ),
        )


def _read(path: PurePath | None) -> bytes | None:
    return contents_of(Path(path)) if path is not None else None
