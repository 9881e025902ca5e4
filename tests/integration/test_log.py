"""What the operator reads about a request."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any

from .case import SECTIONS, RegbrokerTestCase
from .peers.processes import base_environment, poll, require_programs, run
from .peers.regbroker import Regbroker


class LogTests(RegbrokerTestCase):
    """One line for each request; that it keeps secrets is held in every test."""

    def lines(self, *words: str) -> list[str]:
        """The log's lines that have all these words, once there is one."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [
                line
                for line in self.regbroker.log().splitlines()
                if all(word in line for word in words)
            ]
            return bool(found)

        poll(look, f"a line with {words}")
        return found

    def test_relayed(self) -> None:
        """Both names, the user, the registry and the upstream stand in one line."""
        alice = self.token("alice", "repository:team/app:pull")
        self.https.request("GET", "/v2/team/app/manifests/none", alice)
        lines = self.lines("/v2/team/app/manifests/none")
        self.assertEqual(len(lines), 1, lines)
        for word in ("alice", "127.0.0.1", "localhost", "acme_team/app", "404", "GET"):
            self.assertIn(word, lines[0])

    def test_malformed(self) -> None:
        """What is no request has a line; its sender sees the end with the answer."""
        context = ssl.create_default_context(cadata=self.root_pem.decode())
        for raw, reason in (
            (b"nonsense\r\n\r\n", "METHOD TARGET HTTP/1.1"),
            (b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n", "Host"),
        ):
            with (
                socket.create_connection(("127.0.0.1", self.regbroker.port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as client,
            ):
                client.sendall(raw)
                answer = b"".join(iter(lambda: client.recv(65536), b""))
                # Below TLS, too, this is the end, though our own side is open.
                self.assertEqual(plain_end(client), b"")
            self.assertRegex(answer, rb"(?s)^HTTP/1.1 400 .*\{.*\}\n$")
            (line,) = self.lines("malformed: ", reason)
            self.assertIn("client=127.0.0.1 ", line)

    def test_refused(self) -> None:
        """A request that went nowhere has a line too."""
        self.https.request("GET", "/v2/elsewhere/app/manifests/1")
        lines = self.lines("/v2/elsewhere/app/manifests/1")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("404", lines[0])


class JsonLogTests(RegbrokerTestCase):
    """Both logs while real clients push and pull."""

    main = "log-format = json\naudit-log = audit.log"

    def read(self, path: Path) -> list[Any]:
        """Every line of a file, each a JSON object."""
        return [json.loads(line) for line in path.read_text().splitlines()]

    def test_images(self) -> None:
        """All lines are JSON, and the audit log knows who has pushed what."""
        image = self.make_image()
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        name = f"{self.host}/team/app:1.0"
        self.assert_done(skopeo.push(image.source, name))
        self.assert_done(skopeo.list_tags(f"{self.host}/team/app"))
        reader = self.make_skopeo("reader")
        self.assert_refused(reader.login(self.host, "bob", "a guess"), ".")
        self.log_in(reader, "bob")
        self.assert_refused(reader.push(image.source, name), ".")
        self.regbroker.stop()

        audit_log = self.regbroker.directory / "audit.log"
        lines = [json.loads(line) for line in self.regbroker.log().splitlines()]
        requests = [one for one in lines if one["namespace"] == "regbroker.events"]
        self.assertIn("PUT", {one["method"] for one in requests})
        for line in requests:
            self.assertRegex(line["tls"], r"^TLSv1\.[23]$")
        ids = [one["request_id"] for one in requests]
        self.assertEqual(len(set(ids)), len(ids))
        told = self.read(audit_log)
        (push,) = (
            one
            for one in told
            if one["action"] == "push" and one["outcome"] == "accepted"
        )
        self.assertEqual(
            (push["user"], push["repository"], push["reference"]),
            ("alice", "team/app", "1.0"),
        )
        self.assertRegex(push["digest"], "^sha256:")
        logins = [
            (one["user"], one["outcome"]) for one in told if one["action"] == "login"
        ]
        self.assertIn(("bob", "refused"), logins)
        self.assertIn(("bob", "accepted"), logins)
        refused = {
            one["user"]
            for one in told
            if one["action"] in ("access", "push") and one["outcome"] == "refused"
        }
        self.assertEqual(refused, {"bob"})
        for secret in ("a guess", "bob's secret", "alice's secret"):
            self.assertNotIn(secret, audit_log.read_text() + self.regbroker.log())


class RequestIdTests(RegbrokerTestCase):
    """One regbroker in front of another, which believes it."""

    main = "trusted-proxies = 127.0.0.1"

    def test_chain(self) -> None:
        """curl, and the logs of both, have the same id."""
        require_programs("curl")
        root = self.directory / "root.crt"
        front = Regbroker(
            self.directory / "front",
            self.authority,
            SECTIONS.format(
                url=f"https://{self.regbroker.host}",
                authority=root,
                registry="",
                more="",
                upstream="",
            ).replace("team = acme_team", "front = team"),
        )
        self.addCleanup(front.stop)
        front.start()
        url = f"https://{front.host}/v2/front/app/manifests/1"
        done = run(
            ["curl", "--silent", "--include", "--cacert", str(root), url],
            base_environment(self.directory / "home"),
        )
        self.assertEqual(done.status, 0, done.output)
        head, _, body = done.output.replace("\r", "").partition("\n\n")
        (request_id,) = (
            line.partition(": ")[2]
            for line in head.splitlines()
            if line.lower().startswith("x-request-id:")
        )
        self.assertRegex(request_id, "^[0-9a-f]{12}$")
        self.assertIn(" 401", head)
        self.assertTrue(json.loads(body)["errors"])
        for each in (front, self.regbroker):
            each.wait_for(rf"manifests/1 .* request_id={request_id} ")


def plain_end(client: ssl.SSLSocket) -> bytes:
    """Read what comes below TLS, up to the end, without answering its end."""
    with socket.socket(fileno=socket.dup(client.fileno())) as below:
        below.settimeout(60)
        return below.recv(65536)
