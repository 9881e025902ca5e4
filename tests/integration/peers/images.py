"""A container image made by hand, since nothing can be fetched."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAYER_MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG_MEDIA_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
TAG = "latest"


@dataclass(frozen=True)
class Image:
    """An image in an OCI layout directory, tagged `latest` there."""

    directory: Path
    digest: str
    config_digest: str
    layer_digests: tuple[str, ...]

    @property
    def source(self) -> str:
        """How skopeo and podman name it."""
        return f"oci:{self.directory}:{TAG}"

    def write_archive(self, path: Path) -> None:
        """Write the layout as one tar file, which ctr can import."""
        with tarfile.open(path, "w") as tar:
            tar.add(self.directory, ".")

    def blob(self, digest: str) -> bytes:
        """The bytes of one of its blobs, or of its manifest."""
        return _blob_path(self.directory, digest).read_bytes()


def make_image(directory: Path, layers: int = 2, layer_size: int = 200_000) -> Image:
    """Make an image of a few layers of random bytes."""
    (directory / "blobs" / "sha256").mkdir(parents=True)
    tars = [_layer(f"file{number}", layer_size) for number in range(layers)]
    layer_descriptors = [
        # without compressing, which random bytes would take time for in vain
        _store(directory, gzip.compress(tar, 0, mtime=0), LAYER_MEDIA_TYPE)
        for tar in tars
    ]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/file0"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
        "history": [{"created_by": f"layer {number}"} for number in range(layers)],
    }
    config_descriptor = _store(directory, _json(config), CONFIG_MEDIA_TYPE)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_MEDIA_TYPE,
        "config": config_descriptor,
        "layers": layer_descriptors,
    }
    descriptor = _store(directory, _json(manifest), MANIFEST_MEDIA_TYPE)
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": TAG}
    index = {"schemaVersion": 2, "manifests": [descriptor]}
    (directory / "index.json").write_bytes(_json(index))
    (directory / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    return Image(
        directory,
        descriptor["digest"],
        config_descriptor["digest"],
        tuple(layer["digest"] for layer in layer_descriptors),
    )


def sha256(data: bytes) -> str:
    """The OCI digest of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _layer(name: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = size
        tar.addfile(member, io.BytesIO(os.urandom(size)))
    return buffer.getvalue()


def _store(directory: Path, data: bytes, media_type: str) -> dict[str, Any]:
    digest = sha256(data)
    _blob_path(directory, digest).write_bytes(data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _blob_path(directory: Path, digest: str) -> Path:
    return directory / "blobs" / digest.replace(":", "/")


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
