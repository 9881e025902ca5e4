"""
Assembly of a registry: who may come in, who speaks upstream, where tokens come from.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from regbroker.broker import Broker
from regbroker.bundlebroker import BundleBroker
from regbroker.bundles import Bundles
from regbroker.config import RegistryConfig
from regbroker.localparts import LocalParts
from regbroker.searches import Searches
from regbroker.speakers import (
    BundleSpeaks,
    ClientSpeaks,
    NoAccountSpeaks,
    RegbrokerSpeaks,
    SharedWithAnonymous,
    Speaker,
)
from regbroker.upstreamparts import UpstreamService
from regbroker.web.admission import Gate, LocalGate, UpstreamGate
from regbroker.web.answering import Answering
from regbroker.web.asking import Asking
from regbroker.web.catalog import Catalog
from regbroker.web.choosing import Candidate, Choosing
from regbroker.web.crossorigin import CrossOrigin
from regbroker.web.following import Following
from regbroker.web.proxy import Proxy
from regbroker.web.search import (
    Permission,
    Search,
    SeenByAccounts,
    seen_by_everybody,
)
from regbroker.web.site import Registry
from regbroker.web.tokens import (
    BundleGranting,
    Granting,
    LocalGranting,
    TokenEndpoint,
    UpstreamGranting,
)


def build_registry(
    entry: RegistryConfig,
    upstreams: Mapping[str, UpstreamService],
    local: LocalParts | None,
    reactor: Any,
) -> Registry:
    """
    Return one ``[registry HOST]``.

    `upstreams` are all of the configuration's, by name; `local` has the accounts
    of registries that have their own.
    """
    services = {name: upstreams[name] for name in entry.upstreams}
    candidates = {
        name: _candidate(entry, service, reactor) for name, service in services.items()
    }
    bundles = Bundles(secrets.token_bytes(32), time.time)
    if entry.accounts is not None:
        assert local is not None
        accounts = _own_accounts(entry, local, reactor)
    else:
        accounts = _upstream_accounts(entry, services, candidates, bundles, reactor)
    read_only = entry.writes == "deny"
    choosing = Choosing(candidates, bundles, reactor, time.time)
    catalog = Catalog(entry.mapping, accounts.gate, choosing, entry.catalog)
    return Registry(
        entry.host,
        entry.token_path,
        Proxy(
            entry.mapping,
            accounts.gate,
            choosing,
            catalog,
            read_only,
            entry.extensions,
        ),
        TokenEndpoint(accounts.granting),
        entry.public_url,
        _search(entry, services.values(), accounts.permission),
        CrossOrigin(entry.cors_origins, read_only) if entry.cors_origins else None,
    )


@dataclass(frozen=True)
class _Accounts:
    """Who comes into a registry, by whose tokens, and who may search."""

    gate: Gate
    granting: Granting
    permission: Permission


def _own_accounts(entry: RegistryConfig, local: LocalParts, reactor: Any) -> _Accounts:
    broker = local.broker(entry)
    return _Accounts(
        LocalGate(broker, entry.token_path, entry.basic_challenge, reactor.seconds),
        LocalGranting(broker),
        SeenByAccounts(broker),
    )


def _upstream_accounts(
    entry: RegistryConfig,
    services: Mapping[str, UpstreamService],
    candidates: Mapping[str, Candidate],
    bundles: Bundles,
    reactor: Any,
) -> _Accounts:
    brokers = [
        Broker(
            name,
            services[name].tokens,
            entry.mapping,
            time.time,
            _shared(entry, services[name]),
        )
        for name in entry.trusted_upstreams
    ]
    trusted = [candidates[name] for name in entry.trusted_upstreams]
    lends = bool(entry.lent_actions)
    if len(services) == 1:
        (broker,) = brokers
        gate = UpstreamGate(trusted, broker.user_of, lends, reactor, broker.has_asked)
        return _Accounts(gate, UpstreamGranting(broker), seen_by_everybody)
    behind = {name: service.upstream for name, service in services.items()}
    bundling = BundleBroker(brokers, behind, entry.mapping, bundles, reactor, time.time)
    gate = UpstreamGate(trusted, bundling.user_of, lends, reactor, bundling.has_asked)
    return _Accounts(gate, BundleGranting(bundling), seen_by_everybody)


def _search(
    entry: RegistryConfig, services: Iterable[UpstreamService], permission: Permission
) -> Search | None:
    """Return the search of the first of a registry's upstreams that has one."""
    for service in services:
        if service.search is not None:
            name = service.upstream.name
            searches = Searches(entry.mapping, name)
            return Search(name, searches, service.search, permission)
    return None


def _candidate(
    entry: RegistryConfig, service: UpstreamService, reactor: Any
) -> Candidate:
    upstream = service.upstream
    in_our_name = (
        entry.accounts is not None or upstream.name not in entry.trusted_upstreams
    )
    return Candidate(
        upstream,
        Asking(upstream, _speaker(entry, service), reactor, in_our_name),
        Answering(upstream, entry.token_path, reactor),
        Following(upstream, reactor) if entry.redirects == "follow" else None,
        upstream.name in entry.trusted_upstreams,
        entry.accounts is not None or bool(entry.lent_actions),
    )


def _speaker(entry: RegistryConfig, service: UpstreamService) -> Speaker:
    """Return who speaks at one upstream of a registry."""
    if entry.accounts is not None:
        return _ours(service)
    if service.upstream.name not in entry.trusted_upstreams:
        nobody = RegbrokerSpeaks(service.upstream, service.tokens, None)
        return NoAccountSpeaks(nobody, _ours(service), entry.lent_actions)
    return _shared(entry, service) or _clients(entry, service)


def _clients(entry: RegistryConfig, service: UpstreamService) -> Speaker:
    if len(entry.upstreams) == 1:
        return ClientSpeaks()
    return BundleSpeaks(service.upstream.name)


def _shared(
    entry: RegistryConfig, service: UpstreamService
) -> SharedWithAnonymous | None:
    """Return who lends our account to clients without one; None for nobody."""
    if not entry.lent_actions:
        return None
    clients = _clients(entry, service)
    return SharedWithAnonymous(clients, _ours(service), entry.lent_actions)


def _ours(service: UpstreamService) -> RegbrokerSpeaks:
    return RegbrokerSpeaks(service.upstream, service.tokens, service.credentials)
