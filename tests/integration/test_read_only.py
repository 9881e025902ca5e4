"""A registry that takes no pushes and no deletes."""

from __future__ import annotations

from .case import RegbrokerTestCase

REFUSAL = "read-only|405|[Mm]ethod [Nn]ot [Aa]llowed|unsupported"
"""How the clients put it."""


class ReadOnlyTests(RegbrokerTestCase):
    """Whoever asks, with whatever rights upstream: pulls work, nothing else does."""

    registry_options = "writes = deny"

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(self.image, "acme_team/app:1")
        self.before = len(self.registry.requests())
        self.pulled = f"{self.host}/team/app:1"
        self.pushed = f"{self.host}/team/new:1"

    def assert_nothing_written(self) -> None:
        """The upstream was asked for what is there, and that is there still."""
        headers = self.token("alice", "repository:team/app:pull")
        reply = self.https.request("GET", "/v2/team/app/tags/list", headers)
        self.assertEqual(reply.json()["tags"], ["1"])
        requests = self.upstream_requests_until("/tags/list")[self.before :]
        self.assertEqual({one.method for one in requests} - {"GET", "HEAD"}, set())

    def test_skopeo(self) -> None:
        """A push and a delete fail with a clear word; a pull does not."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        self.assertEqual(skopeo.digest_of(self.pulled), self.image.digest)
        refused = skopeo.push(self.image.source, self.pushed)
        self.assert_refused(refused, REFUSAL)
        self.assert_refused(refused, "this registry is read-only")
        self.assert_refused(skopeo.delete(self.pulled), REFUSAL)
        self.assert_nothing_written()

    def test_containerd(self) -> None:
        """containerd shows the status."""
        containerd = self.start_containerd()
        alice = self.as_user("alice")
        self.assert_done(containerd.pull(self.pulled, *alice))
        refused = containerd.push(self.pushed, self.pulled, *alice)
        self.assert_refused(refused, "405 Method Not Allowed")
        self.assert_nothing_written()
