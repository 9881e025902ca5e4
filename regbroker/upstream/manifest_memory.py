"""
Manifests in memory, by digest: nothing is kept that its digest does not match.

A digest says what a manifest is, and nothing of who may read it. So a manifest that is
here is given out only when the upstream has just said so (`regbroker.web.manifests`).
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from regbroker.runtime.bounded_memory import BoundedMemory

#: What a manifest takes beside its body: its keys and the objects around it.
ENTRY_BYTES = 512

#: The algorithms that a digest is checked with, as the OCI specification names them.
_ALGORITHMS = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


class Manifest(NamedTuple):
    """A manifest, and the ``Content-Type`` that it came with."""

    body: bytes
    media_type: bytes


class ManifestMemory:
    """
    The manifests of one upstream, `max_bytes` together at most.

    `hits` and `misses` count the requests that were answered from here, and those that
    had to be sent as they were.
    """

    def __init__(self, max_bytes: int) -> None:
        self.hits = 0
        self.misses = 0
        self._manifests: BoundedMemory[str, Manifest] = BoundedMemory(
            max(1, max_bytes // ENTRY_BYTES),
            weigh=lambda manifest: len(manifest.body) + ENTRY_BYTES,
            max_weight=max_bytes,
        )

    def __len__(self) -> int:
        return len(self._manifests)

    def __contains__(self, digest: str) -> bool:
        return self._manifests.get(digest) is not None

    def use(self, digest: str) -> Manifest | None:
        """Return the manifest with this digest; None without one."""
        return self._manifests.use(digest)

    def keep(self, digest: str, manifest: Manifest) -> bool:
        """Keep a manifest if its digest is this one; tell whether it is."""
        if not matches(digest, manifest.body):
            return False
        self._manifests.put(digest, manifest)
        return True


def matches(digest: str, body: bytes) -> bool:
    """Tell whether `body` has this digest; not if the algorithm is unknown here."""
    name, _, value = digest.partition(":")
    algorithm = _ALGORITHMS.get(name)
    return algorithm is not None and algorithm(body).hexdigest() == value
