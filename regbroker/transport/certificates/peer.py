"""The certificate that a client has shown, and whom it names."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from regbroker.protocol.certificate_names import user_of_common_name

#: A client's certificate is read once, and not for each of its requests.
_MAX_REMEMBERED = 1024


def certificate_user(request: Any) -> str:
    """
    Return the user whom the certificate of a request's connection names.

    It was checked in the handshake. Raises `ValueError` that says why there is no user.
    """
    transport = getattr(request.channel, "transport", None)
    shown = getattr(transport, "getPeerCertificate", lambda: None)()
    if shown is None:
        raise ValueError("the client has shown no certificate")
    user, end = _read(shown.to_cryptography().public_bytes(Encoding.DER))
    # The connection may be older than that.
    if datetime.now(timezone.utc) > end:
        raise ValueError("the client's certificate has expired meanwhile")
    return user


@lru_cache(_MAX_REMEMBERED)
def _read(der: bytes) -> tuple[str, datetime]:
    certificate = x509.load_der_x509_certificate(der)
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        user = user_of_common_name([str(each.value) for each in found])
    except ValueError as error:
        raise ValueError(f"the client's certificate: {error}") from None
    return user, certificate.not_valid_after_utc
