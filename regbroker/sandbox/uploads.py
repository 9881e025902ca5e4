"""
Blobs on their way in.

::

    uploads/ID/repository    the repository's name
    uploads/ID/data          what has arrived

An upload lives from its POST to its PUT, over as many requests as the client
likes and also over a restart. Its digest is computed as the bytes arrive; only
after a restart, or when the client asks for another algorithm in the end, is
the file read again.

An upload's Location carries a ``_state`` that clients must give back as it is:
id and repository, signed. Nobody can make one up, or use it elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from regbroker.errors import DigestInvalid
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.refusals import TooManyUploads, UploadInvalid, UploadUnknown
from regbroker.sandbox.storage import Storage

if TYPE_CHECKING:
    from hashlib import _Hash

#: Clients push a handful of layers at once; the rest are leftovers.
MAX_UPLOADS = 1000

#: An upload that nobody went on with for a day is not remembered by a client.
MAX_IDLE_SECONDS = 24 * 60 * 60

_READ_BYTES = 1024 * 1024


@dataclass
class Upload:
    """An upload that a request is working on: `size` bytes have arrived."""

    id: str
    name: str
    size: int
    _file: BinaryIO
    _hash: _Hash

    def write(self, data: bytes) -> None:
        """Append the next bytes."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)


class Uploads:
    """The uploads of one `Storage`; `now` is the time of day in seconds."""

    def __init__(
        self, storage: Storage, *, now: Callable[[], float] = time.time
    ) -> None:
        self._storage = storage
        self._directory = storage.directory / "uploads"
        self._directory.mkdir(exist_ok=True)
        self._now = now
        self._key = _signing_key(storage.directory / "upload-key")
        self._hashes: dict[str, _Hash] = {}
        self._busy: set[str] = set()
        self._remove_idle()

    def start(self, name: str) -> str:
        """Begin an upload and return its id; raises `TooManyUploads`."""
        if len(os.listdir(self._directory)) >= MAX_UPLOADS:
            self._remove_idle()
            if len(os.listdir(self._directory)) >= MAX_UPLOADS:
                raise TooManyUploads(f"{MAX_UPLOADS} uploads are under way already")
        id = str(uuid.uuid4())
        directory = self._directory / id
        directory.mkdir()
        (directory / "repository").write_text(name)
        (directory / "data").touch()
        self._hashes[id] = hashlib.sha256()
        return id

    def size(self, name: str, id: str) -> int:
        """Return how many bytes have arrived; raises `UploadUnknown`."""
        return self._data(name, id).stat().st_size

    @contextmanager
    def append(self, name: str, id: str, algorithm: str = "sha256") -> Iterator[Upload]:
        """
        Open an upload to write to it; what was written stays, whatever happens.

        Raises `UploadUnknown`, or `UploadInvalid` while another request
        writes to it.
        """
        path = self._data(name, id)
        if id in self._busy:
            raise UploadInvalid("another request is writing to this upload")
        digest = self._hash(id, path, algorithm)
        self._busy.add(id)
        try:
            with path.open("ab") as file:
                yield Upload(id, name, path.stat().st_size, file, digest)
        except OSError:
            # What reached the file need not be what reached the hash.
            self._hashes.pop(id, None)
            raise
        finally:
            self._busy.discard(id)

    def finish(self, name: str, id: str, digest: Digest) -> None:
        """
        Make the upload a blob of its repository.

        Raises `DigestInvalid`, and the upload is gone, if its bytes are not
        those of `digest`.
        """
        path = self._data(name, id)
        computed = self._hash(id, path, digest.algorithm).hexdigest()
        if computed != digest.encoded:
            self.cancel(name, id)
            raise DigestInvalid(
                "the bytes that arrived have another digest",
                detail={"digest": str(digest), "computed": computed},
            )
        self._storage.adopt_blob(name, digest, path)
        self._forget(id)

    def cancel(self, name: str, id: str) -> None:
        """Throw an upload away; raises `UploadUnknown`."""
        self._data(name, id)
        if id in self._busy:
            raise UploadInvalid("another request is writing to this upload")
        self._forget(id)

    # The state in a Location.

    def state(self, name: str, id: str) -> str:
        """Return the signed state of an upload, safe in a query."""
        message = json.dumps({"Name": name, "UUID": id}).encode()
        return base64.urlsafe_b64encode(self._sign(message) + message).decode()

    def check_state(self, name: str, id: str, state: str) -> None:
        """Raise `UploadUnknown` unless `state` was made for this upload."""
        try:
            raw = base64.urlsafe_b64decode(state.encode())
        except (binascii.Error, ValueError):
            raw = b""
        signature, message = raw[:32], raw[32:]
        if not hmac.compare_digest(signature, self._sign(message)) or json.loads(
            message
        ) != {"Name": name, "UUID": id}:
            raise UploadUnknown("the _state is not the one of this upload's Location")

    def _sign(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, "sha256")

    # The tree.

    def _data(self, name: str, id: str) -> Path:
        directory = self._directory / id
        try:
            if (directory / "repository").read_text() == name:
                return directory / "data"
        except (FileNotFoundError, NotADirectoryError):
            pass
        raise UploadUnknown("no such upload is under way", detail={"uuid": id})

    def _hash(self, id: str, path: Path, algorithm: str) -> _Hash:
        known = self._hashes.get(id)
        if known is None or known.name != algorithm:
            known = hashlib.new(algorithm)
            with path.open("rb") as file:
                while data := file.read(_READ_BYTES):
                    known.update(data)
            self._hashes[id] = known
        return known

    def _forget(self, id: str) -> None:
        self._hashes.pop(id, None)
        shutil.rmtree(self._directory / id)

    def _remove_idle(self) -> None:
        for directory in self._directory.iterdir():
            try:
                touched = (directory / "data").stat().st_mtime
            except FileNotFoundError:
                touched = 0.0
            if touched < self._now() - MAX_IDLE_SECONDS and (
                directory.name not in self._busy
            ):
                self._forget(directory.name)


def _signing_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        return key
