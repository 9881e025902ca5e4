"""The image that etc/container/Containerfile makes, built and run for real."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.test_packaging import built

from .case import PeersTestCase
from .peers.container import Buildah, Container
from .peers.https_client import HttpsClient
from .peers.nursery import REPOSITORY
from .peers.processes import require_programs, run

CONTAINERFILE = REPOSITORY / "etc" / "container" / "Containerfile"

CONFIGURATION = """\
[regbroker]
listen = tls:0:interface=127.0.0.1
state-directory = /var/lib/regbroker

[registry *]
upstream = sandbox
namespaces =
    team = acme_team

[upstream sandbox]
url = sandbox:
users =
    alice:wonderland
"""


class ContainerTests(PeersTestCase):
    def test_image(self) -> None:
        """The image serves as process 1, as nobody, with a root that is read-only."""
        require_programs("buildah", "unshare", "setpriv", root=True)
        buildah = Buildah(self.directory / "buildah")
        buildah.import_machine("localhost/python")
        buildah.build(
            *(CONTAINERFILE, self.wheels(), "localhost/regbroker"),
            PYTHON="localhost/python",
            PIP_NO_INDEX="1",
        )
        config = buildah.config("localhost/regbroker")
        user, group = map(int, config["User"].split(":"))
        self.assertEqual(config["StopSignal"], "SIGTERM")
        root = buildah.mount("localhost/regbroker")
        owner = (root / "var/lib/regbroker").stat()
        self.assertEqual((owner.st_uid, owner.st_gid), (user, group))

        configuration = self.directory / "etc"
        state = self.directory / "state"
        for path in (configuration, state):
            path.mkdir()
        (configuration / "regbroker.ini").write_text(CONFIGURATION)
        os.chown(state, user, group)
        container = Container(
            *(root, config),
            [
                ("ro", configuration, "/etc/regbroker"),
                ("rw", state, "/var/lib/regbroker"),
            ],
            self.directory / "container.log",
        )
        self.addCleanup(container.stop)
        port = container.wait_for(r"listening on https://127\.0\.0\.1:(\d+)")[1]
        status = Path(f"/proc/{container.process_one()}/status").read_text()
        self.assertRegex(status, r"(?m)^NSpid:\t\d+\t1$")
        self.assertRegex(status, rf"(?m)^Uid:\t{user}\t{user}\t{user}\t{user}$")
        self.assertRegex(status, r"(?m)^CapEff:\t0+$")
        trusted = (state / "self-signed.pem").read_bytes()
        https = HttpsClient(int(port), trusted, self.transcript)
        self.assertEqual(https.request("GET", "/v2/").status, 401)
        self.assertEqual(https.get_token("/auth", "alice", "wonderland").status, 200)

        os.kill(container.process_one(), signal.SIGTERM)
        self.assertEqual(container.wait(), 0)
        log = container.output()
        self.assertNotIn("Traceback", log)
        self.assertNotIn("Read-only", log)
        self.assertNotIn("Unable to write", log)

    def wheels(self) -> Path:
        """A directory with the wheels of regbroker and of all that it needs."""
        _, wheel = built()
        directory = self.directory / "wheels"
        self.assert_done(
            run(
                [
                    *(sys.executable, "-m", "pip", "wheel", "--quiet"),
                    *("--wheel-dir", directory, wheel),
                ],
                dict(os.environ),
            )
        )
        return directory
