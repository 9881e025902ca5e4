"""Transfers of one large blob that a test holds in the middle."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Callable, Iterator

from .case import PeersTestCase
from .peers.processes import poll
from .peers.slow_registry import BLOCK, SlowRegistry, digest_of, made_up

SECONDS = 60.0
LARGE = "/v2/team/large/blobs"


class TransfersTestCase(PeersTestCase):
    """regbroker in front of a registry that makes a blob of `size` bytes up."""

    size = 64 << 20
    """More than the buffers on its way hold."""

    def setUp(self) -> None:
        super().setUp()
        self.slow = SlowRegistry(self.authority, self.size)
        self.addCleanup(self.slow.stop)
        self.start_regbroker_for(self.slow.url)
        self.assertEqual(self.https.request("GET", "/v2/").status, 200)

    def connection(self) -> http.client.HTTPSConnection:
        """A connection that reads and writes by the block."""
        connection = http.client.HTTPSConnection(
            "localhost",
            self.regbroker.port,
            context=self.https.context,
            timeout=SECONDS,
            blocksize=BLOCK,
        )
        self.addCleanup(connection.close)
        return connection

    def begin_pull(self) -> tuple[http.client.HTTPResponse, bytes]:
        """A blob whose first bytes are here, and these bytes."""
        connection = self.connection()
        digest = "sha256:" + "0" * 64
        connection.request("GET", f"{LARGE}/{digest}")
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        return response, response.read(BLOCK)

    def end_pull(self, response: http.client.HTTPResponse, first: bytes) -> None:
        """Read the rest; nothing is missing and nothing is wrong."""
        whole = hashlib.sha256(first)
        for block in iter(lambda: response.read(BLOCK), b""):
            whole.update(block)
        self.assertEqual("sha256:" + whole.hexdigest(), digest_of(made_up(self.size)))

    def push(self, midway: Callable[[], None]) -> http.client.HTTPResponse:
        """Push the blob, and call `midway` in the middle of it."""

        def blocks() -> Iterator[bytes]:
            sent = 0
            for block in made_up(self.size):
                if sent >= self.size // 2 > sent - len(block):
                    midway()
                yield block
                sent += len(block)

        connection = self.connection()
        headers = {"Content-Length": str(self.size)}
        connection.request("PATCH", f"{LARGE}/uploads/1", blocks(), headers)
        response = connection.getresponse()
        response.read()
        return response

    def assert_pushed(self, response: http.client.HTTPResponse) -> None:
        """The upstream has every byte."""
        self.assertEqual(response.status, 202)
        self.assertEqual(self.slow.digest, digest_of(made_up(self.size)))

    def lines_about(self, method: str) -> list[str]:
        """The log's lines about requests for the blob, once there is one."""
        asked = f" method={method} path={LARGE}"
        found: list[str] = []

        def look() -> bool:
            lines = self.regbroker.log().splitlines()
            found[:] = [line for line in lines if " cause=" in line and asked in line]
            return bool(found)

        poll(look, f"a line about the {method}")
        return found
