"""
What a registry has to know of a manifest: what it refers to, and what it is of.

A manifest's bytes are never changed; they are only looked at. Shapes: OCI
image-spec 1.1 (image manifest, image index) and Docker's schema 2.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from regbroker.protocol.names import is_digest
from regbroker.sandbox.refusals import ManifestInvalid

#: It comes back as a header.
_MEDIA_TYPE = re.compile(r"[!-~][ -~]{0,254}")

#: Layers of these types may stay where their `urls` say, and nowhere else.
_FOREIGN = ("foreign.diff.tar", "nondistributable")


@dataclass(frozen=True)
class Manifest:
    """
    One manifest, understood as far as a registry needs it.

    The digests in `blobs` and `manifests` must be in the repository; `subject` need
    not. `descriptor` is what the list of referrers has of it.
    """

    digest: str
    media_type: str
    body: bytes
    blobs: tuple[str, ...]
    manifests: tuple[str, ...]
    subject: str | None
    descriptor: dict[str, Any]


def parse_manifest(digest: str, body: bytes, content_type: str | None) -> Manifest:
    """
    Understand a manifest that arrives with `content_type`; `digest` names it.

    Raises `ManifestInvalid` when it is no JSON object, says another
    ``mediaType`` than the header, or has references that are none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ManifestInvalid("the manifest is not JSON") from None
    if not isinstance(document, dict) or "signatures" in document:
        raise ManifestInvalid("the manifest is no JSON object, or of schema version 1")
    media_type = _media_type(document.get("mediaType"), content_type)
    config = _descriptors(document, "config", dict)
    layers = _descriptors(document, "layers")
    subject = _digests(_descriptors(document, "subject", dict))
    artifact_type = document.get("artifactType") or next(
        (one.get("mediaType") for one in config), None
    )
    descriptor = {
        "mediaType": media_type,
        "digest": digest,
        "size": len(body),
        "artifactType": artifact_type,
        "annotations": document.get("annotations"),
    }
    return Manifest(
        digest=digest,
        media_type=media_type,
        body=body,
        blobs=_digests(config + [layer for layer in layers if not _is_foreign(layer)]),
        manifests=_digests(_descriptors(document, "manifests")),
        subject=subject[0] if subject else None,
        descriptor={key: value for key, value in descriptor.items() if value},
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
    if not isinstance(value, shape) or not all(map(_is_descriptor, found)):
        raise ManifestInvalid(f"the manifest's {key} is no descriptor, or not all are")
    return found


def _is_descriptor(value: object) -> bool:
    return isinstance(value, dict) and is_digest(str(value.get("digest")))


def _is_foreign(layer: dict[str, Any]) -> bool:
    return any(word in str(layer.get("mediaType")) for word in _FOREIGN)


def _digests(descriptors: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(descriptor["digest"] for descriptor in descriptors)
