"""docker itself: its daemon, which is what speaks to registries."""

from __future__ import annotations

from .case import PULL, USERS, RegbrokerTestCase, mounts
from .peers.docker import Docker
from .peers.images import Image
from .peers.token_server import User


class DockerTestCase(RegbrokerTestCase):
    """An image upstream, and a docker that knows nothing yet."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(self.image, "acme_team/app:1")

    def assert_pulled(self, docker: Docker, name: str, image: Image) -> None:
        """It has this image by this name."""
        digests = docker.digests_of(f"{name}:1")
        self.assertEqual(digests, [f"{name}@{image.digest}"])


class DockerTests(DockerTestCase):
    """alice pulls and pushes."""

    def test_images(self) -> None:
        """From the login to the push, with what it says when something is wrong."""
        docker = self.start_docker()
        app, web = f"{self.host}/team/app", f"{self.host}/team/web"
        self.assert_refused(docker.pull(app, "1"), "pull access denied")
        self.assert_refused(docker.login(self.host, "alice", "wrong"), "unauthorized")
        password = USERS["alice"].password
        self.assert_done(docker.login(self.host, "alice", password))
        self.assert_done(docker.pull(app, "1"))
        self.assert_pulled(docker, app, self.image)
        self.assert_done(docker.tag(f"{app}:1", web, "1"))
        self.assert_done(docker.push(web, "1"))
        requests = self.upstream_requests_until("/v2/acme_team/web/manifests/1")
        statuses = [mount.status for mount in mounts(requests, "acme_team/web")]
        self.assertEqual(statuses, [201] * len(self.image.layer_digests))
        self.assert_done(docker.pull(web, ""))
        self.assert_refused(docker.pull(app, "none"), "manifest unknown")
        self.assert_refused(
            docker.pull(f"{self.host}/other/app", "1"), "namespaces here: lib/\\*, team"
        )
        tool = f"{self.host}/lib/tool"
        self.assert_done(docker.tag(f"{app}:1", tool, "1"))
        self.assert_refused(docker.push(tool, "1"), "denied")


class MirrorTests(DockerTestCase):
    """`registry-mirrors`: docker asks for Docker Hub's names, and without a login."""

    upstream_sections = """\
[registry localhost]
upstream = up
namespaces =
    library = acme_team

[upstream up]
url = {url}
ca-file = {authority}
{registry}{more}{upstream}
"""

    def test_pull(self) -> None:
        """What is here comes from here."""
        self.token_server.users[""] = User("", {"acme_team/*": PULL})
        docker = self.start_docker(f"https://{self.host}")
        self.assert_done(docker.pull("app", "1"))
        self.assert_pulled(docker, "app", self.image)
