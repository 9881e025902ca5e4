"""More connections than a process has room for."""

from __future__ import annotations

import os
import resource
import socket
import ssl

from .peers.processes import poll
from .test_endings import SECONDS, EndingTestCase


class FullHouseTestCase(EndingTestCase):
    """A place for tests in which there is no room for a while."""

    def is_served(self) -> bool:
        """Whether a client that comes now is served."""
        try:
            connection = self.download("half")
            head = connection.recv(65536)
        except (ConnectionError, ssl.SSLError):
            # Not everybody is told that there is no room.
            return False
        connection.close()
        return head.startswith(b"HTTP/1.1 200 ")


class ManyConnectionsTests(FullHouseTestCase):
    """Connections that are too many."""

    main = "max-connections-per-address = 2"

    def test_told(self) -> None:
        """The third client hears 503, and one line of the log says how many."""
        held = [self.connect() for _ in range(2)]
        self.assert_status(self.download("half"), 503)
        self.assertIn(
            "refused connections: 1 beyond max-connections-per-address = 2; "
            "1 from 127.0.0.1",
            self.regbroker.log(),
        )
        held.pop().close()

        poll(self.is_served, "room", SECONDS)


class FewFilesTests(FullHouseTestCase):
    """A process that may open few files says no before it has none left."""

    main = "max-connections-per-address = 96"
    upstream_options = ""
    files = 256

    def setUp(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Whoever is started inherits it.
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, hard))
        try:
            super().setUp()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def held(self) -> int:
        """How many files the process has open."""
        return len(os.listdir(f"/proc/{self.regbroker.pid}/fd"))

    def test_flood(self) -> None:
        """Connections that say nothing take what there is for them, and no more."""
        transfers = [self.begun("endless") for _ in range(20)]
        before = self.held()
        place = ("127.0.0.1", self.regbroker.port)
        flood = [socket.create_connection(place, SECONDS) for _ in range(400)]
        for connection in flood:
            self.addCleanup(connection.close)
        poll(
            lambda: "beyond max-connections = 96" in self.regbroker.log(),
            "a refusal",
            SECONDS,
        )
        poll(lambda: self.held() >= before + 76, "all places taken", SECONDS)
        self.assertLess(self.held(), self.files - 32)
        for transfer in transfers:
            self.assertNotEqual(transfer.recv(1000), b"")
            transfer.close()
        for connection in flood:
            connection.close()

        poll(self.is_served, "room", SECONDS)
        self.assertNotIn("Too many open files", self.regbroker.log())
        self.assertNotIn("Traceback", self.regbroker.log())
