"""A throwaway certificate authority and what it signs."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Pair:
    """A private key and the certificate for it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def certificate_der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def write(self, directory: Path, stem: str) -> tuple[Path, Path]:
        """Write `STEM.crt` and `STEM.key`; the two paths."""
        certificate = directory / f"{stem}.crt"
        certificate.write_bytes(self.certificate_pem())
        key = directory / f"{stem}.key"
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem())
        return certificate, key


class Authority:
    """A certificate authority that lives as long as one test."""

    def __init__(self, name: str = "throwaway test authority") -> None:
        self.root = _signed(name, None, _authority_extensions())

    def certificate_pem(self) -> bytes:
        """The root certificate, for those who are to trust it."""
        return self.root.certificate_pem()

    def issue(self, *hosts: str) -> Pair:
        """A server certificate for names and addresses; the first is the subject."""
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return _signed(hosts[0], self.root, [(names, False), (usage, False)])

    def issue_expired(self, *hosts: str) -> Pair:
        """The same, and it ended a minute ago."""
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        life = datetime.timedelta(minutes=-1)
        return _signed(hosts[0], self.root, [(names, False)], life)

    def issue_client(self, name: str) -> Pair:
        """A certificate for somebody who connects."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return _signed(name, self.root, [(usage, False)])

    def issue_signer(self, name: str) -> Pair:
        """A certificate to sign tokens with."""
        return _signed(name, self.root, [])


def _authority_extensions() -> list[tuple[x509.ExtensionType, bool]]:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return [(x509.BasicConstraints(ca=True, path_length=0), True), (usage, True)]


def _signed(
    name: str,
    issuer: Pair | None,
    extensions: list[tuple[x509.ExtensionType, bool]],
    life: datetime.timedelta = LIFETIME,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + life)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signing_key = issuer.key if issuer else key
    return Pair(key, builder.sign(signing_key, hashes.SHA256()))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
