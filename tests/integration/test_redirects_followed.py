"""A registry whose blobs lie in a storage: docker-registry redirects to nginx."""

from __future__ import annotations

from .case import SECTIONS, RegbrokerTestCase
from .peers.docker_registry import DockerRegistry
from .peers.https_client import Reply
from .peers.nginx import Nginx, Seen
from .peers.processes import poll

REPOSITORY = "repository:team/app:pull"


class StorageTestCase(RegbrokerTestCase):
    """`storage` serves the registry's own files, and takes no Authorization."""

    redirects = "follow"
    redirect_hosts = "redirect-hosts = 127.0.0.1"

    def setUp(self) -> None:
        registry = f"redirects = {self.redirects}\n"
        self.upstream_sections = (
            SECTIONS.replace("namespaces =", registry + "namespaces =")
            + self.redirect_hosts
        )
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(self.image, "acme_team/app:1")
        (self.layer, *_) = self.image.layer_digests
        self.reference = f"{self.host}/team/app:1"
        # what the upstream was told to keep has been looked at there, too
        self.before = len(self.storage.seen())

    def make_registry(self) -> DockerRegistry:
        directory = self.directory / "registry"
        self.storage = Nginx(
            self.directory / "storage", directory / "blobs", self.authority
        )
        self.addCleanup(self.storage.stop)
        self.storage.start()
        return DockerRegistry(
            directory, self.authority, self.tokens, redirect_to=self.storage.url
        )

    def blob(self, method: str = "GET", **headers: str) -> Reply:
        """Ask for a layer, as bob."""
        return self.https.request(
            method,
            f"/v2/team/app/blobs/{self.layer}",
            {**self.token("bob", REPOSITORY), **headers},
        )

    def stored(self, digest: str) -> str:
        """The path of a blob at the storage."""
        encoded = digest.removeprefix("sha256:")
        return f"/docker/registry/v2/blobs/sha256/{encoded[:2]}/{encoded}/data"

    def seen(self, count: int) -> list[Seen]:
        """The last so many requests that the storage has seen, when it has."""
        wanted = self.before + count
        poll(lambda: len(self.storage.seen()) >= wanted, "the storage's log")
        self.assertEqual(len(self.storage.seen()), wanted)
        return self.storage.seen()[self.before :]


class FollowedTests(StorageTestCase):
    """Clients need not reach the storage, nor see that there is one."""

    def test_pull(self) -> None:
        """skopeo pulls every byte, with its token kept from the storage."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "bob")
        pulled = self.directory / "pulled"
        self.assert_done(skopeo.pull(self.reference, f"dir:{pulled}"))
        blobs = (self.image.config_digest, *self.image.layer_digests)
        for digest in blobs:
            blob = (pulled / digest.removeprefix("sha256:")).read_bytes()
            self.assertEqual(blob, self.image.blob(digest))
        seen = self.seen(len(blobs))
        self.assertEqual({one.path for one in seen}, set(map(self.stored, blobs)))
        for one in seen:
            self.assertEqual(one.status, 200)
            told = (one.authorization, one.cookie, one.forwarded_for)
            self.assertEqual(told, ("", "", ""))
        self.assertEqual(self.transcript.occurrences([self.storage.host]), [])

    def test_whole(self) -> None:
        """A blob comes as the storage has it, with nothing about the storage."""
        reply = self.blob()
        self.assertEqual((reply.status, reply.body), (200, self.image.blob(self.layer)))
        self.assertEqual(reply.one("Content-Length"), str(len(reply.body)))
        self.assertEqual(reply.one("Accept-Ranges"), "bytes")
        self.assertEqual(reply.all("X-Amz-Request-Id"), [])
        self.assertEqual(reply.one("Server"), "regbroker")
        again = self.blob(**{"If-None-Match": reply.one("ETag")})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_head(self) -> None:
        """HEAD tells the length."""
        reply = self.blob("HEAD")
        self.assertEqual((reply.status, reply.body), (200, b""))
        length = len(self.image.blob(self.layer))
        self.assertEqual(reply.one("Content-Length"), str(length))

    def test_range(self) -> None:
        """A part is a part."""
        reply = self.blob(Range="bytes=100-199")
        whole = self.image.blob(self.layer)
        self.assertEqual((reply.status, reply.body), (206, whole[100:200]))
        self.assertEqual(reply.one("Content-Range"), f"bytes 100-199/{len(whole)}")
        (one,) = self.seen(1)
        self.assertEqual(one.range, "bytes=100-199")
        beyond = self.blob(Range=f"bytes={len(whole)}-")
        self.assertEqual(beyond.status, 416)
        self.assertEqual(beyond.one("Content-Range"), f"bytes */{len(whole)}")
        self.assertEqual(len(beyond.error_codes()), 1)

    def test_lost(self) -> None:
        """What the storage has lost is unknown, in the registry's own words."""
        for digest in self.image.layer_digests:
            path = self.registry.storage / self.stored(digest).removeprefix("/")
            path.unlink()
        reply = self.blob()
        self.assert_oci_error(reply, 404, "BLOB_UNKNOWN")

    def test_down(self) -> None:
        """A storage that is down is an outage."""
        self.storage.stop()
        self.assert_oci_error(self.blob(), 503, "UNAVAILABLE")


class PassedTests(StorageTestCase):
    """Without `redirects = follow` clients are sent on."""

    redirects = "pass"
    redirect_hosts = ""

    def test_location(self) -> None:
        """The Location is as the registry wrote it."""
        reply = self.blob()
        self.assertEqual(reply.status, 307)
        location = self.storage.url + self.stored(self.layer)
        self.assertEqual(reply.one("Location"), location)
        self.assertEqual(self.storage.seen()[self.before :], [])

    def test_pull(self) -> None:
        """And skopeo goes there itself."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "bob")
        pulled = self.directory / "pulled"
        self.assert_done(skopeo.pull(self.reference, f"dir:{pulled}"))
        blob = (pulled / self.layer.removeprefix("sha256:")).read_bytes()
        self.assertEqual(blob, self.image.blob(self.layer))


class RefusedTests(StorageTestCase):
    """An address of this machine is refused unless the configuration names it."""

    redirect_hosts = ""

    def test_refused(self) -> None:
        """The client is told little, the operator what to do."""
        reply = self.blob()
        self.assert_oci_error(reply, 502, "UNKNOWN")
        self.assertEqual(self.transcript.occurrences([self.storage.host]), [])
        self.assertEqual(self.storage.seen()[self.before :], [])
        log = self.regbroker.log().splitlines()
        (line,) = [one for one in log if "not followed" in one]
        self.assertIn("[upstream up]", line)
        self.assertIn("write 'redirect-hosts = 127.0.0.1'", line)
