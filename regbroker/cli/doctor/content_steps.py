"""The manifest, the first bytes of a blob, and where a redirect leads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urljoin

from regbroker.cli.doctor.login_steps import authorize
from regbroker.cli.doctor.registry_rules import (
    content_trouble,
    redacted,
    size_words,
    storage_trouble,
)
from regbroker.cli.doctor.steps import Trouble
from regbroker.cli.doctor.visit import Headers, Visit
from regbroker.protocol.addresses import is_public_host
from regbroker.protocol.names import is_digest
from regbroker.protocol.origins import Origin
from regbroker.protocol.urls import Url, parse_url

#: What docker and containerd accept as a manifest.
_MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)

#: Bytes of a blob that are read.
_FIRST_BYTES = 1024
_SPAN = ("Range", f"bytes=0-{_FIRST_BYTES - 1}")


async def pull(visit: Visit, headers: Headers) -> None:
    """Read the beginning of what is wanted; raises `Stopped`."""
    headers, digest = await _manifest(visit, headers)
    if digest:
        await _blob(visit, headers, digest)


async def _manifest(visit: Visit, headers: Headers) -> tuple[Headers, str]:
    """Return the headers that were needed, and the digest of a blob or nothing."""
    wanted, reference = visit.wanted, visit.wanted.reference
    name, accept = "manifest", ("Accept", _MANIFESTS)
    # An index leads to a manifest, and no further.
    for _ in range(2):
        path = f"/v2/{wanted.name}/manifests/{reference}"
        answer, seconds = await visit.ask(name, path, (*headers, accept))
        if answer.status == 401 and not headers and answer.header("www-authenticate"):
            # Some registries let the ping pass, and challenge here.
            headers = await authorize(visit, answer)
            answer, seconds = await visit.ask(name, path, (*headers, accept))
        trouble = content_trouble(
            answer, f"manifest {reference}", wanted.name, wanted.client
        )
        kind = (answer.header("content-type") or "no type").partition(";")[0]
        seen = f"{answer.status}, {kind}, {size_words(len(answer.body))}"
        visit.examiner.note(name, seconds, seen, trouble)
        below = answer.document.get("manifests")
        if not (isinstance(below, list) and below):
            return headers, _blob_of(answer.document)
        reference = _digest(below[0])
        if not reference:
            break
        name = "of the index"
    return headers, ""


async def _blob(visit: Visit, headers: Headers, digest: str) -> None:
    wanted = visit.wanted
    path = f"/v2/{wanted.name}/blobs/{digest}"
    answer, seconds = await visit.ask(
        "blob", path, (*headers, _SPAN), limit=_FIRST_BYTES
    )
    trouble = content_trouble(answer, f"blob {digest}", wanted.name, wanted.client)
    location = answer.header("location")
    is_redirect = answer.status // 100 == 3
    if is_redirect and location is None:
        trouble = Trouble(f"it answered {answer.status} without a Location")
    if is_redirect:
        seen = f"{answer.status}: redirected"
    else:
        seen = f"{answer.status}, the first {_read(answer.body)}"
    visit.examiner.note("blob", seconds, seen, trouble)
    if is_redirect and location is not None:
        await _redirect(visit, path, location)


async def _redirect(visit: Visit, path: str, location: str) -> None:
    side = visit.side
    here = f"{side.origin}{side.base_path}{path}"
    try:
        url = parse_url(urljoin(here, location.partition("#")[0]))
    except ValueError:
        url = None
    trouble = _redirect_trouble(side.origin, url)
    visit.examiner.note("redirect", 0.0, f"to {redacted(location)}", trouble)
    assert url is not None
    where = f"where {side.origin.host} redirects to"
    await visit.reach(
        url.origin, where, "storage: ", allows=_refusal(visit, url.origin)
    )
    answer, seconds = await visit.examiner.get(
        "storage", url.origin, url.target, where, headers=(_SPAN,), limit=_FIRST_BYTES
    )
    seen = f"{answer.status}, the first {_read(answer.body)}"
    trouble = storage_trouble(answer, url.origin.host)
    visit.examiner.note("storage", seconds, seen, trouble)


def _redirect_trouble(here: Origin, url: Url | None) -> Trouble | None:
    if url is None:
        return Trouble("its Location is no URL", "let the registry's operator see it")
    if here.scheme == "https" and url.origin.scheme == "http":
        return Trouble(
            "it redirects from https to http, which no client should follow",
            "let the registry's operator give its storage an https URL",
        )
    return None


def _refusal(visit: Visit, origin: Origin) -> Callable[[str], Trouble | None]:
    """Return what says why an address may not be followed to."""
    side = visit.side
    named = {*side.redirect_hosts, side.origin.host}

    def refusal(address: str) -> Trouble | None:
        if not side.follows or origin.host in named or is_public_host(address):
            return None
        what = f"the address of {origin.host}, {address}, is not public"
        if visit.examiner.ways.has_proxy(origin):
            what = f"{origin.host} does not look like a host of the public internet"
        return Trouble(
            f"regbroker does not follow the redirect: {what}",
            f"if it is right, write 'redirect-hosts = {origin.host}' in {side.section}",
        )

    return refusal


def _read(body: bytes) -> str:
    return size_words(len(body[:_FIRST_BYTES]))


def _blob_of(manifest: dict[str, Any]) -> str:
    layers = manifest.get("layers")
    candidates: Sequence[Any] = layers if isinstance(layers, list) else []
    return next(filter(None, map(_digest, [*candidates, manifest.get("config")])), "")


def _digest(descriptor: Any) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    # It becomes a part of a request.
    return digest if isinstance(digest, str) and is_digest(digest) else ""
