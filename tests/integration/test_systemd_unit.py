"""The units under systemd itself, with all of their hardening."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time

from .case import PeersTestCase
from .peers.https_client import basic
from .peers.private_systemd import PrivateSystemd
from .peers.processes import poll

CONFIGURATION = """\
[regbroker]
listen = {listen}
state-directory = /var/lib/regbroker
{main}
[registry *]
upstream = sandbox
namespaces = {rules}
{registry}
[upstream sandbox]
url = sandbox:
users = alice:wonderland
{more}
"""

TLS = """\
[tls]
certificate = /etc/regbroker/localhost.pem
key = /run/credentials/regbroker.service/secret_localhost.key
"""

TLS_OF_GROUP = TLS.replace(
    "/run/credentials/regbroker.service/secret_", "/etc/regbroker/"
)

ALICE = {"Authorization": basic("alice", "wonderland")}

HELPER = """\
#!/bin/sh
touch /run/regbroker/asked
until [ -e /run/regbroker/answer ]; do sleep 0.1; done
echo '{"ServerURL": "", "Username": "alice", "Secret": "wonderland"}'
"""
"""Answers when it is told to."""

#: One half of what is pushed.
HALF = bytes(100_000)

SECONDS = 60.0
"""What systemd and a start together may take on a busy machine."""

#: CAP_NET_BIND_SERVICE alone.
BIND = "0000000000000400"


class UnitTestCase(PeersTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.systemd = PrivateSystemd(self.directory)
        self.addCleanup(self.systemd.stop)
        self.systemd.start()

    def configure(self, **parts: str) -> None:
        """Write the configuration."""
        given = {"listen": "tcp:80", "main": "", "rules": "team = acme_team"}
        given |= {"registry": "", "more": ""}
        self.systemd.configuration.write_text(CONFIGURATION.format(**given | parts))

    def do(self, *arguments: str) -> None:
        """Have systemctl do something."""
        done = self.systemd.systemctl(*arguments)
        self.assertEqual(done.status, 0, f"{done.output}{self.told()}")

    def do_there(self, *command: str) -> None:
        """Have a command done, as root."""
        self.assert_done(self.systemd.run(*command))

    def told(self) -> str:
        """What regbroker and systemd have told at the end."""
        return "\n".join(self.systemd.journal().splitlines()[-60:])

    def wait(self, name: str, value: str) -> None:
        """Wait until a property of the service matches."""
        poll(
            lambda: re.search(value, self.systemd.show(name)),
            f"{name} {value}",
            SECONDS,
        )

    def wait_told(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until regbroker or systemd have told something so often."""
        found: list[str] = []

        def look() -> bool:
            found[:] = re.findall(pattern, self.systemd.journal())
            return len(found) >= count

        poll(look, f"{count} {pattern}", SECONDS)
        return found

    def ask(self, path: str, port: int = 80) -> int:
        """The status that a client gets."""
        client = self.client(port)
        client.request("GET", path)
        return client.getresponse().status

    def certificate(self) -> bytes | None:
        """The certificate that port 443 shows, after a reply."""
        context = ssl.create_default_context(cadata=self.root_pem.decode())
        with context.wrap_socket(
            self.systemd.connect(443), server_hostname="localhost"
        ) as client:
            client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b" 401 ", client.recv(1000))
            return client.getpeercert(binary_form=True)

    def client(self, port: int = 80) -> http.client.HTTPConnection:
        """A client that has connected."""
        client = http.client.HTTPConnection("127.0.0.1", port)
        client.sock = self.systemd.connect(port)
        self.addCleanup(client.close)
        return client


class LifeTests(UnitTestCase):
    def test_hardened(self) -> None:
        """It serves as the unit has it: who it is, what it may, where its files are."""
        self.systemd.install_pair(self.authority.issue("localhost"), "localhost")
        self.configure(listen="tls:443", more=TLS)
        self.do("start", "regbroker")
        # It was not before READY.
        self.assertEqual(self.systemd.show("ActiveState"), "active")
        self.assertEqual(self.systemd.show("StatusText"), "serving https://0.0.0.0:443")
        self.assertTrue(self.certificate())
        process = self.systemd.show("MainPID")
        status = dict(
            line.split(":\t", 1)
            for line in self.systemd.read(f"/proc/{process}/status").splitlines()
        )
        users = set(status["Uid"].split())
        self.assertEqual(len(users), 1)
        self.assertGreaterEqual(int(users.pop()), 61184)
        for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(status[name], BIND, name)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        # What it has made itself is its own alone.
        made = self.systemd.run("ls", "-lA", "/var/lib/regbroker/").stdout
        self.assertRegex(
            made, r"(?m)^[-d]rw[-x]------ \d+ regbroker regbroker .*sandbox"
        )
        for path in ("/etc/regbroker/regbroker.ini", "/opt/source/x", "/var/x"):
            there = self.systemd.run(
                *("nsenter", f"--target={process}", "--mount", "--", "touch", path)
            )
            self.assertIn("Read-only file system", there.output)

    def test_reload(self) -> None:
        """systemd is told of a reload and of its end; a broken file changes nothing."""
        self.configure()
        self.do("start", "regbroker")
        self.assertEqual(self.ask("/v2/other/app/tags/list"), 404)
        self.configure(rules="other = acme_team")
        self.do("reload", "regbroker")
        poll(lambda: self.ask("/v2/other/app/tags/list") == 401, "the new rules")
        said = r"RELOADING=1, MONOTONIC_USEC=\d+|READY=1, STATUS=.*(?=\))"
        _, begun, done = self.wait_told(said, 3)
        self.assertRegex(begun, "^RELOADING")
        self.assertEqual(done, "READY=1, STATUS=serving http://0.0.0.0:80")
        # Its own ports are no reason to warn.
        self.assertNotIn("warning: ", self.systemd.journal())
        self.configure(rules="nonsense")
        self.assertNotEqual(self.systemd.systemctl("reload", "regbroker").status, 0)
        self.wait_told(r"error: \[registry \*\] namespaces: ")
        self.assertEqual(self.ask("/v2/other/app/tags/list"), 401)
        # A signal alone asks nobody before.
        self.do("kill", "--kill-whom=main", "--signal=SIGHUP", "regbroker")
        self.wait("StatusText", "; the last reload failed: ")
        self.assertEqual(self.ask("/v2/other/app/tags/list"), 401)
        self.assertEqual(self.systemd.show("ActiveState"), "active")
        self.assertEqual(self.systemd.show("NRestarts"), "0")

    def test_watchdog(self) -> None:
        """A process that does not turn any more is started again."""
        self.systemd.edit("[Service]\nWatchdogSec=5s\n")
        self.configure()
        self.do("start", "regbroker")
        process = self.systemd.show("MainPID")
        self.systemd.run("kill", "-STOP", process)
        self.wait("NRestarts", "^[1-9]")
        self.wait("ActiveState", "^active$")
        self.assertNotEqual(self.systemd.show("MainPID"), process)
        self.wait_told("Watchdog timeout")
        self.assertEqual(self.ask("/v2/"), 401)

    def test_renewed_key(self) -> None:
        """A key that a group may read counts as soon as it is renewed."""
        pair = self.authority.issue("localhost")
        self.systemd.install_pair(pair, "localhost")
        key = self.systemd.configuration.parent / "localhost.key"
        (self.systemd.secrets / "localhost.key").rename(key)
        self.do_there("groupadd", "--system", "regbroker-keys")
        self.do_there("chgrp", "regbroker-keys", "/etc/regbroker/localhost.key")
        key.chmod(0o640)
        self.systemd.edit("[Service]\nSupplementaryGroups=regbroker-keys\n")
        self.configure(listen="tls:443", more=TLS_OF_GROUP)
        self.do("start", "regbroker")
        self.assertEqual(self.certificate(), pair.certificate_der())
        renewed = self.authority.issue("localhost")
        # In place, so that it stays the group's.
        key.write_bytes(renewed.key_pem())
        pem = self.systemd.configuration.parent / "localhost.pem"
        pem.write_bytes(renewed.certificate_pem())
        poll(
            lambda: self.certificate() == renewed.certificate_der(),
            "the renewed certificate",
        )

    def test_workers(self) -> None:
        """Two workers under the same limits; one that is killed is replaced."""
        self.configure(main="workers = 2")
        self.do("start", "regbroker")
        front = self.systemd.show("MainPID")
        serving = r"worker \d: serving, process (\d+)"
        first, _ = self.wait_told(serving, 2)
        status = self.systemd.read(f"/proc/{first}/status")
        self.assertIn(f"CapBnd:\t{BIND}\n", status)
        self.assertIn("Seccomp:\t2\n", status)
        self.systemd.run("kill", "-KILL", first)
        self.wait_told(serving, 3)
        self.assertEqual(self.ask("/v2/"), 401)
        self.do("reload", "regbroker")
        self.wait_told("READY=1", 2)
        self.assertEqual(self.ask("/v2/"), 401)
        self.assertEqual(self.systemd.show("MainPID"), front)
        self.do("stop", "regbroker")
        self.assertEqual(self.systemd.show("Result"), "success")

    def test_renamed_log(self) -> None:
        """A file of the log is renamed; the service goes on in a new one."""
        self.systemd.edit("[Service]\nLogsDirectory=regbroker\n")
        path = "/var/log/regbroker/audit.log"
        self.configure(main=f"workers = 2\naudit-log = {path}")
        self.do("start", "regbroker")
        process = self.systemd.show("MainPID")
        self.do_there("mv", path, f"{path}.1")
        self.do("kill", "--kill-whom=main", "--signal=SIGUSR1", "regbroker")
        self.wait_told("SIGUSR1: the files of the log are opened again")
        listed = self.systemd.run("stat", "--format=%A %U", path).stdout
        self.assertEqual(listed.split(), ["-rw-------", "regbroker"])
        self.assertIn('"configuration"', self.systemd.read(f"{path}.1"))
        self.assertEqual(self.ask("/v2/"), 401)
        self.assertEqual(self.systemd.show("MainPID"), process)

    def test_unix_socket(self) -> None:
        """A socket in the unit's own directory, for a proxy's group."""
        self.do_there("groupadd", "--system", "balancers")
        self.systemd.edit(
            "[Service]\nSupplementaryGroups=balancers\nSystemCallFilter=@chown\n"
        )
        path = "/run/regbroker/clients.sock"
        self.configure(listen=f"unix:{path}:mode=660:group=balancers")
        self.do("start", "regbroker")
        listed = self.systemd.run("stat", "--format=%A %U %G", path).stdout
        self.assertEqual(listed.split(), ["srw-rw----", "regbroker", "balancers"])
        self.do("stop", "regbroker")
        self.assertNotEqual(self.systemd.run("stat", path).status, 0)


class SocketTests(UnitTestCase):
    def test_activation(self) -> None:
        """systemd holds the port: a client waits while nobody is there to answer."""
        self.systemd.install_pair(self.authority.issue("localhost"), "localhost")
        self.configure(listen="tls:systemd:domain=INET6:name=https", more=TLS)
        self.do("start", "regbroker.socket")
        self.assertEqual(self.systemd.show("ActiveState"), "inactive")
        self.assertTrue(self.certificate())
        self.assertEqual(self.systemd.show("StatusText"), "serving https://[::]:443")
        process = self.systemd.show("MainPID")
        self.do("restart", "regbroker")
        self.assertNotEqual(self.systemd.show("MainPID"), process)
        self.assertTrue(self.certificate())
        self.do("stop", "regbroker")
        self.assertTrue(self.certificate())
        self.wait("ActiveState", "^active$")


class StopTests(UnitTestCase):
    """`systemctl stop` in the middle of a push."""

    def push(self) -> http.client.HTTPConnection:
        """Begin to push; the end of the body is missing."""
        client = self.client()
        scope = "repository:team/app:pull,push"
        client.request("GET", f"/auth?scope={scope}", headers=ALICE)
        token = json.loads(client.getresponse().read())["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        client.request("POST", "/v2/team/app/blobs/uploads/", headers=bearer)
        reply = client.getresponse()
        reply.read()
        self.assertEqual(reply.status, 202)
        headers = bearer | {"Content-Length": str(2 * len(HALF))}
        client.request("PATCH", reply.headers["Location"], HALF, headers)
        return client

    def stop(self) -> None:
        """Have systemd stop it, and wait until it has heard of that."""
        self.do("stop", "--no-block", "regbroker")
        self.wait("StatusText", "^stopping, within ")

    def test_enough_time(self) -> None:
        """The push ends whole, though systemd would kill before: it gives more time."""
        self.systemd.edit("[Service]\nTimeoutStopSec=1s\n")
        self.configure(main="drain-timeout = 120")
        self.do("start", "regbroker")
        client = self.push()
        self.stop()
        # systemd has waited for longer than it would.
        begun = time.monotonic()
        poll(lambda: time.monotonic() > begun + 2.0, "the end of TimeoutStopSec")
        self.assertEqual(self.systemd.show("ActiveState"), "deactivating")
        client.send(HALF)
        self.assertEqual(client.getresponse().status, 202)
        self.wait("ActiveState", "^inactive$")
        self.assertEqual(self.systemd.show("Result"), "success")

    def test_helper(self) -> None:
        """What a request under way has started ends in peace, too."""
        bin_directory = self.systemd.directory / "opt" / "regbroker" / "bin"
        program = bin_directory / "docker-credential-slow"
        program.write_text(HELPER)
        program.chmod(0o755)
        self.systemd.edit("[Service]\nEnvironment=PATH=/opt/regbroker/bin:/bin\n")
        registry = "accounts = upstream\nanonymous = shared"
        self.configure(registry=registry, more="credential-helper = slow")
        self.do("start", "regbroker")
        client = self.client()
        client.request("GET", "/auth?scope=repository:team/app:pull")
        asked = ("stat", "/run/regbroker/asked")
        poll(lambda: self.systemd.run(*asked).status == 0, "the helper", SECONDS)
        self.stop()
        self.do_there("touch", "/run/regbroker/answer")
        reply = client.getresponse()
        self.assertEqual(reply.status, 200, reply.read())
        self.wait("ActiveState", "^inactive$")
        self.assertEqual(self.systemd.show("Result"), "success")

    def test_too_little_time(self) -> None:
        """The push is cut in time: systemd has nothing to kill."""
        self.configure(main="drain-timeout = 0.2")
        self.do("start", "regbroker")
        client = self.push()
        self.stop()
        self.assertEqual(client.getresponse().status, 503)
        self.wait("ActiveState", "^inactive$")
        self.assertEqual(self.systemd.show("Result"), "success")
        self.wait_told(" cause=stopped ")
