"""Manifests in memory, in front of Debian's docker-registry."""

from __future__ import annotations

from .case import RegbrokerTestCase
from .peers.images import MANIFEST_MEDIA_TYPE

MANIFEST = "/v2/team/app/manifests/1"


class ManifestCacheTests(RegbrokerTestCase):
    """What is in memory is given out when the registry says so, and not otherwise."""

    def start_regbroker(self) -> None:
        self.start_regbroker_for(self.registry.url, "manifest-cache = 1M")
        self.addCleanup(self.assert_sides_kept_apart)

    def test_pulls(self) -> None:
        """Two pulls are one GET; a token without the right gets nothing."""
        image = self.make_image()
        self.put_upstream(image, "acme_team/app:1")
        before = len(self.registry.requests())
        headers = self.token("alice", "repository:team/app:pull")
        headers["Accept"] = MANIFEST_MEDIA_TYPE
        for _ in range(2):
            reply = self.https.request("GET", MANIFEST, headers)
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.one("Docker-Content-Digest"), image.digest)
        without = self.token("bob", "repository:team/other:pull")
        refused = self.https.request("GET", MANIFEST, without)
        self.assert_oci_error(refused, 401, "UNAUTHORIZED")
        self.https.request("GET", "/v2/team/app/tags/list", headers)
        requests = self.upstream_requests_until("/tags/list")[before:]
        asked = [(r.method, r.status) for r in requests if "/manifests/" in r.target]
        self.assertEqual(
            asked, [("HEAD", 200), ("GET", 200), ("HEAD", 200), ("HEAD", 401)]
        )
