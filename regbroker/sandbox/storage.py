"""
A registry's content on disk.

::

    images/acme/app/_blobs/DIGEST       the bytes of a blob
    images/acme/app/_manifests/DIGEST   the bytes of a manifest
    images/acme/app/_types/DIGEST       the media type of that manifest
    images/acme/app/_tags/TAG           the digest that a tag points at
    uploads/                            see `regbroker.sandbox.uploads`
    partial/                            what is being written

No component of a repository's name begins with an underscore, so names and
what belongs to them share the tree. A blob that is mounted is a hard link: its bytes
are there once, and go with the last repository that holds them. Files appear by
renaming, complete; what `partial` holds at a start is thrown away. One process at a
time may use a directory.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regbroker.errors import NameUnknown
from regbroker.protocol.names import is_name
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.manifests import Manifest, parse_manifest
from regbroker.sandbox.refusals import (
    BlobUnknown,
    ManifestBlobUnknown,
    ManifestUnknown,
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
        self._images = directory / "images"
        self._partial = directory / "partial"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self._partial, ignore_errors=True)
        self._images.mkdir(exist_ok=True)
        self._partial.mkdir()

    def blob(self, name: str, digest: Digest) -> Stored:
        """Find a blob; raises `BlobUnknown`."""
        path = self._path(name, "_blobs", digest)
        try:
            return Stored(digest, path, path.stat().st_size)
        except FileNotFoundError:
            raise BlobUnknown(
                "the repository holds no such blob", detail={"digest": str(digest)}
            ) from None

    def adopt_blob(self, name: str, digest: Digest, file: Path) -> None:
        """Take a complete file, whose digest was checked, as a blob."""
        os.replace(file, self._path(name, "_blobs", digest, make=True))

    def mount_blob(self, name: str, digest: Digest, source: str) -> None:
        """Hold a blob that `source` holds, too; raises `BlobUnknown`."""
        blob = self.blob(source, digest)
        with suppress(FileExistsError):
            os.link(blob.path, self._path(name, "_blobs", digest, make=True))

    def delete_blob(self, name: str, digest: Digest) -> None:
        """Hold a blob no longer; raises `BlobUnknown`."""
        self.blob(name, digest).path.unlink()

    def manifest(self, name: str, reference: str) -> Stored:
        """Find a manifest by tag or digest; raises `ManifestUnknown`."""
        try:
            if ":" in reference:
                digest = Digest.parse(reference)
            else:
                tag = self._path(name, "_tags", reference)
                digest = Digest.parse(tag.read_text())
            path = self._path(name, "_manifests", digest)
            size = path.stat().st_size
        except FileNotFoundError:
            raise ManifestUnknown(
                "the repository has no such manifest or tag",
                detail={"reference": reference},
            ) from None
        media_type = self._path(name, "_types", digest).read_text()
        return Stored(digest, path, size, media_type)

    def put_manifest(
        self, name: str, digest: Digest, body: bytes, manifest: Manifest
    ) -> None:
        """
        Hold a manifest, whose digest was checked.

        Raises `ManifestBlobUnknown`, with all that is missing, unless the
        repository holds everything that the manifest refers to.
        """
        needed = [self._path(name, "_blobs", d) for d in manifest.blobs]
        needed += [self._path(name, "_manifests", d) for d in manifest.manifests]
        missing = [path.name for path in needed if not path.exists()]
        if missing:
            raise ManifestBlobUnknown(
                "the repository does not hold what the manifest refers to",
                detail=[{"digest": digest} for digest in missing],
            )
        self._write(name, "_types", digest, manifest.media_type.encode())
        self._write(name, "_manifests", digest, body)

    def tag(self, name: str, tag: str, digest: Digest) -> None:
        """Point a tag at a manifest."""
        self._write(name, "_tags", tag, str(digest).encode())

    def delete_tag(self, name: str, tag: str) -> None:
        """Remove a tag and leave its manifest; raises `ManifestUnknown`."""
        self.manifest(name, tag)
        self._path(name, "_tags", tag).unlink()

    def delete_manifest(self, name: str, digest: Digest) -> None:
        """Remove a manifest and the tags that point at it; or `ManifestUnknown`."""
        stored = self.manifest(name, str(digest))
        for tag in self._entries(name, "_tags"):
            if self.manifest(name, tag).digest == digest:
                self._path(name, "_tags", tag).unlink()
        stored.path.unlink()
        self._path(name, "_types", digest).unlink()

    def referrers(self, name: str, subject: Digest) -> list[dict[str, Any]]:
        """Return the descriptors of the manifests whose subject is `subject`."""
        found = []
        for entry in self._entries(name, "_manifests"):
            stored = self.manifest(name, entry)
            manifest = parse_manifest(stored.path.read_bytes(), stored.media_type)
            if manifest.subject == subject:
                found.append(manifest.descriptor(stored.digest, stored.size))
        return found

    def tags(self, name: str) -> list[str]:
        """Return a repository's tags, sorted; raises `NameUnknown`."""
        if not (self._entries(name, "_manifests") or self._entries(name, "_blobs")):
            raise NameUnknown("there is no such repository", detail={"name": name})
        return self._entries(name, "_tags")

    def repositories(self) -> list[str]:
        """Return the names of the repositories that hold a manifest, sorted."""
        return sorted(
            name for name in self._names() if self._entries(name, "_manifests")
        )

    def _names(self) -> Iterator[str]:
        for path, directories, _ in os.walk(self._images):
            directories[:] = [d for d in directories if not d.startswith("_")]
            yield from (
                Path(path, d).relative_to(self._images).as_posix() for d in directories
            )

    def _path(
        self, name: str, kind: str, entry: Digest | str, *, make: bool = False
    ) -> Path:
        """Return a file of a repository; `make` makes the directory that it is in."""
        assert is_name(name), name
        directory = self._images / name / kind
        if make:
            directory.mkdir(parents=True, exist_ok=True)
        return directory / str(entry)

    def _entries(self, name: str, kind: str) -> list[str]:
        try:
            return sorted(os.listdir(self._images / name / kind))
        except FileNotFoundError:
            return []

    def _write(self, name: str, kind: str, entry: Digest | str, data: bytes) -> None:
        partial = self._partial / uuid.uuid4().hex
        partial.write_bytes(data)
        os.replace(partial, self._path(name, kind, entry, make=True))
