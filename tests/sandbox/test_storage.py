"""What the sandbox keeps on disk: content, repositories, uploads."""

import json
import os
from hashlib import new
from io import BytesIO
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import DigestInvalid, NameUnknown, UploadUnknown
from regbroker.sandbox.manifests import parse_manifest
from regbroker.sandbox.refusals import (
    BlobUnknown,
    ManifestBlobUnknown,
    ManifestUnknown,
)
from regbroker.sandbox.storage import MAX_IDLE_SECONDS, Storage, check_digest

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{new(algorithm, data).hexdigest()}"


def manifest(
    blobs: list[str], config_type: str = CONFIG, **more: Any
) -> dict[str, Any]:
    """An image manifest over some blobs, the first of which is the config."""
    config, *layers = [{"digest": d, "size": 1} for d in blobs]
    document = {"mediaType": IMAGE, "layers": layers}
    return document | {"config": config | {"mediaType": config_type}} | more


class StorageTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.storage = Storage(self.directory)

    def restart(self) -> None:
        """Open the directory again, as the next process does."""
        self.storage = Storage(self.directory)

    def push_blob(self, name: str, data: bytes) -> str:
        digest = digest_of(data)
        upload = self.storage.start_upload(name)
        upload.write_bytes(data)
        self.storage.finish_upload(name, upload, digest)
        return digest

    def push(self, name: str, document: dict[str, Any], *tags: str) -> str:
        body = json.dumps(document).encode()
        digest = digest_of(body)
        self.storage.put_manifest(name, parse_manifest(digest, body, None))
        for tag in tags:
            self.storage.tag(name, tag, digest)
        return digest

    def content(self) -> list[str]:
        """What all files with content are called, without the algorithm."""
        files = (self.directory / "images").rglob("_blobs/*")
        return sorted(path.name.partition(":")[2] for path in files)


class DigestTests(SynchronousTestCase):
    @given(st.binary(), st.sampled_from(["sha256", "sha512"]))
    def test_checked(self, data: bytes, algorithm: str) -> None:
        """A digest is that of the bytes, and of no others."""
        check_digest(digest_of(data, algorithm), BytesIO(data))
        with self.assertRaises(DigestInvalid):
            check_digest(digest_of(data, algorithm), BytesIO(data + b"x"))

    def test_what_cannot_be_checked(self) -> None:
        """Unknown algorithms, wrong lengths and capitals are refused."""
        for text in (
            "",
            "sha256",
            "sha256:abc",
            "md5:" + "0" * 32,
            digest_of(b"").upper(),
            "sha256:" + digest_of(b"")[7:].upper(),
        ):
            with self.assertRaises(DigestInvalid):
                check_digest(text, BytesIO(b""))


class BlobTests(StorageTestCase):
    def test_held_by_repository(self) -> None:
        """A blob is found in the repository that it was pushed to, only."""
        digest = self.push_blob("acme/app", b"layer")
        blob = self.storage.blob("acme/app", digest)
        self.assertEqual(blob.read_bytes(), b"layer")
        with self.assertRaises(BlobUnknown):
            self.storage.blob("acme", digest)

    def test_mount(self) -> None:
        """A mounted blob is held by both, and outlives its source."""
        digest = self.push_blob("a", b"layer")
        self.storage.mount_blob("b", digest, "a")
        self.storage.delete_blob("a", digest)
        self.restart()
        self.assertEqual(self.storage.blob("b", digest).stat().st_size, 5)
        with self.assertRaises(BlobUnknown):
            self.storage.mount_blob("c", digest, "a")

    def test_unheld_content_goes(self) -> None:
        """What no repository holds is removed at the next start."""
        self.storage.delete_blob("a", self.push_blob("a", b"layer"))
        kept = self.push_blob("a", b"other")
        self.restart()
        self.assertEqual(self.content(), [kept.partition(":")[2]])


class ManifestTests(StorageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.blobs = [self.push_blob("a/b", data) for data in (b"{}", b"layer")]

    def test_by_tag_and_digest(self) -> None:
        """A manifest keeps its bytes and its type, also over a restart."""
        document = manifest(self.blobs)
        digest = self.push("a/b", document, "1.0")
        self.restart()
        for reference in ("1.0", digest):
            stored = self.storage.manifest("a/b", reference)
            self.assertEqual((stored.digest, stored.media_type), (digest, IMAGE))
            self.assertEqual(json.loads(stored.body), document)

    def test_missing_references(self) -> None:
        """All that is missing is named."""
        missing = [digest_of(b"1"), digest_of(b"2")]
        for document in (
            manifest([self.blobs[0], *missing]),
            {"mediaType": INDEX, "manifests": [{"digest": d} for d in missing]},
        ):
            with self.assertRaises(ManifestBlobUnknown) as caught:
                self.push("a/b", document)
            self.assertEqual(caught.exception.detail, [{"digest": d} for d in missing])

    def test_foreign_layers(self) -> None:
        """Layers that live elsewhere need not be here."""
        document = manifest(self.blobs)
        type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        document["layers"].append(
            {"digest": str(digest_of(b"away")), "mediaType": type}
        )
        self.push("a/b", document)

    def test_delete_tag(self) -> None:
        """Without its tag a manifest is still there by digest."""
        digest = self.push("a/b", manifest(self.blobs), "1.0", "latest")
        self.storage.delete_manifest("a/b", "1.0")
        self.assertEqual(self.storage.tags("a/b"), ["latest"])
        self.assertEqual(self.storage.manifest("a/b", digest).digest, digest)
        with self.assertRaises(ManifestUnknown):
            self.storage.delete_manifest("a/b", "1.0")

    def test_delete_manifest(self) -> None:
        """A manifest goes with the tags that point at it, and no others."""
        digest = self.push("a/b", manifest(self.blobs), "1.0", "latest")
        self.push("a/b", manifest(self.blobs, annotations={"v": "2"}), "2.0")
        self.storage.delete_manifest("a/b", digest)
        self.assertEqual(self.storage.tags("a/b"), ["2.0"])
        with self.assertRaises(ManifestUnknown):
            self.storage.manifest("a/b", digest)
        with self.assertRaises(ManifestUnknown):
            self.storage.delete_manifest("a/b", digest)

    def test_lists(self) -> None:
        """Repositories are those with a manifest; unknown ones have no tags."""
        self.push("a/b", manifest(self.blobs), "2", "1")
        self.storage.mount_blob("a", self.blobs[0], "a/b")
        self.assertEqual(self.storage.repositories(), ["a/b"])
        self.push("a", manifest(self.blobs[:1]))
        self.assertEqual(self.storage.repositories(), ["a", "a/b"])
        self.assertEqual(self.storage.tags("a/b"), ["1", "2"])
        self.assertEqual(self.storage.tags("a"), [])
        with self.assertRaises(NameUnknown):
            self.storage.tags("nowhere")

    def test_referrers(self) -> None:
        """Descriptors say type and annotations; a deleted manifest refers no more."""
        subject = digest_of(b"need not exist")
        named = {"digest": subject}
        first = self.push(
            "a/b", manifest(self.blobs, config_type="test/sbom", subject=named)
        )
        self.push(
            "a/b",
            manifest(
                self.blobs,
                artifactType="test/sig",
                subject=named,
                annotations={"k": "v"},
            ),
        )
        found = {entry["artifactType"]: entry for entry in self.referrers(subject)}
        self.assertEqual(sorted(found), ["test/sbom", "test/sig"])
        self.assertEqual(found["test/sbom"]["digest"], first)
        self.assertEqual(found["test/sig"]["annotations"], {"k": "v"})
        self.storage.delete_manifest("a/b", first)
        self.assertEqual(len(self.referrers(subject)), 1)

    def referrers(self, subject: str) -> list[dict[str, Any]]:
        return self.storage.referrers("a/b", subject)


class UploadTests(StorageTestCase):
    def append(self, upload: Path, data: bytes) -> None:
        """Write what has arrived."""
        with upload.open("ab") as file:
            file.write(data)

    def test_in_parts(self) -> None:
        """A digest is that of several requests' bytes, a restart between them."""
        for algorithm in ("sha256", "sha512"):
            id = self.storage.start_upload("a").name
            for part in (b"one", b"two"):
                self.append(self.storage.upload("a", id), part)
                self.restart()
            upload = self.storage.upload("a", id)
            self.assertEqual(upload.stat().st_size, 6)
            digest = digest_of(b"onetwo", algorithm)
            self.storage.finish_upload("a", upload, digest)
            self.assertEqual(self.storage.blob("a", digest).stat().st_size, 6)
            with self.assertRaises(UploadUnknown):
                self.storage.upload("a", id)

    def test_wrong_digest(self) -> None:
        """An upload whose bytes are others leaves nothing behind."""
        upload = self.storage.start_upload("a")
        self.append(upload, b"one")
        with self.assertRaises(DigestInvalid):
            self.storage.finish_upload("a", upload, digest_of(b"two"))
        self.assertEqual(self.content(), [])
        self.assertEqual(os.listdir(upload.parent), [])

    def test_other_repository(self) -> None:
        """An upload belongs to the repository that it was started in."""
        id = self.storage.start_upload("a").name
        with self.assertRaises(UploadUnknown):
            self.storage.upload("b", id)

    def test_idle(self) -> None:
        """What nobody went on with for a day goes at the next start."""
        old, new = self.storage.start_upload("a"), self.storage.start_upload("a")
        long_ago = old.stat().st_mtime - MAX_IDLE_SECONDS - 60
        os.utime(old, (long_ago, long_ago))
        self.restart()
        self.assertEqual(os.listdir(new.parent), [new.name])
