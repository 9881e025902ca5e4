"""
Assembly of a registry: who may come in, who speaks upstream, where tokens come from.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from regbroker.broker import Broker
from regbroker.bundlebroker import BundleBroker
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
    services = [upstreams[name] for name in entry.upstreams]
    candidates = {
        service.upstream.name: _candidate(entry, service, reactor)
        for service in services
    }
    gate: Gate
    granting: Granting
    permission: Permission = seen_by_everybody
    if entry.accounts is not None:
        assert local is not None
        local_broker = local.broker(entry)
        gate = LocalGate(local_broker, entry.token_path, entry.basic_challenge)
        granting = LocalGranting(local_broker)
        permission = SeenByAccounts(local_broker)
    else:
        trusted = [candidates[name] for name in entry.trusted_upstreams]
        brokers = [
            Broker(
                name,
                upstreams[name].tokens,
                entry.mapping,
                time.time,
                _shared(entry, upstreams[name]),
            )
            for name in entry.trusted_upstreams
        ]
        broker: Broker | BundleBroker = brokers[0]
        granting = UpstreamGranting(brokers[0])
        if len(services) > 1:
            patience = {
                service.upstream.name: service.upstream.config.answer_timeout
                for service in services
            }
            broker = BundleBroker(brokers, patience, entry.mapping, reactor, time.time)
            granting = BundleGranting(broker)
        gate = UpstreamGate(trusted, broker.user_of, bool(entry.lent_actions))
    read_only = entry.writes == "deny"
    choosing = Choosing(candidates, reactor, time.time)
    catalog = Catalog(entry.mapping, gate, choosing, entry.catalog)
    read_only = entry.writes == "deny"
    cross_origin = None
    if entry.cors_origins:
        cross_origin = CrossOrigin(entry.cors_origins, read_only)
    return Registry(
        entry.host,
        entry.token_path,
        Proxy(entry.mapping, gate, choosing, catalog, read_only),
        TokenEndpoint(granting),
        entry.public_url,
        _search(entry, services, permission),
        cross_origin,
    )


def _search(
    entry: RegistryConfig, services: Sequence[UpstreamService], permission: Permission
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
    return Candidate(
        upstream,
        Asking(upstream, _speaker(entry, service), reactor),
        Answering(upstream, entry.token_path, reactor),
        Following(upstream, reactor) if entry.redirects == "follow" else None,
        upstream.name in entry.trusted_upstreams,
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
