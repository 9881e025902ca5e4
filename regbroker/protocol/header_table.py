"""
Which headers go where, and why: the one place where that is decided.

Three tables. `HOP_BY_HOP` ends with each connection, in both directions. What else
stands in a request goes on only where its row says so: a header that nobody has
thought of may be a credential, or a word that only a proxy in front of the upstream
may say. Of what an upstream says, the rows name what does not reach clients; of what
others say, what does. `docs/headers.md` is printed from here. The module stays whole:
a reader of one row wants to see the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto

from regbroker.protocol.by_name import ByName


class Direction(Flag):
    """From whom to whom a header goes; and what a message is, where that counts."""

    NONE = 0
    #: A client's request to an upstream, with the client's own account there.
    CLIENT = auto()
    #: The same with regbroker's account, or nobody's.
    OURS = auto()
    #: A request to a storage, or whatever else an upstream redirects to.
    TO_STORAGE = auto()
    #: A request for a list, whose body is read here.
    LIST = auto()
    #: A request of an upload.
    UPLOAD = auto()
    #: What web pages of other origins may send (CORS).
    PAGE_SENDS = auto()
    #: An upstream's reply to a client.
    REPLY = auto()
    #: The same, where its body is written anew.
    OUR_BODY = auto()
    #: An upstream's redirect that is followed: what the client gets of it.
    FOLLOWED = auto()
    #: A storage's reply to a client.
    FROM_STORAGE = auto()
    #: A storage's refusal for now (429, 503).
    BUSY = auto()
    #: A storage's refusal of a range (416).
    NO_RANGE = auto()
    #: The reply of a token service, or to a question that is asked here.
    LIMITS = auto()
    #: What web pages of other origins may see (CORS).
    PAGE_SEES = auto()


C = Direction.CLIENT
CO = C | Direction.OURS
COS = CO | Direction.TO_STORAGE
R = Direction.REPLY
RF = R | Direction.FOLLOWED
RS = R | Direction.FROM_STORAGE
RL = RF | Direction.LIMITS
SENDS, SEES = Direction.PAGE_SENDS, Direction.PAGE_SEES

#: Where also those headers go that are in no row.
OPEN = R | Direction.LIST | Direction.UPLOAD | Direction.OUR_BODY


@dataclass(frozen=True)
class Row:
    """
    A header, and where it goes as it came: `passes`.

    A name that ends with ``*`` stands for all that begin so and have no row of their
    own. Where it does not pass, regbroker may write one of its own: `anew`. `but` are
    kinds of messages in which it goes nowhere. `is_credential` says that an upstream
    may see by it who the client is, as by ``Authorization``.
    """

    name: str
    passes: Direction
    why: str
    anew: Direction = Direction.NONE
    but: Direction = Direction.NONE
    is_credential: bool = False

    def goes(self, direction: Direction) -> bool:
        """Tell whether the header passes on one way."""
        if direction & (OPEN & ~R):
            return not self.but & direction
        return bool(self.passes & direction)


ENDS = Direction.NONE

HOP_BY_HOP = (
    Row("Connection", ENDS, "about one connection; what it names ends here, too"),
    Row("Keep-Alive", ENDS, "about one connection"),
    Row("Proxy-Authenticate", ENDS, "a proxy's, for whoever asked that proxy"),
    Row("Proxy-Authentication-Info", ENDS, "as Proxy-Authenticate"),
    Row("Proxy-Authorization", ENDS, "a password for a proxy, which we are not"),
    Row("Proxy-Connection", ENDS, "about one connection, in an old client's words"),
    Row("TE", ENDS, "about one connection"),
    Row("Trailer", ENDS, "trailers are not relayed"),
    Row("Trailers", ENDS, "as Trailer, misspelt"),
    Row("Transfer-Encoding", ENDS, "each connection has its own framing"),
    Row("Upgrade", ENDS, "about one connection"),
    Row("HTTP2-Settings", ENDS, "belongs to Upgrade"),
)

REQUESTS = (
    Row("Host", ENDS, "names the next server", anew=COS),
    Row("Content-Length", ENDS, "set by the writer of the message", anew=CO),
    Row("Expect", ENDS, "asked anew where the client waits for an answer", anew=CO),
    Row(
        "Authorization",
        SENDS,
        "as itself the client's own, or its token for this upstream out of several; "
        "else ours; never another server's affair",
        anew=CO,
    ),
    Row("Accept", COS | SENDS, "what is wanted"),
    Row(
        "Accept-Encoding",
        COS,
        "what is wanted; lists are read here, so they come unpacked",
        anew=Direction.LIST,
        but=Direction.LIST,
    ),
    Row("Accept-Language", CO, "what is wanted"),
    Row("Range", COS | SENDS, "what is wanted; lists come whole", but=Direction.LIST),
    Row("If-Range", COS, "belongs to Range", but=Direction.LIST),
    Row("If-Match", COS | SENDS, "on what condition it is wanted"),
    Row("If-None-Match", COS | SENDS, "on what condition it is wanted"),
    Row("If-Modified-Since", COS | SENDS, "on what condition it is wanted"),
    Row("If-Unmodified-Since", COS, "on what condition it is wanted"),
    Row("If-*", CO, "on what condition it is wanted"),
    Row("Cache-Control", CO | SENDS, "how fresh it is wanted"),
    Row("Pragma", C, "Cache-Control, in an old client's words"),
    Row(
        "Content-Type",
        CO | SENDS,
        "what is sent; for uploads application/octet-stream, since some registries "
        "read names out of forms",
        anew=Direction.UPLOAD,
        but=Direction.UPLOAD,
    ),
    Row("Content-Range", CO | SENDS, "which part of an upload is sent"),
    Row("Content-Location", ENDS, "a path that nobody has mapped"),
    Row("Content-*", CO, "about what is sent"),
    Row("Digest", CO, "about what is sent"),
    Row("Repr-Digest", CO, "about what is sent"),
    Row("Want-*", CO, "which digests are wanted"),
    Row("User-Agent", COS, "which program asks; registries know their clients by it"),
    Row("Docker-*", CO, "the registry API's own"),
    Row("OCI-*", CO, "the registry API's own"),
    Row(
        "X-Meta-*",
        C,
        "what docker's users have it send to registries; may be a credential",
        is_credential=True,
    ),
    Row("Traceparent", CO, "W3C Trace Context: the operator's own traces go on"),
    Row("Tracestate", CO, "belongs to Traceparent"),
    Row("Baggage", C, "belongs to Traceparent; may say something of the user"),
    Row("B3", C, "a trace, as Zipkin writes it"),
    Row("X-B3-*", C, "a trace, as Zipkin writes it"),
    Row("X-Amzn-Trace-Id", C, "a trace, as AWS writes it"),
    Row(
        "X-Request-ID",
        ENDS,
        "finds the request in all logs; a trusted proxy's, else made here",
        anew=CO,
    ),
    Row("X-Correlation-Id", C, "finds the request in the upstream's log"),
    Row("X-Ms-Client-Request-Id", C, "finds the request in Azure's log"),
    Row("X-Requested-With", C | SENDS, "how registries' web front ends mark requests"),
    Row("Private-Token", C, "a credential at GitLab", is_credential=True),
    Row("Job-Token", C, "a credential at GitLab", is_credential=True),
    Row("Deploy-Token", C, "a credential at GitLab", is_credential=True),
    Row("X-JFrog-Art-Api", C, "a credential at Artifactory", is_credential=True),
    Row("X-Registry-Auth", C, "a credential, in docker's words", is_credential=True),
    Row("Via", Direction.TO_STORAGE, "the regbrokers on the way, for loops", anew=CO),
    Row("X-Forwarded-For", ENDS, "the way, as far as it is believed", anew=CO),
    Row("X-Forwarded-Host", ENDS, "the host that the client has asked", anew=CO),
    Row("X-Forwarded-Proto", ENDS, "http or https", anew=CO),
    Row("X-Real-IP", ENDS, "the client's address", anew=CO),
    Row(
        "X-Forwarded-*",
        ENDS,
        "-User, -Email, -Groups, -Prefix, -Port, -Ssl and others: an upstream may "
        "believe them of the proxy before it, and never of a client",
    ),
    Row("Forwarded", ENDS, "as X-Forwarded-For, which is written here"),
    Row("X-Client-IP", ENDS, "an address that nobody has checked"),
    Row("X-Cluster-Client-IP", ENDS, "an address that nobody has checked"),
    Row("True-Client-IP", ENDS, "an address that nobody has checked"),
    Row("CF-Connecting-IP", ENDS, "an address that nobody has checked"),
    Row("Fastly-Client-IP", ENDS, "an address that nobody has checked"),
    Row("Remote-User", ENDS, "a user that nobody has checked"),
    Row("Remote-*", ENDS, "-Groups, -Email, -Name: belong to Remote-User"),
    Row("X-Remote-*", ENDS, "a user that nobody has checked"),
    Row("X-WEBAUTH-*", ENDS, "a user that nobody has checked"),
    Row("X-Auth-Request-*", ENDS, "a user that nobody has checked"),
    Row("X-Authenticated-*", ENDS, "a user that nobody has checked"),
    Row("X-SSL-*", ENDS, "a certificate that nobody has checked"),
    Row("SSL-Client-*", ENDS, "a certificate that nobody has checked"),
    Row("X-Original-*", ENDS, "another path, host or address than what was looked at"),
    Row("X-Rewrite-URL", ENDS, "another path than the one that was looked at"),
    Row("X-HTTP-Method*", ENDS, "another method than the one that was looked at"),
    Row("X-Method-Override", ENDS, "another method than the one that was looked at"),
    Row("Cookie", ENDS, "for the host that the client knows"),
    Row("Cookie2", ENDS, "as Cookie"),
    Row("Origin", ENDS, "which pages may ask is decided here"),
    Row("Referer", ENDS, "which page asks is nobody's affair"),
    Row("Sec-*", ENDS, "about a browser's page"),
    Row("From", ENDS, "a person's address"),
)

REPLIES = (
    Row("Content-Type", RS, "about the body", but=Direction.OUR_BODY),
    Row("Content-Length", RS, "about the body", but=Direction.OUR_BODY),
    Row("Content-Encoding", RS, "about the body", but=Direction.OUR_BODY),
    Row("Content-Language", R, "about the body", but=Direction.OUR_BODY),
    Row("Content-Disposition", R, "about the body", but=Direction.OUR_BODY),
    Row(
        "Content-Range",
        RS | Direction.NO_RANGE | SEES,
        "about the body, or what there is of",
    ),
    Row("Accept-Ranges", RS | SEES, "about the body", but=Direction.OUR_BODY),
    Row("ETag", RS | SEES, "about the body", but=Direction.OUR_BODY),
    Row("Content-MD5", R, "about the body", but=Direction.OUR_BODY),
    Row("Content-Digest", R, "about the body", but=Direction.OUR_BODY),
    Row("Repr-Digest", R, "about the body", but=Direction.OUR_BODY),
    Row("Digest", R, "about the body", but=Direction.OUR_BODY),
    Row("Last-Modified", RS, "about the content"),
    Row("Cache-Control", RS, "about the content"),
    Row("Range", R | SEES, "how much of an upload has arrived"),
    Row("Docker-Content-Digest", RF | SEES, "what the content is"),
    Row("Docker-Distribution-Api-Version", SEES, "the same on every reply", anew=R),
    Row("Docker-RateLimit-Source", RL | SEES, "whose limit it is"),
    Row("Docker-Upload-UUID", R | SEES, "which upload it is"),
    Row("OCI-Chunk-Max-Length", RF | SEES, "how much a chunk may be"),
    Row("OCI-Chunk-Min-Length", RF | SEES, "how much a chunk must be"),
    Row("OCI-Filters-Applied", RF | SEES, "what a list has been filtered by"),
    Row("OCI-Namespace", SEES, "whose mirror this is", anew=R),
    Row("OCI-Subject", RF | SEES, "what a manifest is about"),
    Row("OCI-Tag", RF | SEES, "how it is tagged"),
    Row("OCI-*", RF, "the registry API's own"),
    Row("RateLimit", RL, "how often a client may still ask"),
    Row("RateLimit-Limit", RL | SEES, "how often a client may still ask"),
    Row("RateLimit-Remaining", RL | SEES, "how often a client may still ask"),
    Row("RateLimit-*", RL, "how often a client may still ask"),
    Row("X-RateLimit-*", RL, "how often a client may still ask"),
    Row(
        "Retry-After",
        R | Direction.LIMITS | Direction.BUSY | SEES,
        "when to come again",
    ),
    Row("Location", SEES, "made ours, or refused", anew=R),
    Row("Link", SEES, "made ours", anew=R),
    Row("WWW-Authenticate", SEES, "our realm, public names", anew=R),
    Row("Warning", Direction.FOLLOWED | SEES, "with public names", anew=R),
    Row("Date", ENDS, "each server says its own", anew=R),
    Row("Server", ENDS, "each server says its own", anew=R),
    Row("X-Request-ID", SEES, "the request's, as in our log", anew=R),
    Row("Via", ENDS, "the way to an upstream is no client's affair"),
    Row("Cache-Status", ENDS, "names a cache on the way to an upstream"),
    Row("X-Cache*", ENDS, "names a cache on the way to an upstream"),
    Row("X-Served-By", ENDS, "names a cache on the way to an upstream"),
    Row("X-Squid-*", ENDS, "why a cache has not reached an upstream"),
    Row("Proxy-Status", ENDS, "names a proxy on the way to an upstream"),
    Row("X-Envoy-*", ENDS, "names what a proxy has behind it"),
    Row("X-Backend*", ENDS, "names what a proxy has behind it"),
    Row("X-Upstream*", ENDS, "names what a proxy has behind it"),
    Row("Content-Location", ENDS, "a path that nobody has mapped"),
    Row("Alt-Svc", ENDS, "would lead clients past us, and past our rules"),
    Row("Refresh", ENDS, "would lead browsers past us"),
    Row("Set-Cookie", ENDS, "for the upstream's host, not ours"),
    Row("Set-Cookie2", ENDS, "as Set-Cookie"),
    Row("Clear-Site-Data", ENDS, "a browser would keep it for our host"),
    Row("Strict-Transport-Security", ENDS, "a browser would keep it for our host"),
    Row("Public-Key-Pins*", ENDS, "a browser would keep it for our host"),
    Row("Expect-CT", ENDS, "a browser would keep it for our host"),
    Row("NEL", ENDS, "a browser would report on our host"),
    Row("Report-To", ENDS, "a browser would report on our host"),
    Row("Reporting-Endpoints", ENDS, "a browser would report on our host"),
    Row("Service-Worker-Allowed", ENDS, "a browser would run it for our host"),
    Row("Access-Control-*", ENDS, "which pages may ask is decided here"),
    Row("Timing-Allow-Origin", ENDS, "which pages may ask is decided here"),
    Row("X-Accel-*", ENDS, "orders for an nginx in front of us"),
    Row("X-Sendfile*", ENDS, "orders for a server in front of us"),
    Row("X-Lighttpd-*", ENDS, "orders for a server in front of us"),
    Row("X-Reproxy-URL", ENDS, "orders for a server in front of us"),
    # skopeo, podman and CRI-O pull nothing where it is promised and not there.
    Row("X-Registry-Supports-Signatures", ENDS, "promises what is not relayed"),
)

_REQUEST_WAYS = COS | Direction.LIST | Direction.UPLOAD | SENDS


class _Names:
    """The rows of a table by header name."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self._exact = {r.name.lower().encode(): r for r in rows if "*" not in r.name}
        starts = [r for r in rows if r.name.endswith("*")]
        starts.sort(key=lambda row: -len(row.name))
        self._starts = [(row.name[:-1].lower().encode(), row) for row in starts]

    def has(self, name: bytes) -> bool:
        """Tell whether a name in lower case has a row of its own."""
        return name in self._exact

    def find(self, name: bytes) -> Row | None:
        """Return the row for a name in lower case."""
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        return next(
            (row for start, row in self._starts if name.startswith(start)), None
        )


_hop_by_hop = _Names(HOP_BY_HOP)
_requests = _Names(REQUESTS)
_replies = _Names(REPLIES)


def is_hop_by_hop(name: bytes) -> bool:
    """Tell whether a header, in whatever case, ends with its connection."""
    return _hop_by_hop.has(name.lower())


#: Whether a header goes on one way as it came, by its name in whatever case.
Way = ByName[bool]

_WAYS: dict[Direction, Way] = {}


def way(direction: Direction) -> Way:
    """Return what tells of each name whether it passes."""
    found = _WAYS.get(direction)
    if found is None:
        found = _WAYS[direction] = Way(lambda name: _passes(name, direction))
    return found


def _is_credential(name: bytes) -> bool:
    row = _requests.find(name.lower())
    return row is not None and row.is_credential


#: Whether a header of a request, by its name in whatever case, may be a credential
#: beside ``Authorization``.
IS_CREDENTIAL = ByName(_is_credential)


def _passes(name: bytes, direction: Direction) -> bool:
    lower = name.lower()
    if is_hop_by_hop(lower):
        return False
    is_request = bool(direction & _REQUEST_WAYS)
    row = (_requests if is_request else _replies).find(lower)
    # Behind CGI and its kin, X_Real_IP is X-Real-IP: no client means such a name.
    if row is None or (is_request and b"_" in name):
        return bool(direction & OPEN)
    return row.goes(direction)


def names_for(direction: Direction) -> tuple[str, ...]:
    """Return the names of the rows that pass on one way, in order."""
    rows = REQUESTS if direction & _REQUEST_WAYS else REPLIES
    return tuple(sorted(row.name for row in rows if row.goes(direction)))
