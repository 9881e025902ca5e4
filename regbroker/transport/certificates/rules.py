"""
What clients will not like about a certificate that can be served, as pure rules.

The words are for operators: what is wrong, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

#: What is renewed by itself is renewed a month before, or sooner.
SOON = timedelta(days=14)

#: OpenSSL and browsers refuse less.
MIN_CERTIFICATE_RSA_BITS = 2048
MIN_CERTIFICATE_EC_BITS = 224

#: How a day is written.
_DAY = "%Y-%m-%d"


def certificate_warnings(
    chain: Sequence[x509.Certificate], now: datetime
) -> Iterator[str]:
    """Yield a line for each thing that is wrong with a chain; `now` has a zone."""
    yield from validity_warnings(chain[0], now)
    for number, each in enumerate(chain[1:], 2):
        yield from (
            f"certificate {number} of the file, {name_of(each)}: {text}"
            for text in validity_warnings(each, now)
        )
    yield from _order_warnings(chain)
    for number, each in enumerate(chain, 1):
        where = f"certificate {number} of the file: " if number > 1 else ""
        yield from (where + text for text in weaknesses(each))
    if not hosts_of(chain[0]):
        yield (
            "it names no host (subjectAltName), so clients refuse it; have one issued "
            "that does"
        )


def validity_warnings(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    """Yield at most one line about the time in which a certificate is valid."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends < now:
        yield f"it has expired on {ends.strftime(_DAY)}; renew it"
    elif begins > now:
        yield (
            f"it is not valid before {begins.strftime(_DAY)}; write another, or set "
            "this machine's clock right"
        )
    elif ends - now < SOON:
        yield f"it expires on {ends.strftime(_DAY)}; renew it"


def _order_warnings(chain: Sequence[x509.Certificate]) -> Iterator[str]:
    """Yield a line where a certificate has not been signed by the next one."""
    for number, (each, above) in enumerate(pairwise(chain), 1):
        if each == above:
            yield f"certificate {number + 1} of the file is there twice; take one out"
        elif each.issuer != above.subject:
            right = [
                place
                for place, other in enumerate(chain, 1)
                if other.subject == each.issuer and place != number
            ]
            does = (
                f"move certificate {right[0]} behind it"
                if right
                else f"put the certificate of {_common_name(each.issuer)} there"
            )
            yield (
                f"the order of the chain is wrong: certificate {number}, "
                f"{name_of(each)}, has not been signed by the next one, "
                f"{name_of(above)}; {does}"
            )
            return


def weaknesses(certificate: x509.Certificate) -> Iterator[str]:
    """Yield a line for each thing that makes a certificate weak."""
    try:
        key: object = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        # Of what is not known here nothing can be said.
        key = None
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        if key.key_size < MIN_CERTIFICATE_RSA_BITS:
            yield (
                f"weak: its key has {key.key_size} bits, and clients want "
                f"{MIN_CERTIFICATE_RSA_BITS} at least; make a new one"
            )
    elif (
        isinstance(key, ec.EllipticCurvePublicKey)
        and key.key_size < MIN_CERTIFICATE_EC_BITS
    ):
        yield f"weak: its curve has {key.key_size} bits; make a P-256 key"
    used = certificate.signature_hash_algorithm
    # Nobody checks the signature of what has signed itself.
    if certificate.issuer != certificate.subject and isinstance(
        used, hashes.SHA1 | hashes.MD5
    ):
        yield (
            f"weak: it is signed with {used.name.upper()}, which clients refuse; have "
            "one issued with SHA-256"
        )


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the hosts and addresses that a certificate names."""
    try:
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    hosts += [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]
    return tuple(hosts)


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """
    Tell whether clients take a certificate for a host.

    `host` is in lower case, an IPv6 address in brackets or without, and may be
    ``*.DOMAIN``.
    """
    names = hosts_of(certificate)
    bare = host.strip("[]")
    try:
        return str(ip_address(bare)) in names
    except ValueError:
        pass
    domain = bare.partition(".")[2]
    return bare in names or bool(domain and f"*.{domain}" in names)


def name_of(certificate: x509.Certificate) -> str:
    """Return how people call a certificate: its first host, or its common name."""
    hosts = hosts_of(certificate)
    return hosts[0] if hosts else _common_name(certificate.subject)


def _common_name(name: x509.Name) -> str:
    names = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return f"'{names[0].value!s}'" if names else f"'{name.rfc4514_string()}'"
