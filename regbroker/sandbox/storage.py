"""
A registry's content on disk.

::

    images/acme/app/_blobs/DIGEST       the bytes of a blob
    images/acme/app/_manifests/DIGEST   the bytes of a manifest
    images/acme/app/_types/DIGEST       the media type of that manifest
    images/acme/app/_tags/TAG           the digest that a tag points at
    images/acme/app/_uploads/ID         what is being written

No component of a repository's name begins with an underscore, so names and
what belongs to them share the tree. A blob that is mounted is a hard link: its bytes
are there once, and go with the last repository that holds them. Files appear by
renaming, complete. An upload lives over as many requests as the client likes and
also over a restart. One process at a time may use a directory.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from regbroker.errors import DigestInvalid, NameUnknown, UploadUnknown
from regbroker.protocol.names import is_name
from regbroker.sandbox.manifests import Manifest, parse_manifest
from regbroker.sandbox.refusals import (
    BlobUnknown,
    ManifestBlobUnknown,
    ManifestUnknown,
)

#: The algorithms that OCI registers.
ALGORITHMS = ("sha256", "sha512")

#: An upload that nobody went on with for a day is not remembered by a client.
MAX_IDLE_SECONDS = 24 * 60 * 60

_READ_BYTES = 1024 * 1024


def check_digest(digest: str, file: BinaryIO) -> None:
    """Raise `DigestInvalid` unless `digest` is that of the file's bytes."""
    algorithm = digest.partition(":")[0]
    if algorithm not in ALGORITHMS:
        raise DigestInvalid(f"digests are checked here by {', '.join(ALGORITHMS)}")
    computing = hashlib.new(algorithm)
    while data := file.read(_READ_BYTES):
        computing.update(data)
    computed = f"{algorithm}:{computing.hexdigest()}"
    if computed != digest:
        raise DigestInvalid(
            "the bytes that arrived have another digest",
            detail={"digest": digest, "computed": computed},
        )


class Storage:
    """
    The repositories under one directory, which is made if it is missing.

    Names, digests, tags and the ids of uploads have passed
    `regbroker.protocol.names.parse_path`: none of them leads out of the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._images = directory / "images"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._images.mkdir(exist_ok=True)
        oldest = time.time() - MAX_IDLE_SECONDS
        for upload in self._images.rglob("_uploads/*"):
            if upload.stat().st_mtime < oldest:
                upload.unlink()

    # Blobs.

    def blob(self, name: str, digest: str) -> Path:
        """Return the file of a blob; raises `BlobUnknown`."""
        path = self._path(name, "_blobs", digest)
        if not os.path.exists(path):
            raise BlobUnknown(
                "the repository holds no such blob", detail={"digest": digest}
            )
        return path

    def mount_blob(self, name: str, digest: str, source: str) -> None:
        """Hold a blob that `source` holds, too; raises `BlobUnknown`."""
        blob = self.blob(source, digest)
        with suppress(FileExistsError):
            os.link(blob, self._new(name, "_blobs", digest))

    def delete_blob(self, name: str, digest: str) -> None:
        """Hold a blob no longer; raises `BlobUnknown`."""
        self.blob(name, digest).unlink()

    # Blobs on their way in.

    def start_upload(self, name: str) -> Path:
        """Begin an upload; the name of its file is its id."""
        upload = self._new(name, "_uploads", str(uuid.uuid4()))
        upload.touch()
        return upload

    def upload(self, name: str, id: str) -> Path:
        """Return the file of what has arrived; raises `UploadUnknown`."""
        upload = self._path(name, "_uploads", id)
        if not os.path.exists(upload):
            raise UploadUnknown("no such upload is under way", detail={"uuid": id})
        return upload

    def finish_upload(self, name: str, upload: Path, digest: str) -> None:
        """
        Make an upload a blob of its repository.

        Raises `DigestInvalid`, and the upload is gone, if its bytes are not
        those of `digest`.
        """
        try:
            with upload.open("rb") as file:
                check_digest(digest, file)
        except DigestInvalid:
            upload.unlink()
            raise
        os.replace(upload, self._new(name, "_blobs", digest))

    # Manifests and tags.

    def manifest(self, name: str, reference: str) -> Manifest:
        """Find a manifest by tag or digest; raises `ManifestUnknown`."""
        try:
            digest = reference
            if ":" not in reference:
                digest = self._path(name, "_tags", reference).read_text()
            media_type = self._path(name, "_types", digest).read_text()
            body = self._path(name, "_manifests", digest).read_bytes()
        except OSError:
            raise ManifestUnknown(
                "the repository has no such manifest or tag",
                detail={"reference": reference},
            ) from None
        return parse_manifest(digest, body, media_type)

    def put_manifest(self, name: str, manifest: Manifest) -> None:
        """
        Hold a manifest.

        Raises `DigestInvalid`, and `ManifestBlobUnknown`, with all that is missing,
        unless the repository holds everything that the manifest refers to.
        """
        check_digest(manifest.digest, BytesIO(manifest.body))
        needed = [self._path(name, "_blobs", one) for one in manifest.blobs]
        needed += [self._path(name, "_manifests", one) for one in manifest.manifests]
        missing = [path.name for path in needed if not os.path.exists(path)]
        if missing:
            raise ManifestBlobUnknown(
                "the repository does not hold what the manifest refers to",
                detail=[{"digest": one} for one in missing],
            )
        self._write(name, "_manifests", manifest.digest, manifest.body)
        self._write(name, "_types", manifest.digest, manifest.media_type.encode())

    def tag(self, name: str, tag: str, digest: str) -> None:
        """Point a tag at a manifest."""
        self._write(name, "_tags", tag, digest.encode())

    def delete_manifest(self, name: str, reference: str) -> None:
        """
        Remove a tag, or by its digest a manifest and the tags that point at it.

        Raises `ManifestUnknown`.
        """
        digest = self.manifest(name, reference).digest
        if reference != digest:
            self._path(name, "_tags", reference).unlink()
            return
        for tag in self._entries(name, "_tags"):
            if self.manifest(name, tag).digest == digest:
                self._path(name, "_tags", tag).unlink()
        for kind in ("_types", "_manifests"):
            self._path(name, kind, digest).unlink()

    # Lists.

    def referrers(self, name: str, subject: str) -> list[dict[str, Any]]:
        """Return the descriptors of the manifests whose subject is `subject`."""
        digests = self._entries(name, "_types")
        manifests = (self.manifest(name, digest) for digest in digests)
        return [one.descriptor for one in manifests if one.subject == subject]

    def tags(self, name: str) -> list[str]:
        """Return a repository's tags, sorted; raises `NameUnknown`."""
        if not (self._entries(name, "_types") or self._entries(name, "_blobs")):
            raise NameUnknown("there is no such repository", detail={"name": name})
        return self._entries(name, "_tags")

    def repositories(self) -> list[str]:
        """Return the names of the repositories that hold a manifest, sorted."""
        return sorted(
            types.parent.relative_to(self._images).as_posix()
            for types in self._images.rglob("_types")
            # A tag may have this name, too.
            if types.is_dir() and any(types.iterdir())
        )

    def _path(self, name: str, kind: str, entry: str) -> Path:
        assert is_name(name), name
        return self._images / name / kind / entry

    def _new(self, name: str, kind: str, entry: str) -> Path:
        """Return the path of a file that is to be there, with its directory made."""
        path = self._path(name, kind, entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _entries(self, name: str, kind: str) -> list[str]:
        try:
            return sorted(os.listdir(self._images / name / kind))
        except FileNotFoundError:
            return []

    def _write(self, name: str, kind: str, entry: str, data: bytes) -> None:
        upload = self.start_upload(name)
        upload.write_bytes(data)
        os.replace(upload, self._new(name, kind, entry))
