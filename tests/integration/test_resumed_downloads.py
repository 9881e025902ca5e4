"""Clients that go on where a download has ended too early."""

from __future__ import annotations

from contextlib import closing

from .case import RegbrokerTestCase
from .peers.cutting_front import CuttingFront
from .peers.docker_registry import DockerRegistry
from .peers.image_push import connect, push_image
from .peers.images import make_image

CUTS = 1_000_000, 3_000_000


class ResumedTests(RegbrokerTestCase):
    """The upstream hangs up in the middle of a layer, twice."""

    def make_registry(self) -> DockerRegistry:
        return DockerRegistry(self.directory / "registry", self.authority, tls=False)

    def start_regbroker(self) -> None:
        self.image = make_image(
            self.directory / "large", layers=1, layer_size=sum(CUTS) * 2
        )
        with closing(connect(self.registry, self.root_pem)) as connection:
            push_image(connection, {}, self.image, "acme_team/app", "1")
        self.front = CuttingFront(self.registry.port, CUTS)
        self.addCleanup(self.front.stop)
        self.start_regbroker_for(self.front.url)
        self.addCleanup(self.assert_sides_kept_apart)

    def test_containerd(self) -> None:
        """It asks for the rest, and gets the layer with one pull."""
        containerd = self.start_containerd()
        reference = f"{self.host}/team/app:1"
        # Its dump of replies would read each to its end before it goes on.
        self.assert_done(containerd.pull(reference, dump=False))
        self.assertEqual(containerd.digest_of(reference), self.image.digest)
        self.assertEqual(self.front.cuts_left, 0)
        self.assertIn("status=206", self.regbroker.log())
        self.assertIn("cause=upstream-broke-off", self.regbroker.log())
