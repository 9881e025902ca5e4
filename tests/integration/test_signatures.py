"""A registry that keeps signatures beside the API, where regbroker does not relay."""

from __future__ import annotations

from .case import RegbrokerTestCase
from .peers.docker_registry import DockerRegistry


class SignaturesTests(RegbrokerTestCase):
    """Everybody may read, and every reply promises ``/extensions/v2``.

    So do OpenShift's registry and Pulp. Clients that believe it pull nothing without.
    """

    def make_registry(self) -> DockerRegistry:
        return DockerRegistry(
            self.directory / "registry",
            self.authority,
            headers={"X-Registry-Supports-Signatures": "1"},
        )

    def test_pull(self) -> None:
        """skopeo and podman pull, and ask for nothing that is not relayed."""
        image = self.make_image()
        self.put_upstream(image, "acme_team/app:1")
        reference = f"{self.host}/team/app:1"
        pulled = f"dir:{self.directory / 'pulled'}"
        self.assert_done(self.make_skopeo().pull(reference, pulled))
        self.assert_done(self.make_podman().pull(reference))
        self.assertNotIn("/extensions/", self.regbroker.log())
