"""A registry without accounts that takes its time over one large blob.

It stores nothing: what it is sent it digests, and what it serves it makes up. All that
it is for is to be slower than what is on the other side of regbroker.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from .certificates import Authority
from .threaded import TlsServer

BLOCK = 1 << 20
"""Data is made, sent and read in pieces of this size."""

BYTES_PER_SECOND = 120e6
STALL_EVERY = 128 * BLOCK
STALL_SECONDS = 0.4
"""In a stall nothing is read: whoever sends must stop, or hold the data."""

NOISE = os.urandom(BLOCK)
UPLOAD = "/v2/acme_team/large/blobs/uploads/1"


def made_up(size: int) -> Iterator[bytes]:
    """`size` bytes, always the same, no two blocks alike."""
    for start in range(0, size, BLOCK):
        block = start.to_bytes(8, "big") + NOISE[8:]
        yield block[: min(BLOCK, size - start)]


def throttled(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks, taken in bursts, with stalls, at a bounded mean rate."""
    start = time.monotonic()
    done = 0
    next_stall = STALL_EVERY
    for block in blocks:
        yield block
        done += len(block)
        ahead = start + done / BYTES_PER_SECOND - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        if done >= next_stall:
            next_stall += STALL_EVERY
            time.sleep(STALL_SECONDS)
            start += STALL_SECONDS


def digest_of(blocks: Iterable[bytes]) -> str:
    """The OCI digest of some blocks."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return "sha256:" + digest.hexdigest()


class SlowRegistry:
    """Takes one upload at a time, slowly, and serves blobs of `blob_size` bytes."""

    def __init__(self, authority: Authority, blob_size: int) -> None:
        self.blob_size = blob_size
        self.digest = ""
        self.targets: list[str] = []
        """What was asked for so far."""

        class Handler(_SlowHandler):
            registry = self

        pair = authority.issue("127.0.0.1")
        self._server = TlsServer(pair, Handler)
        self.url = f"https://127.0.0.1:{self._server.port}"

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self._server.stop()


class _SlowHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rbufsize = BLOCK
    registry: ClassVar[SlowRegistry]

    def parse_request(self) -> bool:
        """Note what is asked for."""
        good = super().parse_request()
        if good:
            self.registry.targets.append(self.path)
        return good

    def do_GET(self) -> None:
        if "/blobs/sha256:" not in self.path:
            self._reply(200)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.registry.blob_size))
        self.end_headers()
        for block in made_up(self.registry.blob_size):
            self.wfile.write(block)

    def do_POST(self) -> None:
        self._reply(202, Location=UPLOAD)

    def do_PATCH(self) -> None:
        self.registry.digest = digest_of(throttled(self._body()))
        self._reply(202, Location=UPLOAD)

    def do_PUT(self) -> None:
        digest = parse_qs(urlsplit(self.path).query)["digest"][0]
        for _ in self._body():
            pass
        fits = digest == self.registry.digest
        location = f"/v2/acme_team/large/blobs/{digest}"
        self._reply(201 if fits else 400, Location=location)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from self._read(int(self.headers.get("Content-Length", "0")))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield from self._read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _read(self, size: int) -> Iterator[bytes]:
        while size > 0:
            data = self.rfile.read(min(BLOCK, size))
            if not data:
                raise ConnectionError("the body ended early")
            size -= len(data)
            yield data

    def _reply(self, status: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", "0")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
