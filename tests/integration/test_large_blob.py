"""A large blob costs what a small one does, however slow the other side is."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterable
from pathlib import Path

from .case import UPSTREAM_WORDS, PeersTestCase
from .peers.slow_registry import (
    BLOCK,
    SlowRegistry,
    digest_of,
    made_up,
    throttled,
)

BLOB_SIZE = 256 << 20
"""Twenty times the limit, and long enough for two stalls."""

GROWTH_LIMIT = 12 << 20
REPLY_SECONDS = 120.0


class PeakMemory:
    """How far a process's resident memory has risen since this was made."""

    def __init__(self, pid: int) -> None:
        self._process = Path("/proc") / str(pid)
        (self._process / "clear_refs").write_text("5")
        self._before = self._read("VmHWM")

    def growth(self) -> int:
        """Bytes between the peak since then and what was in use then."""
        return self._read("VmHWM") - self._before

    def _read(self, field: str) -> int:
        status = (self._process / "status").read_text()
        match = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        if match is None:
            raise AssertionError(f"no {field} in {status}")
        return int(match[1]) * 1024


class LargeBlobTests(PeersTestCase):
    """Backpressure in both directions."""

    def setUp(self) -> None:
        super().setUp()
        self.slow = SlowRegistry(self.authority, BLOB_SIZE)
        self.addCleanup(self.slow.stop)
        self.start_regbroker_for(self.slow.url)
        # what is imported and connected for the first request is not the blob's cost
        self.assertEqual(self.https.request("GET", "/v2/").status, 200)
        self.memory = PeakMemory(self.regbroker.pid)

    def connection(self) -> http.client.HTTPSConnection:
        """A connection to regbroker that reads and writes by the block."""
        connection = http.client.HTTPSConnection(
            "localhost",
            self.regbroker.port,
            context=self.https.context,
            timeout=REPLY_SECONDS,
            blocksize=BLOCK,
        )
        self.addCleanup(connection.close)
        return connection

    def upload(self, blocks: Iterable[bytes], headers: dict[str, str]) -> None:
        """Push blocks as one blob; the upstream must find the right digest."""
        started = self.https.request("POST", "/v2/team/large/blobs/uploads/")
        self.assertEqual(started.status, 202, started)
        connection = self.connection()
        chunked = "Content-Length" not in headers
        connection.request(
            "PATCH", started.location(), blocks, headers, encode_chunked=chunked
        )
        response = connection.getresponse()
        response.read()
        self.assertEqual(response.status, 202)
        digest = digest_of(made_up(BLOB_SIZE))
        done = self.https.request("PUT", f"{started.location()}?digest={digest}")
        self.assertEqual(done.status, 201, done)
        self.assertEqual(self.slow.digest, digest)
        self.assertEqual(self.transcript.occurrences(UPSTREAM_WORDS), [])

    def assert_little_memory(self) -> None:
        """The process has grown by less than the limit, at its peak."""
        self.assertLess(self.memory.growth(), GROWTH_LIMIT)

    def test_upload_in_chunks(self) -> None:
        """As docker and podman push, into an upstream that reads slowly."""
        self.upload(made_up(BLOB_SIZE), {"Transfer-Encoding": "chunked"})
        self.assert_little_memory()

    def test_upload_with_a_length(self) -> None:
        """As crane and oras push, into an upstream that reads slowly."""
        self.upload(made_up(BLOB_SIZE), {"Content-Length": str(BLOB_SIZE)})
        self.assert_little_memory()

    def test_download(self) -> None:
        """Into a client that reads slowly."""
        digest = digest_of(made_up(BLOB_SIZE))
        connection = self.connection()
        connection.request("GET", f"/v2/team/large/blobs/{digest}")
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        self.assertEqual(response.getheader("Content-Length"), str(BLOB_SIZE))
        blocks = iter(lambda: response.read(BLOCK), b"")
        self.assertEqual(digest_of(throttled(blocks)), digest)
        self.assert_little_memory()
