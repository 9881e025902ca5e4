"""
Certificates: ours towards clients, picked by SNI, and trust towards upstreams.

TLS 1.2 at least, forward secrecy only, HTTP/1.1 alone in ALPN. There is no
switch that turns verification off.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from service_identity.hazmat import (
    DNS_ID,
    IPAddress_ID,
    ServiceID,
    verify_service_identity,
)
from service_identity.pyopenssl import extract_patterns
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import (
    AcceptableCiphers,
    Certificate,
    CertificateOptions,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.logger import Logger
from zope.interface import implementer

from regbroker.errors import ConfigurationError, StateError
from regbroker.protocol.origins import Origin
from regbroker.transport.listeners import CertificateFiles
from regbroker.transport.pem_files import (
    WrongCertificate,
    WrongKey,
    load_chain,
    load_pair,
)

#: TLS 1.2 suites with ephemeral keys and authenticated encryption. Those of
#: TLS 1.3 are all like that and are OpenSSL's own affair.
_CIPHERS = AcceptableCiphers.fromOpenSSLCipherString("ECDHE+AESGCM:ECDHE+CHACHA20")
_PROTOCOLS = [b"http/1.1"]

_SELF_SIGNED_DAYS = 397
_RENEW_BEFORE = timedelta(days=30)

_log = Logger()


def read_pem(path: Path) -> bytes:
    """Return what a PEM file holds, without a byte order mark; raises `OSError`."""
    return path.read_bytes().removeprefix(BOM_UTF8)


def certificate_options(
    certificate_pem: bytes,
    key_pem: bytes,
    others: Mapping[str, SSL.Context] | None = None,
    names: tuple[str, str] = ("FILE", "FILE"),
) -> CertificateOptions:
    """
    Return server options for a certificate with its chain, and its key.

    `others` are contexts for further server names, ``*.`` wildcards included; `names`
    are those of the files.
    Raises `ValueError` that says what is wrong with the files' contents.
    """
    chain, key = load_pair(certificate_pem, key_pem, names)
    options = CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(key),
        certificate=crypto.X509.from_cryptography(chain[0]),
        extraCertChain=[crypto.X509.from_cryptography(c) for c in chain[1:]],
        raiseMinimumTo=TLSVersion.TLSv1_2,
        acceptableCiphers=_CIPHERS,
        acceptableProtocols=_PROTOCOLS,
        contextForServerName=_chooser(others or {}),
    )
    try:
        options.getContext()
    except SSL.Error as error:
        raise WrongCertificate(f"OpenSSL refuses it: {_reason(error)}") from None
    return options


def _reason(error: SSL.Error) -> str:
    """Return OpenSSL's own words for an error, and what to do about usual ones."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reason = ", ".join(str(entry[-1]) for entry in queue) or "it does not say why"
    if "too small" in reason:
        return f"{reason}; make a new one, P-256 or RSA with 2048 bits"
    if "md too weak" in reason:
        return f"{reason}; have one issued with SHA-256"
    return reason


def _chooser(others: Mapping[str, SSL.Context]) -> Any:
    def choose(server_name: bytes | None) -> SSL.Context | None:
        name = (server_name or b"").decode("ascii", "replace").lower()
        return others.get(name) or others.get("*." + name.partition(".")[2])

    return choose if others else None


def load_certificates(
    files: Iterable[CertificateFiles], fallback: tuple[Path, Path] | None
) -> CertificateOptions:
    """
    Return the server options for all configured certificates.

    `fallback` are the certificate and key served to names that have none, when
    there is no ``[tls]`` section; without it the first one serves. Raises
    `ConfigurationError` with every file that cannot be used.
    """
    problems: list[str] = []
    others: dict[str, SSL.Context] = {}
    default: tuple[bytes, bytes] | None = None
    for entry in files:
        try:
            pair = read_pem(Path(entry.certificate)), read_pem(Path(entry.key))
            names = str(entry.certificate), str(entry.key)
            options = certificate_options(*pair, names=names)
        except (OSError, ValueError) as error:
            section = f"tls {entry.host}".strip()
            wrong_key = isinstance(error, WrongKey)
            option, path = (
                ("key", entry.key) if wrong_key else ("certificate", entry.certificate)
            )
            problems.append(f"[{section}] {option}: {path}: {error}")
            continue
        if entry.host:
            others[entry.host] = options.getContext()
        if not entry.host or (default is None and fallback is None):
            default = pair
    if problems:
        raise ConfigurationError(problems)
    if default is None and fallback is not None:
        default = fallback[0].read_bytes(), fallback[1].read_bytes()
    assert default is not None
    return certificate_options(*default, others)


def self_signed(directory: Path, hosts: Iterable[str]) -> tuple[Path, Path]:
    """
    Return a self-signed certificate and its key, made in `directory`.

    The pair is P-256, for `hosts`, localhost and the loopback addresses, and is
    made anew when it would not serve them all or ends within a month. The key
    is readable for its owner only. Raises `StateError` when it cannot be kept.
    """
    certificate, key = directory / "self-signed.pem", directory / "self-signed.key"
    wanted = _names(hosts)
    if not _still_good(certificate, key, wanted):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            _make_self_signed(certificate, key, wanted)
        except OSError as error:
            raise StateError(
                f"[regbroker] state-directory: {directory}: {error.strerror}; "
                "the self-signed certificate is kept there"
            ) from error
    return certificate, key


def has_self_signed(directory: Path, hosts: Iterable[str]) -> bool:
    """Tell whether `self_signed` would find what it needs, and make nothing."""
    certificate, key = directory / "self-signed.pem", directory / "self-signed.key"
    return _still_good(certificate, key, _names(hosts))


def _names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    names = dict.fromkeys([*hosts, "localhost", "127.0.0.1", "::1"])
    return [_general_name(name.strip("[]")) for name in names]


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _still_good(certificate: Path, key: Path, wanted: list[x509.GeneralName]) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        certificate_options(certificate.read_bytes(), key.read_bytes())
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    soon = datetime.now(timezone.utc) + _RENEW_BEFORE
    return set(wanted) <= set(names.value) and loaded.not_valid_after_utc > soon


def _make_self_signed(
    certificate: Path, key: Path, names: list[x509.GeneralName]
) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "regbroker")])
    now = datetime.now(timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # A client that is given this file as its CA takes it as one.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    key_pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(key, key_pem, 0o600)
    _write(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    new.replace(path)


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
    Twisted's client options, with a check of the name that fails closed.

    Twisted 26.10 only logs what service-identity cannot make sense of, and goes
    on: a certificate without any subjectAltName would be good for every host.
    """

    def __init__(self, options: Any, host: str) -> None:
        self._options = options
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Return a connection that believes in its peer's name, or ends."""
        connection: SSL.Connection = self._options.clientConnectionForTLS(tlsProtocol)
        connection.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._check
        )
        return connection

    def _check(
        self, connection: Any, certificate: Any, error: int, depth: int, ok: int
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
            verify_service_identity(
                extract_patterns(certificate), [_service_id(self._host)], []
            )
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
    host: str, root: Any, protocols: list[bytes] | None = None
) -> IOpenSSLClientConnectionCreator:
    """Return TLS options for dialling a host; `root` is from `trust_root`."""
    options = optionsForClientTLS(
        host,
        root,
        acceptableProtocols=protocols,
        extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2},
    )
    strict: IOpenSSLClientConnectionCreator = _Strict(options, host)
    return strict


class Trust:
    """
    Whom to believe when dialling: the system's store, or one CA file.

    The TLS options of an origin are made once and kept: making them costs more
    than a request.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self._root = trust_root(ca_file)
        # Bounded: an origin is an upstream's own or its token service's.
        self._endpoints: dict[Origin, IStreamClientEndpoint] = {}

    def endpoint(
        self, reactor: Any, origin: Origin, connect_timeout: float
    ) -> IStreamClientEndpoint:
        """Return the endpoint that dials `origin`, kept; TLS when it is https."""
        if origin not in self._endpoints:
            self._endpoints[origin] = self.new_endpoint(
                reactor, origin, connect_timeout
            )
        return self._endpoints[origin]

    def new_endpoint(
        self, reactor: Any, origin: Origin, connect_timeout: float
    ) -> IStreamClientEndpoint:
        """Return an endpoint that dials `origin`, for the caller to keep."""
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            reactor, origin.host, origin.port, connect_timeout
        )
        if origin.scheme == "https":
            options = client_options(origin.host, self._root, _PROTOCOLS)
            endpoint = wrapClientTLS(options, endpoint)
        return endpoint
