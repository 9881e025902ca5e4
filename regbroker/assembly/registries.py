"""
Assembly of a registry: its gate, its backends, and where its tokens come from.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from regbroker.accounts.access import AccessRules
from regbroker.accounts.sealing import Sealing
from regbroker.assembly.upstreams import UpstreamService
from regbroker.broker.composite_broker import CompositeBroker
from regbroker.broker.mounts import Name
from regbroker.broker.upstream_broker import Broker
from regbroker.protocol.composite_token import CompositeTokens
from regbroker.settings.config import CERTIFICATE, RegistryConfig
from regbroker.upstream.authorizer import Authorizer
from regbroker.upstream.policy import OURS, Policy
from regbroker.upstream.search_rules import SearchRules
from regbroker.web.admission import Gate, LocalGate, UpstreamGate
from regbroker.web.backend import Backend
from regbroker.web.carried_uploads import CarriedUploads
from regbroker.web.catalog import Catalog
from regbroker.web.certificate_gate import CertificateGate, no_tokens
from regbroker.web.cross_origin import CrossOrigin
from regbroker.web.follow import RedirectFollower
from regbroker.web.forward import Forwarder
from regbroker.web.manifests import RememberedManifests
from regbroker.web.proxy import Proxy
from regbroker.web.registry import Registry
from regbroker.web.relay import Relay
from regbroker.web.reply import Responder
from regbroker.web.search import (
    Permission,
    Search,
    SeenByAccounts,
    seen_by_everybody,
)
from regbroker.web.token_endpoint import (
    CompositeTokenIssuer,
    LocalTokenIssuer,
    TokenEndpoint,
    TokenIssuer,
    UpstreamTokenIssuer,
)

if TYPE_CHECKING:
    # Imported where it is built: not every configuration needs it.
    from regbroker.assembly.local_accounts import LocalParts


def build_registry(
    entry: RegistryConfig,
    upstreams: Mapping[str, UpstreamService],
    local: LocalParts | None,
    reactor: IReactorTime,
    seal: Sealing,
    composite_key: bytes,
    is_alone: bool = True,
) -> Registry:
    """
    Return one ``[registry HOST]``.

    `upstreams` are all of the configuration's, by name; `local` has the accounts
    of registries that have their own; `seal` is for what clients carry for us, and
    `composite_key` for what we say in the tokens of several upstreams. Where it
    `is_alone`, no other process answers the same clients.
    """
    services = {name: upstreams[name] for name in entry.upstreams}
    uploads = CarriedUploads(seal, entry.host)
    backends = {
        name: _backend(entry, service, reactor, uploads)
        for name, service in services.items()
    }
    composite_tokens = CompositeTokens(composite_key, time.time)
    if entry.accounts == CERTIFICATE:
        gate = CertificateGate(entry.access or AccessRules(()), reactor.seconds)
        accounts = _Accounts(gate, no_tokens, gate.search)
    elif entry.accounts is not None:
        assert local is not None
        accounts = _own_accounts(entry, local, reactor)
    else:
        accounts = _upstream_accounts(
            entry, services, backends, composite_tokens, reactor, is_alone
        )
    read_only = entry.writes == "deny"
    relay = Relay(backends, composite_tokens, reactor, time.time)
    catalog = Catalog(
        entry.mapping,
        accounts.gate,
        relay,
        entry.catalog,
        seal,
        entry.host,
        reactor,
    )
    return Registry(
        entry.host,
        entry.token_path,
        Proxy(
            entry.mapping,
            accounts.gate,
            relay,
            catalog,
            read_only,
            entry.extensions,
        ),
        TokenEndpoint(accounts.issuer, exchanges=bool(entry.identities)),
        entry.public_url,
        _search(entry, services.values(), accounts.permission),
        CrossOrigin(entry.cors_origins, read_only) if entry.cors_origins else None,
        entry.hosts,
    )


@dataclass(frozen=True)
class _Accounts:
    """Who comes into a registry, by whose tokens, and who may search."""

    gate: Gate
    issuer: TokenIssuer
    permission: Permission


def _own_accounts(
    entry: RegistryConfig, local: LocalParts, reactor: IReactorTime
) -> _Accounts:
    broker = local.broker(entry)
    return _Accounts(
        LocalGate(broker, entry.token_path, entry.basic_challenge, reactor.seconds),
        LocalTokenIssuer(broker),
        SeenByAccounts(broker),
    )


def _upstream_accounts(
    entry: RegistryConfig,
    services: Mapping[str, UpstreamService],
    backends: Mapping[str, Backend],
    composite_tokens: CompositeTokens,
    reactor: IReactorTime,
    is_alone: bool,
) -> _Accounts:
    brokers = [
        Broker(
            name,
            services[name].tokens,
            entry.mapping,
            time.time,
            services[name].account,
            backends[name].policy,
        )
        for name in entry.trusted_upstreams
    ]
    trusted = [backends[name] for name in entry.trusted_upstreams]
    if len(services) == 1:
        (broker,) = brokers
        has_asked = broker.has_asked if is_alone else _may_have_asked
        gate = UpstreamGate(trusted, broker.users.find, reactor, has_asked)
        return _Accounts(gate, UpstreamTokenIssuer(broker), seen_by_everybody)
    behind = {name: service.upstream for name, service in services.items()}
    composite = CompositeBroker(
        brokers, behind, entry.mapping, composite_tokens, reactor, time.time
    )
    has_asked = composite.has_asked if is_alone else _may_have_asked
    gate = UpstreamGate(trusted, composite.users.find, reactor, has_asked)
    return _Accounts(gate, CompositeTokenIssuer(composite), seen_by_everybody)


def _may_have_asked(token: str, name: Name) -> bool:
    """
    Take every token as one that was asked for with this name.

    Another process may have issued it. To tell its client again to ask for a wider
    one could end a push; without, a mount that is refused is an ordinary upload.
    """
    return True


def _search(
    entry: RegistryConfig, services: Iterable[UpstreamService], permission: Permission
) -> Search | None:
    """Return the search of the first of a registry's upstreams that has one."""
    for service in services:
        if service.search is not None:
            name = service.upstream.name
            searches = SearchRules(entry.mapping, name)
            return Search(name, searches, service.search, permission)
    return None


def _backend(
    entry: RegistryConfig,
    service: UpstreamService,
    reactor: IReactorTime,
    uploads: CarriedUploads,
) -> Backend:
    upstream = service.upstream
    policy = _policy(entry, upstream.name)
    authorizer = Authorizer(
        policy,
        upstream,
        service.tokens,
        service.account,
        service.nobodys,
        composite=len(entry.upstreams) > 1,
    )
    forwarder = Forwarder(upstream, authorizer, reactor, uploads)
    manifests = None
    if upstream.manifests is not None:
        manifests = RememberedManifests(
            upstream.manifests,
            forwarder,
            policy,
            upstream.stalls,
            upstream.config.timeout,
        )
    return Backend(
        upstream,
        forwarder,
        Responder(upstream, entry.token_path, uploads),
        RedirectFollower(upstream) if entry.redirects == "follow" else None,
        policy,
        manifests,
    )


def _policy(entry: RegistryConfig, upstream: str) -> Policy:
    """Return whose account is used at one upstream of a registry."""
    if entry.accounts is not None:
        return OURS
    return Policy(upstream in entry.trusted_upstreams, entry.shared_actions)
