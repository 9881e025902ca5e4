"""Cross-repository mounts: no byte of a layer moves twice."""

from __future__ import annotations

from .accounts_case import BareRegistryTestCase
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

    def test_token_that_lacks_from(self) -> None:
        """It gets the 401 that names both, as without regbroker, then its mount."""
        push, pull = "repository:team/copy:pull,push", "repository:team/app:pull"
        for _ in range(2):
            narrow = self.mount("team/copy", "team/app", self.token("alice", push))
            self.assertEqual(narrow.status, 401, narrow)
            challenge = narrow.challenge()
            self.assertEqual(sorted(challenge["scope"].split()), sorted([push, pull]))
            self.assertEqual(challenge["error"], "insufficient_scope")
            wide = self.token("alice", *challenge["scope"].split())
            reply = self.mount("team/copy", "team/app", wide)
            self.assertEqual(reply.status, 201, reply)

    def test_token_that_can_never_have_from(self) -> None:
        """Who may not pull there is told once, and may upload ever after."""
        push = "repository:team/mine:pull,push"
        first = self.mount("team/mine", "team/theirs", self.token("carol", push))
        self.assertEqual(first.status, 401, first)
        wide = self.token("carol", *first.challenge()["scope"].split())
        narrow = self.token("carol", push)
        for authorization in (wide, narrow, self.token("carol", push), wide):
            reply = self.mount("team/mine", "team/theirs", authorization)
            self.assertEqual(reply.status, 202, reply)

    def test_without_a_checked_from(self) -> None:
        """What is no mount from one served name mounts nothing."""
        authorization = self.token(
            "alice", "repository:team/mine:pull,push", "repository:team/app:pull"
        )
        digest = self.layer
        for query in (
            f"mount={digest}",
            f"mount={digest}&From=acme_team/theirs",
            f"mount={digest}&from%00=acme_team/theirs",
            f"mount={digest}&mount={digest}&from=team/app",
        ):
            target = f"/v2/team/mine/blobs/uploads/?{query}"
            reply = self.https.request("POST", target, authorization)
            self.assertEqual(reply.status, 202, query)
        requests = self.upstream_requests_until("/v2/acme_team/mine/blobs/uploads/")
        self.assertEqual(mounts(requests, "acme_team/mine"), [])
        target = f"/v2/team/mine/blobs/uploads/?mount={digest}#&from=team/app"
        reply = self.https.request("POST", target, authorization)
        self.assertEqual(reply.status, 400, reply)

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


class LocalMountTests(BareRegistryTestCase):
    """Accounts, rights and tokens of regbroker's own before a registry without any."""

    def test_token_that_lacks_from(self) -> None:
        """Who may pull there gets a mount after one 401; who may not, an upload."""
        image = self.make_image()
        self.put_upstream(image, "mirror/lib_base:1", "people/bob/x:1")
        layer = image.layer_digests[0]
        for source, status in (("lib/base", 201), ("home/bob/x", 202)):
            query = f"?mount={layer}&from={source}"
            push = "repository:team/copy:pull,push"
            narrow = self.post_upload("team/copy", self.token("alice", push), query)
            self.assert_oci_error(narrow, 401, "UNAUTHORIZED")
            challenge = narrow.challenge()
            self.assertEqual(challenge["error"], "insufficient_scope")
            scopes = challenge["scope"].split()
            self.assertEqual(scopes, [push, f"repository:{source}:pull"])
            wide = self.token("alice", *scopes)
            for _ in range(2):
                reply = self.post_upload("team/copy", wide, query)
                self.assertEqual(reply.status, status, reply)
