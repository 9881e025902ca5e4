"""
Trust towards the servers that regbroker connects to.

TLS 1.2 at least, HTTP/1.1 alone in ALPN. There is no switch that turns verification
off.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto
from service_identity.hazmat import (
    DNS_ID,
    IPAddress_ID,
    ServiceID,
    verify_service_identity,
)
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.logger import Logger
from zope.interface import implementer

from regbroker.protocol.origins import Origin
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.certificates.pem_files import load_chain, load_pair
from regbroker.transport.certificates.served import (
    PROTOCOLS,
    read_key_pem,
    read_pem,
)
from regbroker.transport.client.way_out import DIRECT, WayOut
from regbroker.transport.tls.records import write_whole

_log = Logger()

#: Why OpenSSL refuses a certificate, for operators; X509_V_ERR_*.
_VERIFY_ERRORS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is signed by itself; if it is right, name it in ca-file",
    19: "the CA above it is not known here; if it is right, name it in ca-file",
    20: "who issued it is not known here; name the CA in ca-file",
    21: "who issued it is not known here; name the CA in ca-file",
}


@implementer(IOpenSSLClientConnectionCreator)
class _Strict:
    """
    Client options for one host, with a check of its name that fails closed.

    Those of Twisted's `optionsForClientTLS` keep their context to themselves, where
    whole writes would have to be asked for. And Twisted 26.10 only logs what
    service-identity cannot make sense of, and goes on: a certificate without any
    subjectAltName would be good for every host.
    """

    def __init__(
        self, context: SSL.Context, host: str, protocols: list[bytes] | None
    ) -> None:
        self._context = context
        self._host = host
        self._protocols = protocols

    @cached_property
    def _id(self) -> ServiceID:
        # Made for a connection: a redirect's address is refused before that, with
        # advice, whatever its host looks like.
        return _service_id(self._host)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Return a connection through memory; see `connection`."""
        return self.connection(None)

    def connection(self, over: socket.socket | None) -> SSL.Connection:
        """
        Return a connection that believes in its peer's name, or ends.

        OpenSSL reads from the socket and writes to it; without one, it has memory.
        """
        connection = SSL.Connection(self._context, over)
        if self._protocols:
            connection.set_alpn_protos(self._protocols)
        if isinstance(self._id, DNS_ID):
            # RFC 6066, 3: a server name is never an address.
            connection.set_tlsext_host_name(self._host.encode("idna"))
        connection.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._check
        )
        return connection

    def _check(
        self,
        connection: SSL.Connection,
        certificate: crypto.X509,
        error: int,
        depth: int,
        ok: int,
    ) -> bool:
        if not ok:
            _log.warn(
                "the certificate of {host} is refused: {reason} "
                "(certificate {depth} of its chain)",
                host=self._host,
                reason=_VERIFY_ERRORS.get(error, f"OpenSSL's error {error}"),
                depth=depth,
            )
            return False
        if depth:
            return True
        try:
            verify_service_identity(extract_patterns(certificate), [self._id], [])
        except Exception as problem:
            _log.warn(
                "the certificate of {host} is not to be trusted: {problem!r}",
                host=self._host,
                problem=problem,
            )
            return False
        return True


def _service_id(host: str) -> ServiceID:
    try:
        ip_address(host)
    except ValueError:
        return DNS_ID(host)
    return IPAddress_ID(host)


def trust_root(ca_file: Path | None) -> Any:
    """
    Return whom to trust: the certificates in a file, or the system's store.

    Raises `OSError`, and `ValueError` for a file without certificates.
    """
    if ca_file is None:
        return platformTrust()
    loaded = load_chain(read_pem(ca_file), str(ca_file))
    ders = [c.public_bytes(serialization.Encoding.DER) for c in loaded]
    return trustRootFromCertificates([Certificate.load(der) for der in ders])


def client_options(
    host: str,
    root: Any,
    protocols: list[bytes] | None = None,
    identity: Mapping[str, Any] | None = None,
) -> IOpenSSLClientConnectionCreator:
    """
    Return TLS options for dialling a host.

    `root` is from `trust_root`, `identity` from `client_identity`.
    """
    options = CertificateOptions(
        trustRoot=root,
        acceptableProtocols=protocols,
        raiseMinimumTo=TLSVersion.TLSv1_2,
        **(identity or {}),
    )
    context = options.getContext()
    write_whole(context)
    strict: IOpenSSLClientConnectionCreator = _Strict(context, host, protocols)
    return strict


def client_identity(certificate: Path, key: Path) -> dict[str, Any]:
    """
    Return what Twisted's options need for a client certificate with its chain.

    Raises `WrongKey` where it is about the key, else `OSError` or `ValueError`.
    """
    names = str(certificate), str(key)
    chain, loaded = load_pair(read_pem(certificate), read_key_pem(key), names)
    return {
        "privateKey": crypto.PKey.from_cryptography_key(loaded),
        "certificate": crypto.X509.from_cryptography(chain[0]),
        "extraCertChain": [crypto.X509.from_cryptography(c) for c in chain[1:]],
    }


class Trust:
    """
    Whom to believe when dialling, and how to get there.

    Believed is the system's store, or one CA file. `identity` is a client certificate
    with its key, both PEM files, for servers that ask for one; those that an
    upstream redirects to see none of it.

    The TLS options of an origin are made once and kept: making them costs more
    than a request.
    """

    def __init__(
        self,
        ca_file: Path | None = None,
        way: WayOut = DIRECT,
        identity: tuple[Path, Path] | None = None,
    ) -> None:
        self._root = trust_root(ca_file)
        self._way = way
        self._identity = client_identity(*identity) if identity else {}
        # Bounded: an origin is an upstream's own or its token service's.
        self._endpoints: dict[tuple[Origin, bool], IStreamClientEndpoint] = {}

    def endpoint(
        self,
        reactor: INetworkReactor,
        origin: Origin,
        connect_timeout: float,
        sends_bodies: bool = True,
    ) -> IStreamClientEndpoint:
        """
        Return the endpoint that dials `origin`, kept; TLS when it is https.

        An upstream may answer and close while a body is sent to it. Without
        `sends_bodies`, that need not be heard, and TLS takes fewer steps where it can
        (`regbroker.transport.tls.sockets`).
        """
        key = origin, sends_bodies
        if key not in self._endpoints:
            self._endpoints[key] = self._new_endpoint(
                reactor, origin, connect_timeout, self._identity, sends_bodies
            )
        return self._endpoints[key]

    def may_use_socket(self, origin: Origin) -> bool:
        """Tell whether `sends_bodies` makes a difference for an origin."""
        return origin.scheme == "https" and not self.has_proxy(origin)

    def new_endpoint(
        self, reactor: INetworkReactor, origin: Origin, connect_timeout: float
    ) -> IStreamClientEndpoint:
        """
        Return an endpoint that dials `origin`, for the caller to keep.

        No client certificate is shown there, and no body streams to it.
        """
        return self._new_endpoint(reactor, origin, connect_timeout, {}, False)

    def has_proxy(self, origin: Origin) -> bool:
        """Tell whether a proxy resolves the name of `origin`."""
        return self._way.proxy_for(origin) is not None

    def _new_endpoint(
        self,
        reactor: INetworkReactor,
        origin: Origin,
        connect_timeout: float,
        identity: Mapping[str, Any],
        sends_bodies: bool,
    ) -> IStreamClientEndpoint:
        # Who only checks whether all is right here makes no connections.
        from regbroker.transport.flow.plain_protocol import PlainEndpoint
        from regbroker.transport.tls.factory import TLSEndpoint

        endpoint = self._way.endpoint(reactor, origin, connect_timeout)
        if origin.scheme == "https":
            options = client_options(origin.host, self._root, PROTOCOLS, identity)
            over_socket = not sends_bodies and self.may_use_socket(origin)
            return TLSEndpoint(options, endpoint, over_socket)
        return PlainEndpoint(endpoint)
