"""
The registry over HTTP, in the place of a relay: manifests, lists, and replies.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from urllib.parse import urlencode

from twisted.web.http import CACHED
from twisted.web.server import Request

from regbroker.protocol.headers import Header
from regbroker.protocol.names import Endpoint, is_tag
from regbroker.sandbox.manifests import parse_manifest
from regbroker.sandbox.refusals import PageInvalid
from regbroker.sandbox.storage import Storage
from regbroker.transport.server.body_reading import read_body
from regbroker.transport.server.replies import send_bytes, send_json, set_status
from regbroker.web.api_request import ApiRequest

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"

#: distribution-spec 1.1 asks registries to take manifests of at least 4 MiB.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

#: The largest page of a list, and the one a client gets that names no size.
MAX_PAGE = 1000

#: Answers a request about a repository (empty for the catalog) and a reference.
Answer = Callable[[ApiRequest, str, str], Awaitable[None]]
Answers = dict[tuple[Endpoint, str], Answer]


class Repositories:
    """Answers what has been let in; `more` has the answers that are not here."""

    def __init__(self, storage: Storage, more: Answers) -> None:
        self._storage = storage
        self._answers: Answers = more | {
            (Endpoint.CATALOG, "GET"): self._catalog,
            (Endpoint.TAGS, "GET"): self._tags,
            (Endpoint.REFERRERS, "GET"): self._referrers,
            (Endpoint.MANIFEST, "GET"): self._get_manifest,
            (Endpoint.MANIFEST, "PUT"): self._put_manifest,
            (Endpoint.MANIFEST, "DELETE"): self._delete_manifest,
        }

    def check(self) -> None:
        """Show the catalog to everybody who may list it."""

    async def serve(self, asked: ApiRequest) -> None:
        """Answer, or raise the `HTTPError` that says why not."""
        target, method = asked.target, asked.client.method
        answer = self._answers[target.endpoint, "GET" if method == "HEAD" else method]
        await answer(asked, target.name or "", target.reference or "")

    # Lists.

    async def _catalog(self, asked: ApiRequest, name: str, reference: str) -> None:
        names = _page(asked, self._storage.repositories())
        send_json(asked.client.http, {"repositories": names})

    async def _tags(self, asked: ApiRequest, name: str, reference: str) -> None:
        tags = _page(asked, self._storage.tags(name))
        send_json(asked.client.http, {"name": name, "tags": tags})

    async def _referrers(self, asked: ApiRequest, name: str, digest: str) -> None:
        http, found = asked.client.http, self._storage.referrers(name, digest)
        wanted = asked.query.values("artifactType")
        if wanted:
            found = [entry for entry in found if entry.get("artifactType") in wanted]
            http.setHeader("OCI-Filters-Applied", "artifactType")
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": found}
        send_bytes(http, 200, INDEX_TYPE.encode(), json.dumps(index).encode())

    # Manifests.

    async def _get_manifest(self, asked: ApiRequest, name: str, reference: str) -> None:
        http, manifest = asked.client.http, self._storage.manifest(name, reference)
        if not is_known_to_client(http, manifest.digest):
            send_bytes(http, 200, manifest.media_type.encode(), manifest.body)

    async def _put_manifest(self, asked: ApiRequest, name: str, reference: str) -> None:
        http = asked.client.http
        body = await read_body(http, MAX_MANIFEST_BYTES)
        digest, tags = reference, asked.query.values("tag")
        if is_tag(reference):
            digest, tags = f"sha256:{sha256(body).hexdigest()}", [reference]
        content_type = asked.client.headers.text(b"content-type")
        manifest = parse_manifest(digest, body, content_type)
        self._storage.put_manifest(name, manifest)
        for tag in tags:
            self._storage.tag(name, tag, digest)
        headers = [(b"OCI-Tag", tag.encode()) for tag in tags]
        if manifest.subject is not None:
            headers.append((b"OCI-Subject", manifest.subject.encode()))
        send_created(http, "manifests", name, digest, headers)

    async def _delete_manifest(
        self, asked: ApiRequest, name: str, reference: str
    ) -> None:
        self._storage.delete_manifest(name, reference)
        send_empty(asked.client.http, 202)


def _page(asked: ApiRequest, entries: list[str]) -> list[str]:
    """Return the entries after ``last``, ``n`` of them; set Link if more follow."""
    last = "".join(asked.query.values("last")[:1])
    n = "".join(asked.query.values("n")[:1]) or str(MAX_PAGE)
    if not (n.isascii() and n.isdigit() and len(n) < 10):
        raise PageInvalid("n is not a number of entries", detail={"n": n[:20]})
    size = min(int(n), MAX_PAGE)
    entries = [entry for entry in entries if entry > last]
    page = entries[:size]
    if page and len(page) < len(entries):
        query = urlencode({"last": page[-1], "n": size})
        link = f'<{asked.target.path}?{query}>; rel="next"'
        asked.client.http.setHeader("Link", link)
    return page


def is_known_to_client(http: Request, digest: str) -> bool:
    """Name the reply's content; if the client has it, send 304 and return True."""
    http.setHeader("Docker-Content-Digest", digest)
    if http.setETag(f'"{digest}"'.encode()) is not CACHED:
        return False
    send_empty(http, 304)
    return True


def send_created(
    http: Request, kind: str, name: str, digest: str, headers: Iterable[Header] = ()
) -> None:
    """Say that content is there now; `kind` is in its path: manifests, or blobs."""
    http.setHeader("Docker-Content-Digest", digest)
    location = f"/v2/{name}/{kind}/{digest}".encode()
    send_empty(http, 201, [(b"Location", location), *headers])


def send_empty(http: Request, status: int, headers: Iterable[Header] = ()) -> None:
    """Send a reply without a body."""
    set_status(http, status)
    for name, value in headers:
        http.responseHeaders.addRawHeader(name, value)
    if status not in (204, 304):
        http.setHeader("Content-Length", "0")
    http.finish()
