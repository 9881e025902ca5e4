"""Images that jobs push with a JWT as their password, as real clients do it."""

from __future__ import annotations

from .identity_case import OidcTestCase
from .peers.https_client import HttpsClient, basic, bearer
from .peers.images import MANIFEST_MEDIA_TYPE, Image
from .peers.processes import Finished

#: What clients say of a push that they have no right to.
REFUSED = "denied|unauthorized|authentication required"

PUSHED = "acme_team/acme/app/x"


class PushTests(OidcTestCase):
    """A job on the main branch may push to its repositories, another one pulls."""

    tls_upstream = True

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(self.image, "acme_team/base/x:1")
        self.base = f"{self.host}/team/base/x:1"
        self.mine = f"{self.host}/team/acme/app/x"

    def tags(self, upstream_name: str) -> list[str]:
        """The tags that the upstream has of one of its repositories."""
        client = HttpsClient(self.registry.port, self.root_pem, self.transcript)
        reply = client.request("GET", f"/v2/{upstream_name}/tags/list")
        return sorted(reply.json()["tags"]) if reply.status == 200 else []

    def assert_nothing_else(self, *tags: str) -> None:
        """These tags were pushed, and nothing where there is no right to it."""
        self.assertEqual(self.tags(PUSHED), sorted(tags))
        self.assertEqual(self.tags("acme_team/base/x"), ["1"])
        self.assertEqual(self.tags("acme_team/acme/other"), [])

    def test_podman_login(self) -> None:
        """After `podman login`, podman pushes, pulls again, and pushes nothing else."""
        podman = self.make_podman()
        podman.trust(self.host)
        self.assert_done(podman.pull(self.image.source))
        local = podman.run("images", "--quiet", "--no-trunc").stdout.strip()
        self.assert_done(podman.login(self.host, "oidc", self.job()))
        digest = podman.push(local, f"{self.mine}:1")
        self.assert_done(podman.run("rmi", "--force", "--all"))
        self.assert_done(podman.pull(f"{self.mine}:1"))
        self.assertEqual(podman.digest_of(f"{self.mine}:1"), digest)
        self.assert_done(podman.pull(self.base))
        for name in ("base/x", "acme/other"):
            refused = podman.run("push", self.base, f"{self.host}/team/{name}:2")
            self.assert_refused(refused, REFUSED)
        self.assert_nothing_else("1")

    def test_podman_creds(self) -> None:
        """With `--creds`, a job of another branch pulls, and cannot push."""
        podman = self.make_podman()
        podman.trust(self.host)
        main = ("--creds", f"oidc:{self.job()}")
        feature = ("--creds", f"oidc:{self.job('feature')}")

        def push(source: str, target: str, *way: str) -> Finished:
            return podman.run("push", *way, source, target)

        self.assert_done(podman.run("pull", *feature, self.base))
        self.assert_refused(push(self.base, f"{self.mine}:1", *feature), REFUSED)
        self.assert_done(push(self.base, f"{self.mine}:2", *main))
        self.assert_done(podman.run("rmi", "--force", "--all"))
        self.assertNotEqual(podman.pull(f"{self.mine}:2").status, 0)
        refused = podman.run("pull", *feature, f"{self.mine}:2")
        self.assertNotEqual(refused.status, 0)
        self.assert_done(podman.run("pull", *main, f"{self.mine}:2"))
        self.assert_nothing_else("2")

    def test_skopeo(self) -> None:
        """skopeo copies from one repository to the other: it mounts the layers."""
        main, feature = self.make_skopeo("main"), self.make_skopeo("feature")
        self.assert_done(main.login(self.host, "oidc", self.job()))
        self.assert_done(main.copy(self.base, f"{self.mine}:1"))
        self.assertEqual(main.digest_of(f"{self.mine}:1"), self.image.digest)
        beyond = main.copy(f"{self.mine}:1", f"{self.host}/team/base/x:2")
        self.assert_refused(beyond, REFUSED)
        self.assert_done(feature.login(self.host, "oidc", self.job("feature")))
        self.assert_done(feature.pull(self.base, f"dir:{self.directory}/pulled"))
        refused = feature.copy(self.base, f"{self.mine}:2")
        self.assert_refused(refused, REFUSED)
        self.assert_nothing_else("1")

    def test_skopeo_creds(self) -> None:
        """skopeo takes the token on its command line, with nothing stored."""
        skopeo, source = self.make_skopeo(), self.image.source
        main = ("--dest-creds", f"oidc:{self.job()}")
        feature = ("--dest-creds", f"oidc:{self.job('feature')}")
        refused = skopeo.push(source, f"{self.mine}:1", *feature)
        self.assert_refused(refused, REFUSED)
        self.assert_done(skopeo.push(source, f"{self.mine}:2", *main))
        # Nobody is logged in for the next command.
        refused = skopeo.push(source, f"{self.mine}:3")
        self.assert_refused(refused, REFUSED)
        self.assert_nothing_else("2")

    def test_docker(self) -> None:
        """As docker does it: the ping, a token for Basic, then everything with that."""
        ping = self.get("/v2/")
        challenge = ping.challenge()
        for job, granted in (("feature", []), ("main", ["pull", "push"])):
            authorization = {"Authorization": basic("oidc", self.job(job))}
            scope = "repository:team/acme/app/x:pull,push"
            realm = challenge["realm"].partition(self.host)[2]
            service = challenge["service"]
            target = f"{realm}?account=oidc&scope={scope}&service={service}"
            reply = self.https.request("GET", target, authorization)
            expected = {scope.rpartition(":")[0]: granted} if granted else {}
            self.assertEqual(self.granted(reply), expected)
            text = reply.json()["token"]
            self.add_secret(text)
            status = self.push("team/acme/app/x", "1", self.image, bearer(text))
            self.assertEqual(status, 201 if granted else 401)
            self.assert_nothing_else(*(["1"] if granted else []))
        wanted = {**bearer(text), "Accept": MANIFEST_MEDIA_TYPE}
        reply = self.get("/v2/team/acme/app/x/manifests/1", wanted)
        self.assertEqual(reply.body, self.image.blob(self.image.digest))

    def push(self, name: str, tag: str, image: Image, headers: dict[str, str]) -> int:
        """Push as docker does, up to the first refusal; the last status."""
        for digest in (*image.layer_digests, image.config_digest):
            target = f"/v2/{name}/blobs/uploads/"
            reply = self.https.request("POST", target, headers)
            if reply.status != 202:
                return reply.status
            blob = image.blob(digest)
            reply = self.https.request("PATCH", reply.location(), headers, blob)
            self.assertEqual(reply.status, 202, reply)
            target = f"{reply.location()}&digest={digest}"
            reply = self.https.request("PUT", target, headers)
            self.assertEqual(reply.status, 201, reply)
        manifest = image.blob(image.digest)
        more = {**headers, "Content-Type": MANIFEST_MEDIA_TYPE}
        target = f"/v2/{name}/manifests/{tag}"
        return self.https.request("PUT", target, more, manifest).status
