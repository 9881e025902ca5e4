"""What the sandbox keeps on disk: content, repositories, uploads."""

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import KEY_NAME
from regbroker.errors import (
    DigestInvalid,
    NameUnknown,
    TooManyRequests,
    UploadUnknown,
)
from regbroker.sandbox import uploads as uploads_module
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.manifests import parse_manifest
from regbroker.sandbox.refusals import (
    BlobUnknown,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    UploadInvalid,
)
from regbroker.sandbox.storage import Storage
from regbroker.sandbox.uploads import MAX_IDLE_SECONDS, Uploads

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def manifest(
    blobs: list[Digest], config_type: str = CONFIG, **more: Any
) -> dict[str, Any]:
    """An image manifest over some blobs, the first of which is the config."""
    config, *layers = [{"digest": str(d), "size": 1} for d in blobs]
    document = {"mediaType": IMAGE, "layers": layers}
    return document | {"config": config | {"mediaType": config_type}} | more


class StorageTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.storage = Storage(self.directory)
        self.uploads = Uploads(self.storage)

    def restart(self) -> None:
        """Open the directory again, as the next process does."""
        self.storage = Storage(self.directory)
        self.uploads = Uploads(self.storage)

    def push_blob(self, name: str, data: bytes) -> Digest:
        digest = Digest.of(data)
        id = self.uploads.start(name)
        with self.uploads.append(name, id) as upload:
            upload.write(data)
        self.uploads.finish(name, id, digest)
        return digest

    def push(self, name: str, document: dict[str, Any], *tags: str) -> Digest:
        body = json.dumps(document).encode()
        digest = Digest.of(body)
        self.storage.put_manifest(name, digest, body, parse_manifest(body, None))
        for tag in tags:
            self.storage.tag(name, tag, digest)
        return digest

    def content(self) -> list[str]:
        """What all files with content are called, without the algorithm."""
        files = (self.directory / "images").rglob("_blobs/*")
        return sorted(path.name.partition(":")[2] for path in files)


class DigestTests(SynchronousTestCase):
    @given(st.binary(), st.sampled_from(["sha256", "sha512"]))
    def test_round_trip(self, data: bytes, algorithm: str) -> None:
        """A digest is read back as it is written."""
        digest = Digest.of(data, algorithm)
        self.assertEqual(Digest.parse(str(digest)), digest)

    def test_what_cannot_be_checked(self) -> None:
        """Unknown algorithms, wrong lengths and capitals are refused."""
        for text in (
            "",
            "sha256",
            "sha256:abc",
            "md5:" + "0" * 32,
            "sha256:" + "A" * 64,
        ):
            with self.assertRaises(DigestInvalid):
                Digest.parse(text)


class BlobTests(StorageTestCase):
    def test_held_by_repository(self) -> None:
        """A blob is found in the repository that it was pushed to, only."""
        digest = self.push_blob("acme/app", b"layer")
        blob = self.storage.blob("acme/app", digest)
        self.assertEqual((blob.size, blob.path.read_bytes()), (5, b"layer"))
        with self.assertRaises(BlobUnknown):
            self.storage.blob("acme", digest)

    def test_mount(self) -> None:
        """A mounted blob is held by both, and outlives its source."""
        digest = self.push_blob("a", b"layer")
        self.storage.mount_blob("b", digest, "a")
        self.storage.delete_blob("a", digest)
        self.restart()
        self.assertEqual(self.storage.blob("b", digest).size, 5)
        with self.assertRaises(BlobUnknown):
            self.storage.mount_blob("c", digest, "a")

    def test_unheld_content_goes(self) -> None:
        """What no repository holds is removed at the next start."""
        self.storage.delete_blob("a", self.push_blob("a", b"layer"))
        kept = self.push_blob("a", b"other")
        self.restart()
        self.assertEqual(self.content(), [kept.encoded])

    def test_nothing_half_written(self) -> None:
        """What a crash left unfinished is no content, and goes."""
        (self.directory / "partial" / "x").write_bytes(b"half")
        self.restart()
        self.assertEqual(os.listdir(self.directory / "partial"), [])


class ManifestTests(StorageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.blobs = [self.push_blob("a/b", data) for data in (b"{}", b"layer")]

    def test_by_tag_and_digest(self) -> None:
        """A manifest keeps its bytes and its type, also over a restart."""
        document = manifest(self.blobs)
        digest = self.push("a/b", document, "1.0")
        self.restart()
        for reference in ("1.0", str(digest)):
            stored = self.storage.manifest("a/b", reference)
            self.assertEqual((stored.digest, stored.media_type), (digest, IMAGE))
            self.assertEqual(json.loads(stored.path.read_bytes()), document)

    def test_missing_references(self) -> None:
        """All that is missing is named."""
        missing = [Digest.of(b"1"), Digest.of(b"2")]
        for document in (
            manifest([self.blobs[0], *missing]),
            {"mediaType": INDEX, "manifests": [{"digest": str(d)} for d in missing]},
        ):
            with self.assertRaises(ManifestBlobUnknown) as caught:
                self.push("a/b", document)
            self.assertEqual(
                caught.exception.detail, [{"digest": str(d)} for d in missing]
            )

    def test_foreign_layers(self) -> None:
        """Layers that live elsewhere need not be here."""
        document = manifest(self.blobs)
        type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        document["layers"].append(
            {"digest": str(Digest.of(b"away")), "mediaType": type}
        )
        self.push("a/b", document)

    def test_delete_tag(self) -> None:
        """Without its tag a manifest is still there by digest."""
        digest = self.push("a/b", manifest(self.blobs), "1.0", "latest")
        self.storage.delete_tag("a/b", "1.0")
        self.assertEqual(self.storage.tags("a/b"), ["latest"])
        self.assertEqual(self.storage.manifest("a/b", str(digest)).digest, digest)
        with self.assertRaises(ManifestUnknown):
            self.storage.delete_tag("a/b", "1.0")

    def test_delete_manifest(self) -> None:
        """A manifest goes with the tags that point at it, and no others."""
        digest = self.push("a/b", manifest(self.blobs), "1.0", "latest")
        self.push("a/b", manifest(self.blobs, annotations={"v": "2"}), "2.0")
        self.storage.delete_manifest("a/b", digest)
        self.assertEqual(self.storage.tags("a/b"), ["2.0"])
        with self.assertRaises(ManifestUnknown):
            self.storage.manifest("a/b", str(digest))
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
        subject = Digest.of(b"need not exist")
        named = {"digest": str(subject)}
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
        self.assertEqual(found["test/sbom"]["digest"], str(first))
        self.assertEqual(found["test/sig"]["annotations"], {"k": "v"})
        self.storage.delete_manifest("a/b", first)
        self.assertEqual(len(self.referrers(subject)), 1)

    def referrers(self, subject: Digest) -> list[dict[str, Any]]:
        return self.storage.referrers("a/b", subject)

    def test_not_manifests(self) -> None:
        """What cannot be understood is refused, whatever shape it has."""
        for body in (
            b"",
            b"[]",
            b"{}",
            b"[" * 100_000,
            b'{"mediaType": "a\\nb"}',
            b'{"mediaType": 1}',
            b'{"mediaType": "a/b", "config": 1}',
            b'{"mediaType": "a/b", "layers": {}}',
            b'{"mediaType": "a/b", "layers": [1]}',
            b'{"mediaType": "a/b", "layers": [{}]}',
            b'{"mediaType": "a/b", "layers": [{"digest": "sha256:../.."}]}',
            b'{"mediaType": "a/b", "signatures": []}',
        ):
            with self.assertRaises(ManifestInvalid):
                parse_manifest(body, None)
        with self.assertRaises(ManifestInvalid):
            parse_manifest(b'{"mediaType": "a/b"}', "c/d")


class UploadTests(StorageTestCase):
    def test_in_parts(self) -> None:
        """A digest is computed over several requests, a restart between them."""
        for algorithm in ("sha256", "sha512"):
            id = self.uploads.start("a")
            for part in (b"one", b"two"):
                with self.uploads.append("a", id) as upload:
                    upload.write(part)
                self.restart()
            self.assertEqual(self.uploads.size("a", id), 6)
            digest = Digest.of(b"onetwo", algorithm)
            self.uploads.finish("a", id, digest)
            self.assertEqual(self.storage.blob("a", digest).size, 6)
            with self.assertRaises(UploadUnknown):
                self.uploads.size("a", id)

    def test_wrong_digest(self) -> None:
        """An upload whose bytes are others leaves nothing behind."""
        id = self.uploads.start("a")
        with self.uploads.append("a", id) as upload:
            upload.write(b"one")
        with self.assertRaises(DigestInvalid):
            self.uploads.finish("a", id, Digest.of(b"two"))
        self.assertEqual(self.content(), [])
        self.assertEqual(os.listdir(self.directory / "uploads"), [])

    def test_one_writer(self) -> None:
        """While one request writes, another may look but not write or cancel."""
        id = self.uploads.start("a")
        with self.uploads.append("a", id):
            self.assertEqual(self.uploads.size("a", id), 0)
            with self.assertRaises(UploadInvalid), self.uploads.append("a", id):
                pass
            with self.assertRaises(UploadInvalid):
                self.uploads.cancel("a", id)
        self.uploads.cancel("a", id)

    def test_failed_write(self) -> None:
        """After a write that failed, the digest is that of the file."""
        id = self.uploads.start("a")
        with self.assertRaises(OSError), self.uploads.append("a", id) as upload:
            upload.write(b"one")
            raise OSError("no space left")
        self.uploads.finish("a", id, Digest.of(b"one"))

    def test_other_repository(self) -> None:
        """An upload belongs to the repository that it was started in."""
        id = self.uploads.start("a")
        with self.assertRaises(UploadUnknown):
            self.uploads.size("b", id)

    def test_state(self) -> None:
        """The state of a Location fits one upload, also after a restart."""
        id = self.uploads.start("a")
        state = self.uploads.state("a", id)
        self.restart()
        self.uploads.check_state("a", id, state)
        forged = ("y" if state[0] == "x" else "x") + state[1:]
        for name, other, text in (
            ("b", id, state),
            ("a", self.uploads.start("a"), state),
            ("a", id, ""),
            ("a", id, state[:-8]),
            ("a", id, forged),
            ("a", id, "\N{SNOWMAN}"),
        ):
            with self.assertRaises(UploadUnknown):
                self.uploads.check_state(name, other, text)

    def test_key_is_private(self) -> None:
        """Nobody else can read what states are signed with."""
        mode = (self.directory / KEY_NAME).stat().st_mode
        self.assertEqual(mode & 0o777, 0o600)

    def test_bounded(self) -> None:
        """Too many uploads are refused until old ones have been idle for a day."""
        self.patch(uploads_module, "MAX_UPLOADS", 2)
        clock = [0.0]
        self.uploads = Uploads(self.storage, now=lambda: clock[0])
        old = [self.uploads.start("a") for _ in range(2)]
        with self.assertRaises(TooManyRequests):
            self.uploads.start("a")
        touched = (self.directory / "uploads" / old[0] / "data").stat().st_mtime
        clock[0] = touched + MAX_IDLE_SECONDS + 60
        self.uploads.start("a")
        with self.assertRaises(UploadUnknown):
            self.uploads.size("a", old[0])
