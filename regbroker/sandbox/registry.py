"""
The registry over HTTP: who may come in, and everything but blobs.

Every request needs a token of this registry's own token service; which token,
the 401's challenge says. `SandboxResource` answers for both on one port.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from regbroker.accounts.tokens import AccessToken
from regbroker.errors import DigestInvalid, HTTPError, TagInvalid, Unauthorized
from regbroker.protocol.challenges import format_challenge
from regbroker.protocol.names import (
    WANTED_ACTIONS,
    Action,
    Endpoint,
    Target,
    is_name,
    is_tag,
    parse_path,
)
from regbroker.protocol.queries import Query, parse_query, split_target
from regbroker.protocol.scopes import (
    CATALOG_SCOPE,
    Scope,
    format_scopes,
    repository_scope,
)
from regbroker.sandbox.calls import Call
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.manifests import INDEX_TYPE, MAX_MANIFEST_BYTES, parse_manifest
from regbroker.sandbox.refusals import PageInvalid
from regbroker.sandbox.storage import Storage
from regbroker.sandbox.token_endpoint import TokenResource
from regbroker.sandbox.tokens import SERVICE, Tokens
from regbroker.sandbox.transfers import BlobEndpoints
from regbroker.sandbox.uploads import Uploads
from regbroker.transport.body_reading import read_body
from regbroker.transport.replies import send_bytes, send_error, send_json
from regbroker.transport.request_bodies import ClientGone

#: The largest page of the catalog, and the one a client gets that names no size.
CATALOG_PAGE = 100

OnRequest = Callable[[str, str, Headers], None]
_Answer = Callable[[Call], Awaitable[None]]

log = Logger()


class SandboxResource(Resource):
    """Everything on the sandbox's port; `on_request` is told of each request."""

    isLeaf = True

    def __init__(
        self,
        registry: RegistryEndpoints,
        token_endpoint: TokenResource,
        on_request: OnRequest | None = None,
    ) -> None:
        super().__init__()
        self._registry = registry
        self._token_endpoint = token_endpoint
        self._on_request = on_request

    def render(self, request: Request) -> int:
        """Answer when the answer is there."""
        if self._on_request is not None:
            self._on_request(
                request.method.decode("latin-1"),
                request.uri.decode("latin-1"),
                request.requestHeaders.copy(),
            )
        Deferred.fromCoroutine(self._answer(request)).addErrback(
            lambda failure: log.failure("the sandbox cannot answer", failure)
        )
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        try:
            if request.path == b"/token":
                await self._token_endpoint.answer(request)
            else:
                await self._registry.answer(request)
        except ClientGone:
            log.debug("a client went away: {uri}", uri=request.uri)
        except HTTPError as error:
            send_error(request, error)
        except Exception:
            log.failure("the sandbox failed to answer")
            if request.startedWriting:
                request.loseConnection()
            else:
                send_error(request, HTTPError("the sandbox failed; its log says how"))


class RegistryEndpoints:
    """Answers under ``/v2/``; `realm` returns the token service's URL."""

    def __init__(
        self,
        storage: Storage,
        uploads: Uploads,
        tokens: Tokens,
        realm: Callable[[], str],
    ) -> None:
        self._storage = storage
        self._tokens = tokens
        self._realm = realm
        blobs = BlobEndpoints(storage, uploads)
        self._answers: dict[tuple[Endpoint, str], _Answer] = {
            (Endpoint.BASE, "GET"): self._base,
            (Endpoint.CATALOG, "GET"): self._catalog,
            (Endpoint.TAGS, "GET"): self._tags,
            (Endpoint.REFERRERS, "GET"): self._referrers,
            (Endpoint.MANIFEST, "GET"): self._get_manifest,
            (Endpoint.MANIFEST, "PUT"): self._put_manifest,
            (Endpoint.MANIFEST, "DELETE"): self._delete_manifest,
            (Endpoint.BLOB, "GET"): blobs.get_blob,
            (Endpoint.BLOB, "DELETE"): blobs.delete_blob,
            (Endpoint.UPLOADS, "POST"): blobs.start_upload,
            (Endpoint.UPLOAD, "GET"): blobs.upload_status,
            (Endpoint.UPLOAD, "PATCH"): blobs.append_chunk,
            (Endpoint.UPLOAD, "PUT"): blobs.finish_upload,
            (Endpoint.UPLOAD, "DELETE"): blobs.cancel_upload,
        }

    async def answer(self, request: Request) -> None:
        """Answer, or raise the `HTTPError` that says why not."""
        path, query_text = split_target(request.uri.decode("latin-1"))
        target = parse_path(path)
        method = request.method.decode("latin-1")
        target.check_method(method)
        query = parse_query(query_text)
        token = self._admit(request, target, target.action(method), query)
        answer = self._answers[target.endpoint, "GET" if method == "HEAD" else method]
        await answer(Call(request, target, query, token))

    def _admit(
        self, request: Request, target: Target, action: Action, query: Query
    ) -> AccessToken:
        """Return what the request's token allows; raise `Unauthorized`."""
        needed = _needed_scopes(target, action, query)
        scheme, _, text = (request.getHeader("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            raise self._unauthorized(needed, None, "a token is needed")
        token = self._tokens.find(text.strip())
        if token is None:
            raise self._unauthorized(
                needed, "invalid_token", "the token is unknown or has expired"
            )
        allowed = True
        if target.name is not None:
            allowed = token.allows("repository", target.name, action.value)
        elif target.endpoint is Endpoint.CATALOG:
            allowed = token.allows("registry", "catalog", "*")
        if not allowed:
            raise self._unauthorized(
                needed, "insufficient_scope", "the token does not allow this"
            )
        return token

    def _unauthorized(
        self, scopes: tuple[Scope, ...], error: str | None, message: str
    ) -> Unauthorized:
        scope = format_scopes(scopes)
        parameters = [("realm", self._realm()), ("service", SERVICE)]
        challenge = format_challenge(
            "Bearer", [*parameters, ("scope", scope), ("error", error)]
        )
        return Unauthorized(
            message,
            detail=scope or None,
            headers=[(b"WWW-Authenticate", challenge)],
        )

    # Lists.

    async def _base(self, call: Call) -> None:
        send_json(call.request, {})

    async def _catalog(self, call: Call) -> None:
        names = self._page(call, self._storage.repositories(), CATALOG_PAGE)
        send_json(call.request, {"repositories": names})

    async def _tags(self, call: Call) -> None:
        tags = self._page(call, self._storage.tags(call.name), None)
        send_json(call.request, {"name": call.name, "tags": tags})

    def _page(self, call: Call, entries: list[str], limit: int | None) -> list[str]:
        """Return the entries after ``last``, ``n`` of them; set Link if more follow."""
        last, n = call.parameter("last") or "", call.parameter("n")
        size = limit
        if n:
            if not (n.isascii() and n.isdigit() and len(n) < 10):
                raise PageInvalid("n is not a number of entries", detail={"n": n[:20]})
            size = int(n) if limit is None else min(int(n), limit)
        entries = [entry for entry in entries if entry > last]
        page = entries[:size]
        if page and len(page) < len(entries):
            query = urlencode({"last": page[-1], "n": size})
            link = f'<{call.target.path}?{query}>; rel="next"'
            call.request.setHeader("Link", link)
        return page

    async def _referrers(self, call: Call) -> None:
        found = self._storage.referrers(call.name, Digest.parse(call.reference))
        wanted = call.parameter("artifactType")
        if wanted:
            found = [entry for entry in found if entry.get("artifactType") == wanted]
            call.request.setHeader("OCI-Filters-Applied", "artifactType")
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": found}
        body = json.dumps(index).encode()
        send_bytes(call.request, 200, INDEX_TYPE.encode(), body)

    # Manifests.

    async def _get_manifest(self, call: Call) -> None:
        manifest = self._storage.manifest(call.name, call.reference)
        if call.not_modified(manifest.digest):
            return
        call.set_digest(manifest.digest)
        body = manifest.path.read_bytes()
        send_bytes(call.request, 200, manifest.media_type.encode(), body)

    async def _put_manifest(self, call: Call) -> None:
        by_tag = is_tag(call.reference)
        tags = [call.reference] if by_tag else call.query.values("tag")
        if not all(map(is_tag, tags)):
            raise TagInvalid("a tag parameter is not a tag")
        expected = None if by_tag else Digest.parse(call.reference)
        body = await read_body(call.request, MAX_MANIFEST_BYTES)
        digest = Digest.of(body, expected.algorithm if expected else "sha256")
        if expected not in (None, digest):
            raise DigestInvalid(
                "the manifest has another digest",
                detail={"digest": str(expected), "computed": str(digest)},
            )
        manifest = parse_manifest(body, call.request.getHeader("Content-Type"))
        self._storage.put_manifest(call.name, digest, body, manifest)
        for tag in tags:
            self._storage.tag(call.name, tag, digest)
        headers = []
        if manifest.subject is not None:
            headers.append((b"OCI-Subject", str(manifest.subject).encode()))
        if not by_tag:
            headers += [(b"OCI-Tag", tag.encode()) for tag in tags]
        call.send_created("manifests", digest, headers)

    async def _delete_manifest(self, call: Call) -> None:
        if is_tag(call.reference):
            self._storage.delete_tag(call.name, call.reference)
        else:
            self._storage.delete_manifest(call.name, Digest.parse(call.reference))
        call.send_empty(202)


def _needed_scopes(target: Target, action: Action, query: Query) -> tuple[Scope, ...]:
    """Return the scopes that a token for this request should have."""
    if target.endpoint is Endpoint.CATALOG:
        return (CATALOG_SCOPE,)
    if target.name is None:
        return ()
    needed = repository_scope(target.name, *WANTED_ACTIONS[action])
    sources = query.values("from") if target.endpoint is Endpoint.UPLOADS else []
    return (needed, *(repository_scope(s, "pull") for s in sources[:1] if is_name(s)))
