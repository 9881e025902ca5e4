"""The upstream goes away and comes back; regbroker stays."""

from __future__ import annotations

import json

from .case import RegbrokerTestCase
from .peers.https_client import Reply
from .peers.images import MANIFEST_MEDIA_TYPE
from .peers.processes import poll


class OutageTests(RegbrokerTestCase):
    """Clients get an error that they understand, and later what they asked for."""

    def assert_unavailable(self, reply: Reply) -> None:
        """503 or 504, as OCI JSON."""
        self.assertIn(reply.status, (503, 504), reply)
        self.assertEqual(reply.error_codes(), ["UNAVAILABLE"], reply)
        self.assertEqual(reply.one("Docker-Distribution-Api-Version"), "registry/2.0")

    def test_registry_restarts(self) -> None:
        """Requests fail while it is down, and succeed as soon as it is back."""
        image = self.make_image()
        self.put_upstream(image, "acme_team/app:1")
        accept = {"Accept": MANIFEST_MEDIA_TYPE}
        alice = self.token("alice", "repository:team/app:pull") | accept
        target = "/v2/team/app/manifests/1"
        self.assertEqual(self.https.request("GET", target, alice).status, 200)
        self.registry.stop()
        self.assert_unavailable(self.https.request("GET", target, alice))
        self.registry.start()
        self.assertEqual(self.https.request("GET", target, alice).status, 200)

    def test_registry_restarts_between_requests(self) -> None:
        """A pooled connection that has died meanwhile costs no client an error."""
        image = self.make_image()
        self.put_upstream(image, "acme_team/app:1")
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        reference = f"{self.host}/team/app:1"
        self.assertEqual(skopeo.digest_of(reference), image.digest)
        self.registry.stop()
        self.registry.start()
        self.assertEqual(skopeo.digest_of(reference), image.digest)
        self.assert_done(skopeo.push(image.source, f"{self.host}/team/app:2"))

    def test_token_server_stops(self) -> None:
        """Without its token server the upstream is unavailable, and says so."""
        alice = self.token("alice", "repository:team/app:pull")
        self.token_server.stop()
        reply = self.https.get_token("/auth", "alice", "another password")
        self.assert_unavailable(reply)
        target = "/v2/team/app/tags/list"
        self.assertEqual(self.https.request("GET", target, alice).status, 404)


class DownAtStartTests(RegbrokerTestCase):
    """regbroker was started first."""

    def start_peers(self) -> None:
        self.start_upstream()
        self.registry.stop()
        self.start_regbroker()

    def test_recovers(self) -> None:
        """503 until the registry is there, the challenge from then on."""
        for target in ("/v2/", "/v2/team/app/tags/list"):
            reply = self.https.request("GET", target)
            self.assertIn(reply.status, (503, 504), reply)
            self.assertEqual(len(json.loads(reply.body)["errors"]), 1)
        self.registry.start()
        poll(
            lambda: self.https.request("GET", "/v2/").status == 401,
            "regbroker to find the upstream",
        )
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        image = self.make_image()
        reference = f"{self.host}/team/app:1"
        self.assert_done(skopeo.push(image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), image.digest)
