"""Commands and the service load what their configuration needs, and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import issued
from tests.integration.peers.nursery import environment

ROOT = Path(__file__).resolve().parents[2]

SHIPPED = ROOT / "etc" / "regbroker.ini"

#: In front of an upstream somewhere, without anything that is an option.
PLAIN = """\
[regbroker]
listen = tls:0:interface=127.0.0.1
state-directory = {directory}/state
[tls]
certificate = {directory}/server.pem
key = {directory}/server.key
[registry *]
upstream = up
namespaces = * = *
[upstream up]
url = https://127.0.0.1:9
realm = https://127.0.0.1:9/token
service = up
"""

COMMAND = """\
import sys
from regbroker.cli.main import main
status = main()
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""

#: Ends when the first request is answered.
SERVE = """\
import socket, ssl, sys
from regbroker.cli.main import main
sys.argv[1:] = ["serve", "--config", sys.argv[1]]

def ask(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as connection:
        with context.wrap_socket(connection) as tls:
            tls.sendall(b"GET /v2/ HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
            return tls.recv(99).split()[1].decode()

def ready(self, _):
    from twisted.internet.threads import deferToThread
    port = int(self._urls[0].rpartition(":")[2])
    deferToThread(ask, port).addCallback(answered)

def answered(status):
    print(status, *sorted(sys.modules), file=sys.__stderr__)
    from twisted.internet import reactor
    reactor.stop()

class Tap:
    def find_spec(self, name, path, target=None):
        if name == "regbroker.cli.serve":
            import regbroker.tap
            regbroker.tap.TwistdService._ready = ready

sys.meta_path.insert(0, Tap())
main()
"""

#: What only some configurations use, or none.
OPTIONAL = {
    "http.client",
    "h11",
    "jwt",
    "ldaptor",
    "passlib",
    "prometheus_client",
    "treq",
    "twisted.protocols.haproxy",
    "twisted.web.client",
    "twisted.web.static",
    "regbroker.accounts.identity.verifier",
    "regbroker.accounts.password_checks",
    "regbroker.accounts.rights_tests",
    "regbroker.admin.service",
    "regbroker.broker.local_broker",
    "regbroker.sandbox",
    "regbroker.workers.front",
}

#: What only a service uses.
SERVING = {
    "regbroker.assembly.running",
    "regbroker.service",
    "regbroker.transport.tls.protocol",
    "regbroker.upstream.registry",
    "twisted.internet.reactor",
    "twisted.web.http",
    "twisted.web.server",
}


class LoadTests(SynchronousTestCase):
    def plain(self) -> Path:
        """Write a configuration without any options."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        issued("localhost").write(directory, "server")
        path = directory / "regbroker.ini"
        path.write_text(PLAIN.format(directory=directory))
        return path

    def loaded(self, program: str, *arguments: str | Path) -> set[str]:
        """Run a program, and return the words that it says at last."""
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return set(done.stderr.split("\n")[-2].split())

    def test_explain(self) -> None:
        """A name is looked up without TLS, hashes, web or upstreams."""
        for config in (SHIPPED, self.plain()):
            loaded = self.loaded(
                COMMAND, "explain", "localhost/team/app:1.0", "--config", config
            )
            self.assertIn("regbroker.cli.explain", loaded)
            needless = OPTIONAL | SERVING | {"OpenSSL", "cryptography", "asyncio"}
            self.assertEqual(needless & loaded, set())

    def test_check(self) -> None:
        """What is only served with is not loaded to check it."""
        for config in (SHIPPED, self.plain()):
            loaded = self.loaded(COMMAND, "check", "--config", config)
            self.assertIn("regbroker.cli.check", loaded)
            self.assertEqual((OPTIONAL | SERVING) & loaded, set())

    def test_serve(self) -> None:
        """Until the first answer, nothing is loaded that is an option elsewhere."""
        loaded = self.loaded(SERVE, self.plain())
        # Nobody is at the upstream.
        self.assertIn("503", loaded)
        self.assertIn("regbroker.assembly.running", loaded)
        self.assertEqual(OPTIONAL & loaded, set())
