"""Accounts in a file of `htpasswd`, and rights, in front of a registry without any."""

from __future__ import annotations

from .accounts_case import PASSWORDS, AccountsTestCase
from .case import mounts, uploads
from .peers.https_client import Reply
from .peers.signing import claims_of

REFUSAL = "denied|unauthorized|authentication required|authorization failed"
"""How the clients put it."""


class BareRegistryTestCase(AccountsTestCase):
    """`docker-registry` without authentication, over plain HTTP."""

    def setUp(self) -> None:
        super().setUp()
        self.start_registry()
        self.start_regbroker()

    def start_regbroker(self) -> None:
        """Start regbroker as the class wants it."""
        self.use(self.start_local(self.sections()))

    def granted(self, reply: Reply) -> dict[str, list[str]]:
        """The actions by name that the token in a reply is good for."""
        self.assertEqual(reply.status, 200, reply)
        access = claims_of(reply.json()["token"])["access"]
        return {f"{one['type']}:{one['name']}": one["actions"] for one in access}

    def get(self, target: str, headers: dict[str, str] | None = None) -> Reply:
        """Send a GET."""
        return self.https.request("GET", target, headers)

    def post_upload(self, name: str, headers: dict[str, str], query: str = "") -> Reply:
        """Ask for an upload; it is taken back."""
        target = f"/v2/{name}/blobs/uploads/{query}"
        reply = self.https.request("POST", target, headers)
        if reply.status == 202:
            self.https.request("DELETE", reply.location(), headers)
        return reply


class ClientTests(BareRegistryTestCase):
    """What people do with real clients."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()

    def test_push_as_alice_refused_as_bob(self) -> None:
        """alice pushes and pulls; bob, who may pull, pulls and cannot push."""
        alice, bob = self.make_skopeo("alice"), self.make_skopeo("bob")
        self.log_in(alice, "alice")
        self.log_in(bob, "bob")
        reference = f"{self.host}/team/app:1"
        self.assert_refused(bob.push(self.image.source, reference), REFUSAL)
        self.assert_done(alice.push(self.image.source, reference))
        self.assertEqual(bob.digest_of(reference), self.image.digest)
        self.assert_refused(
            bob.push(self.image.source, f"{self.host}/team/app:2"), REFUSAL
        )
        requests = self.upstream_requests_until("/v2/acme_team/app/manifests/1")
        written = {
            one.target for one in requests if one.method == "PUT" and one.status == 201
        }
        self.assertIn("/v2/acme_team/app/manifests/1", written)
        self.assertFalse([target for target in written if "manifests/2" in target])

    def test_wrong_password(self) -> None:
        """skopeo says that the password is wrong, and stores nothing."""
        skopeo = self.make_skopeo()
        refused = skopeo.login(self.host, "alice", "wrong")
        self.assert_refused(refused, "invalid username/password")

    def test_anonymous(self) -> None:
        """Who brings nothing pulls what everybody may pull, and nothing else."""
        self.put_upstream(self.image, "mirror/lib_open:1", "mirror/lib_closed:1")
        nobody = self.make_skopeo()
        reference = f"{self.host}/lib/open:1"
        self.assertEqual(nobody.digest_of(reference), self.image.digest)
        pulled = nobody.pull(reference, f"oci:{self.directory}/pulled:1")
        self.assert_done(pulled)
        closed = nobody.list_tags(f"{self.host}/lib/closed")
        self.assert_refused(closed, REFUSAL)
        self.assert_refused(nobody.push(self.image.source, reference), REFUSAL)

    def test_namespaces_of_ones_own(self) -> None:
        """Whoever logs in has the namespace of that name, and not another's."""
        bob = self.make_skopeo()
        self.log_in(bob, "bob")
        mine = f"{self.host}/home/bob/tools/app:1"
        self.assert_done(bob.push(self.image.source, mine))
        self.assertEqual(bob.digest_of(mine), self.image.digest)
        theirs = f"{self.host}/home/alice/app:1"
        self.assert_refused(bob.push(self.image.source, theirs), REFUSAL)
        self.assert_refused(bob.list_tags(f"{self.host}/home/alice/app"), REFUSAL)

    def test_deleting(self) -> None:
        """It takes its own right: pushing is not enough."""
        self.put_upstream(self.image, "acme_team/app:1")
        alice, carol = self.make_skopeo("alice"), self.make_skopeo("carol")
        self.log_in(alice, "alice")
        self.log_in(carol, "carol")
        reference = f"{self.host}/team/app:1"
        self.assert_refused(alice.delete(reference), "Unauthorized")
        self.assertEqual(alice.digest_of(reference), self.image.digest)
        self.assert_done(carol.delete(reference))
        self.assertEqual(alice.digest_of(reference), "")

    def test_containerd(self) -> None:
        """containerd, which never pings, pushes as alice and is refused as bob."""
        containerd = self.start_containerd()
        containerd.trust(self.host)
        name = self.import_image(containerd, self.image)
        reference = f"{self.host}/team/app:1"
        bob = "--user", f"bob:{PASSWORDS['bob']}"
        self.assert_refused(containerd.push(reference, name, *bob), REFUSAL)
        alice = "--user", f"alice:{PASSWORDS['alice']}"
        self.assert_done(containerd.push(reference, name, *alice))
        self.assert_done(containerd.pull(reference, *bob))

    def test_podman(self) -> None:
        """podman logs in, pulls as bob and cannot push."""
        self.put_upstream(self.image, "acme_team/app:1")
        podman = self.make_podman()
        podman.trust(self.host)
        self.assert_done(podman.login(self.host, "bob", PASSWORDS["bob"]))
        reference = f"{self.host}/team/app:1"
        self.assert_done(podman.pull(reference))
        denied = podman.run("push", reference, f"{self.host}/team/app:2")
        self.assert_refused(denied, REFUSAL)

    def test_mounts(self) -> None:
        """A second push of the same layers moves none of them."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        source = self.image.source
        self.assert_done(skopeo.push(source, f"{self.host}/team/app:1"))
        self.assert_done(skopeo.push(source, f"{self.host}/team/copy:1"))
        requests = self.upstream_requests_until("/v2/acme_team/copy/manifests/1")
        made = [one.status for one in mounts(requests, "acme_team/copy")]
        self.assertEqual(made.count(201), len(self.image.layer_digests))
        self.assertLessEqual(
            len([u for u in uploads(requests, "acme_team/copy") if u.method == "PUT"]),
            1,
            "only the config may be uploaded",
        )
