"""
What a registry has to know of a manifest: what it refers to, and what it is of.

A manifest's bytes are never changed; they are only looked at. Shapes: OCI
image-spec 1.1 (image manifest, image index), Docker's schema 2, and the
``blobs`` of ORAS's former artifact manifests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from regbroker.errors import DigestInvalid
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.refusals import ManifestInvalid

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"

#: distribution-spec 1.1 asks registries to take manifests of at least 4 MiB.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

#: It comes back as a header.
_MEDIA_TYPE = re.compile(r"[!-~][ -~]{0,254}")

#: Layers of these types may stay where their `urls` say, and nowhere else.
_FOREIGN = ("foreign.diff.tar", "nondistributable")


@dataclass(frozen=True)
class Manifest:
    """
    One manifest, understood as far as a registry needs it.

    `blobs` and `manifests` must be in the repository; `subject` need not.
    """

    media_type: str
    blobs: tuple[Digest, ...]
    manifests: tuple[Digest, ...]
    subject: Digest | None
    artifact_type: str | None
    annotations: dict[str, str]

    def descriptor(self, digest: Digest, size: int) -> dict[str, Any]:
        """Return this manifest's entry in the list of referrers of its subject."""
        entry: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(digest),
            "size": size,
        }
        if self.artifact_type:
            entry["artifactType"] = self.artifact_type
        if self.annotations:
            entry["annotations"] = self.annotations
        return entry


def parse_manifest(body: bytes, content_type: str | None) -> Manifest:
    """
    Understand a manifest that arrives with `content_type`.

    Raises `ManifestInvalid` when it is no JSON object, says another
    ``mediaType`` than the header, or has references that are none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ManifestInvalid("the manifest is not JSON") from None
    if not isinstance(document, dict):
        raise ManifestInvalid("the manifest is not a JSON object")
    media_type = document.get("mediaType") or content_type
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise ManifestInvalid("neither Content-Type nor mediaType says what this is")
    if content_type and content_type != media_type:
        raise ManifestInvalid(
            f"Content-Type says {content_type[:100]}, mediaType {media_type[:100]}"
        )
    if "signatures" in document:
        raise ManifestInvalid("manifests of schema version 1 are not taken here")
    config = _descriptor(document, "config")
    subject = _descriptor(document, "subject")
    blobs = [
        _digest(layer)
        for key in ("layers", "blobs")
        for layer in _descriptors(document, key)
        if not _is_foreign(layer)
    ]
    if config is not None:
        blobs.insert(0, _digest(config))
    artifact_type = document.get("artifactType") or (config or {}).get("mediaType")
    annotations = document.get("annotations")
    return Manifest(
        media_type=media_type,
        blobs=tuple(blobs),
        manifests=tuple(map(_digest, _descriptors(document, "manifests"))),
        subject=_digest(subject) if subject is not None else None,
        artifact_type=artifact_type if isinstance(artifact_type, str) else None,
        annotations=annotations if isinstance(annotations, dict) else {},
    )


def _descriptor(document: dict[str, Any], key: str) -> dict[str, Any] | None:
    value = document.get(key)
    if value is not None and not isinstance(value, dict):
        raise ManifestInvalid(f"the manifest's {key} is not a descriptor")
    return value


def _descriptors(document: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    values = document.get(key)
    if values is None:
        return
    if not isinstance(values, list):
        raise ManifestInvalid(f"the manifest's {key} is not a list")
    for value in values:
        if not isinstance(value, dict):
            raise ManifestInvalid(f"the manifest's {key} has an entry of another kind")
        yield value


def _is_foreign(layer: dict[str, Any]) -> bool:
    media_type = layer.get("mediaType")
    return isinstance(media_type, str) and any(word in media_type for word in _FOREIGN)


def _digest(descriptor: dict[str, Any]) -> Digest:
    text = descriptor.get("digest")
    if not isinstance(text, str):
        raise ManifestInvalid("a descriptor in the manifest has no digest")
    try:
        return Digest.parse(text)
    except DigestInvalid as error:
        raise ManifestInvalid(
            f"a descriptor in the manifest: {error.message}"
        ) from None
