"""Web pages of other origins, as their browsers ask for them."""

from __future__ import annotations

from tests.proxycase import BLOB, MANIFEST, UPLOAD, UPLOADS, ProxyTestCase
from tests.scripted import response
from tests.wire import Message

UI = "https://ui.test"
ASKS = "Access-Control-Request-Method: {}"


def marks(reply: Message) -> dict[str, str]:
    """The CORS headers of a reply."""
    found: dict[str, str] = {}
    for name, value in reply.headers:
        lower = name.lower().decode()
        if lower.startswith("access-control-"):
            assert lower not in found, reply
            found[lower.removeprefix("access-control-")] = value.decode()
    return found


class CrossOriginTestCase(ProxyTestCase):
    more = f"cors-origins = {UI} http://localhost:3000"
    tokens = True

    async def preflight(
        self, path: str, *headers: str, origin: str = UI, method: str = "GET"
    ) -> Message:
        """Ask whether a page may send a request."""
        return await self.client.ask(
            "OPTIONS", path, f"Origin: {origin}", ASKS.format(method), *headers
        )


class PreflightTests(CrossOriginTestCase):
    PATHS = (
        "/v2",
        "/v2/",
        "/v2/_catalog?n=5",
        MANIFEST,
        BLOB,
        UPLOADS,
        UPLOAD,
        "/v2/not/served/manifests/1",
        "/v2/Not+a+name",
        "/auth",
        "/auth/?scope=x",
        "/v1/search?q=x",
    )

    async def test_answered(self) -> None:
        """Here, without credentials, and before anything else is looked at."""
        for path in self.PATHS:
            reply = await self.preflight(
                path, "Access-Control-Request-Headers: x-evil", method="BREW"
            )
            self.assertEqual((reply.status, path), (204, path))
            self.assertIsNone(reply.header(b"Content-Length"))
            self.assertIsNone(reply.header(b"Transfer-Encoding"))
            self.assertIsNone(reply.header(b"WWW-Authenticate"))
            self.assertEqual(reply.header(b"Vary"), b"Origin")
            found = marks(reply)
            self.assertEqual(found.pop("allow-origin"), UI)
            self.assertEqual(found.pop("allow-credentials"), "true")
            self.assertIn("Authorization", found["allow-headers"].split(", "))
            self.assertNotIn("evil", found.pop("allow-headers"))
            self.assertGreater(int(found.pop("max-age")), 0)
            self.assertNotIn("BREW", found["allow-methods"])
            self.assertIn("GET", found.pop("allow-methods").split(", "))
            self.assertEqual(found, {})
        self.assertEqual(self.upstream.calls, [])

    async def test_methods(self) -> None:
        """What each place takes."""
        for path, methods in (
            (MANIFEST, "GET, HEAD, POST, PUT, PATCH, DELETE"),
            ("/auth", "GET, POST"),
            ("/v1/search", "GET, HEAD"),
        ):
            found = marks(await self.preflight(path))
            self.assertEqual(found["allow-methods"], methods)

    async def test_odd_method(self) -> None:
        """A method that is no text is no reason to fail."""
        for method in ("GET", "OPTIONS"):
            reply = await self.client.ask(
                method, "/v2/", f"Origin: {UI}", ASKS.format("\xff")
            )
            self.assertEqual(reply.status, 401 if method == "GET" else 204)

    async def test_event(self) -> None:
        """It is a request like others in the log."""
        event = self.event()
        await self.preflight(MANIFEST)
        self.assertIn("method=OPTIONS", (await event)["line"])
        self.assertIn("status=204 ", (await event)["line"])

    async def test_not_listed(self) -> None:
        """A page that is not listed is refused, like any other OPTIONS."""
        for origin in ("https://evil.test", "null", "http://ui.test", f"{UI}, {UI}"):
            for path, status in (
                ("/v2/", 405),
                (MANIFEST, 405),
                ("/auth", 405),
                ("/other", 404),
            ):
                reply = await self.preflight(path, origin=origin)
                self.assertEqual((reply.status, reply.code), (status, "UNSUPPORTED"))
                self.assertEqual(marks(reply), {})
                self.assertEqual(reply.header(b"Vary"), b"Origin")
        self.assertEqual(self.upstream.calls, [])

    async def test_no_preflight(self) -> None:
        """OPTIONS without a page, or without a method, is refused as ever."""
        for headers in ((), (ASKS.format("GET"),), (f"Origin: {UI}",)):
            reply = await self.client.ask("OPTIONS", MANIFEST, *headers)
            self.assertEqual((reply.status, reply.code), (405, "UNSUPPORTED"))
            self.assertNotIn("allow-methods", marks(reply))
        reply = await self.preflight("/other")
        self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))

    async def test_keeps_the_connection(self) -> None:
        """The request that a preflight was for comes on the same connection."""
        await self.preflight(MANIFEST)
        await self.preflight(MANIFEST, "Content-Length: 0")
        reply = await self.exchange("GET", MANIFEST, response(200, body=b"x"))
        self.assertEqual(reply.body, b"x")


class ReplyTests(CrossOriginTestCase):
    async def asked(
        self, target: str, *headers: str, answer: bytes = b"", origin: str = UI
    ) -> Message:
        """Ask as a page does; `answer` is the upstream's, if it is asked."""
        self.client.request("GET", target, f"Origin: {origin}", *headers)
        if answer:
            call = await self.upstream.call()
            self.assertIsNone(call.header(b"Origin"))
            call.answer(answer)
        return await self.client.reply()

    def assert_marked(self, reply: Message) -> None:
        """The page may read it."""
        found = marks(reply)
        exposed = found.pop("expose-headers").lower().split(", ")
        for name in (
            "docker-content-digest",
            "www-authenticate",
            "link",
            "location",
            "docker-upload-uuid",
            "range",
            "content-range",
            "oci-subject",
            "ratelimit-remaining",
            "retry-after",
        ):
            self.assertIn(name, exposed)
        self.assertEqual(found, {"allow-origin": UI, "allow-credentials": "true"})
        self.assertIn(b"Origin", reply.all(b"Vary"))

    async def test_replies(self) -> None:
        """Ours and the upstream's, errors included."""
        for target, status in (
            ("/v2/", 401),
            ("/v2/other/app/manifests/1", 404),
            ("/v2/Team/app/manifests/1", 400),
            ("/v2/team/app/nothing", 404),
            ("/other", 404),
            ("/v1/search?q=x", 404),
            ("/auth?service=x&scope=repository:other/x:pull", 404),
        ):
            reply = await self.asked(target)
            self.assertEqual((reply.status, target), (status, target))
            self.assert_marked(reply)
        for status in (200, 206, 304, 307, 401, 403, 404, 429, 500, 999):
            location = ["Location: https://storage.test/x"] if status == 307 else []
            reply = await self.asked(MANIFEST, answer=response(status, *location))
            self.assertEqual(reply.status, status if status < 600 else 502)
            self.assert_marked(reply)
        names = b'{"tags": [], "repositories": []}'
        for target in ("/v2/team/app/tags/list", "/v2/_catalog"):
            self.assert_marked(
                await self.asked(target, answer=response(200, body=names))
            )
        token = response(200, body=b'{"token": "t"}')
        self.assert_marked(await self.asked("/auth?service=x", answer=token))

    async def test_upstream_has_no_say(self) -> None:
        """The upstream's own marks are dropped; what else it varies by stays."""
        answer = response(
            200,
            "Access-Control-Allow-Origin: *",
            "Access-Control-Allow-Credentials: true",
            "access-control-expose-headers: *",
            "Access-Control-Allow-Private-Network: true",
            "Vary: Accept",
        )
        reply = await self.asked(MANIFEST, answer=answer)
        self.assert_marked(reply)
        self.assertEqual(sorted(reply.all(b"Vary")), [b"Accept", b"Origin"])
        reply = await self.asked(MANIFEST, answer=answer, origin="https://evil.test")
        self.assertEqual(marks(reply), {})

    async def test_not_listed(self) -> None:
        """Other pages, and who is no page, are served as ever, without a mark."""
        for origin in ("https://evil.test", "null", "", f"{UI}.evil.test"):
            reply = await self.asked(MANIFEST, answer=response(200), origin=origin)
            self.assertEqual((reply.status, marks(reply)), (200, {}))
            self.assertEqual(reply.header(b"Vary"), b"Origin")
        reply = await self.exchange("GET", MANIFEST, response(200))
        self.assertEqual((reply.status, marks(reply)), (200, {}))
        self.assertEqual(reply.header(b"Vary"), b"Origin")

    async def test_normalized(self) -> None:
        """The origin comes back as browsers write it."""
        reply = await self.asked("/v2/", origin="HTTPS://UI.test:443")
        self.assert_marked(reply)


class ForgedTests(CrossOriginTestCase):
    """What a form of another page could do without being asked first."""

    WRITES = (
        ("POST", UPLOADS),
        ("PUT", UPLOAD),
        ("PATCH", UPLOAD),
        ("PUT", MANIFEST),
        ("DELETE", MANIFEST),
        ("POST", "/auth"),
    )
    own = "http://registry.test"

    async def test_refused(self) -> None:
        """Nothing is changed for a page that is not listed, whoever is logged in."""
        for method, target in self.WRITES:
            for origin in ("https://evil.test", "null", "", "https://registry.test:1"):
                reply = await self.client.ask(
                    method,
                    target,
                    f"Origin: {origin}",
                    "Authorization: Basic YWxpY2U6czNjcmV0",
                    body=b"x",
                )
                self.assertEqual((reply.status, reply.code), (403, "DENIED"), origin)
                self.assertEqual(marks(reply), {})
                self.assertEqual(reply.header(b"Vary"), b"Origin")
        headers = ("Content-Length: 0", f"Origin: {UI}", "Origin: https://evil.test")
        reply = await self.client.ask("POST", UPLOADS, *headers)
        self.assertEqual(reply.status, 403)
        self.assertEqual(self.upstream.calls, [])

    async def test_allowed(self) -> None:
        """Listed pages, pages of our own, and who is no page."""
        self.upstream.handler = lambda call: response(204)
        for headers in ((), (f"Origin: {UI}",), (f"Origin: {self.own}",)):
            for method, target in self.WRITES[:-1]:
                reply = await self.client.ask(method, target, *headers, body=b"x")
                self.assertEqual(reply.status, 204)
            reply = await self.client.ask("POST", "/auth", *headers, body=b"x")
            self.assertEqual(reply.status, 400)


class BehindBalancerTests(ForgedTests):
    """Our own origin is the one that clients know."""

    more = f"{CrossOriginTestCase.more}\npublic-url = https://public.test"
    own = "https://public.test"


class AnyOriginTests(CrossOriginTestCase):
    more = "cors-origins = *"

    async def test_writes(self) -> None:
        """Every page may write."""
        call = await self.relayed("PUT", MANIFEST, "Origin: https://a.test", body=b"x")
        call.reply(201)
        self.assertEqual((await self.client.reply()).status, 201)

    async def test_any(self) -> None:
        """Every page, a nameless one too; never with the browser's credentials."""
        for origin in (UI, "https://other.test", "null"):
            found = marks(await self.preflight(MANIFEST, origin=origin))
            self.assertEqual(found["allow-origin"], "*")
            self.assertNotIn("allow-credentials", found)
            reply = await self.client.ask("GET", "/v2/", f"Origin: {origin}")
            found = marks(reply)
            self.assertEqual((reply.status, found["allow-origin"]), (401, "*"))
            self.assertNotIn("allow-credentials", found)
            self.assertEqual(reply.header(b"Vary"), b"Origin")


class ReadOnlyTests(CrossOriginTestCase):
    more = f"cors-origins = {UI}\nwrites = deny"

    async def test_methods(self) -> None:
        """What may not be written is not offered."""
        found = marks(await self.preflight(MANIFEST))
        self.assertEqual(found["allow-methods"], "GET, HEAD")
        found = marks(await self.preflight("/auth"))
        self.assertEqual(found["allow-methods"], "GET, POST")
        reply = await self.client.ask("DELETE", MANIFEST, f"Origin: {UI}")
        self.assertEqual((reply.status, reply.code), (405, "UNSUPPORTED"))
        self.assertEqual(marks(reply)["allow-origin"], UI)


class MirrorTests(CrossOriginTestCase):
    main = "ns = docker.io = *"

    async def test_source(self) -> None:
        """The registry that the source picks decides, its token path included."""
        for path in (f"{MANIFEST}?ns=docker.io", "/auth/docker.io"):
            reply = await self.preflight(path)
            self.assertEqual((reply.status, marks(reply)["allow-origin"]), (204, UI))
        reply = await self.client.ask("GET", "/v2/?ns=docker.io", f"Origin: {UI}")
        self.assertEqual(reply.header(b"OCI-Namespace"), b"docker.io")
        self.assertIn("OCI-Namespace", marks(reply)["expose-headers"])


class OffTests(CrossOriginTestCase):
    more = ""

    async def test_off(self) -> None:
        """Without the option there is no CORS, and no mark of the upstream's."""
        for path in (MANIFEST, "/auth"):
            reply = await self.preflight(path)
            self.assertEqual((reply.status, reply.code), (405, "UNSUPPORTED"))
            self.assertEqual((marks(reply), reply.all(b"Vary")), ({}, []))
        self.client.request("GET", MANIFEST, f"Origin: {UI}")
        call = await self.upstream.call()
        call.reply(200, "Access-Control-Allow-Origin: *")
        reply = await self.client.reply()
        self.assertEqual((marks(reply), reply.all(b"Vary")), ({}, []))
