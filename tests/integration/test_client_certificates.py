"""Clients that show a certificate, with skopeo and curl."""

from __future__ import annotations

from .case import PeersTestCase
from .peers.certificates import Authority, Pair
from .peers.docker_registry import DockerRegistry
from .peers.processes import base_environment, require_programs, run
from .peers.skopeo import Skopeo

RIGHTS = """\
[access certificate]
alice = team/**: pull, push
bob = team/**: pull
"""


class ClientCertificateTests(PeersTestCase):
    registry_options = "accounts = certificate"
    more_sections = RIGHTS

    def setUp(self) -> None:
        super().setUp()
        self.registry = DockerRegistry(self.directory / "registry", self.authority)
        self.addCleanup(self.registry.stop)
        self.registry.start()
        self.clients = Authority("clients")
        path = self.directory / "clients.pem"
        path.write_bytes(self.clients.certificate_pem())
        self.main = f"client-ca = {path}"
        # There is one [registry], and its accounts are not the upstream's.
        self.upstream_sections = self.upstream_sections.replace(
            "accounts = upstream\n", ""
        )
        self.start_regbroker_for(self.registry.url)
        self.reference = f"{self.host}/team/app:1"

    def user(self, name: str, pair: Pair | None) -> Skopeo:
        """A skopeo with a certificate, or without one."""
        skopeo = self.make_skopeo(name)
        if pair is not None:
            skopeo.show(pair)
        return skopeo

    def test_rights(self) -> None:
        """alice pushes, bob pulls and may not push; others may nothing."""
        image = self.make_image()
        alice = self.user("alice", self.clients.issue_client("alice"))
        bob = self.user("bob", self.clients.issue_client("bob"))
        self.assert_done(alice.push(image.source, self.reference))
        copy = f"oci:{self.directory}/copy:1"
        self.assert_done(bob.pull(self.reference, copy))
        self.assert_refused(bob.push(image.source, self.reference), "denied|403")
        carol = self.user("carol", self.clients.issue_client("carol"))
        self.assert_refused(carol.pull(self.reference, copy), "denied|403")
        nobody = self.user("nobody", None)
        self.assert_refused(nobody.pull(self.reference, copy), "certificate|403")
        # The authority of the server is not one of those for clients.
        mallory = self.user("mallory", self.authority.issue_client("alice"))
        self.assert_refused(mallory.pull(self.reference, copy), "tls|certificate")

    def test_curl(self) -> None:
        """curl shows one, too; the log names the user."""
        require_programs("curl")
        certificate, key = self.clients.issue_client("team/bob").write(
            self.directory, "client"
        )
        root = self.directory / "root.crt"
        url = f"https://{self.host}/v2/team/app/tags/list"
        shown = ["--cert", str(certificate), "--key", str(key)]
        done = run(
            ["curl", "-sS", "--cacert", str(root), *shown, url],
            base_environment(self.directory / "home"),
            "",
        )
        self.assert_done(done)
        self.assertIn("team%2Fbob may not pull here", done.output)
        self.regbroker.wait_for("team%2Fbob")
