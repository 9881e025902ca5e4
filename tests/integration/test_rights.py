"""Two users with different rights, which only the upstream knows."""

from __future__ import annotations

from .case import RegbrokerTestCase

REFUSAL = "denied|unauthorized|authentication required|authorization failed"
"""How the clients put it."""


class RightsTests(RegbrokerTestCase):
    """alice pushes and pulls, bob pulls."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(self.image, "acme_team/app:1")
        self.reference = f"{self.host}/team/app:2"

    def assert_nothing_pushed(self) -> None:
        """The upstream has stored no manifest under the tag of the push."""
        reply = self.https.request(
            "GET",
            "/v2/team/app/tags/list",
            self.token("alice", "repository:team/app:pull"),
        )
        self.assertEqual(reply.json(), {"name": "team/app", "tags": ["1"]})

    def test_skopeo(self) -> None:
        """bob's pull works, his push does not, alice's does."""
        bob = self.make_skopeo("bob")
        self.log_in(bob, "bob")
        self.assertEqual(bob.digest_of(f"{self.host}/team/app:1"), self.image.digest)
        self.assert_refused(bob.push(self.image.source, self.reference), REFUSAL)
        self.assert_nothing_pushed()
        alice = self.make_skopeo("alice")
        self.log_in(alice, "alice")
        self.assert_done(alice.push(self.image.source, self.reference))

    def test_podman(self) -> None:
        """bob's pull works, his push does not."""
        podman = self.make_podman()
        self.log_in(podman, "bob")
        self.assert_done(podman.pull(f"{self.host}/team/app:1"))
        denied = podman.run("push", f"{self.host}/team/app:1", self.reference)
        self.assert_refused(denied, REFUSAL)
        self.assert_nothing_pushed()

    def test_containerd(self) -> None:
        """bob's pull works, his push does not, alice's does."""
        containerd = self.start_containerd()
        pulled = f"{self.host}/team/app:1"
        self.assert_done(containerd.pull(pulled, *self.as_user("bob")))
        denied = containerd.push(self.reference, pulled, *self.as_user("bob"))
        self.assert_refused(denied, REFUSAL)
        self.assert_nothing_pushed()
        alice = self.as_user("alice")
        self.assert_done(containerd.push(self.reference, pulled, *alice))

    def test_another_namespace(self) -> None:
        """bob has no right to `lib/`, and learns nothing of what is there."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "bob")
        denied = skopeo.list_tags(f"{self.host}/lib/tool")
        self.assert_refused(denied, REFUSAL)

    def test_anonymous(self) -> None:
        """Without a user the upstream grants nothing here."""
        skopeo = self.make_skopeo()
        denied = skopeo.list_tags(f"{self.host}/team/app")
        self.assert_refused(denied, REFUSAL)
        self.assertEqual(self.token_server.requests()[-1].user, "")
