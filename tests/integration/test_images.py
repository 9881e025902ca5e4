"""Whole images through regbroker, with each client."""

from __future__ import annotations

import json

from .case import RegbrokerTestCase


class PushAndPullTests(RegbrokerTestCase):
    """What is pulled is what was pushed, and it lies under the upstream's name."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.reference = f"{self.host}/team/app:1"

    def assert_upstream_has(self, target: str) -> None:
        """A request for this manifest has reached the upstream."""
        requests = self.upstream_requests_until(target)
        stored = [access for access in requests if access.target == target]
        self.assertIn(201, [access.status for access in stored])

    def test_skopeo(self) -> None:
        """Manifest and blobs come back byte for byte."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assert_done(skopeo.push(self.image.source, self.reference))
        self.assertEqual(skopeo.digest_of(self.reference), self.image.digest)
        pulled = self.directory / "pulled"
        self.assert_done(skopeo.pull(self.reference, f"dir:{pulled}"))
        manifest = (pulled / "manifest.json").read_bytes()
        self.assertEqual(manifest, self.image.blob(self.image.digest))
        for digest in (self.image.config_digest, *self.image.layer_digests):
            blob = (pulled / digest.removeprefix("sha256:")).read_bytes()
            self.assertEqual(blob, self.image.blob(digest))
        self.assert_upstream_has("/v2/acme_team/app/manifests/1")

    def test_podman(self) -> None:
        """podman pushes what it has built itself, and pulls what others pushed."""
        podman = self.make_podman()
        self.log_in(podman, "alice")
        self.assert_done(podman.pull(self.image.source))
        local = podman.run("images", "--quiet", "--no-trunc").stdout.strip()
        pushed = podman.push(local, self.reference)
        self.assert_upstream_has("/v2/acme_team/app/manifests/1")
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "bob")
        self.assertEqual(skopeo.digest_of(self.reference), pushed)
        self.assert_done(podman.run("rmi", "--force", "--all"))
        self.assert_done(podman.pull(self.reference))
        self.assertEqual(podman.digest_of(self.reference), pushed)

    def test_containerd(self) -> None:
        """ctr pushes from its store, and pulls into an empty one."""
        containerd = self.start_containerd()
        local = self.import_image(containerd, self.image)
        alice = self.as_user("alice")
        self.assert_done(containerd.push(self.reference, local, *alice))
        self.assert_upstream_has("/v2/acme_team/app/manifests/1")
        containerd.remove(local)
        self.assert_done(containerd.pull(self.reference, *self.as_user("bob")))
        self.assertEqual(containerd.digest_of(self.reference), self.image.digest)

    def test_trailing_star(self) -> None:
        """`lib/* = mirror/lib_*` is pulled by each client as any other name."""
        self.put_upstream(self.image, "mirror/lib_tools/jq:1")
        reference = f"{self.host}/lib/tools/jq:1"
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        podman = self.make_podman()
        self.log_in(podman, "alice")
        self.assert_done(podman.pull(reference))
        self.assertEqual(podman.digest_of(reference), self.image.digest)
        containerd = self.start_containerd()
        self.assert_done(containerd.pull(reference, *self.as_user("alice")))
        self.assertEqual(containerd.digest_of(reference), self.image.digest)

    def test_one_client_pulls_what_another_pushed(self) -> None:
        """A digest reference works as well as a tag."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assert_done(skopeo.push(self.image.source, self.reference))
        by_digest = f"{self.host}/team/app@{self.image.digest}"
        podman = self.make_podman()
        self.log_in(podman, "bob")
        self.assert_done(podman.pull(by_digest))
        containerd = self.start_containerd()
        self.assert_done(containerd.pull(by_digest, *self.as_user("bob")))


class ListAndDeleteTests(RegbrokerTestCase):
    """What clients can ask about repositories, and the end of an image."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(
            self.image,
            "acme_team/app:1",
            "acme_team/app:2",
            "acme_team/web:1",
            "mirror/lib_tool:1",
            "private/thing:1",
        )

    def test_list_tags(self) -> None:
        """skopeo and podman list the tags under the public name."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "bob")
        listed = self.assert_done(skopeo.list_tags(f"{self.host}/team/app"))
        found = json.loads(listed.stdout)
        self.assertEqual(found["Repository"], f"{self.host}/team/app")
        self.assertEqual(sorted(found["Tags"]), ["1", "2"])
        podman = self.make_podman()
        self.log_in(podman, "bob")
        self.assertEqual(podman.search_tags(f"{self.host}/team/app"), ["1", "2"])

    def test_search(self) -> None:
        """podman searches the catalog, and finds public names only."""
        podman = self.make_podman()
        self.log_in(podman, "alice")
        self.assertEqual(
            podman.search(f"{self.host}/"),
            [f"{self.host}/{name}" for name in ("lib/tool", "team/app", "team/web")],
        )
        self.assertEqual(podman.search(f"{self.host}/web"), [f"{self.host}/team/web"])

    def test_delete(self) -> None:
        """What skopeo deletes is gone, here and upstream."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        reference = f"{self.host}/team/web:1"
        self.assert_done(skopeo.delete(reference))
        gone = skopeo.pull(reference, f"dir:{self.directory / 'pulled'}")
        self.assert_refused(gone, "manifest unknown")
        requests = self.upstream_requests_until(
            f"/v2/acme_team/web/manifests/{self.image.digest}"
        )
        deleted = [access.status for access in requests if access.method == "DELETE"]
        self.assertEqual(deleted.count(202), 1)

    def test_delete_without_the_right(self) -> None:
        """bob may pull only."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "bob")
        reference = f"{self.host}/team/web:1"
        self.assertNotEqual(skopeo.delete(reference).status, 0)
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
