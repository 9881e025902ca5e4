"""Cross-repository mounts: no byte of a layer moves twice."""

from __future__ import annotations

from .case import RegbrokerTestCase, mounts, uploads
from .peers.https_client import Reply


class MountTests(RegbrokerTestCase):
    """`from=` is mapped like the repository itself."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.layer = self.image.layer_digests[0]
        self.put_upstream(
            self.image,
            *("acme_team/app:1", "acme_team/theirs:1", "mirror/lib_base:1"),
        )

    def mount(self, name: str, source: str, authorization: dict[str, str]) -> Reply:
        """Ask for the layer of `source` in `name`."""
        target = f"/v2/{name}/blobs/uploads/?mount={self.layer}&from={source}"
        return self.https.request("POST", target, authorization)

    def test_raw(self) -> None:
        """A mount is 201, its Location is public and leads to the blob."""
        pull = "repository:team/app:pull"
        authorization = self.token("alice", "repository:team/copy:pull,push", pull)
        reply = self.mount("team/copy", "team/app", authorization)
        self.assertEqual(reply.status, 201, reply)
        self.assertEqual(reply.location(), f"/v2/team/copy/blobs/{self.layer}")
        self.assertEqual(reply.one("Docker-Content-Digest"), self.layer)
        blob = self.https.request("GET", reply.location(), authorization)
        self.assertEqual(blob.body, self.image.blob(self.layer))
        requests = self.upstream_requests_until(
            f"/v2/acme_team/copy/blobs/{self.layer}"
        )
        self.assertEqual(
            [access.status for access in mounts(requests, "acme_team/copy")], [201]
        )
        self.assertEqual(uploads(requests, "acme_team/copy"), [])

    def test_across_namespaces(self) -> None:
        """The two names may be mapped by different rules."""
        authorization = self.token(
            "alice", "repository:team/copy:pull,push repository:lib/base:pull"
        )
        reply = self.mount("team/copy", "lib/base", authorization)
        self.assertEqual(reply.status, 201, reply)
        self.assertEqual(reply.location(), f"/v2/team/copy/blobs/{self.layer}")

    def test_challenge_names_both(self) -> None:
        """A mount without a token is told both scopes that it needs."""
        reply = self.mount("team/copy", "team/app", {})
        self.assertEqual(reply.status, 401, reply)
        self.assertEqual(
            sorted(reply.challenge()["scope"].split()),
            ["repository:team/app:pull", "repository:team/copy:pull,push"],
        )

    def test_without_pull_right_on_from(self) -> None:
        """It ends as an ordinary upload, once the token is the best one can get."""
        authorization = self.token(
            "carol",
            "repository:team/mine:pull,push,delete",
            "repository:team/theirs:pull",
        )
        reply = self.mount("team/mine", "team/theirs", authorization)
        self.assertEqual(reply.status, 202, reply)
        self.assertRegex(reply.location(), "^/v2/team/mine/blobs/uploads/")
        gone = self.https.request("DELETE", reply.location(), authorization)
        self.assertEqual(gone.status, 204, gone)

    def test_from_a_name_that_is_not_mapped(self) -> None:
        """It ends as an ordinary upload too: the upstream is not asked about it."""
        authorization = self.token("alice", "repository:team/mine:pull,push")
        reply = self.mount("team/mine", "elsewhere/app", authorization)
        self.assertEqual(reply.status, 202, reply)
        self.assertRegex(reply.location(), "^/v2/team/mine/blobs/uploads/")

    def test_without_any_right(self) -> None:
        """Not even an upload for those who may not push."""
        authorization = self.token(
            "bob", "repository:team/copy:pull,push", "repository:team/app:pull"
        )
        reply = self.mount("team/copy", "team/app", authorization)
        self.assertEqual(reply.status, 401, reply)


class ClientMountTests(RegbrokerTestCase):
    """Clients that push layers which the registry has in another repository."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()

    def assert_layers_mounted(self, source: str, repository: str) -> None:
        """The upstream mounted every layer and got the bytes of none."""
        manifest = f"/v2/{repository}/manifests/1"
        requests = self.upstream_requests_until(manifest)
        for digest in self.image.layer_digests:
            mounted = [
                access.status
                for access in mounts(requests, repository)
                if digest.removeprefix("sha256:") in access.target
            ]
            self.assertEqual(mounted, [201], digest)
            for access in mounts(requests, repository):
                self.assertIn(source, access.target.replace("%2F", "/"))
        configs = [
            access for access in uploads(requests, repository) if access.method == "PUT"
        ]
        self.assertLessEqual(len(configs), 1, "only the config may be uploaded")

    def test_skopeo(self) -> None:
        """skopeo remembers where it has seen a layer."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        source = self.image.source
        self.assert_done(skopeo.push(source, f"{self.host}/team/app:1"))
        self.assert_done(skopeo.push(source, f"{self.host}/team/copy:1"))
        self.assert_layers_mounted("acme_team/app", "acme_team/copy")

    def test_podman(self) -> None:
        """podman remembers where it has pulled a layer from."""
        self.put_upstream(self.image, "mirror/lib_base:1")
        podman = self.make_podman()
        self.log_in(podman, "alice")
        pulled = f"{self.host}/lib/base:1"
        self.assert_done(podman.pull(pulled))
        podman.push(pulled, f"{self.host}/team/copy:1")
        self.assert_layers_mounted("mirror/lib_base", "acme_team/copy")

    def test_containerd(self) -> None:
        """containerd labels content with where it has pulled it from."""
        self.put_upstream(self.image, "acme_team/app:1")
        containerd = self.start_containerd()
        alice = self.as_user("alice")
        pulled = f"{self.host}/team/app:1"
        self.assert_done(containerd.pull(pulled, *alice))
        copy = f"{self.host}/team/copy:1"
        self.assert_done(containerd.push(copy, pulled, *alice))
        self.assert_layers_mounted("acme_team/app", "acme_team/copy")

    def test_containerd_without_pull_right_on_from(self) -> None:
        """The push succeeds all the same, by uploading."""
        self.put_upstream(self.image, "acme_team/theirs:1")
        containerd = self.start_containerd()
        pulled = f"{self.host}/team/theirs:1"
        self.assert_done(containerd.pull(pulled, *self.as_user("alice")))
        mine = f"{self.host}/team/mine:1"
        self.assert_done(containerd.push(mine, pulled, *self.as_user("carol")))
        requests = self.upstream_requests_until("/v2/acme_team/mine/manifests/1")
        self.assertNotEqual(uploads(requests, "acme_team/mine"), [])
