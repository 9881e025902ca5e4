"""The way up: what the upstream sees of a client's request."""

from __future__ import annotations

from pathlib import Path

from regbroker.protocol.headers import PSEUDONYM
from regbroker.web.forward import BLOBS_AT_ONCE
from tests.protocol.test_header_table import OF_TRUST
from tests.proxycase import BLOB, DIGEST, MANIFEST, UPLOAD, UPLOADS, ProxyTestCase
from tests.scripted import Call, response
from tests.severalcase import SeveralTestCase

EXPECT = "Expect: 100-continue"
CHUNKED = "Transfer-Encoding: chunked"


class PreparedTests(ProxyTestCase):
    async def test_blobs_come_next(self) -> None:
        """While a manifest is on its way, connections for its blobs are opened."""
        call = await self.relayed("GET", MANIFEST)
        while self.upstream.connected < BLOBS_AT_ONCE:
            await self.turn()
        call.reply(200, body=b"{}")
        await self.client.reply("GET")
        # Blobs in turn: nothing is opened for them.
        for _ in range(BLOBS_AT_ONCE):
            await self.exchange("GET", BLOB, response(200, body=b"b"))
        self.assertEqual(self.upstream.connected, BLOBS_AT_ONCE)

    async def test_no_blobs_come_next(self) -> None:
        """Somebody who only looks has one connection."""
        await self.exchange("HEAD", MANIFEST, response(200, "Content-Length: 2"))
        await self.exchange("GET", BLOB, response(200, body=b"b"))
        self.assertEqual(self.upstream.connected, 1)


class HeadersTests(ProxyTestCase):
    async def test_end_to_end(self) -> None:
        """What is about the content goes on, in order, with every value."""
        call = await self.relayed(
            "PUT",
            MANIFEST,
            "Content-Type: application/vnd.oci.image.manifest.v1+json",
            "Authorization: Bearer t",
            "User-Agent: docker/27",
            "OCI-Many: 1",
            "OCI-Many: 2",
            "Accept: a/b",
            "Accept: c/d, e/f",
            "If-Match: *",
            body=b"{}",
        )
        for name, values in (
            (b"Content-Type", [b"application/vnd.oci.image.manifest.v1+json"]),
            (b"Authorization", [b"Bearer t"]),
            (b"User-Agent", [b"docker/27"]),
            (b"OCI-Many", [b"1", b"2"]),
            (b"Accept", [b"a/b", b"c/d, e/f"]),
            (b"If-Match", [b"*"]),
            (b"Content-Length", [b"2"]),
        ):
            self.assertEqual(call.head.all(name), values)
        self.assertEqual(await call.body(), b"{}")

    async def test_form(self) -> None:
        """An upload is no form: some servers would take names out of it."""
        form = b"mount=sha256:a&from=acme/secret"
        for method, path in (("POST", UPLOADS), ("PATCH", UPLOAD), ("PUT", UPLOAD)):
            call = await self.relayed(
                method,
                path,
                "Content-Type: application/x-www-form-urlencoded",
                body=form,
            )
            types = call.head.all(b"Content-Type")
            self.assertEqual(types, [b"application/octet-stream"], method)
            self.assertEqual(await call.body(), form)
            call.reply(400)
            await self.client.reply()

    async def test_hop_by_hop(self) -> None:
        """What is about the client's connection ends here."""
        call = await self.relayed(
            "GET",
            MANIFEST,
            "Connection: keep-alive, X-Foo",
            "Connection: x-bar",
            "X-Foo: 1",
            "X-Bar: 2",
            "OCI-Baz: 3",
            "Keep-Alive: timeout=5",
            "TE: trailers",
            "Trailer: X-T",
            "Upgrade: h2c",
            "HTTP2-Settings: x",
            "Proxy-Authorization: Basic x",
            "Proxy-Connection: keep-alive",
        )
        names = {name.lower() for name, _ in call.head.headers}
        self.assertEqual(
            names - {b"oci-baz"},
            {
                b"host",
                b"x-forwarded-for",
                b"x-forwarded-proto",
                b"x-forwarded-host",
                b"x-real-ip",
                b"x-request-id",
                b"via",
            },
        )
        self.assertIn(b"oci-baz", names)

    async def test_connection_names_what_it_must_not(self) -> None:
        """A client cannot take away what is written here."""
        call = await self.relayed(
            "PUT",
            MANIFEST,
            "Connection: Host, X-Forwarded-For, Content-Length, X-Real-IP",
            body=b"{}",
        )
        self.assertEqual(call.header(b"X-Forwarded-For"), b"127.0.0.1")
        self.assertEqual(call.header(b"X-Real-IP"), b"127.0.0.1")
        self.assertEqual(call.header(b"Content-Length"), b"2")
        self.assertEqual(call.header(b"Host"), self.upstream.url[7:].encode())

    async def test_about_the_way(self) -> None:
        """A client that nobody trusts says nothing about itself."""
        call = await self.relayed(
            "GET",
            MANIFEST,
            "Host: registry.test:5000",
            "X-Forwarded-For: 192.0.2.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.test",
            "X-Forwarded-Port: 1",
            "X-Real-IP: 192.0.2.1",
            "Forwarded: for=192.0.2.1",
        )
        self.assertEqual(call.header(b"X-Forwarded-For"), b"127.0.0.1")
        self.assertEqual(call.header(b"X-Forwarded-Proto"), b"http")
        self.assertEqual(call.header(b"X-Forwarded-Host"), b"registry.test:5000")
        self.assertEqual(call.header(b"X-Real-IP"), b"127.0.0.1")
        self.assertEqual(call.head.all(b"X-Forwarded-Port"), [])
        self.assertEqual(call.head.all(b"Forwarded"), [])
        self.assertEqual(call.header(b"Host"), self.upstream.url[7:].encode())

    async def test_via(self) -> None:
        """The upstream is told which regbrokers it is asked by."""
        call = await self.relayed(
            "GET", MANIFEST, "Via: 1.1 cache.test", "Via: 1.1 regbroker-0a1b2c3d"
        )
        self.assertEqual(
            call.header(b"Via"), f"1.1 regbroker-0a1b2c3d, 1.1 {PSEUDONYM}".encode()
        )

    async def test_query_is_kept(self) -> None:
        """A query goes up byte for byte, but for what is about a mirror."""
        query = "_state=a%2Bb%2fc==&&digest=sha256%3aabc&x=%20+&ns=registry.test&y"
        call = await self.relayed("PUT", f"{UPLOAD}?{query}", "Content-Length: 0")
        self.assertEqual(
            call.target,
            "/v2/acme_team/app/blobs/uploads/id?"
            "_state=a%2Bb%2fc==&&digest=sha256%3aabc&x=%20+&y",
        )

    async def test_large_authorization(self) -> None:
        """An Authorization of 16 KiB reaches the upstream."""
        call = await self.relayed(
            "GET", MANIFEST, "Authorization: Bearer " + "t" * 16384
        )
        self.assertEqual(len(call.header(b"Authorization") or b""), 16384 + 7)

    async def test_nothing_smuggled(self) -> None:
        """A folded header, in which some see another one, goes no further."""
        fold = "A: b\r\n Transfer-Encoding: chunked"
        reply = await self.client.ask("GET", MANIFEST, fold)
        self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))
        self.assertEqual(self.upstream.calls, [])

    async def test_bad_target(self) -> None:
        """A target that no client may write is the client's fault."""
        for byte in ("\x7f", "\x80", "\xff"):
            client = await self.connect()
            client.request("GET", f"{MANIFEST}?x={byte}")
            reply = await client.reply()
            self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))
        self.assertEqual(self.upstream.calls, [])

    async def test_lists(self) -> None:
        """What is read here is asked for whole and unpacked."""
        call = await self.relayed(
            "GET",
            "/v2/team/app/tags/list?n=1&last=x",
            "Accept-Encoding: gzip",
            "Range: bytes=0-1",
            "If-Range: x",
        )
        self.assertEqual(call.target, "/v2/acme_team/app/tags/list?n=1&last=x")
        self.assertEqual(call.header(b"Accept-Encoding"), b"identity")
        self.assertIsNone(call.header(b"Range"))
        self.assertIsNone(call.header(b"If-Range"))

    async def test_ranges(self) -> None:
        """What is not read here may be asked for in parts, and packed."""
        call = await self.relayed(
            "GET", BLOB, "Range: bytes=5-", "Accept-Encoding: gzip"
        )
        self.assertEqual(call.header(b"Range"), b"bytes=5-")
        self.assertEqual(call.header(b"Accept-Encoding"), b"gzip")


SECRETS = ("Private-Token: s", "X-Jfrog-Art-Api: s", "X-Registry-Auth: s")
PLAIN = ("Accept: a/b", "Range: bytes=0-1", "If-None-Match: x", "User-Agent: docker/27")


def told(call: Call) -> set[str]:
    """What of SECRETS and PLAIN an upstream is told."""
    given = {b": ".join(header).decode() for header in call.head.headers}
    return given & {*SECRETS, *PLAIN}


class CredentialsTests(ProxyTestCase):
    """The client's own account is at the upstream."""

    async def test_other_credentials(self) -> None:
        """What else it has to show there goes up; its cookies for us do not."""
        call = await self.relayed(
            "GET", BLOB, *SECRETS, *PLAIN, "Cookie: a=b", "X_HTTP_Method_Override: PUT"
        )
        self.assertEqual(told(call), {*SECRETS, *PLAIN})
        names = {name.lower() for name, _ in call.head.headers}
        self.assertEqual(names & {b"cookie", b"x_http_method_override"}, set())


class TrustTests(ProxyTestCase):
    """What a proxy before the upstream would say, no client can."""

    async def test_of_trust(self) -> None:
        """Users, addresses and paths stay here, and so does what nobody knows."""
        before = await self.relayed("GET", BLOB)
        before.reply(200)
        await self.client.reply()
        names = [name for name in OF_TRUST if name != "Via"]
        call = await self.relayed(
            "GET", BLOB, *(f"{name}: admin" for name in names), "Via: 1.1 admin"
        )
        ids = {each.header(b"X-Request-ID") for each in (before, call)}
        self.assertEqual(len(ids), 2)
        kept, expected = (
            [header for header in each.head.headers if header[1] not in ids]
            for each in (call, before)
        )
        self.assertEqual(kept, expected)


class OwnAccountsTestCase(ProxyTestCase):
    """The client's account is here."""

    more = "accounts = staff"

    def ini(self) -> str:
        path = Path(self.mktemp()).absolute()
        path.touch()
        return (
            f"{super().ini()}\n[accounts staff]\nhtpasswd = {path}\n"
            "[access staff]\nanonymous = team/**: pull\n"
        )


class OwnAccountsTests(OwnAccountsTestCase):
    async def test_kept_back(self) -> None:
        """The upstream does not know it, and learns nothing that could be secret."""
        reply = await self.client.ask("GET", "/auth?scope=repository:team/app:pull")
        token = f"Authorization: Bearer {reply.json()['token']}"
        call = await self.relayed("GET", BLOB, *SECRETS, *PLAIN, token)
        self.assertEqual(told(call), set(PLAIN))
        self.assertIsNone(call.header(b"Authorization"))
        self.assertEqual(call.header(b"X-Real-IP"), b"127.0.0.1")


class DeniedCatalogTests(OwnAccountsTestCase):
    """And there is no catalog."""

    more = "accounts = staff\ncatalog = deny"

    async def test_denied(self) -> None:
        """It is not there, whoever asks: nobody is told to log in for it."""
        reply = await self.client.ask("GET", "/v2/_catalog")
        self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))
        self.assertEqual(self.upstream.calls, [])


class LentTests(ProxyTestCase):
    """Our account is shared with clients that bring nothing."""

    more = "anonymous = shared"
    upstream_options = "username = robot\npassword-file = password"

    async def test_kept_back(self) -> None:
        """With our account goes nothing of theirs; with their own, all of it."""
        (self.directory / "password").write_text("r0bot")
        call = await self.relayed("GET", BLOB, *SECRETS, *PLAIN)
        self.assertEqual(told(call), set(PLAIN))
        call.reply(200)
        await self.client.reply()
        own = "Authorization: Basic YWxpY2U6dw=="
        call = await self.relayed("GET", BLOB, *SECRETS, *PLAIN, own)
        self.assertEqual(told(call), {*SECRETS, *PLAIN})


class UntrustedTests(SeveralTestCase):
    """The client's account is at the first upstream."""

    wants_tokens = ()

    async def test_kept_back(self) -> None:
        """The second learns nothing that is for the first."""
        one = self.answer(self.upstream, response(503))
        two = self.answer(self.other, response(200))
        reply = await self.client.ask("GET", BLOB, *SECRETS, *PLAIN)
        self.assertEqual(reply.status, 200)
        self.assertEqual(told(one[0]), {*SECRETS, *PLAIN})
        self.assertEqual(told(two[0]), set(PLAIN))


class TrustedProxyTests(ProxyTestCase):
    main = "trusted-proxies = 127.0.0.1, 10.0.0.0/8"

    async def test_believed(self) -> None:
        """A proxy that is trusted tells who the client is, and how it came."""
        call = await self.relayed(
            "GET",
            MANIFEST,
            "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.1.1.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: public.test",
        )
        self.assertEqual(
            call.header(b"X-Forwarded-For"), b"192.0.2.1, 10.1.1.1, 127.0.0.1"
        )
        self.assertEqual(call.header(b"X-Real-IP"), b"192.0.2.1")
        self.assertEqual(call.header(b"X-Forwarded-Proto"), b"https")
        self.assertEqual(call.header(b"X-Forwarded-Host"), b"public.test")


class StaleTests(ProxyTestCase):
    async def warm(self) -> None:
        """Make a kept connection."""
        await self.exchange("GET", BLOB, response(200))

    async def test_without_body(self) -> None:
        """A kept connection that is gone costs the client nothing."""
        for method, path in (("GET", BLOB), ("POST", UPLOADS), ("DELETE", MANIFEST)):
            await self.warm()
            stale = await self.relayed(method, path)
            stale.wire.reset()
            again = await self.upstream.call()
            self.assertEqual(again.head, stale.head)
            again.reply(202)
            self.assertEqual((await self.client.reply(method)).status, 202)

    async def test_with_body(self) -> None:
        """A body cannot be sent twice: the client hears of it, in JSON."""
        await self.warm()
        call = await self.relayed("PATCH", UPLOAD, "Content-Length: 100")
        call.wire.reset()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))


class MountTests(ProxyTestCase):
    async def mounting(self, source: str = "team/other") -> Call:
        """Ask for a mount, with a token."""
        return await self.relayed(
            "POST",
            f"{UPLOADS}?mount={DIGEST}&from={source}",
            "Authorization: Bearer t",
            "Content-Length: 0",
        )

    async def test_mapped(self) -> None:
        """Both names are mapped."""
        call = await self.mounting()
        self.assertEqual(
            call.target,
            f"/v2/acme_team/app/blobs/uploads/?mount={DIGEST}&from=acme_team/other",
        )
        call.reply(201, f"Location: /v2/acme_team/app/blobs/{DIGEST}")
        reply = await self.client.reply()
        self.assertEqual(
            (reply.status, reply.header(b"Location")), (201, BLOB.encode())
        )

    async def test_refused(self) -> None:
        """No right to pull from there is an upload here, and no 401."""
        for status in (401, 403):
            (await self.mounting()).reply(status)
            second = await self.upstream.call()
            self.assertEqual(second.target, "/v2/acme_team/app/blobs/uploads/")
            self.assertEqual(second.header(b"Authorization"), b"Bearer t")
            second.reply(202, "Location: /v2/acme_team/app/blobs/uploads/id")
            reply = await self.client.reply()
            self.assertEqual(reply.status, 202)
            self.assertEqual(reply.header(b"Location"), UPLOAD.encode())

    async def test_refused_altogether(self) -> None:
        """No right to push is the 401 that names both repositories."""
        scope = "repository:acme_team/app:pull,push repository:acme_team/other:pull"
        (await self.mounting()).reply(
            401, f'WWW-Authenticate: Bearer realm="https://x/t",scope="{scope}"'
        )
        reply = await self.client.reply()
        self.assertEqual(reply.status, 401)
        self.assertIn(
            b'scope="repository:team/app:pull,push repository:team/other:pull"',
            reply.header(b"WWW-Authenticate") or b"",
        )

    async def test_second_fails(self) -> None:
        """When the second try fails, nothing of the first is left open."""
        first = await self.mounting()
        first.send(response(401, "Content-Length: 100", body=b"{"))
        second = await self.upstream.call()
        second.wire.reset()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
        await first.wire.end()

    async def test_from_elsewhere(self) -> None:
        """From what is not served here it is an upload from the start."""
        for source in ("other/app", "..", "UPPER"):
            call = await self.mounting(source)
            self.assertEqual(call.target, "/v2/acme_team/app/blobs/uploads/")
            call.reply(202, "Location: /v2/acme_team/app/blobs/uploads/id")
            self.assertEqual((await self.client.reply()).status, 202)
