"""The peers work with each other before regbroker stands between them."""

from __future__ import annotations

from .case import USERS, PeersTestCase, mounts, uploads
from .peers.https_client import HttpsClient, bearer
from .peers.processes import poll


class PeersTests(PeersTestCase):
    """Clients speak to the upstream directly, with its own names."""

    def setUp(self) -> None:
        super().setUp()
        self.start_upstream()
        self.image = self.make_image()

    def test_every_client_gets_the_pushed_digest(self) -> None:
        """skopeo pushes; skopeo, podman and containerd agree on the digest."""
        host = self.registry.host
        reference = f"{host}/acme_team/app:1"
        skopeo = self.make_skopeo()
        alice = USERS["alice"].password
        self.assert_done(skopeo.login(host, "alice", alice))
        self.assert_done(skopeo.push(self.image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)

        podman = self.make_podman()
        podman.trust(host)
        self.assert_done(podman.login(host, "alice", alice))
        self.assert_done(podman.pull(reference))
        self.assertEqual(podman.digest_of(reference), self.image.digest)

        containerd = self.start_containerd()
        containerd.trust(host)
        self.assert_done(containerd.pull(reference, "--user", f"alice:{alice}"))
        self.assertEqual(containerd.digest_of(reference), self.image.digest)

        # the transcript, which is to prove that nothing leaks, shows what did
        leaks = "\n".join(self.transcript.occurrences(["GET https://" + host]))
        self.assertIn("skopeo copy", leaks)
        self.assertIn("podman pull", leaks)
        leaks = "\n".join(self.transcript.occurrences(["repository:acme_team/app"]))
        self.assertIn("ctr images pull", leaks)

    def test_rights_and_passwords_count(self) -> None:
        """The token server and the registry refuse what they should."""
        skopeo = self.make_skopeo()
        host = self.registry.host
        wrong = skopeo.login(host, "alice", "wrong")
        self.assert_refused(wrong, "invalid username/password")
        self.assert_done(skopeo.login(host, "bob", USERS["bob"].password))
        denied = skopeo.push(self.image.source, f"{host}/acme_team/app:1")
        self.assert_refused(denied, "denied|unauthorized|authentication required")

    def test_the_registry_mounts(self) -> None:
        """The log tells a mount from an upload."""
        skopeo = self.make_skopeo()
        host = self.registry.host
        self.assert_done(skopeo.login(host, "alice", USERS["alice"].password))
        self.assert_done(skopeo.push(self.image.source, f"{host}/acme_team/app:1"))
        tokens = HttpsClient(self.token_server.port, self.root_pem, self.transcript)
        reply = tokens.get_token(
            *("/token", "alice", USERS["alice"].password),
            *("repository:acme_team/app:pull", "repository:acme_team/b:pull,push"),
        )
        layer = self.image.layer_digests[0]
        https = HttpsClient(self.registry.port, self.root_pem, self.transcript)
        mounted = https.request(
            "POST",
            f"/v2/acme_team/b/blobs/uploads/?mount={layer}&from=acme_team/app",
            bearer(reply.json()["token"]),
        )
        self.assertEqual(mounted.status, 201, mounted)
        poll(lambda: mounts(self.registry.requests(), "acme_team/b"), "the mount")
        self.assertEqual(uploads(self.registry.requests(), "acme_team/b"), [])
        self.assertNotEqual(uploads(self.registry.requests(), "acme_team/app"), [])
