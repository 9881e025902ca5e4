"""
What a registry has to know of a manifest: what it refers to, and what it is of.

A manifest's bytes are never changed; they are only looked at. Shapes: OCI
image-spec 1.1 (image manifest, image index), Docker's schema 2, and the
``blobs`` of ORAS's former artifact manifests.
"""

from __future__ import annotations

import json
import re
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
    if "signatures" in document:
        raise ManifestInvalid("manifests of schema version 1 are not taken here")
    config = _descriptors(document, "config", dict)
    layers = _descriptors(document, "layers") + _descriptors(document, "blobs")
    subjects = _digests(_descriptors(document, "subject", dict))
    artifact_type = document.get("artifactType")
    if not artifact_type and config:
        artifact_type = config[0].get("mediaType")
    annotations = document.get("annotations")
    return Manifest(
        media_type=_media_type(document.get("mediaType"), content_type),
        blobs=_digests(config + [layer for layer in layers if not _is_foreign(layer)]),
        manifests=_digests(_descriptors(document, "manifests")),
        subject=subjects[0] if subjects else None,
        artifact_type=artifact_type if isinstance(artifact_type, str) else None,
        annotations=annotations if isinstance(annotations, dict) else {},
    )


def _media_type(said: object, content_type: str | None) -> str:
    media_type = said or content_type
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise ManifestInvalid("neither Content-Type nor mediaType says what this is")
    if content_type and content_type != media_type:
        raise ManifestInvalid(
            f"Content-Type says {content_type[:100]}, mediaType {media_type[:100]}"
        )
    return media_type


def _descriptors(
    document: dict[str, Any], key: str, shape: type = list
) -> list[dict[str, Any]]:
    """Return what a member holds: a list of descriptors, or, as a dict, one."""
    value = document.get(key)
    if value is None:
        return []
    found = value if isinstance(value, list) else [value]
    if not isinstance(value, shape) or not all(isinstance(v, dict) for v in found):
        raise ManifestInvalid(f"the manifest's {key} is of another kind")
    return found


def _is_foreign(layer: dict[str, Any]) -> bool:
    media_type = layer.get("mediaType")
    return isinstance(media_type, str) and any(word in media_type for word in _FOREIGN)


def _digests(descriptors: list[dict[str, Any]]) -> tuple[Digest, ...]:
    try:
        return tuple(Digest.parse(str(found.get("digest"))) for found in descriptors)
    except DigestInvalid as error:
        raise ManifestInvalid(
            f"a descriptor in the manifest: {error.message}"
        ) from None
