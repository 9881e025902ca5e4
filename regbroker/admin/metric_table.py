"""
The metrics of ``/metrics``: their names, labels and meanings, in one table.

Metrics are made of this table, and `docs/metrics.md` is printed from it. Names and
units follow the conventions of Prometheus. No label holds what a client has chosen:
registries are named by their sections, and what is not known is ``none`` or ``other``.
Repositories are counted only where the operator asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a metric is for Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Together(Enum):
    """How the values of several processes become one."""

    SUM = "sum"
    LOWEST = "lowest"
    HIGHEST = "highest"


@dataclass(frozen=True)
class Metric:
    """
    One metric: `name` is as it is asked for, with the ending of its unit.

    Histograms are asked for by ``NAME_bucket``, ``NAME_sum`` and ``NAME_count``.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    together: Together = Together.SUM


#: Seconds of requests: a cached answer, a manifest, a token, a layer, a large push.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)

#: Seconds until an upstream answers. A push may wait until a whole layer is hashed.
UPSTREAM_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)

REQUESTS = Metric(
    "regbroker_http_requests_total",
    Kind.COUNTER,
    ("registry", "endpoint", "method", "status"),
    "Requests that are over. Status 0: the client left before it was answered.",
)
REQUEST_SECONDS = Metric(
    "regbroker_http_request_duration_seconds",
    Kind.HISTOGRAM,
    ("endpoint",),
    "Seconds from the headers of a request to the end of its reply.",
)
RECEIVED_BYTES = Metric(
    "regbroker_received_bytes_total",
    Kind.COUNTER,
    ("registry", "endpoint"),
    "Bytes of request bodies from clients, transfers under way included.",
)
SENT_BYTES = Metric(
    "regbroker_sent_bytes_total",
    Kind.COUNTER,
    ("registry", "endpoint"),
    "Bytes of reply bodies to clients, transfers under way included.",
)
UNDER_WAY = Metric(
    "regbroker_requests_under_way",
    Kind.GAUGE,
    ("registry", "endpoint"),
    "Requests that are being answered.",
)
CONNECTIONS = Metric(
    "regbroker_connections",
    Kind.GAUGE,
    (),
    "Connections of clients.",
)
CONNECTIONS_LIMIT = Metric(
    "regbroker_connections_limit",
    Kind.GAUGE,
    (),
    "How many connections there may be (`max-connections`).",
)
REFUSED_CONNECTIONS = Metric(
    "regbroker_refused_connections_total",
    Kind.COUNTER,
    ("limit",),
    "Connections that were refused, by the option whose limit was reached.",
)
MALFORMED = Metric(
    "regbroker_malformed_requests_total",
    Kind.COUNTER,
    (),
    "Requests that are not HTTP/1.1. They are not among the requests above.",
)
LOGINS = Metric(
    "regbroker_logins_total",
    Kind.COUNTER,
    ("registry", "outcome"),
    "Requests with a password: `accepted`, `refused`, `limited` (429), or `unknown` "
    "where nobody could tell.",
)
IDENTITY_LOGINS = Metric(
    "regbroker_identity_logins_total",
    Kind.COUNTER,
    ("registry", "identity", "outcome"),
    "Requests with a JWT, by the `[identity NAME]` of its issuer (`none` where no "
    "section has that issuer): `accepted`, `refused`, or `unknown` where nobody could "
    "tell.",
)
REFUSED = Metric(
    "regbroker_refused_requests_total",
    Kind.COUNTER,
    ("registry", "code"),
    "Requests that were refused, by the OCI error code. The first 401, which tells a "
    "client where tokens are, is none of them.",
)
PROXIED = Metric(
    "regbroker_proxied_requests_total",
    Kind.COUNTER,
    ("upstream", "endpoint", "outcome"),
    "Requests that were sent to an upstream, by how they ended: the causes of the log. "
    "`several`: a token of several upstreams.",
)
UPSTREAM_SECONDS = Metric(
    "regbroker_upstream_response_seconds",
    Kind.HISTOGRAM,
    ("upstream", "endpoint"),
    "Seconds until the upstream has begun its reply; for an upload, the body included.",
)
UPSTREAM_UP = Metric(
    "regbroker_upstream_up",
    Kind.GAUGE,
    ("upstream",),
    "1 while the upstream answers, 0 while it does not.",
    Together.LOWEST,
)
IDENTITY_UP = Metric(
    "regbroker_identity_up",
    Kind.GAUGE,
    ("identity",),
    "1 while the keys of the identity's issuer are fresh, 0 while it gives none; its "
    "last keys count for a day.",
    Together.LOWEST,
)
CIRCUIT_STATE = Metric(
    "regbroker_upstream_circuit_state",
    Kind.GAUGE,
    ("upstream", "service", "state"),
    "1 for the state of the circuit breaker: `closed`, `open` or `half-open`; of the "
    "`registry`, and of its token service (`tokens`).",
    Together.HIGHEST,
)
CIRCUIT_TRIPS = Metric(
    "regbroker_upstream_circuit_trips_total",
    Kind.COUNTER,
    ("upstream", "service"),
    "How often a circuit has opened, those of single accounts (429) included.",
)
LIMITED_ACCOUNTS = Metric(
    "regbroker_upstream_limited_accounts",
    Kind.GAUGE,
    ("upstream", "service"),
    "Accounts that have met a limit of the upstream, and are not asked for yet.",
)
TOKEN_CACHE_REQUESTS = Metric(
    "regbroker_token_cache_requests_total",
    Kind.COUNTER,
    ("upstream", "result"),
    "Tokens of the upstream that were looked for in memory: `hit` or `miss`.",
)
TOKEN_CACHE_TOKENS = Metric(
    "regbroker_token_cache_tokens",
    Kind.GAUGE,
    ("upstream",),
    "Tokens of the upstream in memory.",
)
MANIFEST_CACHE_REQUESTS = Metric(
    "regbroker_manifest_cache_requests_total",
    Kind.COUNTER,
    ("upstream", "result"),
    "With `manifest-cache`: pulls of manifests, by `hit` (the body came from memory) "
    "or `miss`.",
)
CERTIFICATE_EXPIRY = Metric(
    "regbroker_certificate_expiry_seconds",
    Kind.GAUGE,
    ("certificate",),
    "Seconds until a certificate of ours ends, by its section; below 0 after that.",
    Together.LOWEST,
)
DRAINING = Metric(
    "regbroker_draining",
    Kind.GAUGE,
    (),
    "1 while regbroker takes no new clients and ends what is under way.",
    Together.HIGHEST,
)
BUILD_INFO = Metric(
    "regbroker_build_info",
    Kind.GAUGE,
    ("version",),
    "1, with the version of regbroker.",
    Together.HIGHEST,
)
REPOSITORY_REQUESTS = Metric(
    "regbroker_repository_requests_total",
    Kind.COUNTER,
    ("registry", "repository", "action"),
    "With `metrics-repositories = yes`: requests to a repository that were answered "
    "with success, by its public name: `pull`, `push` or `delete`.",
)

METRICS = (
    REQUESTS,
    REQUEST_SECONDS,
    RECEIVED_BYTES,
    SENT_BYTES,
    UNDER_WAY,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    REFUSED_CONNECTIONS,
    MALFORMED,
    LOGINS,
    IDENTITY_LOGINS,
    REFUSED,
    PROXIED,
    UPSTREAM_SECONDS,
    UPSTREAM_UP,
    IDENTITY_UP,
    CIRCUIT_STATE,
    CIRCUIT_TRIPS,
    LIMITED_ACCOUNTS,
    TOKEN_CACHE_REQUESTS,
    TOKEN_CACHE_TOKENS,
    MANIFEST_CACHE_REQUESTS,
    CERTIFICATE_EXPIRY,
    DRAINING,
    BUILD_INFO,
    REPOSITORY_REQUESTS,
)
