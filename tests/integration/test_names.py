"""Raw requests: names in every place of a reply, and requests that go nowhere."""

from __future__ import annotations

import re

from .case import RegbrokerTestCase
from .peers.https_client import Reply
from .peers.images import MANIFEST_MEDIA_TYPE, sha256


class RepliesTests(RegbrokerTestCase):
    """Names are mapped back, and nothing else is touched."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(
            self.image,
            *("acme_team/app:1", "acme_team/app:2", "acme_team/web:1"),
            *("mirror/lib_tool:1", "private/a:1", "private/z:1"),
        )
        self.layer = self.image.layer_digests[0]
        self.alice = self.token(
            "alice",
            *("repository:team/app:pull,push,delete", "repository:lib/tool:pull"),
            *("repository:team/none:pull,push", "registry:catalog:*"),
        )

    def get(self, target: str, **headers: str) -> Reply:
        """Ask as alice."""
        return self.https.request("GET", target, {**self.alice, **headers})

    def test_manifest(self) -> None:
        """The manifest's bytes and headers are the upstream's."""
        reply = self.get("/v2/team/app/manifests/1", Accept=MANIFEST_MEDIA_TYPE)
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(reply.body, self.image.blob(self.image.digest))
        self.assertEqual(reply.one("Docker-Content-Digest"), self.image.digest)
        self.assertEqual(reply.one("Etag"), f'"{self.image.digest}"')
        self.assertEqual(reply.one("Content-Type"), MANIFEST_MEDIA_TYPE)
        self.assertEqual(reply.one("Content-Length"), str(len(reply.body)))
        self.assertEqual(reply.one("Docker-Distribution-Api-Version"), "registry/2.0")

    def test_head(self) -> None:
        """HEAD has the length of the blob and no body."""
        target = f"/v2/lib/tool/blobs/{self.layer}"
        reply = self.https.request("HEAD", target, self.alice)
        self.assertEqual(reply.status, 200, reply)
        length = len(self.image.blob(self.layer))
        self.assertEqual(reply.one("Content-Length"), str(length))
        self.assertEqual(reply.body, b"")

    def test_not_modified(self) -> None:
        """A client that has the manifest gets 304."""
        etag = f'"{self.image.digest}"'
        reply = self.get("/v2/team/app/manifests/1", **{"If-None-Match": etag})
        self.assertEqual((reply.status, reply.body), (304, b""))

    def test_range(self) -> None:
        """A part of a blob, and a part that it does not have."""
        target = f"/v2/team/app/blobs/{self.layer}"
        blob = self.image.blob(self.layer)
        part = self.get(target, Range="bytes=1000-1999")
        self.assertEqual(part.status, 206, part)
        self.assertEqual(part.body, blob[1000:2000])
        self.assertEqual(part.one("Content-Range"), f"bytes 1000-1999/{len(blob)}")
        beyond = self.get(target, Range=f"bytes={len(blob)}-")
        self.assertEqual(beyond.status, 416, beyond)

    def test_tags(self) -> None:
        """The list of tags has the public name."""
        body = self.get("/v2/team/app/tags/list").json()
        self.assertEqual(body["name"], "team/app")
        self.assertEqual(sorted(body["tags"]), ["1", "2"])

    def test_catalog(self) -> None:
        """The catalog has public names only: what nobody mapped is not there."""
        whole = self.get("/v2/_catalog")
        self.assertEqual(
            sorted(whole.json()["repositories"]), ["lib/tool", "team/app", "team/web"]
        )

    def test_catalog_by_pages(self) -> None:
        """`last` and `Link` carry public names from one page to the next."""
        target, names, pages = "/v2/_catalog?n=1", [], 0
        while target:
            pages += 1
            self.assertLessEqual(pages, 10, "the pages never end")
            page = self.get(target)
            self.assertEqual(page.status, 200, page)
            found = page.json()["repositories"]
            self.assertLessEqual(len(found), 1, "n is not kept to")
            names += found
            target = self.next_page(page)
        self.assertEqual(sorted(names), ["lib/tool", "team/app", "team/web"])

    def next_page(self, reply: Reply) -> str:
        """Where the Link header leads; empty when there is none."""
        links = reply.all("Link")
        if not links:
            return ""
        match = re.fullmatch(r'<(/v2/[^>]*)>; *rel="next"', links[0])
        self.assertIsNotNone(match, f"not relative: {links}")
        return match[1] if match else ""

    def test_errors(self) -> None:
        """Errors about a repository are about the public one."""
        unknown = self.get("/v2/team/none/tags/list")
        self.assert_oci_error(unknown, 404, "NAME_UNKNOWN")
        self.assertEqual(unknown.json()["errors"][0]["detail"]["name"], "team/none")
        manifest = self.get("/v2/team/app/manifests/none")
        self.assert_oci_error(manifest, 404, "MANIFEST_UNKNOWN")
        blob = self.get("/v2/team/app/blobs/" + sha256(b"nothing"))
        self.assert_oci_error(blob, 404, "BLOB_UNKNOWN")

    def test_errors_of_a_storage(self) -> None:
        """The registry tells where it keeps a repository: the name is ours there."""
        # What is no digest there has no place in its storage.
        reply = self.get("/v2/team/app/manifests/sha256:none")
        self.assert_oci_error(reply, 500, "UNKNOWN")
        path = reply.json()["errors"][0]["detail"]["Path"]
        self.assertIn("/repositories/team/app/_manifests/", path)

    def test_referrers(self) -> None:
        """This upstream has no referrers: 404, so that clients use the tag instead."""
        reply = self.get(f"/v2/team/app/referrers/{self.image.digest}")
        self.assertEqual(reply.status, 404, reply)

    def test_upload(self) -> None:
        """An upload in pieces: every Location is public, relative or ours."""
        data = b"one piece" + b"and another"
        digest = sha256(data)
        started = self.https.request("POST", "/v2/team/app/blobs/uploads/", self.alice)
        self.assert_upload(started, 202, "team/app")
        upload_id = started.one("Docker-Upload-Uuid")
        patched = self.https.request(
            "PATCH",
            started.location(),
            {**self.alice, "Content-Range": "0-8"},
            data[:9],
        )
        self.assert_upload(patched, 202, "team/app")
        self.assertEqual(patched.one("Docker-Upload-Uuid"), upload_id)
        self.assertEqual(patched.one("Range"), "0-8")
        status = self.https.request("GET", patched.location(), self.alice)
        self.assert_upload(status, 204, "team/app")
        self.assertEqual(status.one("Range"), "0-8")
        location = patched.location()
        done = self.https.request(
            "PUT",
            f"{location}{'&' if '?' in location else '?'}digest={digest}",
            self.alice,
            data[9:],
        )
        self.assertEqual(done.status, 201, done)
        self.assertEqual(done.location(), f"/v2/team/app/blobs/{digest}")
        self.assertEqual(done.one("Docker-Content-Digest"), digest)
        self.assertEqual(self.get(done.location()).body, data)

    def test_cancelled_upload(self) -> None:
        """DELETE ends an upload; then it is unknown."""
        started = self.https.request("POST", "/v2/team/app/blobs/uploads/", self.alice)
        cancelled = self.https.request("DELETE", started.location(), self.alice)
        self.assertEqual(cancelled.status, 204, cancelled)
        gone = self.https.request("GET", started.location(), self.alice)
        self.assert_oci_error(gone, 404, "BLOB_UPLOAD_UNKNOWN")

    def assert_upload(self, reply: Reply, status: int, name: str) -> None:
        """The reply leads to an upload on the same host, under the public name."""
        self.assertEqual(reply.status, status, reply)
        location = reply.one("Location")
        ours = f"(https://{re.escape(self.host)})?/v2/{name}/blobs/uploads/"
        self.assertRegex(location, f"^{ours}")


class NowhereTests(RegbrokerTestCase):
    """What is no request for a mapped repository never reaches the upstream."""

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.token("alice", "repository:team/app:pull,push")
        # each test compares with what is there once this has arrived
        self.https.request("GET", "/v2/team/app/manifests/before", self.alice)
        self.before = len(self.upstream_requests_until("manifests/before"))

    def assert_nothing_arrived(self) -> None:
        """Only the marker of the end has reached the upstream since the beginning."""
        self.https.request("GET", "/v2/team/app/manifests/after", self.alice)
        requests = self.upstream_requests_until("manifests/after")[self.before :]
        targets = [access.target for access in requests if access.target != "/v2/"]
        self.assertEqual(targets, ["/v2/acme_team/app/manifests/after"])

    def test_unmapped_name(self) -> None:
        """It is unknown, and the message says which namespaces exist."""
        for name in ("elsewhere/app", "teams/app", "library/app", "app"):
            for method, rest in (
                ("GET", "manifests/1"),
                ("GET", "tags/list"),
                ("POST", "blobs/uploads/"),
            ):
                target = f"/v2/{name}/{rest}"
                reply = self.https.request(method, target, self.alice)
                self.assert_oci_error(reply, 404, "NAME_UNKNOWN")
                message = reply.json()["errors"][0]["message"]
                self.assertIn("team", message)
                self.assertIn("lib/", message)
        self.assert_nothing_arrived()

    def test_unmapped_name_in_clients(self) -> None:
        """skopeo is told so too."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        refused = skopeo.list_tags(f"{self.host}/elsewhere/app")
        self.assertNotEqual(refused.status, 0, refused.output)
        self.assert_nothing_arrived()

    def test_bad_paths(self) -> None:
        """Names outside the grammar, dot segments, encoded and double slashes."""
        for target in (
            "/v2/Team/app/manifests/1",
            "/v2/team/../private/manifests/1",
            "/v2/team/%2e%2e/private/manifests/1",
            "/v2/team%2Fapp/manifests/1",
            "/v2/team//app/manifests/1",
            "/v2/team/app/unknown/1",
            "/v2/team/app/manifests/",
            "//v2/team/app/manifests/1",
            "/v1/search?q=app",
            "/",
        ):
            reply = self.https.request("GET", target, self.alice)
            self.assertIn(reply.status, (400, 404), (target, reply))
            self.assertEqual(len(reply.error_codes()), 1, (target, reply))
        self.assert_nothing_arrived()

    def test_wrong_method(self) -> None:
        """405 says what would be allowed."""
        reply = self.https.request("PATCH", "/v2/team/app/manifests/1", self.alice)
        self.assertEqual(reply.status, 405, reply)
        self.assertIn("GET", reply.one("Allow"))
        self.assertEqual(len(reply.error_codes()), 1)
        self.assert_nothing_arrived()

    def test_headers_too_large(self) -> None:
        """A 16 KiB Authorization is served; what is far beyond is refused."""
        token = {"Authorization": "Bearer " + "x" * 16 * 1024}
        served = self.https.request("GET", "/v2/lib/x/tags/list", token)
        self.assertEqual(served.status, 401, served)
        large = {**self.alice, "X-Large": "x" * 200_000}
        refused = self.https.request("GET", "/v2/team/app/tags/list", large)
        self.assertEqual(refused.status, 431, refused)
