"""What a configuration needs is what building it imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.key_file import make_key
from regbroker.assembly.loading import read_config
from regbroker.assembly.needed import LEISURE_SECONDS, load_at_leisure, needed
from tests.integration.peers.nursery import environment

#: A registry before an upstream; `own` are lines of the section of each.
PLAIN = """\
[regbroker]
listen = tcp:0:interface=127.0.0.1
state-directory = state
{main}
[registry *]
upstream = up
namespaces = * = *
{registry}
[upstream up]
{upstream}
[upstream unused]
url = sandbox:
proxy = http://127.0.0.1:9
{more}
"""

ACCOUNTS = """\
[accounts staff]
htpasswd = users
[access staff]
alice = **: pull
"""

IDENTITY = """\
[identity ci]
issuer = https://issuer.test
audience = us
jwks = https://127.0.0.1:9/keys
user = ci:${sub}
[access ci]
ci[] = **: pull
"""

#: Of everything; what is asked for with the first question is in all of them.
ALWAYS = "regbroker.upstream.document_requests"

#: Imports what is needed, builds and starts, and prints what else was imported for it.
RUN = """\
import sys
from importlib import import_module
from twisted.internet import reactor
from regbroker.assembly.needed import needed
from regbroker.service import build_service, load_config
config = load_config(sys.argv[1])
for name in needed(config):
    import_module(name)
before = set(sys.modules)
service = build_service(config, reactor)
service.privilegedStartService()
service.startService()
reactor.callWhenRunning(reactor.callLater, 0, reactor.stop)
reactor.run()
print(*(each for each in set(sys.modules) - before if "regbroker" in each))
"""


class NeededTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        (self.directory / "users").write_text("alice:{SHA}x\n")
        make_key(self.directory)

    def write(self, **lines: str) -> Path:
        """Write a configuration with these lines in it."""
        given = {"main": "", "registry": "", "more": ""}
        given |= {"upstream": "url = http://127.0.0.1:9"} | lines
        path = self.directory / "regbroker.ini"
        path.write_text(PLAIN.format(**given))
        return path

    def assert_needed(self, *names: str, **lines: str) -> None:
        """These modules are needed, and nothing beside them is imported."""
        path = self.write(**lines)
        config = read_config(path)
        wanted = sorted([ALWAYS, *(f"regbroker.{name}" for name in names)])
        self.assertEqual(needed(config), wanted)
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(path)],
            capture_output=True,
            text=True,
            env=environment(),
        )
        self.assertEqual((done.returncode, done.stdout.split()), (0, []), done.stderr)

    def test_plain(self) -> None:
        """Of what no registry uses, nothing is needed."""
        self.assert_needed()

    def test_admin(self) -> None:
        """The admin listener brings the metrics."""
        self.assert_needed("assembly.admin", main="admin-listen = tcp:0")

    def test_sandbox(self) -> None:
        """The sandbox is a registry with accounts of its own."""
        self.assert_needed("sandbox", upstream="url = sandbox:")

    def test_proxy(self) -> None:
        """A proxy is asked for tunnels."""
        upstream = "url = http://127.0.0.1:9\nproxy = http://127.0.0.1:9"
        self.assert_needed("transport.client.tunnel", upstream=upstream)

    def test_accounts(self) -> None:
        """Accounts of our own, and what knows the hashes of passwords."""
        self.assert_needed(
            "accounts.htpasswd",
            "assembly.local_accounts",
            registry="accounts = staff",
            more=ACCOUNTS,
        )

    def test_identities(self) -> None:
        """Issuers, for a registry in which nobody has a password."""
        self.assert_needed(
            "assembly.identities",
            "assembly.local_accounts",
            registry="accounts = ci\naccess = ci",
            more=IDENTITY,
        )

    def test_at_leisure(self) -> None:
        """What no request has asked for yet is imported one after the other."""
        config = read_config(self.write(main="admin-listen = tcp:0"))
        clock = Clock()
        load_at_leisure(config, clock)
        times = [call.getTime() for call in clock.getDelayedCalls()]
        self.assertEqual(times, [LEISURE_SECONDS, 2 * LEISURE_SECONDS])
        clock.pump([LEISURE_SECONDS] * 2)
        self.assertEqual(set(needed(config)) - set(sys.modules), set())
