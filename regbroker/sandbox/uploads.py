"""
Blobs on their way in.

::

    uploads/ID/repository    the repository's name
    uploads/ID/data          what has arrived

An upload lives from its POST to its PUT, over as many requests as the client
likes and also over a restart. Its digest is computed when it is complete.

An upload's Location carries a ``_state`` that clients must give back as it is:
id and repository, sealed. Nobody can make one up, or use it elsewhere.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from regbroker.accounts.key_file import make_key, parse_keys, secret_of
from regbroker.accounts.sealing import Seal
from regbroker.errors import DigestInvalid, TooManyRequests, UploadUnknown
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.refusals import UploadInvalid
from regbroker.sandbox.storage import Storage

#: Clients push a handful of layers at once; the rest are leftovers.
MAX_UPLOADS = 1000

#: An upload that nobody went on with for a day is not remembered by a client.
MAX_IDLE_SECONDS = 24 * 60 * 60


class Uploads:
    """The uploads of one `Storage`; `now` is the time of day in seconds."""

    def __init__(
        self, storage: Storage, *, now: Callable[[], float] = time.time
    ) -> None:
        self._storage = storage
        self._directory = storage.directory / "uploads"
        self._directory.mkdir(exist_ok=True)
        self._now = now
        key, *_ = parse_keys(make_key(storage.directory).read_bytes())
        self._seal = Seal(secret_of(key))
        self._busy: set[str] = set()
        self._remove_idle()

    def start(self, name: str) -> str:
        """Begin an upload and return its id; raises `TooManyRequests`."""
        if len(os.listdir(self._directory)) >= MAX_UPLOADS:
            self._remove_idle()
            if len(os.listdir(self._directory)) >= MAX_UPLOADS:
                raise TooManyRequests(f"{MAX_UPLOADS} uploads are under way already")
        id = str(uuid.uuid4())
        directory = self._directory / id
        directory.mkdir()
        (directory / "repository").write_text(name)
        (directory / "data").touch()
        return id

    def size(self, name: str, id: str) -> int:
        """Return how many bytes have arrived; raises `UploadUnknown`."""
        return self._data(name, id).stat().st_size

    @contextmanager
    def append(self, name: str, id: str) -> Iterator[BinaryIO]:
        """
        Open an upload to write to it; what was written stays, whatever happens.

        Raises `UploadUnknown`, or `UploadInvalid` while another request
        writes to it.
        """
        path = self._data(name, id)
        self._check_idle(id)
        self._busy.add(id)
        try:
            with path.open("ab") as file:
                yield file
        finally:
            self._busy.discard(id)

    def finish(self, name: str, id: str, digest: Digest) -> None:
        """
        Make the upload a blob of its repository.

        Raises `DigestInvalid`, and the upload is gone, if its bytes are not
        those of `digest`.
        """
        path = self._data(name, id)
        computed = Digest.of_file(path, digest.algorithm)
        if computed != digest:
            self.cancel(name, id)
            raise DigestInvalid(
                "the bytes that arrived have another digest",
                detail={"digest": str(digest), "computed": str(computed)},
            )
        self._storage.adopt_blob(name, digest, path)
        shutil.rmtree(path.parent)

    def cancel(self, name: str, id: str) -> None:
        """Throw an upload away; raises `UploadUnknown`, or `UploadInvalid`."""
        path = self._data(name, id)
        self._check_idle(id)
        shutil.rmtree(path.parent)

    def state(self, name: str, id: str) -> str:
        """Return the sealed state of an upload, safe in a query."""
        return self._seal.seal(f"sandbox upload {name} {id}", "")

    def check_state(self, name: str, id: str, state: str) -> None:
        """Raise `UploadUnknown` unless `state` was made for this upload."""
        if self._seal.open(f"sandbox upload {name} {id}", state) is None:
            raise UploadUnknown("the _state is not the one of this upload's Location")

    def _data(self, name: str, id: str) -> Path:
        directory = self._directory / id
        try:
            if (directory / "repository").read_text() == name:
                return directory / "data"
        except (FileNotFoundError, NotADirectoryError):
            pass
        raise UploadUnknown("no such upload is under way", detail={"uuid": id})

    def _check_idle(self, id: str) -> None:
        if id in self._busy:
            raise UploadInvalid("another request is writing to this upload")

    def _remove_idle(self) -> None:
        for directory in self._directory.iterdir():
            try:
                touched = (directory / "data").stat().st_mtime
            except FileNotFoundError:
                touched = 0.0
            is_old = touched < self._now() - MAX_IDLE_SECONDS
            if is_old and directory.name not in self._busy:
                shutil.rmtree(directory)
