"""A certificate that regbroker makes and signs for itself, when there is no other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from regbroker.errors import StateError
from regbroker.runtime.state_directory import no_place
from regbroker.transport.certificates.served import certificate_options

_SELF_SIGNED_DAYS = 397
_RENEW_BEFORE = timedelta(days=30)

#: What is kept in the state directory.
KEPT = "the self-signed certificate is kept"


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
            raise StateError(no_place(directory, error.strerror, KEPT)) from error
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
