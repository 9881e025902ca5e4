"""What is read at the moment when somebody asks: states, sizes, transfers under way."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import Metric as Family

from regbroker import __version__
from regbroker.admin.counting import Counting, endpoint_of, registry_of
from regbroker.admin.families import family
from regbroker.admin.metric_table import (
    BUILD_INFO,
    CERTIFICATE_EXPIRY,
    CIRCUIT_STATE,
    CIRCUIT_TRIPS,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    DRAINING,
    IDENTITY_UP,
    LIMITED_ACCOUNTS,
    MALFORMED,
    MANIFEST_CACHE_REQUESTS,
    RECEIVED_BYTES,
    REFUSED_CONNECTIONS,
    SENT_BYTES,
    TOKEN_CACHE_REQUESTS,
    TOKEN_CACHE_TOKENS,
    UNDER_WAY,
    UPSTREAM_UP,
)
from regbroker.admin.upstream_health import UpstreamHealth
from regbroker.admin.watched import Watched
from regbroker.upstream.circuit_breaker import STATES


def gauges(
    watched: Watched,
    counting: Counting,
    health: Mapping[str, UpstreamHealth],
    is_draining: bool,
    now: Callable[[], float],
) -> Iterator[Family]:
    """Yield the families of what is so at this moment; `now` is since 1970."""
    yield from _transfers(watched, counting)
    yield from _connections(watched)
    yield from _upstreams(watched, health)
    yield family(
        CERTIFICATE_EXPIRY,
        (((one.section,), one.not_after - now()) for one in watched.certificates),
    )
    identities = watched.identities.items()
    yield family(
        IDENTITY_UP, (((name,), float(is_fresh())) for name, is_fresh in identities)
    )
    yield family(DRAINING, [((), float(is_draining))])
    yield family(BUILD_INFO, [((__version__,), 1.0)])


def _transfers(watched: Watched, counting: Counting) -> Iterator[Family]:
    received, sent = Tally(counting.bytes_in), Tally(counting.bytes_out)
    under_way: Tally[tuple[str, str]] = Tally()
    for progress in watched.under_way.progress():
        key = registry_of(progress.event), endpoint_of(progress.event)
        under_way[key] += 1
        received[key] += progress.bytes_in
        sent[key] += progress.bytes_out
    # What ended is 0 from now on, and not gone.
    yield family(UNDER_WAY, ((key, under_way[key]) for key in received))
    yield family(RECEIVED_BYTES, received.items())
    yield family(SENT_BYTES, sent.items())


def _connections(watched: Watched) -> Iterator[Family]:
    occupancy = watched.entrance.occupancy
    yield family(CONNECTIONS, [((), occupancy.total)])
    yield family(CONNECTIONS_LIMIT, [((), occupancy.limits.total)])
    yield family(MALFORMED, [((), watched.site.malformed.count)])
    refused = watched.entrance.refused_in_all
    yield family(
        REFUSED_CONNECTIONS, (((why.value,), count) for why, count in refused.items())
    )


def _upstreams(
    watched: Watched, health: Mapping[str, UpstreamHealth]
) -> Iterator[Family]:
    upstreams = watched.upstreams
    yield family(
        UPSTREAM_UP, (((name,), float(health[name].answers)) for name in upstreams)
    )
    circuits = [
        (name, service, breakers)
        for name, one in upstreams.items()
        for service, breakers in (
            ("registry", one.upstream.circuits),
            ("tokens", one.upstream.token_circuits),
        )
    ]
    yield family(
        CIRCUIT_STATE,
        (
            ((name, service, state), float(breakers.state == state))
            for name, service, breakers in circuits
            for state in STATES
        ),
    )
    yield family(
        CIRCUIT_TRIPS,
        (((name, service), breakers.trips) for name, service, breakers in circuits),
    )
    yield family(
        LIMITED_ACCOUNTS,
        (((name, service), breakers.limited) for name, service, breakers in circuits),
    )
    yield family(
        TOKEN_CACHE_REQUESTS,
        (
            ((name, result), count)
            for name, one in upstreams.items()
            for result, count in (("hit", one.tokens.hits), ("miss", one.tokens.misses))
        ),
    )
    yield family(
        TOKEN_CACHE_TOKENS,
        (((name,), len(one.tokens)) for name, one in upstreams.items()),
    )
    memories = [(name, one.upstream.manifests) for name, one in upstreams.items()]
    yield family(
        MANIFEST_CACHE_REQUESTS,
        (
            ((name, result), count)
            for name, memory in memories
            if memory is not None
            for result, count in (("hit", memory.hits), ("miss", memory.misses))
        ),
    )
