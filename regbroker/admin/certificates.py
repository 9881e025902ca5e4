"""When the certificates end that are shown to clients."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509


@dataclass(frozen=True)
class ServedCertificate:
    """
    A certificate that is shown to clients.

    `section` is where it is configured, `names` are what it is for, and `not_after`
    is its end in seconds since 1970.
    """

    section: str
    names: tuple[str, ...]
    not_after: float


def served_certificate(section: str, pem: bytes) -> ServedCertificate:
    """Read the first certificate of a PEM file; raises `ValueError` without one."""
    loaded = x509.load_pem_x509_certificates(pem)[0]
    try:
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        texts: tuple[str, ...] = ()
    else:
        texts = tuple(str(name.value) for name in names.value)
    return ServedCertificate(section, texts, loaded.not_valid_after_utc.timestamp())
