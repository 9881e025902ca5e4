"""
The file of private keys that sign our tokens: made, and parsed.

P-256 and nothing else; PEM, one key after the other.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from regbroker.errors import StateError
from regbroker.runtime.state_directory import no_place

KEY_NAME = "token-key.pem"

_BEGIN = b"-----BEGIN "
_BLOCK = re.compile(
    rb"^-----BEGIN ([A-Z0-9 ]+)-----\s.*?^-----END \1-----\s*?$",
    re.MULTILINE | re.DOTALL,
)

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def make_key(directory: Path) -> Path:
    """
    Return the file of our own key in `directory`, made when there is none.

    It is readable for its owner only, and appears whole or not at all; of
    several processes that make it at once, one wins. Raises `StateError`.
    """
    path = directory / KEY_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_new(path, _private_pem(ec.generate_private_key(ec.SECP256R1())))
    except OSError as error:
        kept = "the key that signs tokens is kept"
        raise StateError(no_place(directory, error.strerror, kept)) from error
    return path


def has_key(directory: Path) -> bool:
    """Tell whether `make_key` would find a key, good or not, and make none."""
    # A link that leads nowhere is in the way of a key, too.
    return os.path.lexists(directory / KEY_NAME)


def _private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_new(path: Path, data: bytes) -> None:
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        # Unlike a rename, a link never takes the place of another one's file.
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()


def parse_keys(contents: bytes) -> tuple[PrivateKey, ...]:
    """
    Parse a file of one or several P-256 private keys, PEM one after the other.

    Raises `ValueError` that says what is wrong.
    """
    blocks = list(_BLOCK.finditer(contents))
    if len(blocks) != contents.count(_BEGIN):
        raise ValueError("a PEM block has no end; is the file complete?")
    keys = []
    for block in blocks:
        kind = block[1].decode("ascii")
        # openssl ecparam writes the name of the curve before the key.
        if kind == "EC PARAMETERS":
            continue
        if not kind.endswith("PRIVATE KEY"):
            raise ValueError(f"it holds a {kind.lower()}; private keys belong here")
        keys.append(_parse_key(block[0]))
    if not keys:
        raise ValueError("no PEM private key in it")
    return tuple(keys)


def _parse_key(pem: bytes) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError("a key is encrypted; give one without passphrase") from None
    except Exception:  # also UnsupportedAlgorithm, which is no ValueError
        raise ValueError("a key cannot be read") from None
    if not isinstance(key, PrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("a key is of another kind; P-256 is right")
    return key


def thumbprint(key: PublicKey) -> str:
    """Return the RFC 7638 thumbprint: SHA-256, base64url."""
    numbers = key.public_numbers()
    members = {
        "crv": "P-256",
        "kty": "EC",
        "x": _base64url(numbers.x.to_bytes(32, "big")),
        "y": _base64url(numbers.y.to_bytes(32, "big")),
    }
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(text.encode("ascii")).digest())


def secret_of(key: PrivateKey) -> bytes:
    """Return the secret number in a key, 32 bytes, to derive other keys from."""
    return key.private_numbers().private_value.to_bytes(32, "big")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
