"""Which headers go where."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.by_name import MAX_REMEMBERED_NAME
from regbroker.protocol.header_table import (
    HOP_BY_HOP,
    IS_CREDENTIAL,
    OPEN,
    REPLIES,
    REQUESTS,
    Direction,
    Row,
    is_hop_by_hop,
    way,
)
from tests.grammar import EXAMPLES

REQUEST_WAYS = (Direction.CLIENT, Direction.OURS, Direction.TO_STORAGE)
REPLY_WAYS = (
    *(
        Direction.REPLY,
        Direction.FOLLOWED,
        Direction.FROM_STORAGE,
        Direction.BUSY,
        Direction.NO_RANGE,
    ),
    *(Direction.LIMITS, Direction.OUR_BODY),
)


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


#: Who believes these is told by the proxy before it, and not by its clients.
OF_TRUST = words("""
    CF-Connecting-IP Client-Cert Fastly-Client-IP Forwarded Front-End-Https
    REMOTE_USER Remote-Email Remote-Groups Remote-Name Remote-User SSL-Client-Cert
    SSL-Client-Verify SSL_CLIENT_S_DN True-Client-IP Via X-Accel-Internal
    X-Amzn-Oidc-Data X-Appengine-User-Ip X-Auth-Request-Access-Token
    X-Auth-Request-Email X-Auth-Request-User X-Authenticated-User
    X-Authentik-Username X-Client-IP X-Cluster-Client-IP X-Envoy-External-Address
    X-Envoy-Original-Path X-Forwarded X-Forwarded-Access-Token X-Forwarded-By
    X-Forwarded-Client-Cert X-Forwarded-Email X-Forwarded-For X-Forwarded-Groups
    X-Forwarded-Host X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Preferred-Username
    X-Forwarded-Proto X-Forwarded-Scheme X-Forwarded-Server X-Forwarded-Ssl
    X-Forwarded-Uri X-Forwarded-User X-Forwarded_User X_Forwarded_For
    X-Goog-Authenticated-User-Email X-HTTP-Method X-HTTP-Method-Override X-Host
    X-HTTP_Method X-JWT-Assertion X-Method-Override X-Ms-Client-Principal
    X-Original-Forwarded-For X-Original-Host X-Original-Method X-Original-URI
    X-Original-URL X-ProxyUser-Ip X-Real-IP X_Real-IP X-Remote-User X-Rewrite-URL
    X-Scheme X-SSL-Client-Cert X-Sendfile-Type X-Sso-User X-Tenant X-Token-Subject
    X-User X-WEBAUTH-EMAIL X-WEBAUTH-USER X-Whatever-Comes-Next
""")

#: About the client's browser, or its host.
OF_BROWSERS = words("Cookie COOKIE Cookie2 Origin Referer Sec-Fetch-Site DNT From")

#: What registries' clients send.
OF_CLIENTS = words("""
    Accept accept Accept-Encoding Accept-Language Cache-Control Content-Digest
    Content-Disposition Content-Encoding Content-MD5 Content-Range Content-Type Digest
    Docker-Distribution-Api-Version If-Match If-Modified-Since If-None-Match If-Range
    If-Unmodified-Since OCI-Filters RANGE Repr-Digest User-Agent Want-Digest
    Want-Repr-Digest traceparent tracestate
""")

#: By what registries see who somebody is, beside Authorization.
CREDENTIALS = words("""
    Deploy-Token JOB-TOKEN PRIVATE-TOKEN X-JFrog-Art-Api X-Meta-Team X-Registry-Auth
""")

#: What else those with an account at the upstream send to it.
OF_ONE_REQUEST = words("""
    B3 Baggage Pragma X-Amzn-Trace-Id X-B3-TraceId X-Correlation-Id
    X-Ms-Client-Request-Id X-Requested-With
""")

#: What those with an account at the upstream send to it, and nobody else learns.
OF_ACCOUNTS = CREDENTIALS + OF_ONE_REQUEST


def going(names: list[str], direction: Direction) -> list[str]:
    """Those of some headers that pass on one way."""
    return [name for name in names if way(direction)[name.encode()]]


class RequestTests(SynchronousTestCase):
    def test_of_trust(self) -> None:
        """Headers of trust go nowhere, known or unknown."""
        for direction in (Direction.CLIENT, Direction.OURS):
            self.assertEqual(going(OF_TRUST, direction), [])
        # A storage may be a regbroker, too.
        self.assertEqual(going(OF_TRUST, Direction.TO_STORAGE), ["Via"])

    def test_of_browsers(self) -> None:
        """Nor does what is about a page, or for our host."""
        for direction in REQUEST_WAYS:
            self.assertEqual(going(OF_BROWSERS, direction), [])

    def test_of_clients(self) -> None:
        """What is wanted or sent goes up, whoever speaks."""
        for direction in (Direction.CLIENT, Direction.OURS):
            self.assertEqual(going(OF_CLIENTS, direction), OF_CLIENTS)

    def test_of_accounts(self) -> None:
        """What may be a credential goes where the client has its account."""
        self.assertEqual(going(OF_ACCOUNTS, Direction.CLIENT), OF_ACCOUNTS)
        for direction in (Direction.OURS, Direction.TO_STORAGE):
            self.assertEqual(going(OF_ACCOUNTS, direction), [])

    def test_credentials(self) -> None:
        """Each row for accounts is a credential, or about one request alone."""
        shown = [name for name in OF_ACCOUNTS if IS_CREDENTIAL[name.encode()]]
        self.assertEqual(shown, CREDENTIALS)
        self.assertFalse(IS_CREDENTIAL[b"Accept"] or IS_CREDENTIAL[b"X-Any"])
        rows = [
            row
            for row in REQUESTS
            if row.goes(Direction.CLIENT) and not row.goes(Direction.OURS)
        ]
        self.assertEqual(len(rows), len(OF_ACCOUNTS))
        self.assertEqual(sum(row.is_credential for row in rows), len(CREDENTIALS))

    def test_said_anew(self) -> None:
        """What is said anew never passes beside it."""
        names = ["Host", "Content-Length", "Expect", "Authorization"]
        for direction in REQUEST_WAYS:
            self.assertEqual(going(names, direction), [])

    def test_to_storage(self) -> None:
        """Another server learns what is wanted, and not who wants it."""
        told = [
            *("Accept", "accept", "Accept-Encoding", "If-Match", "If-Modified-Since"),
            *("If-None-Match", "If-Range", "If-Unmodified-Since", "Range"),
            "User-Agent",
        ]
        others = [name for name in OF_CLIENTS if name.title() not in told]
        self.assertEqual(
            going([*told, *others, "If_Match"], Direction.TO_STORAGE), told
        )

    def test_underscores(self) -> None:
        """A name that CGI takes for another one goes nowhere."""
        for name in OF_CLIENTS:
            written = name.replace("-", "_", 1)
            if written != name:
                self.assertEqual(going([written], Direction.CLIENT), [])

    def test_of_lists_and_uploads(self) -> None:
        """Lists come whole and unpacked; an upload's type is ours."""
        names = ["Accept", "Accept-Encoding", "If-Range", "Range", "Content-Type"]
        self.assertEqual(going(names, Direction.LIST), ["Accept", "Content-Type"])
        self.assertEqual(going(names, Direction.UPLOAD), names[:-1])


class ReplyTests(SynchronousTestCase):
    LIMITS = (
        *("Docker-RateLimit-Source", "RateLimit", "RateLimit-Limit"),
        *("ratelimit-remaining", "RateLimit-Policy", "X-RateLimit-Reset"),
    )
    OF_THE_REGISTRY = (
        *("Docker-Content-Digest", "OCI-Subject", "oci-filters-applied", "Warning"),
        *LIMITS,
    )
    CONTENT = (
        *("Content-Length", "content-type", "Content-Encoding", "Content-Range"),
        *("Accept-Ranges", "ETag", "Last-Modified", "Cache-Control"),
    )
    OTHERS = (
        *("Content-Disposition", "Location", "Link", "X-Amz-Request-Id", "X-Other"),
        *("WWW-Authenticate", "Set-Cookie", "Server", "Via"),
    )

    def test_to_client(self) -> None:
        """What an upstream says reaches the client, known or unknown."""
        names = ["X-Github-Request-Id", "Docker-Upload-UUID", "Range", "Vary", "X-Any"]
        names += self.CONTENT
        self.assertEqual(going(names, Direction.REPLY), names)

    def test_not_to_client(self) -> None:
        """But not what is for another host, for a proxy, or said anew."""
        names = """
            Access-Control-Allow-Origin Alt-Svc Clear-Site-Data Content-Location Date
            Docker-Distribution-Api-Version Link Location NEL OCI-Namespace
            Public-Key-Pins-Report-Only Refresh Report-To Server Set-Cookie
            Strict-Transport-Security Timing-Allow-Origin Via WWW-Authenticate
            X-Accel-Redirect X-Accel-Buffering X-Sendfile X-LIGHTTPD-send-file
            X-Registry-Supports-Signatures Proxy-Authenticate Proxy-Authentication-Info
        """
        self.assertEqual(going(names.split(), Direction.REPLY), [])

    def test_of_the_way(self) -> None:
        """Nor what proxies and caches on the way to an upstream say of themselves."""
        names = """
            Cache-Status Proxy-Status Via X-Backend X-Backend-Server X-Cache
            X-Cache-Hits X-Cache-Lookup X-Envoy-Decorator-Operation
            X-Envoy-Upstream-Service-Time X-Served-By X-Squid-Error X-Upstream-Addr
        """
        for direction in REPLY_WAYS[:-1]:
            self.assertEqual(going(names.split(), direction), [])

    def test_storage(self) -> None:
        """A storage is believed about its bytes only."""
        names = [*self.CONTENT, *self.OTHERS, *self.OF_THE_REGISTRY]
        self.assertEqual(going(names, Direction.FROM_STORAGE), list(self.CONTENT))
        names.append("Retry-After")
        self.assertEqual(going(names, Direction.BUSY), ["Retry-After"])
        self.assertEqual(going(names, Direction.NO_RANGE), ["Content-Range"])

    def test_followed(self) -> None:
        """What a registry says with its redirect is about the content."""
        names = [*self.OF_THE_REGISTRY, *self.CONTENT, *self.OTHERS]
        self.assertEqual(going(names, Direction.FOLLOWED), list(self.OF_THE_REGISTRY))

    def test_limits(self) -> None:
        """Of a token service clients hear how often they may ask."""
        names = [*self.LIMITS, "Retry-After", *self.CONTENT, *self.OTHERS]
        self.assertEqual(going(names, Direction.LIMITS), [*self.LIMITS, "Retry-After"])

    def test_our_body(self) -> None:
        """What is about the upstream's body is not said of ours."""
        about = """
            Content-Type Content-Length Content-Encoding Content-MD5 Content-Digest
            Repr-Digest Digest ETag Accept-Ranges Content-Language Content-Disposition
        """
        self.assertEqual(going(about.split(), Direction.OUR_BODY), [])
        self.assertEqual(
            going(["Warning", "X-Other"], Direction.OUR_BODY)[0], "Warning"
        )


class TableTests(SynchronousTestCase):
    def test_each_once(self) -> None:
        """A name stands in one row of its table, and each row has its reason."""
        for rows in (HOP_BY_HOP, REQUESTS, REPLIES):
            names = [row.name.lower() for row in rows]
            self.assertEqual(len(names), len(set(names)))
            self.assertEqual([row.name for row in rows if not row.why], [])

    def test_passes_or_anew(self) -> None:
        """Nothing passes beside what regbroker writes of the same name."""
        for row in (*REQUESTS, *REPLIES):
            self.assertFalse(row.passes & row.anew, row.name)

    def test_hop_by_hop(self) -> None:
        """What ends with its connection passes on no way, whatever its case."""
        for row in HOP_BY_HOP:
            for name in (row.name.encode(), row.name.upper().encode()):
                self.assertTrue(is_hop_by_hop(name))
                for direction in (*REQUEST_WAYS, *REPLY_WAYS):
                    self.assertFalse(way(direction)[name], name)
        self.assertFalse(is_hop_by_hop(b"Connections"))

    def test_long_names(self) -> None:
        """Names that are not remembered are decided in the same way."""
        rest = b"x" * MAX_REMEMBERED_NAME
        self.assertTrue(way(Direction.CLIENT)[b"OCI-" + rest])
        self.assertFalse(way(Direction.CLIENT)[b"X-" + rest])

    @EXAMPLES
    @given(
        st.text(alphabet="abcXYZ019!#$-_.", min_size=1),
        st.sampled_from(list(Direction)),
    )
    def test_anything(self, name: str, direction: Direction) -> None:
        """A name without a row goes where what is unknown goes."""
        rows: tuple[Row, ...] = (*HOP_BY_HOP, *REQUESTS, *REPLIES)
        if not any(name.lower().startswith(r.name.lower().rstrip("*")) for r in rows):
            self.assertEqual(way(direction)[name.encode()], bool(direction & OPEN))
