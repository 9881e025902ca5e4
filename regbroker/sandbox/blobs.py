"""
Blobs over HTTP: downloads from disk, uploads to disk, neither held in memory.

Rules: distribution-spec 1.1, "Pulling blobs" and "Pushing blobs"; for what it
leaves open (``Range`` in replies about uploads, states in Locations),
distribution's ``spec/api.md``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File

from regbroker.errors import UploadUnknown
from regbroker.protocol.header_list import HeaderList
from regbroker.protocol.headers import Header
from regbroker.protocol.names import Endpoint
from regbroker.protocol.query_table import MOUNT
from regbroker.sandbox.refusals import BlobUnknown, UploadRangeInvalid
from regbroker.sandbox.repositories import (
    Answers,
    is_known_to_client,
    send_created,
    send_empty,
)
from regbroker.sandbox.storage import Storage
from regbroker.transport.server.body_reading import receive_body
from regbroker.transport.server.replies import set_status
from regbroker.web.api_request import ApiRequest

#: ``0-1023``; some clients write it as RFC 9110 has it, ``bytes 0-1023/*``.
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/.*)?")

#: In ``Range``: so many bytes at the end.
_LAST_BYTES = re.compile(r"[=,]\s*-\s*(\d{1,18})")


class Blobs:
    """Answers for blobs and uploads; whoever asks may do what it asks for."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.answers: Answers = {
            (Endpoint.BLOB, "GET"): self._get_blob,
            (Endpoint.BLOB, "DELETE"): self._delete_blob,
            (Endpoint.UPLOADS, "POST"): self._start_upload,
            (Endpoint.UPLOAD, "GET"): self._upload_status,
            (Endpoint.UPLOAD, "PATCH"): self._append_chunk,
            (Endpoint.UPLOAD, "PUT"): self._finish_upload,
            (Endpoint.UPLOAD, "DELETE"): self._cancel_upload,
        }

    # Blobs that are here.

    async def _get_blob(self, asked: ApiRequest, name: str, digest: str) -> None:
        http, blob = asked.client.http, self._storage.blob(name, digest)
        if is_known_to_client(http, digest):
            return
        set_status(http, 200)
        wanted = asked.client.headers.text(b"range") or ""
        last_bytes = max(map(int, _LAST_BYTES.findall(wanted)), default=0)
        if not wanted.isascii() or last_bytes > blob.stat().st_size:
            # What is no range does not count, and more than there is means all of it
            # (RFC 9110, 14.1.2 and 14.2). Twisted would fail at the one, and seek to
            # before the file's beginning for the other.
            http.requestHeaders.removeHeader("Range")
        # Ranges, too, and nothing faster than the client takes it.
        file = File(str(blob), defaultType="application/octet-stream")
        if file.render_GET(http) is not NOT_DONE_YET:
            http.finish()

    async def _delete_blob(self, asked: ApiRequest, name: str, digest: str) -> None:
        self._storage.delete_blob(name, digest)
        send_empty(asked.client.http, 202)

    # Blobs on their way in.

    async def _start_upload(self, asked: ApiRequest, name: str, _: str) -> None:
        """Mount a blob, or begin its upload where that is not possible."""
        if asked.mount is not None:
            (digest,) = asked.query.values(MOUNT)
            with suppress(BlobUnknown):
                self._storage.mount_blob(name, digest, asked.mount.route.upstream_name)
                return send_created(asked.client.http, "blobs", name, digest)
        upload = self._storage.start_upload(name)
        send_empty(asked.client.http, 202, _progress(name, upload))

    async def _upload_status(self, asked: ApiRequest, name: str, id: str) -> None:
        upload = self._known_upload(asked, name, id)
        send_empty(asked.client.http, 204, _progress(name, upload))

    async def _append_chunk(self, asked: ApiRequest, name: str, id: str) -> None:
        upload = await self._receive(asked, name, id)
        send_empty(asked.client.http, 202, _progress(name, upload))

    async def _finish_upload(self, asked: ApiRequest, name: str, id: str) -> None:
        upload = await self._receive(asked, name, id)
        digest = "".join(asked.query.values("digest"))
        self._storage.finish_upload(name, upload, digest)
        send_created(asked.client.http, "blobs", name, digest)

    async def _cancel_upload(self, asked: ApiRequest, name: str, id: str) -> None:
        self._known_upload(asked, name, id).unlink()
        send_empty(asked.client.http, 204)

    def _known_upload(self, asked: ApiRequest, name: str, id: str) -> Path:
        """Return the file of a request's upload; raises `UploadUnknown`."""
        if asked.query.values("_state") != [_state(name, id)]:
            raise UploadUnknown("the _state is not the one of this upload's Location")
        return self._storage.upload(name, id)

    async def _receive(self, asked: ApiRequest, name: str, id: str) -> Path:
        """Write a request's body to its upload, if it is the part that comes next."""
        http, upload = asked.client.http, self._known_upload(asked, name, id)
        if not _is_next_chunk(asked.client.headers, upload.stat().st_size):
            raise UploadRangeInvalid(
                "Range says what is here; Content-Range is to go on after that, and "
                "to be as long as the body",
                headers=_progress(name, upload),
            )
        with upload.open("ab") as file:
            await receive_body(http, file.write)
        return upload


def _state(name: str, id: str) -> str:
    """Return what an upload's Location has in its query, and must come back with."""
    return f"{name}@{id}"


def _progress(name: str, upload: Path) -> list[Header]:
    """Return the headers that say where an upload is, and how much has arrived."""
    id, size = upload.name, upload.stat().st_size
    state = quote(_state(name, id), safe="")
    return [
        (b"Location", f"/v2/{name}/blobs/uploads/{id}?_state={state}".encode()),
        (b"Docker-Upload-UUID", id.encode()),
        (b"Range", b"0-%d" % max(0, size - 1)),
    ]


def _is_next_chunk(headers: HeaderList, size: int) -> bool:
    """Tell whether ``Content-Range``, if there is one, continues at `size`."""
    place = headers.text(b"content-range")
    if place is None:
        return True
    match = _CONTENT_RANGE.fullmatch(place.strip())
    if match is None or int(match[1]) != size:
        return False
    length = int(match[2]) - size + 1
    return length > 0 and headers.text(b"content-length") in (None, str(length))
