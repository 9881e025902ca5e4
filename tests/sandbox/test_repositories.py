"""Manifests and lists as clients see them."""

import json

from tests.sandboxcase import (
    ALL,
    EMPTY,
    IMAGE,
    SandboxTestCase,
)


class ManifestTests(SandboxTestCase):
    async def test_push_and_pull(self) -> None:
        """A manifest comes back byte for byte, by tag and by digest."""
        token = await self.token(ALL)
        digest, body = await self.push_image("a/b", "1.0", token)
        await self.restart()
        token = await self.token(ALL)
        for reference in ("1.0", digest):
            for method in ("GET", "HEAD"):
                reply = await self.ask(
                    method, f"/v2/a/b/manifests/{reference}", None, token
                )
                self.assertEqual(reply.status, 200)
                self.assertEqual(reply.body, body if method == "GET" else b"")
                self.assertEqual(reply.header("Content-Type"), IMAGE)
                self.assertEqual(reply.header("Docker-Content-Digest"), digest)
        reply = await self.ask(
            "GET", "/v2/a/b/manifests/1.0", None, token, If_None_Match=f'"{digest}"'
        )
        self.assertEqual(reply.status, 304)

    async def test_by_digest_with_tags(self) -> None:
        """PUT by digest can set tags, and says which; another digest is refused."""
        token = await self.token(ALL)
        digest, body = await self.push_image("a/b", "1", token)
        path = f"/v2/a/b/manifests/{digest}?tag=2&tag=3"
        reply = await self.ask("PUT", path, body, token, Content_Type=IMAGE)
        self.assertEqual(reply.status, 201)
        self.assertEqual(reply.headers.getRawHeaders("OCI-Tag"), ["2", "3"])
        self.assertEqual(reply.header("Location"), f"/v2/a/b/manifests/{digest}")
        for reference, code in (
            (EMPTY, "DIGEST_INVALID"),
            (f"{digest}?tag=..", "TAG_INVALID"),
        ):
            reply = await self.ask(
                "PUT", f"/v2/a/b/manifests/{reference}", body, token, Content_Type=IMAGE
            )
            self.assertEqual((reply.status, reply.code()), (400, code))
        reply = await self.ask("GET", "/v2/a/b/tags/list", None, token)
        self.assertEqual(reply.json(), {"name": "a/b", "tags": ["1", "2", "3"]})

    async def test_refused(self) -> None:
        """Missing blobs, nonsense and giants are refused."""
        token = await self.token(ALL)
        missing = json.dumps({"mediaType": IMAGE, "config": {"digest": EMPTY}})
        for body, status, code in (
            (missing.encode(), 400, "MANIFEST_BLOB_UNKNOWN"),
            (b"nonsense", 400, "MANIFEST_INVALID"),
            (bytes(5_000_000), 413, "SIZE_INVALID"),
        ):
            reply = await self.ask("PUT", "/v2/a/b/manifests/1", body, token)
            self.assertEqual((reply.status, reply.code()), (status, code))
        reply = await self.ask(
            "PUT", "/v2/a/b/manifests/1", b"{}", token, Content_Type=b"\xff"
        )
        self.assertEqual((reply.status, reply.code()), (400, "MANIFEST_INVALID"))

    async def test_delete(self) -> None:
        """By tag only the tag goes, by digest everything."""
        token = await self.token(ALL)
        digest, _ = await self.push_image("a/b", "1", token)
        for reference, tag_status, digest_status in (
            ("1", 404, 200),
            (digest, 404, 404),
        ):
            path = f"/v2/a/b/manifests/{reference}"
            self.assertEqual((await self.ask("DELETE", path, None, token)).status, 202)
            for asked, status in (("1", tag_status), (digest, digest_status)):
                reply = await self.ask("GET", f"/v2/a/b/manifests/{asked}", None, token)
                self.assertEqual(reply.status, status)
        self.assertEqual(reply.code(), "MANIFEST_UNKNOWN")

    async def test_referrers(self) -> None:
        """Referrers are an index of descriptors, filtered by type if asked."""
        token = await self.token(ALL)
        subject, body = await self.push_image("a/b", "1", token)
        named = {"mediaType": IMAGE, "digest": subject, "size": len(body)}
        for kind in ("test/sbom", "test/sig"):
            await self.push_image("a/b", "x", token, subject=named, artifactType=kind)
        digest, body = await self.push_image("a/b", "y", token, subject=named)
        reply = await self.ask(
            "PUT", f"/v2/a/b/manifests/{digest}", body, token, Content_Type=IMAGE
        )
        self.assertEqual(reply.header("OCI-Subject"), subject)
        path = f"/v2/a/b/referrers/{subject}"
        reply = await self.ask("GET", path, None, token)
        self.assertEqual(
            reply.header("Content-Type"), "application/vnd.oci.image.index.v1+json"
        )
        self.assertEqual(len(reply.json()["manifests"]), 3)
        self.assertIsNone(reply.header("OCI-Filters-Applied"))
        reply = await self.ask("GET", f"{path}?artifactType=test/sig", None, token)
        self.assertEqual(
            [entry["artifactType"] for entry in reply.json()["manifests"]], ["test/sig"]
        )
        self.assertEqual(reply.header("OCI-Filters-Applied"), "artifactType")
        reply = await self.ask("GET", f"/v2/a/b/referrers/{EMPTY}", None, token)
        self.assertEqual(reply.json()["manifests"], [])


class ListTests(SandboxTestCase):
    async def pages(self, path: str, key: str, token: str) -> list[list[str]]:
        """Follow Link from page to page."""
        found = []
        next: str | None = path
        while next is not None:
            reply = await self.ask("GET", next, None, token)
            self.assertEqual(reply.status, 200)
            found.append(reply.json()[key])
            link = reply.header("Link")
            if link is not None:
                self.assertTrue(link.endswith('>; rel="next"'))
                link = link[1:].partition(">")[0]
            next = link
        return found

    async def test_pages(self) -> None:
        """Tags and repositories come sorted, n at a time, each once."""
        names = ["a", "a/b", "a-b", "c"]
        token = await self.token(
            "registry:catalog:*", *(f"repository:{name}:*" for name in names)
        )
        for name in names:
            for tag in ("2", "10", "latest"):
                await self.push_image(name, tag, token)
        for path, key, pages in (
            ("/v2/_catalog", "repositories", [["a", "a-b", "a/b", "c"]]),
            ("/v2/_catalog?n=3", "repositories", [["a", "a-b", "a/b"], ["c"]]),
            ("/v2/_catalog?last=a-b", "repositories", [["a/b", "c"]]),
            ("/v2/a/b/tags/list", "tags", [["10", "2", "latest"]]),
            ("/v2/a/b/tags/list?n=2", "tags", [["10", "2"], ["latest"]]),
            ("/v2/a/b/tags/list?n=0", "tags", [[]]),
            ("/v2/a/b/tags/list?last=2", "tags", [["latest"]]),
        ):
            self.assertEqual(await self.pages(path, key, token), pages)

    async def test_refused(self) -> None:
        """An unknown repository has no list; n is a number."""
        token = await self.token(ALL)
        reply = await self.ask("GET", "/v2/a/b/tags/list", None, token)
        self.assertEqual((reply.status, reply.code()), (404, "NAME_UNKNOWN"))
        await self.push_image("a/b", "1", token)
        reply = await self.ask("GET", "/v2/a/b/tags/list?n=-1", None, token)
        self.assertEqual(
            (reply.status, reply.code()), (400, "PAGINATION_NUMBER_INVALID")
        )
