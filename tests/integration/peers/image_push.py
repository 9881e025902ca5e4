"""Images put into a registry without a client: to start one takes most of the time."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection

from .docker_registry import DockerRegistry
from .images import MANIFEST_MEDIA_TYPE, TAG, Image


def connect(registry: DockerRegistry, authority_pem: bytes) -> HTTPConnection:
    """A connection to a registry, with TLS if it has that."""
    if registry.url.startswith("http:"):
        return HTTPConnection("127.0.0.1", registry.port)
    context = ssl.create_default_context(cadata=authority_pem.decode())
    return HTTPSConnection("127.0.0.1", registry.port, context=context)


def push_image(
    connection: HTTPConnection,
    authorization: Mapping[str, str],
    image: Image,
    name: str,
    tag: str = TAG,
) -> None:
    """Push an image as the specification has it, each blob in one piece."""

    def send(method: str, target: str, body: bytes, kind: str) -> str:
        headers = {**authorization, "Content-Type": kind}
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status not in (201, 202):
            raise AssertionError(f"{method} {target}: {response.status} {answer!r}")
        return response.getheader("Location", "")

    for digest in (image.config_digest, *image.layer_digests):
        kind = "application/octet-stream"
        upload = send("POST", f"/v2/{name}/blobs/uploads/", b"", kind)
        send("PUT", f"{upload}&digest={digest}", image.blob(digest), kind)
    manifest = image.blob(image.digest)
    send("PUT", f"/v2/{name}/manifests/{tag}", manifest, MANIFEST_MEDIA_TYPE)
