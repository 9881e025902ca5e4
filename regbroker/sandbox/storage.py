"""
A registry's content on disk.

::

    content/sha256/3b/3b4c…              bytes of blobs and manifests, each once
    repositories/acme/app/_blobs/DIGEST      empty: the repository holds the blob
    repositories/acme/app/_manifests/DIGEST  JSON: media type, subject, descriptor
    repositories/acme/app/_tags/TAG          the digest
    repositories/acme/app/_referrers/SUBJECT/DIGEST   empty
    uploads/                             see `regbroker.sandbox.uploads`
    partial/                             what is being written

No component of a repository's name begins with an underscore, so names and
what belongs to them share the tree. Files appear by renaming, complete; what
`partial` holds at a start is thrown away, and so is content that no
repository holds any more. One process at a time may use a directory.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regbroker.protocol.names import is_name
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.manifests import Manifest
from regbroker.sandbox.refusals import (
    BlobUnknown,
    ManifestBlobUnknown,
    ManifestUnknown,
    RepositoryUnknown,
)


@dataclass(frozen=True)
class Stored:
    """Bytes that the registry holds, with their size and media type."""

    digest: Digest
    path: Path
    size: int
    media_type: str = "application/octet-stream"


class Storage:
    """The repositories under one directory, which is made if it is missing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._content = directory / "content"
        self._repositories = directory / "repositories"
        self._partial = directory / "partial"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self._partial, ignore_errors=True)
        for path in (self._content, self._repositories, self._partial):
            path.mkdir(exist_ok=True)
        self._remove_unheld_content()

    # Blobs.

    def has_blob(self, name: str, digest: Digest) -> bool:
        """Tell whether a repository holds a blob."""
        return self._blob_link(name, digest).exists()

    def blob(self, name: str, digest: Digest) -> Stored:
        """Find a blob; raises `BlobUnknown`."""
        if not self.has_blob(name, digest):
            raise BlobUnknown(
                "the repository holds no such blob", detail={"digest": str(digest)}
            )
        path = self._content_path(digest)
        return Stored(digest, path, path.stat().st_size)

    def adopt_blob(self, name: str, digest: Digest, file: Path) -> None:
        """Take a complete file, whose digest was checked, as a blob."""
        path = self._content_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, path)
        self._write(self._blob_link(name, digest), b"")

    def mount_blob(self, name: str, digest: Digest, source: str) -> None:
        """Hold a blob that `source` holds, too; raises `BlobUnknown`."""
        self.blob(source, digest)
        self._write(self._blob_link(name, digest), b"")

    def delete_blob(self, name: str, digest: Digest) -> None:
        """Hold a blob no longer; raises `BlobUnknown`."""
        self.blob(name, digest)
        self._blob_link(name, digest).unlink()

    # Manifests and tags.

    def manifest(self, name: str, reference: str) -> Stored:
        """Find a manifest by tag or digest; raises `ManifestUnknown`."""
        digest = self._resolve(name, reference)
        record = self._record(name, digest)
        path = self._content_path(digest)
        return Stored(digest, path, path.stat().st_size, record["mediaType"])

    def put_manifest(
        self, name: str, digest: Digest, body: bytes, manifest: Manifest
    ) -> None:
        """
        Hold a manifest, whose digest was checked.

        Raises `ManifestBlobUnknown`, with all that is missing, unless the
        repository holds everything that the manifest refers to.
        """
        missing = [d for d in manifest.blobs if not self.has_blob(name, d)]
        missing += [
            d for d in manifest.manifests if not self._manifest_link(name, d).exists()
        ]
        if missing:
            raise ManifestBlobUnknown(
                "the repository does not hold what the manifest refers to",
                detail=[{"digest": str(d)} for d in missing],
            )
        self._write(self._content_path(digest), body)
        record: dict[str, Any] = {"mediaType": manifest.media_type}
        if manifest.subject is not None:
            record["subject"] = str(manifest.subject)
            record["descriptor"] = manifest.descriptor(digest, len(body))
        self._write(self._manifest_link(name, digest), json.dumps(record).encode())
        if manifest.subject is not None:
            self._write(self._referrers(name, manifest.subject) / str(digest), b"")

    def tag(self, name: str, tag: str, digest: Digest) -> None:
        """Point a tag at a manifest."""
        self._write(self._repository(name) / "_tags" / tag, str(digest).encode())

    def delete_tag(self, name: str, tag: str) -> None:
        """Remove a tag and leave its manifest; raises `ManifestUnknown`."""
        self._resolve(name, tag)
        (self._repository(name) / "_tags" / tag).unlink()

    def delete_manifest(self, name: str, digest: Digest) -> None:
        """Remove a manifest and the tags that point at it; or `ManifestUnknown`."""
        record = self._record(name, digest)
        for tag in _entries(self._repository(name) / "_tags"):
            if self._resolve(name, tag) == digest:
                (self._repository(name) / "_tags" / tag).unlink()
        if "subject" in record:
            referrers = self._referrers(name, Digest.parse(record["subject"]))
            (referrers / str(digest)).unlink(missing_ok=True)
        self._manifest_link(name, digest).unlink()

    def referrers(self, name: str, subject: Digest) -> list[dict[str, Any]]:
        """Return the descriptors of the manifests whose subject is `subject`."""
        digests = sorted(map(Digest.parse, _entries(self._referrers(name, subject))))
        return [self._record(name, digest)["descriptor"] for digest in digests]

    def tags(self, name: str) -> list[str]:
        """Return a repository's tags, sorted; raises `RepositoryUnknown`."""
        repository = self._repository(name)
        if not any(map(_entries, (repository / "_manifests", repository / "_blobs"))):
            raise RepositoryUnknown(
                "there is no such repository", detail={"name": name}
            )
        return sorted(_entries(repository / "_tags"))

    def repositories(self) -> list[str]:
        """Return the names of the repositories that hold a manifest, sorted."""
        found = [
            path.parent.relative_to(self._repositories).as_posix()
            for path in self._belongings("_manifests")
            if _entries(path)
        ]
        return sorted(found)

    # The tree.

    def _repository(self, name: str) -> Path:
        assert is_name(name), name
        return self._repositories / name

    def _blob_link(self, name: str, digest: Digest) -> Path:
        return self._repository(name) / "_blobs" / str(digest)

    def _manifest_link(self, name: str, digest: Digest) -> Path:
        return self._repository(name) / "_manifests" / str(digest)

    def _referrers(self, name: str, subject: Digest) -> Path:
        return self._repository(name) / "_referrers" / str(subject)

    def _content_path(self, digest: Digest) -> Path:
        return self._content / digest.algorithm / digest.encoded[:2] / digest.encoded

    def _resolve(self, name: str, reference: str) -> Digest:
        if ":" in reference:
            return Digest.parse(reference)
        try:
            text = (self._repository(name) / "_tags" / reference).read_text()
        except FileNotFoundError:
            raise ManifestUnknown(
                "the repository has no such tag", detail={"tag": reference}
            ) from None
        return Digest.parse(text)

    def _record(self, name: str, digest: Digest) -> dict[str, Any]:
        try:
            text = self._manifest_link(name, digest).read_bytes()
        except FileNotFoundError:
            raise ManifestUnknown(
                "the repository holds no such manifest", detail={"digest": str(digest)}
            ) from None
        record: dict[str, Any] = json.loads(text)
        return record

    def _write(self, path: Path, data: bytes) -> None:
        partial = self._partial / uuid.uuid4().hex
        partial.write_bytes(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial, path)

    def _belongings(self, kind: str) -> Iterator[Path]:
        for path, directories, _ in os.walk(self._repositories):
            if kind in directories:
                yield Path(path, kind)
            directories[:] = [d for d in directories if not d.startswith("_")]

    def _remove_unheld_content(self) -> None:
        held = {
            Digest.parse(entry)
            for kind in ("_blobs", "_manifests")
            for path in self._belongings(kind)
            for entry in _entries(path)
        }
        for path in self._content.glob("*/*/*"):
            if Digest(path.parent.parent.name, path.name) not in held:
                path.unlink()


def _entries(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
