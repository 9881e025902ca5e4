"""SIGTERM: what is under way has time to end, and the log blames nobody."""

from __future__ import annotations

import http.client
import signal
import socket

from .peers.processes import poll
from .transfers_case import SECONDS, TransfersTestCase

CLIENTS = 5
"""More than are accepted in one step of a quiet process."""


class DrainTestCase(TransfersTestCase):
    """One SIGTERM, and what comes of it."""

    def terminate(self) -> None:
        """Send SIGTERM, and wait until it has been heard."""
        self.regbroker.signal(signal.SIGTERM)
        self.regbroker.wait_for("stopping: requests under way: 1;")

    def assert_ended(self) -> None:
        """The process has ended well, and nothing went wrong."""
        self.assertEqual(self.regbroker.wait(), 0)
        self.assertNotIn("Traceback", self.regbroker.log())
        self.assertNotIn("Unhandled", self.regbroker.log())

    def assert_cause(self, method: str, cause: str) -> None:
        """The one line about a transfer says why it has ended."""
        (line,) = self.lines_about(method)
        self.assertIn(f" cause={cause} ", line)


class EnoughTimeTests(DrainTestCase):
    """30 s, as by default."""

    main = "drain-timeout = 30"

    def test_pull(self) -> None:
        """A pull ends whole, then the process does."""
        response, first = self.begin_pull()
        self.terminate()
        self.end_pull(response, first)
        self.assert_ended()
        self.assert_cause("GET", "done")

    def test_push(self) -> None:
        """So does a push; its client is told that this was the last reply."""
        response = self.push(self.terminate)
        self.assert_pushed(response)
        self.assertEqual(response.getheader("Connection"), "close")
        self.assert_ended()
        self.assert_cause("PATCH", "done")

    def test_others_meanwhile(self) -> None:
        """A client that is connected is answered once more; a new one is refused."""
        connected = self.connection()
        connected.request("GET", "/v2/")
        reply = connected.getresponse()
        reply.read()
        self.assertIsNone(reply.getheader("Connection"))
        response, first = self.begin_pull()
        self.terminate()
        connected.request("GET", "/v2/")
        reply = connected.getresponse()
        reply.read()
        self.assertEqual((reply.status, reply.getheader("Connection")), (200, "close"))
        with socket.socket() as probe:
            address = ("127.0.0.1", self.regbroker.port)
            self.assertNotEqual(probe.connect_ex(address), 0)
        self.end_pull(response, first)
        self.assert_ended()

    def test_nothing_under_way(self) -> None:
        """A client that is connected and asks for nothing is not waited for long."""
        connected = self.connection()
        connected.request("GET", "/v2/")
        connected.getresponse().read()
        self.regbroker.signal(signal.SIGTERM)
        self.assert_ended()

    def test_connected_a_moment_before(self) -> None:
        """Clients that nobody has accepted yet are served, and not reset."""
        address = ("127.0.0.1", self.regbroker.port)
        self.regbroker.signal(signal.SIGSTOP)
        try:
            waiting = [
                socket.create_connection(address, SECONDS) for _ in range(CLIENTS)
            ]
            self.regbroker.signal(signal.SIGTERM)
        finally:
            self.regbroker.signal(signal.SIGCONT)
        for each in waiting:
            connection = self.connection()
            connection.sock = self.https.context.wrap_socket(
                each, server_hostname="localhost"
            )
            connection.request("GET", "/v2/")
            reply = connection.getresponse()
            reply.read()
            self.assertEqual(
                (reply.status, reply.getheader("Connection")), (200, "close")
            )
        self.assert_ended()
        # The first one is that of `setUp`.
        self.assertEqual(self.regbroker.log().count(" path=/v2/ "), CLIENTS + 1)

    def test_second_signal(self) -> None:
        """A second signal ends at once what is under way."""
        response, _ = self.begin_pull()
        self.terminate()
        self.regbroker.signal(signal.SIGTERM)
        self.assert_ended()
        self.assertIn("stopping at once", self.regbroker.log())
        self.assertRaises(http.client.IncompleteRead, response.read)
        self.assert_cause("GET", "stopped")


class TooLittleTimeTests(DrainTestCase):
    """Too little for a client that does not read."""

    main = "drain-timeout = 0.2"

    def test_pull(self) -> None:
        """The pull is cut; the log says that regbroker was stopped, nothing else."""
        response, _ = self.begin_pull()
        self.terminate()
        self.assert_ended()
        self.assertRaises(http.client.IncompleteRead, response.read)
        self.assert_cause("GET", "stopped")
        self.assertEqual(len(self.lines_about("GET")), 1)

    def test_push(self) -> None:
        """The push is cut; a client that still reads is told why."""
        seen = len(self.slow.targets)
        connection = self.connection()
        connection.putrequest("PATCH", "/v2/team/large/blobs/uploads/1")
        connection.putheader("Content-Length", str(self.size))
        connection.endheaders(bytes(100_000))
        poll(lambda: len(self.slow.targets) > seen, "the upload upstream")
        self.terminate()
        response = connection.getresponse()
        self.assertEqual(response.status, 503)
        self.assertIn(b"regbroker was stopped", response.read())
        self.assert_ended()
        self.assert_cause("PATCH", "stopped")
