"""The examples of docs/embedding.md, run as they stand."""

from __future__ import annotations

import hashlib
import os
import sys

from .case import PeersTestCase
from .peers.https_client import BalancerClient, HttpsClient, bearer
from .peers.nursery import REPOSITORY
from .peers.processes import Daemon, run

EXAMPLES = REPOSITORY / "etc" / "examples" / "embedding"


class EmbeddingTests(PeersTestCase):
    def start(self, name: str, configuration: str, **environment: str) -> Daemon:
        """Run an example with twistd, with a configuration."""
        path = self.directory / "regbroker.ini"
        path.write_text(configuration)
        daemon = Daemon(
            [
                *(
                    sys.executable,
                    "-c",
                    "from twisted.scripts.twistd import run; run()",
                ),
                *("-n", "--pidfile=", "-y", EXAMPLES / name),
            ],
            self.directory / "example.log",
            {
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "REGBROKER_CONFIG": str(path),
                **environment,
            },
        )
        self.addCleanup(daemon.stop)
        return daemon

    def test_into_a_site(self) -> None:
        """The application's page, the registry and its tokens are one site."""
        daemon = self.start(
            "into_a_site.py",
            (EXAMPLES / "into_a_site.ini").read_text(),
            ENDPOINT="tcp:0:interface=127.0.0.1",
        )
        port = int(daemon.wait_for(r"StreamingSite starting on (\d+)")[1])
        client = BalancerClient(port, self.root_pem, self.transcript)
        self.assertEqual(client.request("GET", "/").body, b"<h1>Our application</h1>\n")
        daemon.wait_for("token service")
        challenge = client.request("GET", "/v2/")
        self.assertEqual(challenge.status, 401)
        self.assertEqual(
            challenge.challenge()["realm"], f"http://127.0.0.1:{port}/auth"
        )
        reply = client.get_token("/auth", "alice", "wonderland")
        self.assertEqual(reply.status, 200)
        push = "repository:team/app:pull,push"
        token = client.get_token("/auth", "alice", "wonderland", push).json()["token"]
        started = client.request("POST", "/v2/team/app/blobs/uploads/", bearer(token))
        self.assertEqual(started.status, 202)
        digest = f"sha256:{hashlib.sha256(b'layer').hexdigest()}"
        ended = client.request(
            "PUT",
            f"{started.location()}&digest={digest}"
            if "?" in started.location()
            else f"{started.location()}?digest={digest}",
            bearer(token),
            b"layer",
        )
        self.assertEqual(ended.status, 201)
        self.assertEqual(client.request("GET", "/nothing").status, 404)
        daemon.stop()
        self.assertNotIn("Traceback", daemon.output())

    def test_beside_services(self) -> None:
        """The application's users log in, and the application counts requests."""
        text = (EXAMPLES / "beside_services.ini").read_text()
        daemon = self.start(
            "beside_services.py",
            text.replace("tls:8443:", "tls:0:"),
            EVERY="0.05",
        )
        port = int(daemon.wait_for(r"listening on https://127\.0\.0\.1:(\d+)")[1])
        pem = self.directory / "var" / "self-signed.pem"
        https = HttpsClient(port, pem.read_bytes(), self.transcript)
        self.assertEqual(https.get_token("/auth", "alice", "wonderland").status, 200)
        self.assertEqual(https.get_token("/auth", "alice", "wrong").status, 401)
        daemon.wait_for(r"requests by status: \{200: 1, 401: 1\}")

    def test_with_sandbox(self) -> None:
        """The test of an application passes."""
        done = run(
            [
                *(sys.executable, "-m", "twisted.trial"),
                EXAMPLES / "test_with_sandbox.py",
            ],
            {**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        self.assertIn("PASSED (successes=1)", self.assert_done(done).output)
