"""Manifests in memory: what is kept, and how much of it."""

from __future__ import annotations

from hashlib import sha256, sha512

from twisted.trial.unittest import SynchronousTestCase

from regbroker.upstream.manifest_memory import (
    ENTRY_BYTES,
    Manifest,
    ManifestMemory,
    matches,
)

TYPE = b"application/vnd.oci.image.manifest.v1+json"


def digest(body: bytes) -> str:
    return f"sha256:{sha256(body).hexdigest()}"


class MatchesTests(SynchronousTestCase):
    def test_algorithms(self) -> None:
        """Both algorithms of the specification are known, and no others."""
        self.assertTrue(matches(digest(b"{}"), b"{}"))
        self.assertTrue(matches(f"sha512:{sha512(b'{}').hexdigest()}", b"{}"))
        self.assertFalse(matches(digest(b"{}"), b"{ }"))
        for text in ("", "sha256", "sha256:", "md5:99914b932bd37a50b983c5e7c90ae93b"):
            self.assertFalse(matches(text, b"{}"), text)


class MemoryTests(SynchronousTestCase):
    def test_kept(self) -> None:
        """What matches its digest is there, as it came."""
        memory = ManifestMemory(10_000)
        self.assertEqual((memory.hits, memory.misses), (0, 0))
        self.assertTrue(memory.keep(digest(b"{}"), Manifest(b"{}", TYPE)))
        self.assertIn(digest(b"{}"), memory)
        self.assertEqual(memory.use(digest(b"{}")), Manifest(b"{}", TYPE))

    def test_other_digest(self) -> None:
        """What does not match is not kept, and takes no place of what does."""
        memory = ManifestMemory(10_000)
        memory.keep(digest(b"{}"), Manifest(b"{}", TYPE))
        self.assertFalse(memory.keep(digest(b"{}"), Manifest(b"evil", TYPE)))
        self.assertEqual(memory.use(digest(b"{}")), Manifest(b"{}", TYPE))

    def test_bound(self) -> None:
        """What was used longest ago leaves; what is too large never comes in."""
        bodies = [b"%d" % number * 1000 for number in range(4)]
        memory = ManifestMemory(3 * (1000 + ENTRY_BYTES))
        for body in bodies[:3]:
            memory.keep(digest(body), Manifest(body, TYPE))
        memory.use(digest(bodies[0]))
        memory.keep(digest(bodies[3]), Manifest(bodies[3], TYPE))
        kept = [digest(body) in memory for body in bodies]
        self.assertEqual(kept, [True, False, True, True])
        large = b"x" * 5000
        memory.keep(digest(large), Manifest(large, TYPE))
        self.assertNotIn(digest(large), memory)
