"""
Digests that this registry can compute, and therefore check.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from regbroker.errors import DigestInvalid

#: The algorithms that OCI registers, with the length of what follows the colon.
ALGORITHMS = {"sha256": 64, "sha512": 128}

_ENCODED = re.compile(r"[0-9a-f]+")
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, order=True)
class Digest:
    """A digest that can be computed here: ``sha256`` or ``sha512``."""

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Parse ``algorithm:encoded``, or raise `DigestInvalid`."""
        algorithm, _, encoded = text.partition(":")
        if ALGORITHMS.get(algorithm) != len(encoded) or not _ENCODED.fullmatch(encoded):
            raise DigestInvalid(
                "this is not a digest of an algorithm known here: sha256, sha512",
                detail={"digest": text[:200]},
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """Compute the digest of `data`."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    @classmethod
    def of_file(cls, path: Path, algorithm: str) -> Digest:
        """Compute the digest of a file's bytes."""
        computed = hashlib.new(algorithm)
        with path.open("rb") as file:
            while data := file.read(_READ_BYTES):
                computed.update(data)
        return cls(algorithm, computed.hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"
