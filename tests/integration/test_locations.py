"""Registries whose Locations are not what one expects: below a path, or outside /v2."""

from __future__ import annotations

import hashlib

from .case import SECTIONS, RegbrokerTestCase
from .peers.artifact_registry import ArtifactRegistry
from .peers.docker_registry import DockerRegistry
from .peers.https_client import HttpsClient, Reply
from .peers.nginx import StrippingNginx
from .peers.regbroker import Regbroker

SCOPE = "repository:team/app:pull,push,delete"
UPLOADS = "/v2/team/app/blobs/uploads/"


class PushTestCase(RegbrokerTestCase):
    """Pushes and pulls with each client."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.reference = f"{self.host}/team/app:1"

    def assert_pulled(self) -> None:
        """bob gets every byte of the image."""
        skopeo = self.make_skopeo("bob")
        self.log_in(skopeo, "bob")
        pulled = self.directory / "pulled"
        self.assert_done(skopeo.pull(self.reference, f"dir:{pulled}"))
        for digest in (self.image.config_digest, *self.image.layer_digests):
            blob = (pulled / digest.removeprefix("sha256:")).read_bytes()
            self.assertEqual(blob, self.image.blob(digest))

    def push_with_skopeo(self) -> None:
        """alice pushes with skopeo."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assert_done(skopeo.push(self.image.source, self.reference))

    def push_with_containerd(self) -> None:
        """alice pushes with containerd."""
        containerd = self.start_containerd()
        local = self.import_image(containerd, self.image)
        self.assert_done(containerd.push(self.reference, local, *self.as_user("alice")))


class OutsideTests(PushTestCase):
    """Uploads and downloads lie outside `/v2`, as at Google Artifact Registry."""

    absolute = False
    upstream_sections = (
        SECTIONS.replace("namespaces =", "redirects = follow\nnamespaces =")
        + "redirect-paths = /artifacts-downloads/\n"
    )

    def start_peers(self) -> None:
        self.start_upstream()
        self.front = ArtifactRegistry(
            self.authority, self.registry.port, absolute=self.absolute
        )
        self.addCleanup(self.front.stop)
        self.start_regbroker_for(self.front.url)
        self.addCleanup(self.assert_sides_kept_apart)

    def make_registry(self) -> DockerRegistry:
        directory = self.directory / "registry"
        return DockerRegistry(directory, self.authority, self.tokens, tls=False)

    def assert_sides_kept_apart(self) -> None:
        super().assert_sides_kept_apart()
        words = ["artifacts-", self.front.host]
        self.assertEqual(self.transcript.occurrences(words), [])

    def assert_carried(self) -> None:
        """What was uploaded went where the registry has its uploads."""
        ended = [
            target
            for method, target in self.front.requests
            if method == "PUT" and target.startswith("/artifacts-uploads/")
        ]
        # layers and configuration
        self.assertEqual(len(ended), 1 + len(self.image.layer_digests))

    def test_skopeo(self) -> None:
        """skopeo pushes and pulls."""
        self.push_with_skopeo()
        self.assert_carried()
        self.assert_pulled()

    def test_containerd(self) -> None:
        """So does containerd."""
        self.push_with_containerd()
        self.assert_carried()
        self.assert_pulled()

    def test_podman(self) -> None:
        """So does podman."""
        podman = self.make_podman()
        self.log_in(podman, "alice")
        self.assert_done(podman.pull(self.image.source))
        local = podman.run("images", "--quiet", "--no-trunc").stdout.strip()
        pushed = podman.push(local, self.reference)
        self.assert_carried()
        self.assert_done(podman.run("rmi", "--force", "--all"))
        self.assert_done(podman.pull(self.reference))
        self.assertEqual(podman.digest_of(self.reference), pushed)

    def send(
        self,
        https: HttpsClient,
        method: str,
        target: str,
        body: bytes | None = None,
        **headers: str,
    ) -> Reply:
        """Send a request as alice."""
        return https.request(
            method, target, {**self.token("alice", SCOPE), **headers}, body
        )

    def test_chunks_on_two_machines(self) -> None:
        """An upload that began on one machine ends on another with the same key."""
        key = self.regbroker.directory / "state" / "token-key.pem"
        sections = self.upstream_sections.format(
            url=self.front.url,
            authority=self.directory / "root.crt",
            registry="",
            more="",
            upstream="",
        )
        second = Regbroker(
            self.directory / "second",
            self.authority,
            sections,
            main=f"signing-key = {key}",
        )
        self.addCleanup(second.stop)
        second.start()
        other = HttpsClient(second.port, self.root_pem, self.transcript)
        parts = (b"a" * 70_000, b"b" * 5)
        digest = f"sha256:{hashlib.sha256(b''.join(parts)).hexdigest()}"
        reply = self.send(self.https, "POST", UPLOADS)
        self.assertEqual(reply.status, 202, reply)
        done = 0
        for https, part in zip((self.https, other), parts, strict=True):
            end = done + len(part) - 1
            kind = {
                "Content-Range": f"{done}-{end}",
                "Content-Type": "application/octet-stream",
            }
            reply = self.send(https, "PATCH", reply.location(), part, **kind)
            self.assertEqual((reply.status, reply.one("Range")), (202, f"0-{end}"))
            done = end + 1
        state = self.send(self.https, "GET", reply.location())
        self.assertEqual((state.status, state.one("Range")), (204, f"0-{done - 1}"))
        elsewhere = reply.location().replace("team/app", "team/mine")
        wrong = self.send(self.https, "GET", elsewhere)
        self.assertIn(wrong.status, (401, 404))
        made = self.send(other, "PUT", f"{reply.location()}?digest={digest}", b"")
        self.assertEqual(made.status, 201, made)
        self.assertEqual(made.location(), f"/v2/team/app/blobs/{digest}")
        blob = self.send(self.https, "GET", f"/v2/team/app/blobs/{digest}")
        self.assertEqual((blob.status, blob.body), (200, b"".join(parts)))

    def test_given_up(self) -> None:
        """An upload is ended with DELETE, and is unknown then."""
        reply = self.send(self.https, "POST", UPLOADS)
        where = reply.location()
        self.assertEqual(self.send(self.https, "DELETE", where).status, 204)
        self.assert_oci_error(
            self.send(self.https, "GET", where), 404, "BLOB_UPLOAD_UNKNOWN"
        )


class OutsideAbsoluteTests(OutsideTests):
    """The same where the registry names its own host in the Locations."""

    absolute = True


class BelowPathTests(PushTestCase):
    """The registry is below a path, and says so in all that it writes."""

    path = "/some/registry"

    def start_peers(self) -> None:
        self.start_upstream()
        self.start_regbroker_for(self.make_url())
        self.addCleanup(self.assert_sides_kept_apart)

    def make_registry(self) -> DockerRegistry:
        return DockerRegistry(
            self.directory / "registry", self.authority, self.tokens, prefix=self.path
        )

    def make_url(self) -> str:
        """Where regbroker finds the registry."""
        return self.registry.url + self.path

    def test_skopeo(self) -> None:
        """skopeo pushes and pulls."""
        self.push_with_skopeo()
        self.assert_pulled()

    def test_containerd(self) -> None:
        """So does containerd."""
        self.push_with_containerd()
        self.assert_pulled()

    def test_catalog(self) -> None:
        """The catalog goes on, page by page."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        names = ["team/app", "team/one", "team/two"]
        for name in names:
            reference = f"{self.host}/{name}:1"
            self.assert_done(skopeo.push(self.image.source, reference))
        token = self.token("keeper", "registry:catalog:*")
        target, found = "/v2/_catalog?n=1", []
        while target:
            reply = self.https.request("GET", target, token)
            found += reply.json()["repositories"]
            links = reply.all("Link")
            target = links[0].partition(">")[0].removeprefix("<") if links else ""
        self.assertEqual(found, names)


class StrippedPathTests(BelowPathTests):
    """Its proxy takes the path away, so that it knows nothing of it."""

    def make_registry(self) -> DockerRegistry:
        directory = self.directory / "registry"
        return DockerRegistry(directory, self.authority, self.tokens, tls=False)

    def make_url(self) -> str:
        nginx = StrippingNginx(
            self.directory / "nginx", self.path, self.registry.port, self.authority
        )
        self.addCleanup(nginx.stop)
        nginx.start()
        return nginx.url + self.path
