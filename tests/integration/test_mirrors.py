"""regbroker as the mirror of other registries, for containerd and by hand."""

from __future__ import annotations

import hashlib

from .case import RegbrokerTestCase
from .peers.https_client import bearer
from .peers.images import MANIFEST_MEDIA_TYPE

SOURCE = "registry.example"
UNKNOWN = "other.example"
PORT_SOURCE = "registry.example:5000"


class MirrorTests(RegbrokerTestCase):
    """`registry.example` is asked for at `localhost`, and is another section."""

    main = f"""\
ns =
    {SOURCE} = mirror.test
    {PORT_SOURCE} = localhost
"""
    more_sections = """\
[registry mirror.test]
upstream = up
token-path = /tokens
namespaces =
    * = mirror/lib_*
"""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(self.image, "mirror/lib_tool:1", "acme_team/app:1")
        self.query = f"ns={SOURCE}"

    def assert_no_source_upstream(self, marker: str) -> None:
        """The upstream has seen the request with `marker`, and never a source."""
        for access in self.upstream_requests_until(marker):
            self.assertNotIn("ns=", access.target)
            self.assertNotIn("registry.example", access.target)
        for request in self.token_server.requests():
            self.assertNotIn("registry.example", repr(request))

    def test_containerd(self) -> None:
        """It names the source, and gets the image of the registry behind it."""
        containerd = self.start_containerd()
        containerd.mirror(SOURCE, self.host)
        reference = f"{SOURCE}/tool:1"
        done = self.assert_done(containerd.pull(reference, *self.as_user("alice")))
        self.assertEqual(containerd.digest_of(reference), self.image.digest)
        self.assertIn(f"/v2/tool/manifests/1?{self.query}", done.output)
        self.assertIn(f"Oci-Namespace: {SOURCE}", done.output)
        self.assert_no_source_upstream("/v2/mirror/lib_tool/manifests/")
        for pattern in (
            r"registry=mirror\.test method=HEAD path=/v2/tool/manifests/1",
            rf"registry=mirror\.test .*path=/tokens/{SOURCE} ",
        ):
            self.regbroker.wait_for(pattern)
        self.assertNotIn("registry=localhost", self.regbroker.log())

    def test_containerd_with_port(self) -> None:
        """A source may have a port; here it is the section of the Host, too."""
        containerd = self.start_containerd()
        containerd.mirror(PORT_SOURCE, self.host)
        reference = f"{PORT_SOURCE}/team/app:1"
        self.assert_done(containerd.pull(reference, *self.as_user("bob")))
        self.assertEqual(containerd.digest_of(reference), self.image.digest)
        self.assert_no_source_upstream("/v2/acme_team/app/manifests/")
        self.regbroker.wait_for(rf"registry=localhost .*path=/auth/{PORT_SOURCE} ")

    def test_containerd_below_a_namespace(self) -> None:
        """`override_path`: all images of a source are below one of our namespaces."""
        containerd = self.start_containerd()
        containerd.mirror(PORT_SOURCE, self.host, "/v2/team")
        reference = f"{PORT_SOURCE}/app:1"
        self.assert_done(containerd.pull(reference, *self.as_user("bob")))
        self.assertEqual(containerd.digest_of(reference), self.image.digest)
        # It asks for the name in the reference, too, which leads nowhere here.
        self.regbroker.wait_for(r"name=app,team/app .*upstream_name=acme_team/app ")

    def test_containerd_with_unknown_source(self) -> None:
        """A source that is not in the table is not found, and nobody is asked."""
        containerd = self.start_containerd()
        containerd.mirror(UNKNOWN, self.host)
        before = len(self.registry.requests())
        denied = containerd.pull(f"{UNKNOWN}/team/app:1", *self.as_user("alice"))
        self.assert_refused(denied, "not found")
        self.assertIn(f"?ns={UNKNOWN}", denied.output)
        self.regbroker.wait_for(r"path=/v2/team/app/manifests/1 .* status=404 ")
        reply = self.https.request("GET", f"/v2/team/app/manifests/1?ns={UNKNOWN}")
        self.assert_oci_error(reply, 404, "NAME_UNKNOWN")
        self.assertIn(SOURCE, reply.json()["errors"][0]["message"])
        self.assertEqual(len(self.registry.requests()), before)

    def test_challenge(self) -> None:
        """Its realm gives a token for just this registry."""
        target = f"/v2/tool/manifests/1?{self.query}"
        reply = self.https.request("GET", target)
        self.assert_oci_error(reply, 401, "UNAUTHORIZED")
        self.assertEqual(reply.one("OCI-Namespace"), SOURCE)
        challenge = reply.challenge()
        realm = f"https://{self.host}/tokens/{SOURCE}"
        self.assertEqual(challenge["realm"], realm)
        self.assertEqual(challenge["scope"], "repository:tool:pull")
        reply = self.https.get_token(
            f"/tokens/{SOURCE}", "alice", "alice's secret", challenge["scope"]
        )
        headers = bearer(reply.json()["token"]) | {"Accept": MANIFEST_MEDIA_TYPE}
        reply = self.https.request("GET", target, headers)
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(reply.one("Docker-Content-Digest"), self.image.digest)
        self.assertEqual(reply.one("OCI-Namespace"), SOURCE)
        self.assert_no_source_upstream("/v2/mirror/lib_tool/manifests/1")

    def test_upload(self) -> None:
        """An upload goes on where its Location leads, whoever adds the source."""
        scope = "repository:team/app:pull,push"
        reply = self.https.get_token(
            f"/auth/{PORT_SOURCE}", "alice", "alice's secret", scope
        )
        token = bearer(reply.json()["token"])
        query = f"ns={PORT_SOURCE}"
        target = f"/v2/team/app/blobs/uploads/?{query}"
        reply = self.https.request("POST", target, token)
        self.assertEqual(reply.status, 202, reply)
        self.assertTrue(reply.location().endswith(f"&{query}"), reply)
        blob = b"what an upload holds"
        reply = self.https.request("PATCH", reply.location(), token, blob)
        self.assertEqual(reply.status, 202, reply)
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        target = f"{reply.location()}&digest={digest}&{query}"
        reply = self.https.request("PUT", target, token)
        self.assertEqual(reply.status, 201, reply)
        self.assertEqual(reply.location(), f"/v2/team/app/blobs/{digest}?{query}")
        reply = self.https.request("GET", reply.location(), token)
        self.assertEqual((reply.status, reply.body), (200, blob))
        self.assert_no_source_upstream(f"/v2/acme_team/app/blobs/{digest}")
