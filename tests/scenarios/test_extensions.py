"""Extensions of the API, and what the specification wants of every registry."""

from __future__ import annotations

import json
from pathlib import Path

from tests.proxycase import ProxyTestCase
from tests.scripted import response
from tests.severalcase import SeveralTestCase
from tests.wire import Message

DIGESTS = {
    "sha256": "sha256:" + "a1" * 32,
    "sha512": "sha512:" + "b2" * 64,
    "blake3": "blake3:" + "c3" * 32,
}
HISTORY = "/v2/team/app/_oci/tag-history/latest"
DISCOVER = "/v2/_oci/ext/discover"

OTHERS = (
    "/v2/team/app/_chainguard/x",
    "/v2/team/app/_docker/x",
    "/v2/team/app/_docker/tags/list",
    "/v2/team/app/_docker/manifests/1",
    "/v2/other/app/_docker/x",
    "/v2/_docker/x",
    "/v2/_catalog/x",
    "/_docker/x",
    "/_chainguard/x",
)


class NoExtensionsTests(ProxyTestCase):
    async def test_unknown(self) -> None:
        """404 says that there is no such extension; the upstream is not asked."""
        for path in (HISTORY, DISCOVER, *OTHERS):
            for method in ("GET", "HEAD", "POST"):
                reply = await self.client.ask(method, path, "Content-Length: 0")
                self.assertEqual(reply.status, 404, path)
                if method != "HEAD":
                    self.assertEqual(reply.code, "UNSUPPORTED")
        self.assertEqual(self.upstream.calls, [])


class ExtensionsTests(ProxyTestCase):
    more = "extensions = _oci, _zot"

    async def test_relayed(self) -> None:
        """The name in the path is mapped, the rest is as it was."""
        for method, path, upstream in (
            ("GET", HISTORY, "/v2/acme_team/app/_oci/tag-history/latest"),
            ("HEAD", f"{HISTORY}?a=%2F&&b=1", None),
            ("GET", "/v2/acme_team/app/_oci/x/", "/v2/acme_team/app/_oci/x/"),
            ("PUT", "/v2/team/app/_zot/x", "/v2/acme_team/app/_zot/x"),
            ("GET", f"{DISCOVER}?x=1", f"{DISCOVER}?x=1"),
        ):
            self.client.request(method, path, "Content-Length: 0")
            call = await self.upstream.call()
            expected = upstream or path.replace("/team/", "/acme_team/")
            self.assertEqual((call.method, call.target), (method, expected))
            call.reply(200, "Content-Type: a/b", body=b"" if method == "HEAD" else b"x")
            reply = await self.client.reply(method)
            self.assertEqual(reply.status, 200)

    async def test_body(self) -> None:
        """What an extension says is its own, to the last byte."""
        body = b'{"name": "acme_team/app"}'
        reply = await self.exchange("GET", HISTORY, response(200, body=body))
        self.assertEqual(reply.body, body)

    async def test_links(self) -> None:
        """Pages and places are ours."""
        link = "Link: </v2/acme_team/app/_oci/tag-history/latest?last=x>; rel=next"
        reply = await self.exchange("GET", HISTORY, response(200, link))
        self.assertEqual(
            reply.header(b"Link"), f"<{HISTORY}?last=x>; rel=next".encode()
        )

    async def test_others(self) -> None:
        """All others are 404, and so are names that are not served."""
        for path in (*OTHERS, HISTORY.replace("team", "other")):
            reply = await self.client.ask("GET", path)
            self.assertEqual(reply.status, 404, path)
        self.assertEqual(self.upstream.calls, [])

    async def test_refused_by_upstream(self) -> None:
        """An upstream that has none says so, in public names."""
        body = b'{"errors":[{"code":"NAME_UNKNOWN","message":"acme_team/app"}]}'
        reply = await self.exchange("GET", HISTORY, response(404, body=body))
        self.assertEqual((reply.status, reply.message), (404, "team/app"))


class ReadOnlyExtensionsTests(ProxyTestCase):
    more = "extensions = _oci\nwrites = deny"

    async def test_writes(self) -> None:
        """What may write is refused as anywhere."""
        reply = await self.client.ask("POST", HISTORY, "Content-Length: 0")
        self.assertEqual((reply.status, reply.header(b"Allow")), (405, b"GET, HEAD"))
        reply = await self.exchange("GET", HISTORY, response(200))
        self.assertEqual(reply.status, 200)


class LocalExtensionsTests(ProxyTestCase):
    """Rights are ours: those of the repository, and for all of it the catalog's."""

    more = "extensions = _oci\naccounts = staff"
    rights = "anonymous = team/app: pull"

    def ini(self) -> str:
        path = Path(self.mktemp()).absolute()
        path.touch()
        return (
            f"{super().ini()}\n[accounts staff]\nhtpasswd = {path}\n"
            f"[access staff]\n{self.rights}\n"
        )

    async def status(self, method: str, path: str) -> int:
        """How a request of nobody's ends."""
        self.upstream.handler = lambda call: response(200)
        return (await self.client.ask(method, path, "Content-Length: 0")).status

    async def test_rights(self) -> None:
        """Who may not is asked to log in, and nothing goes up."""
        self.assertEqual(await self.status("GET", HISTORY), 200)
        for method, path in (
            ("POST", HISTORY),
            ("DELETE", HISTORY),
            ("GET", HISTORY.replace("app", "other")),
            ("GET", DISCOVER),
            ("POST", DISCOVER),
        ):
            self.assertEqual(await self.status(method, path), 401, path)
        self.assertEqual(len(self.upstream.calls), 1)


class CatalogRightTests(LocalExtensionsTests):
    rights = "anonymous =\n    team/app: pull\n    **: catalog"

    async def test_rights(self) -> None:
        """Who may list may read what is about everything, and change nothing."""
        self.assertEqual(await self.status("GET", DISCOVER), 200)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            self.assertEqual(await self.status(method, DISCOVER), 401)


class SeveralExtensionsTests(SeveralTestCase):
    more = "extensions = _oci"
    wants_tokens = ()

    async def test_writes_go_to_the_first(self) -> None:
        """What changes something is asked of the first upstream alone."""
        self.answer(self.upstream, response(503))
        two = self.answer(self.other, response(200))
        for method, status in (("POST", 503), ("GET", 200)):
            reply = await self.client.ask(method, DISCOVER, "Content-Length: 0")
            self.assertEqual(reply.status, status)
        self.assertEqual([call.method for call in two], ["GET"])


class DigestHeaderTests(ProxyTestCase):
    """Docker-Content-Digest, on all that is read by a digest."""

    async def read(
        self, method: str, path: str, *headers: str, status: int = 200
    ) -> Message:
        """What comes of a GET or HEAD."""
        return await self.exchange(method, path, response(status, *headers))

    async def test_passes(self) -> None:
        """What the upstream says counts."""
        for name, digest in DIGESTS.items():
            for path in ("manifests/1", f"manifests/{digest}", f"blobs/{digest}"):
                for method in ("GET", "HEAD"):
                    said = f"{name}:{'0f' * 32}"
                    reply = await self.read(
                        method, f"/v2/team/app/{path}", f"Docker-Content-Digest: {said}"
                    )
                    self.assertEqual(
                        reply.all(b"Docker-Content-Digest"), [said.encode()]
                    )

    async def test_said_here(self) -> None:
        """Where it says nothing, what was asked for is what this is."""
        for digest in DIGESTS.values():
            for written in (digest, digest.replace(":", "%3A")):
                for path in (f"manifests/{written}", f"blobs/{written}"):
                    for method in ("GET", "HEAD"):
                        for status in (200, 206):
                            reply = await self.read(
                                method, f"/v2/team/app/{path}", status=status
                            )
                            self.assertEqual(
                                reply.all(b"Docker-Content-Digest"), [digest.encode()]
                            )

    async def test_not_said_here(self) -> None:
        """Of a tag, a list or a refusal nobody here knows what it is."""
        digest = DIGESTS["sha256"]
        for path, status in (
            ("manifests/1", 200),
            (f"referrers/{digest}", 200),
            (f"blobs/{digest}", 404),
            (f"manifests/{digest}", 304),
        ):
            reply = await self.read("GET", f"/v2/team/app/{path}", status=status)
            self.assertIsNone(reply.header(b"Docker-Content-Digest"))


class AlgorithmTests(ProxyTestCase):
    """Digests of every algorithm, wherever one may stand."""

    async def test_paths(self) -> None:
        """In paths they are as they were."""
        for digest in DIGESTS.values():
            for method, path in (
                ("GET", f"manifests/{digest}"),
                ("PUT", f"manifests/{digest}?tag=a&tag=b"),
                ("DELETE", f"manifests/{digest}"),
                ("GET", f"blobs/{digest}"),
                ("DELETE", f"blobs/{digest}"),
                ("GET", f"referrers/{digest}?artifactType=a/b"),
                ("POST", f"blobs/uploads/?digest={digest}"),
                ("PUT", f"blobs/uploads/id?_state=x&digest={digest}"),
            ):
                self.client.request(method, f"/v2/team/app/{path}", "Content-Length: 0")
                call = await self.upstream.call()
                self.assertEqual(call.target, f"/v2/acme_team/app/{path}")
                call.reply(204)
                self.assertEqual((await self.client.reply(method)).status, 204)

    async def test_mounts(self) -> None:
        """A mount's digest is, too, and its Location."""
        for digest in DIGESTS.values():
            target = f"/v2/team/app/blobs/uploads/?mount={digest}&from=team/other"
            call = await self.relayed("POST", target, "Content-Length: 0")
            self.assertTrue(
                call.target.endswith(f"?mount={digest}&from=acme_team/other")
            )
            call.reply(201, f"Location: /v2/acme_team/app/blobs/{digest}")
            reply = await self.client.reply()
            location = f"/v2/team/app/blobs/{digest}"
            self.assertEqual(reply.header(b"Location"), location.encode())

    async def test_digest_algorithm(self) -> None:
        """Which one an upload will have is the upstream's affair, and its state."""
        for name, digest in DIGESTS.items():
            start = f"/v2/team/app/blobs/uploads/?digest-algorithm={name}"
            call = await self.relayed("POST", start, "Content-Length: 0")
            self.assertTrue(call.target.endswith(f"/?digest-algorithm={name}"))
            state = f"/blobs/uploads/id?digest-algorithm={name}&_state=a%2Fb"
            call.reply(202, f"Location: /v2/acme_team/app{state}")
            location = (await self.client.reply()).header(b"Location") or b""
            self.assertEqual(location.decode(), f"/v2/team/app{state}")
            target = f"{location.decode()}&digest={digest}"
            call = await self.relayed("PUT", target, body=b"layer")
            self.assertEqual(call.target, target.replace("/team/", "/acme_team/"))
            call.reply(201, f"Docker-Content-Digest: {digest}")
            reply = await self.client.reply()
            self.assertEqual(reply.header(b"Docker-Content-Digest"), digest.encode())


class SpecificationTests(ProxyTestCase):
    async def test_warnings(self) -> None:
        """A warning of 4096 bytes passes whole, and so do several."""
        long = '299 - "' + "w" * (4096 - 8) + '"'
        self.assertEqual(len(long), 4096)
        words = '299 - "' + "of words, " * 408 + 'end    "'
        for status in (200, 404):
            reply = await self.exchange(
                "GET",
                "/v2/team/app/manifests/1",
                response(status, *(f"Warning: {text}" for text in (long, words, long))),
            )
            self.assertEqual(
                reply.all(b"Warning"), [long.encode(), words.encode(), long.encode()]
            )

    async def test_order(self) -> None:
        """Tags come in the upstream's order, whichever that is."""
        for tags in (["B", "a", "C", "1"], ["a", "B", "1", "C"]):
            body = json.dumps({"name": "acme_team/app", "tags": tags}).encode()
            reply = await self.exchange(
                "GET", "/v2/team/app/tags/list", response(200, body=body)
            )
            self.assertEqual(reply.json()["tags"], tags)
