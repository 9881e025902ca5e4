"""The peers work with each other before regbroker stands between them."""

from __future__ import annotations

import http.client

from .case import USERS, PeersTestCase, mounts, uploads
from .fronts_case import KEEPER, PULL, Source
from .peers.https_client import HttpsClient, Reply, bearer
from .peers.moody import SILENT
from .peers.processes import poll
from .peers.token_server import User


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


class SourcesTests(PeersTestCase):
    """Upstreams that know nothing of each other, each behind a moody front."""

    def start_source(self, name: str) -> Source:
        """Start one where anybody may pull."""
        users = {"": User("", {"*": PULL})}
        source = Source(name, self.directory / name, self.authority, users, "")
        self.addCleanup(source.stop)
        return source

    def get(self, source: Source, token: str) -> Reply:
        """Ask for the tags of what is not there."""
        https = HttpsClient(source.moody.port, self.root_pem, self.transcript)
        return https.request("GET", "/v2/some/app/tags/list", bearer(token))

    def token(self, source: Source, service: str) -> str:
        """A token of anybody's."""
        port = source.token_server.port
        reply = HttpsClient(port, self.root_pem, self.transcript).get_token(
            "/token", "", "", "repository:some/app:pull", service=service
        )
        token: str = reply.json()["token"]
        return token

    def test_tokens(self) -> None:
        """A token is good at its own registry, and worth nothing at the other."""
        one, two = self.start_source("one"), self.start_source("two")
        token = self.token(one, one.service)
        self.assertEqual(self.get(one, token).status, 404)
        self.assertEqual(self.get(two, token).status, 401)
        self.assertEqual(self.get(two, self.token(one, two.service)).status, 401)
        self.assertIn(f"Bearer {token}", two.foreign_authorizations())

    def test_passwords(self) -> None:
        """The token server remembers what it was sent."""
        one = self.start_source("one")
        https = HttpsClient(one.token_server.port, self.root_pem, self.transcript)
        https.get_token("/token", "keeper", KEEPER.password)
        https.post_token(
            "/token", grant_type="password", username="x", password="x's secret"
        )
        secrets = [request.secret for request in one.token_server.requests()]
        self.assertEqual(secrets, [KEEPER.password, "x's secret"])

    def test_moods(self) -> None:
        """Each mood, on one port, and back to what it was."""
        one = self.start_source("one")
        moody, token = one.moody, self.token(one, one.service)
        self.assertEqual(self.get(one, token).status, 404)
        moody.answer(429, retry_after=3)
        limited = self.get(one, token)
        self.assertEqual((limited.status, limited.one("Retry-After")), (429, "3"))
        moody.answer(503)
        unavailable = self.get(one, token)
        self.assertEqual(
            (unavailable.status, unavailable.all("Retry-After")), (503, [])
        )
        moody.refuse()
        self.assertRaises(ConnectionRefusedError, self.get, one, token)
        moody.silence()
        client = HttpsClient(moody.port, self.root_pem, self.transcript)
        connection = client.connect()
        connection.request("GET", "/v2/")
        poll(lambda: moody.requests()[-1].status == SILENT, "the request")
        moody.pass_on()
        self.assertRaises(http.client.RemoteDisconnected, connection.getresponse)
        connection.close()
        self.assertEqual(self.get(one, token).status, 404)
        answered = [(seen.status, seen.passed_on) for seen in moody.requests()]
        self.assertEqual(
            answered, [(404, True), (429, False), (503, False), (0, False), (404, True)]
        )
