"""What stands behind the proxies: an upstream that costs as little as can be."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.integration.peers.certificates import Authority

from .nginx import NginxServer

MIB = 1024 * 1024

#: A manifest of this many layers is about 2 kB.
LAYERS = 12

SERVER = """\
    access_log off;
    log_format method $request_method;
    sendfile on;
    keepalive_requests 1000000;
    keepalive_timeout 300s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        location = /v2/ {{
            add_header WWW-Authenticate
                'Bearer realm="https://localhost:{port}/token",service="up"' always;
            default_type application/json;
            return 401 '{{"errors":[{{"code":"UNAUTHORIZED"}}]}}';
        }}
        location = /token {{
            access_log {directory}/tokens.log;
            default_type application/json;
            return 200 '{token}';
        }}
        location ~ ^/v2/acme_team/app/manifests/ {{
            access_log {directory}/manifests.log method;
            default_type application/vnd.oci.image.manifest.v1+json;
            add_header Docker-Content-Digest {digest};
            add_header Docker-Distribution-Api-Version registry/2.0;
            alias {directory}/manifest.json;
        }}
        location /v2/acme_team/app/blobs/ {{
            default_type application/octet-stream;
            add_header Docker-Distribution-Api-Version registry/2.0;
            alias {directory}/blobs/;
        }}
    }}
"""


@dataclass(frozen=True)
class Blob:
    """A blob by its digest."""

    digest: str
    size: int


class Stub:
    """nginx with a manifest, blobs, a challenge and a token service, over TLS."""

    def __init__(self, directory: Path, authority: Authority, layer_bytes: int) -> None:
        blobs = directory / "blobs"
        blobs.mkdir(parents=True)
        self.layers = tuple(
            Blob(f"sha256:{hashlib.sha256(b'%d' % number).hexdigest()}", layer_bytes)
            for number in range(LAYERS)
        )
        for layer in self.layers:
            (blobs / layer.digest).write_bytes(os.urandom(layer.size))
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                        "size": layer.size,
                        "digest": layer.digest,
                    }
                    for layer in self.layers
                ],
            }
        ).encode()
        (directory / "manifest.json").write_bytes(self.manifest)
        certificate, key = authority.issue("localhost", "127.0.0.1").write(
            directory, "upstream"
        )
        self._directory = directory
        self._blobs = blobs
        self._nginx = NginxServer(directory / "nginx")
        self.port = self._nginx.port
        self._nginx.start(
            SERVER.format(
                directory=directory,
                port=self.port,
                certificate=certificate,
                key=key,
                digest=f"sha256:{hashlib.sha256(self.manifest).hexdigest()}",
                token=json.dumps({"token": "t" * 800, "expires_in": 300}),
            )
        )

    def big_blob(self, size: int) -> Blob:
        """Return a blob of so many bytes, made now: a file that takes no room."""
        blob = Blob(f"sha256:{hashlib.sha256(b'big %d' % size).hexdigest()}", size)
        path = self._blobs / blob.digest
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(size)
        return blob

    def token_requests(self) -> int:
        """Return how often a token was asked for so far."""
        return len((self._directory / "tokens.log").read_bytes().splitlines())

    def manifest_gets(self) -> int:
        """Return how often a manifest was fetched so far; HEAD does not count."""
        return (self._directory / "manifests.log").read_bytes().count(b"GET")

    def stop(self) -> None:
        """End it."""
        self._nginx.stop()
