"""Locations: uploads outside the API, redirects of the upstream to itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from regbroker.service import RegbrokerService
from tests.proxycase import (
    BLOB,
    DIGEST,
    MANIFEST,
    UPLOAD,
    UPLOADS,
    OtherUpstream,
    ProxyTestCase,
)
from tests.scripted import Call, ScriptedUpstream, response
from tests.wire import Message

UPLOADED = "/artifacts-uploads/namespaces/acme/repositories/team/uploads/AF2C"
UPSTREAM_BLOB = f"/v2/acme_team/app/blobs/{DIGEST}"


class LoggedTestCase(ProxyTestCase):
    """Keeps what regbroker tells its log."""

    async def set_up(self) -> None:
        self.events: list[Any] = []
        observe: Any = self.events.append
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        await super().set_up()

    def lines(self, words: str) -> list[str]:
        """The lines of the log that have these words."""
        return [line for line in map(formatEvent, self.events) if words in line]


class CarriedTests(ProxyTestCase):
    """An upstream whose uploads lie outside ``/v2``, as Google's do."""

    #: What the upstream calls its own host in its Locations.
    host = ""

    async def begun(self, place: str = UPLOADED) -> str:
        """Begin an upload; return where it is for the client."""
        reply = await self.exchange(
            "POST", UPLOADS, response(202, f"Location: {self.host}{place}")
        )
        self.assertEqual(reply.status, 202, reply)
        return (reply.header(b"Location") or b"").decode()

    async def answered(self, call: Call, answer: bytes) -> Message:
        """Answer a request, and return what the client is told."""
        call.answer(answer)
        return await self.client.reply(call.method)

    async def test_chunks(self) -> None:
        """Every request of an upload finds it, and is led on."""
        place = f"{UPLOADED}?_state=a%2Fb+c"
        location = await self.begun(place)
        self.assertRegex(location, rf"\A{UPLOADS}[A-Za-z0-9._-]+\Z")
        for number, (method, status) in enumerate(
            (("PATCH", 202), ("GET", 204), ("HEAD", 204), ("PATCH", 202))
        ):
            body = b"abc" if method == "PATCH" else None
            call = await self.relayed(
                method, location, "Authorization: Bearer t", body=body
            )
            self.assertEqual((call.method, call.target), (method, place))
            self.assertEqual(call.header(b"Authorization"), b"Bearer t")
            self.assertEqual(await call.body(), body or b"")
            place = f"{UPLOADED}?_state={number}"
            reply = await self.answered(
                call, response(status, f"Location: {self.host}{place}", "Range: 0-2")
            )
            self.assertEqual((reply.status, reply.header(b"Range")), (status, b"0-2"))
            location = (reply.header(b"Location") or b"").decode()
        call = await self.relayed("PUT", f"{location}?digest={DIGEST}", body=b"")
        self.assertEqual(call.target, f"{place}&digest={DIGEST}")
        reply = await self.answered(call, response(201, f"Location: {UPSTREAM_BLOB}"))
        self.assertEqual(reply.header(b"Location"), BLOB.encode())

    async def test_given_up(self) -> None:
        """DELETE ends it."""
        call = await self.relayed("DELETE", await self.begun())
        self.assertEqual((call.method, call.target), ("DELETE", UPLOADED))
        self.assertEqual((await self.answered(call, response(204))).status, 204)

    async def test_digest_alone(self) -> None:
        """Without a state of the upstream's own the digest is the query."""
        for digest in (DIGEST, DIGEST.replace(":", "%3A"), "sha512:" + "0a" * 64):
            location = await self.begun()
            call = await self.relayed("PUT", f"{location}?digest={digest}", body=b"x")
            self.assertEqual(call.target, f"{UPLOADED}?digest={digest}")
            self.assertEqual(await call.body(), b"x")
            await self.answered(call, response(201))

    async def test_nothing_smuggled(self) -> None:
        """Other parameters do not reach a path that is none of the API."""
        location = await self.begun()
        query = f"digest={DIGEST}&mount={DIGEST}&from=secret/app"
        call = await self.relayed("PUT", f"{location}?{query}", body=b"")
        self.assertEqual(call.target, f"{UPLOADED}?digest={DIGEST}")
        await self.answered(call, response(201))
        count = len(self.upstream.calls)
        for digest, code in (
            ("x", "DIGEST_INVALID"),
            (f"{DIGEST};from=a", None),
            (f"{DIGEST}&digest={DIGEST}", None),
        ):
            reply = await self.client.ask("PUT", f"{location}?digest={digest}")
            self.assertEqual((reply.status, reply.code), (400, code or reply.code))
        self.assertEqual(len(self.upstream.calls), count)

    async def test_out_of_order(self) -> None:
        """A 416 says where the upload is, and how far it has come."""
        call = await self.relayed("PATCH", await self.begun(), body=b"x")
        reply = await self.answered(
            call, response(416, f"Location: {self.host}{UPLOADED}", "Range: 0-9")
        )
        self.assertEqual((reply.status, reply.code), (416, "BLOB_UPLOAD_INVALID"))
        self.assertEqual(reply.header(b"Range"), b"0-9")
        location = (reply.header(b"Location") or b"").decode()
        call = await self.relayed("PATCH", location, body=b"x")
        self.assertEqual(call.target, UPLOADED)
        await self.answered(call, response(202, f"Location: {UPLOADED}"))

    async def assert_unknown(self, location: str, host: str = "registry.test") -> None:
        """Nothing is asked of the upstream."""
        count = len(self.upstream.calls)
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            reply = await self.client.ask(method, location, f"Host: {host}")
            self.assertEqual((reply.status, reply.code), (404, "BLOB_UPLOAD_UNKNOWN"))
        self.assertEqual(len(self.upstream.calls), count)

    async def test_another_repository(self) -> None:
        """A right to one repository opens no upload of another."""
        location = await self.begun()
        await self.assert_unknown(location.replace("team/app", "team/other"))

    async def test_made_up(self) -> None:
        """Nobody but regbroker writes what is asked for."""
        location = await self.begun()
        for changed in (location[:-1], f"{UPLOADS}rbu1.", f"{location}AAAA"):
            await self.assert_unknown(changed)
        start = len(f"{UPLOADS}rbu1.") + 8
        turned = "A" if location[start] != "A" else "B"
        await self.assert_unknown(location[:start] + turned + location[start + 1 :])

    async def test_another_machine(self) -> None:
        """A second machine with the same key goes on with it; one without does not."""
        location = await self.begun()
        await self.serve()
        self.client = await self.connect()
        await self.assert_unknown(location)
        first = self.services[0]
        shared = self.directories[0] / "state" / "token-key.pem"
        self.main = f"signing-key = {shared}"
        await self.serve()
        self.client = await self.connect()
        await self.stop(first)
        call = await self.relayed("PATCH", location, body=b"abc")
        self.assertEqual(call.target, UPLOADED)
        reply = await self.answered(call, response(202, f"Location: {UPLOADED}"))
        location = (reply.header(b"Location") or b"").decode()
        call = await self.relayed("PUT", f"{location}?digest={DIGEST}", body=b"")
        self.assertEqual(call.target, f"{UPLOADED}?digest={DIGEST}")
        await self.answered(call, response(201))

    async def serve(self, learnt: bool = True) -> RegbrokerService:
        service = await super().serve(learnt)
        self.directories = [*getattr(self, "directories", []), self.directory]
        return service

    async def test_restarted(self) -> None:
        """The key in the state directory outlives a restart."""
        location = await self.begun()
        before = self.directory
        await self.stop(self.services[0])
        self.main = f"state-directory = {before / 'state'}"
        await self.serve()
        self.client = await self.connect()
        call = await self.relayed("PATCH", location, body=b"abc")
        self.assertEqual(call.target, UPLOADED)
        await self.answered(call, response(202, f"Location: {UPLOADED}"))

    def ini(self) -> str:
        given = super().ini()
        if self.main.startswith("state-directory"):
            return given.replace("state-directory = state\n", "", 1)
        return given


class CarriedAbsoluteTests(CarriedTests):
    """The same where the upstream names itself, by its address or by ours."""

    host = "http://registry.test"


class CarriedOwnHostTests(CarriedTests):
    def make_upstream(self) -> ScriptedUpstream:
        self.addCleanup(setattr, self, "host", "")
        return super().make_upstream()

    async def begun(self, place: str = UPLOADED) -> str:
        self.host = self.upstream.url
        return await super().begun(place)


class UnwritableTests(LoggedTestCase):
    """Where no key can be kept, one in memory does, and the log says so."""

    async def serve(self, learnt: bool = True) -> RegbrokerService:
        path = Path(self.mktemp()).absolute()
        path.write_text("no directory")
        self.main = f"state-directory = {path}"
        return await super().serve(learnt)

    def ini(self) -> str:
        return super().ini().replace("state-directory = state\n", "", 1)

    async def test_served(self) -> None:
        """Uploads work on this machine until it restarts."""
        (line,) = self.lines("a key in memory")
        self.assertIn("[regbroker] state-directory", line)
        reply = await self.exchange(
            "POST", UPLOADS, response(202, f"Location: {UPLOADED}")
        )
        location = (reply.header(b"Location") or b"").decode()
        call = await self.relayed("PATCH", location, body=b"x")
        self.assertEqual(call.target, UPLOADED)
        call.reply(202, f"Location: {UPLOADED}")
        self.assertEqual((await self.client.reply()).status, 202)


class BasePathTests(ProxyTestCase):
    """An upstream below a path, which its own proxy may take away."""

    def ini(self) -> str:
        return super().ini().replace(self.upstream.url, f"{self.upstream.url}/repo")

    async def test_uploads(self) -> None:
        """With the path and without it, an upload is found again."""
        for place in ("", "/repo"):
            for host in ("", self.upstream.url, "https://registry.test"):
                upstream = "/v2/acme_team/app/blobs/uploads/id?_state=x"
                call = await self.relayed("POST", UPLOADS, body=b"")
                self.assertEqual(call.target, "/repo/v2/acme_team/app/blobs/uploads/")
                call.reply(202, f"Location: {host}{place}{upstream}")
                reply = await self.client.reply()
                self.assertEqual(
                    reply.header(b"Location"), f"{UPLOAD}?_state=x".encode()
                )

    async def test_carried(self) -> None:
        """Nothing outside the upstream's own path is asked for with credentials."""
        for place in ("", "/repo"):
            reply = await self.exchange(
                "POST", UPLOADS, response(202, f"Location: {place}{UPLOADED}")
            )
            location = (reply.header(b"Location") or b"").decode()
            call = await self.relayed("PATCH", location, body=b"x")
            self.assertEqual(call.target, f"/repo{UPLOADED}")
            call.reply(202, f"Location: {place}{UPLOADED}")
            self.assertEqual((await self.client.reply()).status, 202)

    async def test_links(self) -> None:
        """Pages go on either way."""
        for base in ("", "/repo"):
            link = f'<{base}/v2/acme_team/app/tags/list?last=b>; rel="next"'
            answer = response(200, f"Link: {link}", body=b'{"tags": []}')
            reply = await self.exchange("GET", "/v2/team/app/tags/list", answer)
            ours = b'</v2/team/app/tags/list?last=b>; rel="next"'
            self.assertEqual(reply.header(b"Link"), ours)

    async def test_redirects(self) -> None:
        """So do redirects to the registry's own names."""
        for base in ("", "/repo"):
            where = f"Location: {base}/v2/acme_team/app/manifests/1.0"
            reply = await self.exchange("GET", BLOB, response(307, where))
            self.assertEqual(reply.header(b"Location"), MANIFEST.encode())


class RefusedUploadTests(LoggedTestCase):
    """An upload's Location is mapped on every status."""

    async def test_location(self) -> None:
        """What is refused says where the upload is."""
        upstream = "/v2/acme_team/app/blobs/uploads/id?_state=%2f"
        for status in (400, 404, 409, 416, 500):
            for method, body in (("PATCH", b"x"), ("PUT", b""), ("GET", None)):
                call = await self.relayed(method, UPLOAD, body=body)
                call.reply(status, f"Location: {upstream}", "Range: 0-9")
                reply = await self.client.reply()
                self.assertEqual(reply.status, status)
                self.assertEqual(reply.header(b"Range"), b"0-9")
                self.assertEqual(
                    reply.header(b"Location"), f"{UPLOAD}?_state=%2f".encode()
                )

    async def test_elsewhere(self) -> None:
        """One that cannot be mapped is left out, and the refusal told."""
        for place in ("https://x.test/u", "/v2/other/app/blobs/uploads/id"):
            call = await self.relayed("PATCH", UPLOAD, body=b"x")
            call.reply(416, f"Location: {place}", "Range: 0-9")
            reply = await self.client.reply()
            self.assertEqual((reply.status, reply.header(b"Location")), (416, None))
        self.assertEqual(len(self.lines("goes on without its Location")), 2)

    async def test_no_upload(self) -> None:
        """No other error has one."""
        for target in (BLOB, MANIFEST):
            reply = await self.exchange(
                "GET", target, response(404, f"Location: {UPSTREAM_BLOB}")
            )
            self.assertEqual((reply.status, reply.header(b"Location")), (404, None))

    async def test_codes(self) -> None:
        """416 is about the upload where there is one, and about the range else."""
        for target, code in ((UPLOAD, "BLOB_UPLOAD_INVALID"), (BLOB, "UNSUPPORTED")):
            reply = await self.exchange(
                "GET", target, response(416, body=b"invalid range")
            )
            self.assertEqual((reply.status, reply.code), (416, code))


class ToItselfTests(LoggedTestCase):
    """The upstream redirects to itself, most often because it wants https."""

    more = ""

    async def assert_refused(self, method: str, target: str, location: str) -> str:
        """Be redirected in vain; return the line of the log."""
        self.events.clear()
        body = None if method in ("GET", "HEAD", "DELETE") else b""
        call = await self.relayed(method, target, body=body)
        location = location.replace("ASKED", call.target)
        call.reply(301, f"Location: {location}")
        reply = await self.client.reply(method)
        self.assertEqual(reply.status, 502, (method, location))
        self.assertIsNone(reply.header(b"Location"))
        if method != "HEAD":
            self.assertIn("redirects", reply.message)
            self.assertIn("to itself", reply.message)
            self.assertNotIn("url =", reply.message)
            self.assertNotIn("127.0.0.1", reply.message)
        (line,) = (one for one in self.lines("redirects") if "[upstream up]" in one)
        return line

    async def test_https(self) -> None:
        """502 says what to write, for whatever is asked."""
        host = f"127.0.0.1:{self.upstream.port}"
        for method, target in (
            ("GET", BLOB),
            ("HEAD", MANIFEST),
            ("GET", "/v2/team/app/tags/list?n=5"),
            ("POST", UPLOADS),
            ("PATCH", f"{UPLOAD}?_state=x"),
            ("PUT", MANIFEST),
            ("DELETE", MANIFEST),
        ):
            line = await self.assert_refused(method, target, f"https://{host}ASKED")
            self.assertIn(f"url = https://{host}", line)
        line = await self.assert_refused("GET", BLOB, "https://127.0.0.1ASKED")
        self.assertIn("url = https://127.0.0.1'", line)

    async def test_public_host(self) -> None:
        """Also where it was told our name."""
        line = await self.assert_refused("GET", BLOB, "https://registry.testASKED")
        self.assertIn("url = https://127.0.0.1'", line)

    async def test_same(self) -> None:
        """A redirect to what was asked for goes round, whatever it is for."""
        for location in ("ASKED", f"{self.upstream.url}ASKED"):
            line = await self.assert_refused("GET", BLOB, location)
            self.assertIn("X-Forwarded-Proto", line)

    async def test_ping(self) -> None:
        """The ping warns of it, once."""
        self.events.clear()
        host = f"127.0.0.1:{self.upstream.port}"
        self.upstream.ping = response(301, f"Location: https://{host}/v2/")
        await self.serve()
        (event,) = [one for one in self.events if "problem" in one]
        self.assertIn(f"url = https://{host}", formatEvent(event))
        self.assertIn("[upstream up]", formatEvent(event))
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.time.clock.advance(700)
        while len(self.upstream.pings) < 3:
            await self.turn()
        self.assertEqual(len([one for one in self.events if "problem" in one]), 1)

    async def test_other_ping(self) -> None:
        """A ping that is redirected elsewhere is no such thing."""
        self.events.clear()
        self.upstream.ping = response(301, "Location: https://other.test/v2/")
        await self.serve()
        self.assertEqual([one for one in self.events if "problem" in one], [])


class ToItselfWithQueryTests(LoggedTestCase):
    """The upstream redirects to the same place with a query, as some CDNs do."""

    more = ""

    async def test_passed_on(self) -> None:
        """A client would come back, its query would be dropped, and so for ever."""
        call = await self.relayed("GET", BLOB)
        call.reply(307, f"Location: {call.target}?signature=x")
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))
        lines = [line for line in self.lines("redirect") if "[upstream up]" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("write 'redirects = follow'", lines[0])

    async def test_writes(self) -> None:
        """What writes is not followed, so that is no advice."""
        call = await self.relayed("PUT", MANIFEST, body=b"{}")
        call.reply(307, f"Location: {call.target}?signature=x")
        self.assertEqual((await self.client.reply()).status, 502)
        (line,) = [line for line in self.lines("redirect") if "[upstream up]" in line]
        self.assertIn("pushes and deletes are not followed", line)
        self.assertNotIn("redirects = follow", line)


class ToItselfFollowedTests(ToItselfTests):
    """The same where redirects are followed: the storage is not asked."""

    more = "redirects = follow"


class AnotherRegistryTests(OtherUpstream, LoggedTestCase):
    """The upstream redirects to a registry with tokens of its own."""

    more = "redirects = follow"
    upstream_options = "redirect-hosts = 127.0.0.1"

    async def test_refused(self) -> None:
        """The client learns what is missing, the operator what to write."""
        for status, challenge in (
            (401, 'Bearer realm="https://other.test/token",service="other"'),
            (401, "Basic"),
            (403, 'Bearer realm="https://other.test/token"'),
        ):
            self.events.clear()
            call = await self.relayed("GET", MANIFEST)
            where = f"{self.other.url}/v2/linux/server/manifests/1.0"
            call.reply(307, f"Location: {where}")
            asked = await self.other.call()
            self.assertIsNone(asked.header(b"Authorization"))
            asked.reply(status, f"WWW-Authenticate: {challenge}")
            reply = await self.client.reply()
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))
            self.assertIn("another registry", reply.message)
            self.assertIn("[upstream]", reply.message)
            self.assertIsNone(reply.header(b"WWW-Authenticate"))
            self.assertNotIn(str(self.other.port), reply.message)
            (line,) = self.lines("not followed")
            self.assertIn(f"url = {self.other.url}", line)
            self.assertIn("linux/server", line)

    async def test_open(self) -> None:
        """One that gives it to anybody is followed."""
        call = await self.relayed("GET", MANIFEST)
        call.reply(307, f"Location: {self.other.url}/v2/linux/manifests/1.0")
        (await self.other.call()).reply(200, body=b"{}")
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.body), (200, b"{}"))

    async def test_storage(self) -> None:
        """A storage that says 403 is a storage, whose access is in the URL."""
        call = await self.relayed("GET", BLOB)
        call.reply(307, f"Location: {self.other.url}/bucket/key?signature=x")
        (await self.other.call()).reply(403, "WWW-Authenticate: Basic")
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (403, "DENIED"))


class PassedTests(LoggedTestCase):
    """``redirects = pass``: clients are not told a private address."""

    downloads = "/artifacts-downloads/namespaces/acme/x?token=secret"

    async def test_private(self) -> None:
        """The upstream is on loopback: 502, and the log says what to write."""
        for location in (self.downloads, f"{self.upstream.url}{self.downloads}"):
            self.events.clear()
            reply = await self.exchange(
                "GET", BLOB, response(302, f"Location: {location}")
            )
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))
            self.assertIsNone(reply.header(b"Location"))
            self.assertNotIn("127.0.0.1", reply.message)
            (line,) = self.lines("redirect is not passed on")
            for words in (
                "[upstream up]",
                "show-address = yes",
                "redirect-paths = /artifacts-downloads/",
            ):
                self.assertIn(words, line)
            self.assertNotIn("secret", line)


class PassedWritesTests(LoggedTestCase):
    """What writes is passed on with ``follow``, too."""

    more = "redirects = follow"

    async def test_private(self) -> None:
        """The log gives the one advice that helps."""
        for method, target in (("POST", UPLOADS), ("PUT", MANIFEST), ("GET", UPLOAD)):
            self.events.clear()
            body = None if method == "GET" else b""
            call = await self.relayed(method, target, body=body)
            call.reply(307, "Location: /elsewhere/x")
            self.assertEqual((await self.client.reply()).status, 502)
            (line,) = self.lines("redirect is not passed on")
            self.assertIn("write 'show-address = yes'", line)
            self.assertNotIn("redirect-paths", line)
            self.assertNotIn("redirects = follow", line)


class ShownTests(PassedTests):
    """The operator says that clients can reach it."""

    upstream_options = "show-address = yes"

    async def test_private(self) -> None:
        """They are told the whole URL."""
        for location in (self.downloads, f"{self.upstream.url}{self.downloads}"):
            reply = await self.exchange(
                "GET", BLOB, response(302, f"Location: {location}")
            )
            self.assertEqual(reply.status, 302)
            self.assertEqual(
                reply.header(b"Location"),
                f"{self.upstream.url}{self.downloads}".encode(),
            )
