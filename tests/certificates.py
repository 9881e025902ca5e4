"""Certificates that tests make, and clients that look at those of others."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write both to files."""
        paths = directory / f"{name}.pem", directory / f"{name}.key"
        paths[0].write_bytes(self.certificate)
        paths[1].write_bytes(self.key)
        return paths

    def loaded(self) -> x509.Certificate:
        """The certificate as an object."""
        return x509.load_pem_x509_certificate(self.certificate)

    def private(self) -> Any:
        """The key as an object."""
        return serialization.load_pem_private_key(self.key, None)


def pem_of(key: Any, passphrase: bytes | None = None) -> bytes:
    """A private key as PEM."""
    encryption: Any = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return encoded


def authority(name: str = "Test CA") -> Pair:
    """A certificate authority; the same one for the same name."""
    return _authority(name)


@cache
def _authority(name: str) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    return _made(name, key, _builder(name, name, key, 365), key, ca=True)


@cache
def issued(*names: str, days: int = 30, by: str = "Test CA", kind: str = "ec") -> Pair:
    """A server's certificate for these names; `days` below 0: it is over."""
    key: Any = ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    issuer = authority(by)
    builder = _builder(names[0], by, key, days).add_extension(
        x509.SubjectAlternativeName([_general_name(name) for name in names]), False
    )
    return _made(names[0], key, builder, issuer.private(), ca=False)


@cache
def small_pair() -> Pair:
    """A certificate of an RSA key of 1024 bits, which OpenSSL refuses."""
    key: Any = rsa.generate_private_key(65537, 1024)
    name = "small.test"
    return _made(name, key, _builder(name, name, key, 30), key, ca=False)


def _builder(name: str, issuer: str, key: Any, days: int) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(days, 0) * DAY - DAY)
        .not_valid_after(now + days * DAY)
    )


def _made(
    name: str, key: Any, builder: x509.CertificateBuilder, signer: Any, ca: bool
) -> Pair:
    constraints = x509.BasicConstraints(ca=ca, path_length=None)
    signed = builder.add_extension(constraints, critical=True).sign(
        signer, hashes.SHA256()
    )
    return Pair(signed.public_bytes(serialization.Encoding.PEM), pem_of(key))


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@implementer(IOpenSSLClientConnectionCreator)
class Looking:
    """
    A TLS client that believes everybody, and keeps what it was shown.

    `ciphers` are OpenSSL's words for TLS 1.2 and below.
    """

    def __init__(
        self,
        server_name: str = "",
        *,
        protocols: tuple[bytes, ...] = (),
        newest: int = SSL.TLS1_3_VERSION,
        ciphers: str = "ALL:@SECLEVEL=0",
    ) -> None:
        self.context = SSL.Context(SSL.TLS_METHOD)
        self.context.set_min_proto_version(SSL.TLS1_VERSION)
        self.context.set_max_proto_version(newest)
        self.context.set_cipher_list(ciphers.encode())
        if protocols:
            self.context.set_alpn_protos(list(protocols))
        self._server_name = server_name
        self.looking: Any = None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return self.connection(None)

    def connection(self, over: socket.socket | None) -> SSL.Connection:
        self.looking = SSL.Connection(self.context, over)
        if self._server_name:
            self.looking.set_tlsext_host_name(self._server_name.encode())
        self.looking.set_connect_state()
        made: SSL.Connection = self.looking
        return made

    @property
    def names(self) -> set[str]:
        """The names in the certificate that the server has shown."""
        shown = self.looking.get_peer_certificate().to_cryptography()
        extension = shown.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        return {str(name.value) for name in extension.value}
