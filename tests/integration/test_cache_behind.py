"""A cache in front of the registry behind us: clients see neither."""

from __future__ import annotations

from .case import RegbrokerTestCase
from .peers.docker_registry import DockerRegistry
from .peers.images import MANIFEST_MEDIA_TYPE
from .peers.squid import CachingSquid


class CacheBehindTests(RegbrokerTestCase):
    """squid, which tells who it is with each reply."""

    def make_registry(self) -> DockerRegistry:
        return DockerRegistry(self.directory / "registry", self.authority, tls=False)

    def start_regbroker(self) -> None:
        self.squid = CachingSquid(self.registry.port)
        self.addCleanup(self.squid.remove)
        self.squid.start()
        self.start_regbroker_for(self.squid.url)
        self.addCleanup(self.assert_sides_kept_apart)

    def upstream_words_seen(self) -> list[str]:
        words = [self.squid.name, self.squid.site, "squid"]
        return super().upstream_words_seen() + self.transcript.occurrences(words)

    def test_push_and_pull(self) -> None:
        """Every reply is the registry's; an error of the cache is JSON."""
        image, skopeo = self.make_image(), self.make_skopeo()
        reference = f"{self.host}/team/app:1"
        self.assert_done(skopeo.push(image.source, reference))
        containerd = self.start_containerd()
        self.assert_done(containerd.pull(reference))
        self.assertEqual(containerd.digest_of(reference), image.digest)
        self.registry.stop()
        headers = {"Accept": MANIFEST_MEDIA_TYPE}
        reply = self.https.request("GET", "/v2/team/app/manifests/2", headers)
        self.assert_oci_error(reply, 503, "UNAVAILABLE")
