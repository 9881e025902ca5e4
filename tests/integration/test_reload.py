"""SIGHUP, and certificate files that change, while clients are at work."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
from pathlib import Path

from .case import PeersTestCase
from .peers.nursery import environment
from .peers.processes import Daemon, poll
from .peers.systemd import NotifySocket, serve_command
from .transfers_case import SECONDS, TransfersTestCase

CLIENTS = 10
"""More than are accepted in one step of a quiet process."""


class LargeTestCase(TransfersTestCase):
    """1 GiB, once in each direction: what takes minutes in a company's network."""

    size = 1 << 30

    def rewrite(self, old: str, new: str) -> None:
        """Change the configuration file."""
        path = self.regbroker.configuration
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))

    def reload(self) -> None:
        """Have it read again what is right."""
        self.assertIn("read again, and in use", self.regbroker.reload())

    def upstream_name(self) -> str:
        """The name by which the upstream is asked for team/app."""
        self.https.request("GET", "/v2/team/app/manifests/1.0")
        return self.slow.targets[-1]

    def change_everything(self) -> None:
        """A changed mapping, a broken file, twenty in a row."""
        self.rewrite("team = acme_team", "team = other_team")
        self.reload()
        self.assertEqual(self.upstream_name(), "/v2/other_team/app/manifests/1.0")

        good = self.regbroker.configuration.read_text()
        self.rewrite("team = other_team", "team =")
        self.rewrite("ca-file = ", "ca-file = /nowhere")
        said = self.regbroker.reload()
        self.assertIn("not taken; regbroker goes on with what it had", said)
        self.assertIn("[registry localhost] namespaces: ", said)
        self.assertIn("[upstream up] ca-file: ", said)
        self.assertNotIn("Traceback", said)
        self.assertEqual(self.upstream_name(), "/v2/other_team/app/manifests/1.0")

        # The path is written once in a line.
        path = self.regbroker.configuration
        path.unlink()
        self.assertIn(f"error] {path}: No such file", self.regbroker.reload())

        self.regbroker.configuration.write_text(good)
        for number in range(20):
            self.rewrite("team = other_team", f"team = other_{number}")
            self.reload()
            self.rewrite(f"team = other_{number}", "team = other_team")
        self.assertEqual(self.upstream_name(), "/v2/other_19/app/manifests/1.0")

    def assert_all_well(self, method: str) -> None:
        """The transfer is one line, and nothing went wrong."""
        (line,) = self.lines_about(method)
        self.assertIn(" cause=done ", line)
        self.assertIn(" upstream_name=acme_team/large ", line)
        self.assertNotIn("Traceback", self.regbroker.log())
        self.assertNotIn("Unhandled", self.regbroker.log())


class LargePullTests(LargeTestCase):
    def test_pull(self) -> None:
        """A pull of 1 GiB outlasts every reload, byte by byte."""
        response, first = self.begin_pull()
        self.change_everything()
        self.end_pull(response, first)
        self.assert_all_well("GET")


class LargePushTests(LargeTestCase):
    def test_push(self) -> None:
        """So does a push."""
        response = self.push(self.change_everything)
        self.assert_pushed(response)
        # It began with the old rules, and its Location has the client's name.
        location = response.getheader("Location")
        self.assertEqual(location, "/v2/team/large/blobs/uploads/1")
        self.assert_all_well("PATCH")


class CertificateTests(TransfersTestCase):
    """A pair that is renewed on disk; nobody sends a signal."""

    size = 1 << 20

    def setUp(self) -> None:
        super().setUp()
        self.pair = self.authority.issue("localhost", "127.0.0.1")
        self.shown: set[int] = set()

    def connect(self) -> int:
        """Connect as clients do; the serial number that is shown."""
        plain = socket.create_connection(("127.0.0.1", self.regbroker.port), 30)
        with self.https.context.wrap_socket(plain, server_hostname="localhost") as tls:
            certificate = tls.getpeercert()
        assert certificate is not None
        number = int(str(certificate["serialNumber"]), 16)
        self.shown.add(number)
        return number

    def replace(self, suffix: str, text: bytes) -> None:
        """Replace a file in place, as those do who renew certificates."""
        path = self.regbroker.directory / f"server.{suffix}"
        new = Path(f"{path}.new")
        new.write_bytes(text)
        new.replace(path)

    def test_replaced(self) -> None:
        """Each client is shown the one or the other, and a whole pair."""
        before = self.connect()
        response, first = self.begin_pull()
        wanted = self.pair.certificate.serial_number
        # Half of a pair is none: it is not taken.
        self.replace("crt", self.pair.certificate_pem())
        self.assertEqual(self.connect(), before)
        self.replace("key", self.pair.key_pem())
        poll(lambda: self.connect() == wanted, "the new certificate", 60)
        self.assertEqual(self.shown, {before, wanted})
        self.assertIn("certificates: read again", self.regbroker.log())
        # Who was connected before goes on.
        self.end_pull(response, first)

    def test_reload(self) -> None:
        """A reload takes it at once."""
        before = self.connect()
        self.replace("crt", self.pair.certificate_pem())
        self.assertIn("not taken", self.regbroker.reload())
        self.assertEqual(self.connect(), before)
        self.replace("key", self.pair.key_pem())
        self.assertIn("read again, and in use", self.regbroker.reload())
        self.assertEqual(self.connect(), self.pair.certificate.serial_number)


class ListenerTests(TransfersTestCase):
    """A listener that is gone, while clients connect to it."""

    size = 1 << 20

    def ask(self, address: tuple[str, int]) -> http.client.HTTPConnection:
        """A client that is connected, and has sent its request."""
        client = http.client.HTTPConnection(*address, SECONDS)
        self.addCleanup(client.close)
        client.request("GET", "/v2/", headers={"Host": "localhost"})
        return client

    def test_connected_a_moment_before(self) -> None:
        """Clients that nobody has accepted yet are answered, and not reset."""
        path = self.regbroker.configuration
        without = path.read_text()
        line = "    tcp:0:interface=127.0.0.2"
        path.write_text(without.replace("listen =\n", f"listen =\n{line}\n"))
        said = self.regbroker.reload()
        match = re.search(r"listening on http://127\.0\.0\.2:(\d+)", said)
        assert match is not None
        address = ("127.0.0.2", int(match[1]))
        path.write_text(without)
        # After a step with one client, the next one accepts no more than one.
        self.assertEqual(self.ask(address).getresponse().status, 200)
        os.kill(self.regbroker.pid, signal.SIGSTOP)
        try:
            clients = [self.ask(address) for _ in range(CLIENTS)]
            os.kill(self.regbroker.pid, signal.SIGHUP)
        finally:
            os.kill(self.regbroker.pid, signal.SIGCONT)
        for client in clients:
            reply = client.getresponse()
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.getheader("Connection"), "close")
        self.regbroker.wait_for("no longer listening on http://127")
        with socket.socket() as probe:
            self.assertNotEqual(probe.connect_ex(address), 0)


CONFIGURATION = """\
[regbroker]
listen =
    tcp:0:interface=127.0.0.1
{more}
state-directory = {directory}/state
[registry *]
upstream = sandbox
accounts = staff
namespaces = * = *
[upstream sandbox]
url = sandbox:
[accounts staff]
htpasswd = {directory}/htpasswd
[access staff]
alice = **: pull
"""


class SystemdTests(PeersTestCase):
    """What systemd hears of a reload."""

    def setUp(self) -> None:
        super().setUp()
        self.notified = NotifySocket(self.directory / "notify")
        self.addCleanup(self.notified.close)
        (self.directory / "htpasswd").write_text("alice:{PLAIN}secret\n")
        self.path = self.directory / "regbroker.ini"
        self.write()
        variables = environment() | {"NOTIFY_SOCKET": str(self.notified.path)}
        self.daemon = Daemon(
            serve_command(self.path), self.directory / "log", variables
        )
        self.addCleanup(self.daemon.stop)
        self.notified.wait_for("READY")

    def write(self, *listen: str) -> None:
        """Write the configuration, with more listeners."""
        more = "\n".join(f"    {line}" for line in listen)
        text = CONFIGURATION.format(directory=self.directory, more=more)
        self.path.write_text(text)

    def reload(self) -> str:
        """Reload; the status afterwards."""
        os.kill(self.daemon.pid, signal.SIGHUP)
        reloading = self.notified.wait_for("RELOADING")
        self.assertGreater(int(reloading["MONOTONIC_USEC"]), 0)
        return self.notified.wait_for("READY")["STATUS"]

    def test_told(self) -> None:
        """RELOADING, then READY, with what is served, or what is wrong."""
        self.write("tcp:0:interface=127.0.0.2")
        self.assertRegex(
            self.reload(), r"^serving http://127\.0\.0\.1:\d+, http://127\.0\.0\.2:\d+$"
        )
        self.path.write_text("[registry]")
        self.assertRegex(
            self.reload(),
            r"^serving http://127\.0\.0\.1:\d+, .*; the last reload failed: \[registry",
        )
        self.write()
        self.assertRegex(self.reload(), r"^serving http://127\.0\.0\.1:\d+$")

    def test_port_taken(self) -> None:
        """A port that cannot be bound is told, and everything is as it was."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.write("tcp:0:interface=127.0.0.2", f"tcp:{port}:interface=127.0.0.1")
            self.assertRegex(
                self.reload(),
                rf"^serving http://127\.0\.0\.1:\d+; .* cannot listen on tcp:{port}",
            )
