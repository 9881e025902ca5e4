"""
A certificate with its chain, and a private key, out of the bytes of two files.

What is something else is recognised, and the error has the command that converts it.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning

from regbroker.runtime.utf16 import UTF16, is_utf16

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")

#: SubjectPublicKeyInfo apart, these object identifiers begin the usual containers.
_PKCS7_DATA = bytes.fromhex("06092a864886f70d010701")
_PKCS7_SIGNED = bytes.fromhex("06092a864886f70d010702")
_JAVA_KEY_STORE = bytes.fromhex("feedfeed")


class WrongCertificate(ValueError):
    """The certificate cannot be used."""


class WrongKey(ValueError):
    """The key cannot be used, or not with its certificate."""


def load_chain(data: bytes, name: str = "FILE") -> list[x509.Certificate]:
    """
    Return the certificates of a PEM file, in their order.

    `name` is the file's, for the command that converts it. Raises `WrongCertificate`.
    """
    try:
        with warnings.catch_warnings():
            # Old CAs in the system's bundle have serial numbers that are not positive.
            # Whoever names the bundle can do nothing about that.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            chain = x509.load_pem_x509_certificates(data)
        for each in chain:
            each.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise WrongCertificate(_instead_of_certificate(data, name)) from None
    return chain


def load_key(data: bytes, name: str = "FILE") -> Any:
    """Return the private key of a PEM file; raises `WrongKey`."""
    try:
        return serialization.load_pem_private_key(data, None)
    except TypeError:
        raise WrongKey(
            "the key is encrypted; give one without passphrase: "
            f"openssl pkey -in {name} -out {name}.plain"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise WrongKey(_instead_of_key(data, name)) from None


def load_pair(
    certificate_pem: bytes,
    key_pem: bytes,
    names: tuple[str, str] = ("FILE", "FILE"),
) -> tuple[list[x509.Certificate], Any]:
    """
    Return a chain and the key of its first certificate.

    Raises `WrongCertificate` or `WrongKey`.
    """
    if _is_key_alone(certificate_pem) and _is_certificate_alone(key_pem):
        raise WrongCertificate(
            "it holds the key, and the file of the key holds the certificate; swap "
            "the two lines"
        )
    chain = load_chain(certificate_pem, names[0])
    key = load_key(key_pem, names[1])
    wanted = _public_bytes(key.public_key())
    places = [
        number
        for number, each in enumerate(chain, 1)
        if _public_bytes(each.public_key()) == wanted
    ]
    if not places:
        raise WrongKey(_does_not_belong(key.public_key(), chain[0].public_key()))
    if places[0] != 1:
        raise WrongCertificate(
            f"the key belongs to certificate {places[0]} of the file; write the "
            "key's own certificate first, then the one that has signed it, and so on"
        )
    return chain, key


def _does_not_belong(key: Any, certified: Any) -> str:
    """Say that two public keys differ, and by kind where that is so."""
    problem = "the key does not belong to the certificate"
    kind, wanted = _kind(key), _kind(certified)
    if kind == wanted:
        return problem
    return f"{problem}: it is {kind}, and the certificate is for {wanted}"


def _kind(key: Any) -> str:
    """Name the kind of a public key, as ``openssl genpkey`` does; with EC's curve."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC ({key.curve.name})"
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey")


def _public_bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _kinds(data: bytes) -> list[str]:
    return [kind.decode("ascii") for kind in _BLOCK.findall(data)]


def _is_key_alone(data: bytes) -> bool:
    kinds = _kinds(data)
    return "CERTIFICATE" not in kinds and any(k.endswith("PRIVATE KEY") for k in kinds)


def _is_certificate_alone(data: bytes) -> bool:
    kinds = _kinds(data)
    return "CERTIFICATE" in kinds and not any(k.endswith("PRIVATE KEY") for k in kinds)


def _instead_of_certificate(data: bytes, name: str) -> str:
    """Say what a file is that has no certificate in PEM form."""
    kinds = _kinds(data)
    if "CERTIFICATE" in kinds:
        return "a certificate in it is damaged; copy the file again"
    if "CERTIFICATE REQUEST" in kinds or "NEW CERTIFICATE REQUEST" in kinds:
        return "it is a request for a certificate; write what the CA has answered"
    if "TRUSTED CERTIFICATE" in kinds or "X509 CERTIFICATE" in kinds:
        return f"in an old form; convert it: openssl x509 -in {name} -out {name}.pem"
    if "PKCS7" in kinds:
        return (
            "in PKCS#7 form; convert it: "
            f"openssl pkcs7 -print_certs -in {name} -out {name}.pem"
        )
    if any(kind.endswith("PRIVATE KEY") for kind in kinds):
        return "it holds a key and no certificate; write the certificate's file"
    container = _container(data, name)
    if container is not None:
        return container
    if _loads(x509.load_der_x509_certificate, data):
        return (
            "in DER form; convert it: "
            f"openssl x509 -inform der -in {name} -out {name}.pem"
        )
    return _neither(data, "certificate", "CERTIFICATE")


def _instead_of_key(data: bytes, name: str) -> str:
    """Say what a file is that has no private key in PEM form."""
    kinds = _kinds(data)
    if "OPENSSH PRIVATE KEY" in kinds:
        return "it holds a key of OpenSSH; write the file of the certificate's key"
    if any(kind.endswith("PRIVATE KEY") for kind in kinds):
        return "the key is damaged, or of an unknown kind; copy the file again"
    if "PUBLIC KEY" in kinds or "RSA PUBLIC KEY" in kinds:
        return "it holds a public key; write the file of the private key"
    if "CERTIFICATE" in kinds:
        return "it holds a certificate and no key; write the key's file"
    container = _container(data, name)
    if container is not None:
        return container
    if _loads(lambda der: serialization.load_der_private_key(der, None), data):
        return (
            f"in DER form; convert it: openssl pkey -inform der -in {name} "
            f"-out {name}.pem"
        )
    return _neither(data, "key", "PRIVATE KEY")


def _container(data: bytes, name: str) -> str | None:
    """Say what container a file is that may hold both; None for none."""
    beginning = data[:64]
    if beginning.startswith(_JAVA_KEY_STORE):
        return (
            "a key store of Java; convert it: keytool -importkeystore -srckeystore "
            f"{name} -destkeystore {name}.p12 -deststoretype pkcs12"
        )
    if beginning[:1] != b"\x30":
        return None
    if _PKCS7_SIGNED in beginning[:24]:
        return (
            "in PKCS#7 form; convert it: openssl pkcs7 -inform der -print_certs "
            f"-in {name} -out {name}.pem"
        )
    if b"\x02\x01\x03" in beginning[:12] and _PKCS7_DATA in beginning:
        return (
            "in PKCS#12 form; convert it: "
            f"openssl pkcs12 -in {name} -nokeys -out certificate.pem; "
            f"openssl pkcs12 -in {name} -nocerts -nodes -out key.pem"
        )
    return None


def _loads(load: Any, data: bytes) -> bool:
    try:
        load(data)
    except TypeError:
        # It is encrypted, so it is there.
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _neither(data: bytes, what: str, kind: str) -> str:
    if not data.strip():
        return f"the {what} is no PEM file: it is empty"
    if is_utf16(data):
        return f"the {what} is no PEM file: it is {UTF16}"
    return f"the {what} is no PEM file: it has no line -----BEGIN {kind}-----"
