"""
Blobs over HTTP: downloads from disk, uploads to disk, neither held in memory.

Rules: distribution-spec 1.1, "Pulling blobs" and "Pushing blobs"; for what it
leaves open (``Range`` in replies about uploads, states in Locations),
distribution's ``spec/api.md``.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from twisted.web.server import Request
from twisted.web.static import SingleRangeStaticProducer

from regbroker.errors import DigestInvalid
from regbroker.protocol.headers import Header
from regbroker.protocol.names import is_name
from regbroker.sandbox.calls import Call
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.refusals import (
    BlobUnknown,
    RangeNotSatisfiable,
    SizeInvalid,
    UploadRangeInvalid,
)
from regbroker.sandbox.storage import Storage
from regbroker.sandbox.uploads import Uploads
from regbroker.transport.body_reading import receive_body
from regbroker.transport.replies import set_status

_BYTE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)

#: ``0-1023``; some clients write it as RFC 9110 has it, ``bytes 0-1023/*``.
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/.*)?")


class BlobEndpoints:
    """Answers for blobs and uploads; whoever calls may do what it asks for."""

    def __init__(self, storage: Storage, uploads: Uploads) -> None:
        self._storage = storage
        self._uploads = uploads

    # Blobs that are here.

    async def get_blob(self, call: Call) -> None:
        """Send a blob, or the part of it that is asked for."""
        blob = self._storage.blob(call.name, Digest.parse(call.reference))
        if call.not_modified(blob.digest):
            return
        request = call.request
        start, end = 0, blob.size
        wanted = _byte_range(request, str(blob.digest), blob.size)
        if wanted is None:
            set_status(request, 200)
        else:
            start, end = wanted
            set_status(request, 206)
            request.setHeader("Content-Range", f"bytes {start}-{end - 1}/{blob.size}")
        request.setHeader("Accept-Ranges", "bytes")
        request.setHeader("Content-Type", blob.media_type)
        request.setHeader("Content-Length", str(end - start))
        call.set_digest(blob.digest)
        if request.method == b"HEAD" or start == end:
            request.finish()
        else:
            _Download(request, blob.path.open("rb"), start, end - start).start()

    async def delete_blob(self, call: Call) -> None:
        """Take a blob out of the repository."""
        self._storage.delete_blob(call.name, Digest.parse(call.reference))
        call.send_empty(202)

    # Blobs on their way in.

    async def start_upload(self, call: Call) -> None:
        """Mount a blob, take it whole, or begin an upload of several requests."""
        digest = call.parameter("digest")
        if self._mount(call):
            return
        if digest is not None:
            await self._take_whole(call, Digest.parse(digest))
            return
        self._send_progress(call, self._uploads.start(call.name), 202)

    async def upload_status(self, call: Call) -> None:
        """Say how much has arrived."""
        self._send_progress(call, self._known(call), 204)

    async def append_chunk(self, call: Call) -> None:
        """Take a chunk, or the whole blob as a stream."""
        id = self._known(call)
        await self._receive(call, id)
        self._send_progress(call, id, 202)

    async def finish_upload(self, call: Call) -> None:
        """Take what is left and make the upload a blob."""
        id = self._known(call)
        text = call.parameter("digest")
        if text is None:
            raise DigestInvalid("an upload ends with ?digest=, which says what it is")
        digest = Digest.parse(text)
        await self._receive(call, id)
        self._uploads.finish(call.name, id, digest)
        call.send_created("blobs", digest)

    async def cancel_upload(self, call: Call) -> None:
        """Throw away what has arrived."""
        self._uploads.cancel(call.name, self._known(call))
        call.send_empty(204)

    def _mount(self, call: Call) -> bool:
        """Mount what the query names, and say so; False where that is not possible."""
        source, text = call.parameter("from") or "", call.parameter("mount")
        if text is None:
            return False
        digest = Digest.parse(text)
        if not is_name(source) or not call.token.allows("repository", source, "pull"):
            return False
        try:
            self._storage.mount_blob(call.name, digest, source)
        except BlobUnknown:
            return False
        call.send_created("blobs", digest)
        return True

    async def _take_whole(self, call: Call, digest: Digest) -> None:
        id = self._uploads.start(call.name)
        try:
            await self._receive(call, id)
        except BaseException:
            # Nobody knows its Location, so nobody can go on with it.
            self._uploads.cancel(call.name, id)
            raise
        self._uploads.finish(call.name, id, digest)
        call.send_created("blobs", digest)

    def _known(self, call: Call) -> str:
        """Return the id of a request's upload; raises `UploadUnknown`."""
        state = call.parameter("_state") or ""
        self._uploads.check_state(call.name, call.reference, state)
        return call.reference

    async def _receive(self, call: Call, id: str) -> None:
        """Write a request's body to an upload, if it is the part that comes next."""
        start = self._uploads.size(call.name, id)
        headers = self._headers(call, id, start)
        length = _chunk_length(call.request, start, headers)
        with self._uploads.append(call.name, id) as file:
            await receive_body(call.request, file.write)
        received = self._uploads.size(call.name, id) - start
        if length is not None and received != length:
            raise SizeInvalid("the chunk was not as long as Content-Range said")

    def _send_progress(self, call: Call, id: str, status: int) -> None:
        size = self._uploads.size(call.name, id)
        call.send_empty(status, self._headers(call, id, size))

    def _headers(self, call: Call, id: str, size: int) -> list[Header]:
        state = quote(self._uploads.state(call.name, id), safe="")
        location = f"/v2/{call.name}/blobs/uploads/{id}?_state={state}"
        return [
            (b"Location", location.encode()),
            (b"Docker-Upload-UUID", id.encode()),
            (b"Range", b"0-%d" % max(0, size - 1)),
        ]


class _Download(SingleRangeStaticProducer):
    """Sends part of a file, as fast as the client takes it."""

    #: Few large writes cost less than many small ones.
    bufferSize = 256 * 1024


def _byte_range(request: Request, tag: str, size: int) -> tuple[int, int] | None:
    """
    Return first byte and end of what ``Range`` asks for; None for all of it.

    Several ranges, other units and an ``If-Range`` that has another version in
    mind mean all of it too (RFC 9110, 14.2).
    """
    match = _BYTE_RANGE.fullmatch((request.getHeader("Range") or "").strip())
    if match is None or match.groups() == ("", ""):
        return None
    if request.getHeader("If-Range") not in (None, f'"{tag}"'):
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise RangeNotSatisfiable(
            f"the blob has {size} bytes",
            headers=[(b"Content-Range", b"bytes */%d" % size)],
        )
    return start, end


def _chunk_length(request: Request, size: int, headers: list[Header]) -> int | None:
    """
    Return how long ``Content-Range`` says that the body is; None if it is absent.

    Raises `UploadRangeInvalid`, with `headers`, if the body does not start at
    `size`, where the upload stands.
    """
    header = request.getHeader("Content-Range")
    if header is None:
        return None
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None or int(match[1]) != size or int(match[2]) < int(match[1]):
        raise UploadRangeInvalid(
            f"the next chunk starts at byte {size}", headers=headers
        )
    length = int(match[2]) - int(match[1]) + 1
    announced = request.getHeader("Content-Length")
    if announced is not None and announced != str(length):
        raise UploadRangeInvalid(
            "Content-Range and Content-Length do not agree", headers=headers
        )
    return length
