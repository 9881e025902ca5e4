"""What the admin listener tells about, as one value; a reload brings another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from regbroker.admin.certificates import ServedCertificate
from regbroker.settings.config import RegistryConfig
from regbroker.transport.listening.entrance import Entrance
from regbroker.transport.server.site import StreamingSite
from regbroker.upstream.registry import Upstream
from regbroker.upstream.token_cache import TokenCache
from regbroker.web.serving import UnderWay


@dataclass(frozen=True)
class WatchedUpstream:
    """One upstream, and the tokens of it that are kept."""

    upstream: Upstream
    tokens: TokenCache


@dataclass(frozen=True)
class Watched:
    """What serves clients now."""

    registries: tuple[RegistryConfig, ...]
    upstreams: Mapping[str, WatchedUpstream]
    under_way: UnderWay
    entrance: Entrance
    site: StreamingSite
    certificates: tuple[ServedCertificate, ...] = ()
    counts_repositories: bool = False
    #: Of each ``[identity NAME]``, whether the keys of its issuer are fresh.
    identities: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
