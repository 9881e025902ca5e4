"""regbroker behind another registry's proxy: another regbroker, and distribution's."""

from __future__ import annotations

from .case import SECTIONS, USERS, RegbrokerTestCase, mounts
from .peers.docker_registry import DockerRegistry, Remote
from .peers.https_client import HttpsClient
from .peers.regbroker import Regbroker

OUTER = """\
[registry *]
upstream = inner
namespaces =
    pub/team = team

[upstream inner]
url = https://localhost:{port}
ca-file = {authority}
"""


class RegbrokersTests(RegbrokerTestCase):
    """One in front of another one, which believes what it says of clients."""

    main = "trusted-proxies = 127.0.0.1"
    upstream_sections = SECTIONS.replace(
        "[registry localhost]", "[registry *]\nhosts = localhost, 127.0.0.1"
    )

    def start_regbroker(self) -> None:
        super().start_regbroker()
        self.inner = self.host
        outer = Regbroker(
            self.directory / "outer",
            self.authority,
            OUTER.format(
                port=self.regbroker.port, authority=self.directory / "root.crt"
            ),
        )
        self.addCleanup(outer.stop)
        outer.start()
        self.host = f"127.0.0.1:{outer.port}"
        self.https = HttpsClient(outer.port, self.root_pem, self.transcript)

    def upstream_words_seen(self) -> list[str]:
        words = [self.inner, self.inner.replace("localhost", "127.0.0.1")]
        return super().upstream_words_seen() + self.transcript.occurrences(words)

    def test_clients(self) -> None:
        """Names are mapped twice, there and back."""
        image, skopeo = self.make_image(), self.make_skopeo()
        self.log_in(skopeo, "alice")
        first, second = (f"{self.host}/pub/team/{name}" for name in ("app", "web"))
        self.assert_done(skopeo.push(image.source, f"{first}:1"))
        self.assert_done(skopeo.copy(f"{first}:1", f"{second}:1"))
        requests = self.upstream_requests_until("/v2/acme_team/web/manifests/")
        statuses = {mount.status for mount in mounts(requests, "acme_team/web")}
        self.assertEqual(statuses, {201})
        containerd = self.start_containerd()
        self.assert_done(containerd.pull(f"{second}:1", *self.as_user("bob")))
        self.assertEqual(containerd.digest_of(f"{second}:1"), image.digest)
        podman = self.make_podman()
        self.log_in(podman, "alice")
        self.assertEqual(podman.search(f"{self.host}/"), [first, second])
        self.assertEqual(podman.search_tags(first), ["1"])

    def test_errors(self) -> None:
        """Challenges and errors speak of what the client has asked for."""
        target = "/v2/pub/team/app/blobs/uploads/?from=pub/team/web&mount=sha256:0"
        reply = self.https.request("POST", target)
        self.assert_oci_error(reply, 401, "UNAUTHORIZED")
        self.assertEqual(
            reply.challenge()["scope"],
            "repository:pub/team/app:pull,push repository:pub/team/web:pull",
        )
        token = self.token("alice", "repository:pub/team/none:pull")
        reply = self.https.request("GET", "/v2/pub/team/none/tags/list", token)
        self.assert_oci_error(reply, 404, "NAME_UNKNOWN")
        self.assertEqual(reply.json()["errors"][0]["detail"]["name"], "pub/team/none")


class CacheTests(RegbrokerTestCase):
    """distribution's own cache in front, with an account."""

    def test_pull(self) -> None:
        """It logs in as docker does, and asks for public names."""
        image = self.make_image()
        self.put_upstream(image, "acme_team/app:1")
        remote = Remote(f"https://{self.host}", "bob", USERS["bob"].password)
        cache = DockerRegistry(self.directory / "cache", self.authority, cache=remote)
        self.addCleanup(cache.stop)
        cache.start()
        skopeo = self.make_skopeo()
        pulled = self.directory / "pulled"
        self.assert_done(skopeo.pull(f"{cache.host}/team/app:1", f"dir:{pulled}"))
        self.assertEqual(
            (pulled / "manifest.json").read_bytes(), image.blob(image.digest)
        )
        gone = skopeo.pull(f"{cache.host}/team/none:1", f"dir:{pulled}")
        self.assert_refused(gone, "manifest unknown")
