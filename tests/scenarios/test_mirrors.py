"""Mirrors: the registry that a client means picks one of ours."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from tests.proxycase import BLOB, DIGEST, MANIFEST, UPLOAD, UPLOADS, ProxyTestCase
from tests.scripted import response
from tests.wire import Message

#: A source that is asked for at the mirror, whose Host is served otherwise.
HUB = "ns=docker.io"
TAGS = "/v2/team/app/tags/list"
STATE = "_state=a%2Bb%2fc==&&x=%20+"


class MirrorTestCase(ProxyTestCase):
    """``registry.test`` and whatever else is ``*``; ``docker.io`` is ``hub.test``."""

    main = """\
ns =
    docker.io = hub.test
    Localhost:5000 = hub.test
    any.test = *
"""
    hub = ""

    def ini(self) -> str:
        given = super().ini()
        section = given[given.index("[registry *]") : given.index("[upstream")]
        hub = section.replace("[registry *]", "[registry hub.test]\n" + self.hub)
        return given + hub.replace("team = acme_team", "team = hub_team")


class PickedTests(MirrorTestCase):
    async def asked(self, target: str, host: str = "registry.test") -> str:
        """What the upstream is asked for, or the code of our refusal; the source."""
        self.upstream.handler = lambda call: response(200, "OCI-Namespace: evil")
        before = len(self.upstream.calls)
        self.reply = await self.client.ask("GET", target, f"Host: {host}")
        said = (self.reply.header(b"OCI-Namespace") or b"-").decode()
        if self.reply.status == 200:
            return f"{self.upstream.calls[-1].target} {said}"
        self.assertEqual(len(self.upstream.calls), before)
        return f"{self.reply.status} {self.reply.code} {said}"

    async def test_host(self) -> None:
        """Without a source, the Host decides; nothing is said of one."""
        for target in (MANIFEST, f"{MANIFEST}?NS=docker.io"):
            asked = await self.asked(target)
            self.assertEqual(asked, "/v2/acme_team/app/manifests/1.0 -")
        asked = await self.asked(MANIFEST, "hub.test")
        self.assertEqual(asked, "/v2/hub_team/app/manifests/1.0 -")

    async def test_source(self) -> None:
        """With one, the table does, whatever the Host is and however it is written."""
        for host in ("registry.test", "hub.test", "unknown.test:5000"):
            for query, source in (
                (HUB, "docker.io"),
                ("ns=Docker.IO", "docker.io"),
                ("%6es=docker%2Eio", "docker.io"),
                (f"{HUB}&{HUB}", "docker.io"),
                ("ns=localhost:5000", "localhost:5000"),
                ("ns=LOCALHOST%3a5000", "localhost:5000"),
            ):
                self.assertEqual(
                    await self.asked(f"{MANIFEST}?{query}", host),
                    f"/v2/hub_team/app/manifests/1.0 {source}",
                )
        asked = await self.asked(f"{MANIFEST}?ns=any.test", "hub.test")
        self.assertEqual(asked, "/v2/acme_team/app/manifests/1.0 any.test")

    async def test_rest_of_the_query(self) -> None:
        """What else is in the query goes up byte for byte."""
        for query in (f"{HUB}&{STATE}", f"{STATE}&{HUB}", f"{HUB}&{STATE}&{HUB}"):
            self.assertEqual(
                await self.asked(f"/v2/team/app/referrers/{DIGEST}?{query}"),
                f"/v2/hub_team/app/referrers/{DIGEST}?{STATE} docker.io",
            )

    async def test_own(self) -> None:
        """The name of the registry that is asked anyway is that registry."""
        for host, source in (
            ("registry.test", "registry.test"),
            ("registry.test:5000", "Registry.Test:5000"),
            ("hub.test:5000", "hub.test"),
            ("hub.test:5000", "hub.test:5000"),
        ):
            name = "hub" if host.startswith("hub") else "acme"
            self.assertEqual(
                await self.asked(f"{MANIFEST}?ns={source}", host),
                f"/v2/{name}_team/app/manifests/1.0 {source.lower()}",
            )

    async def test_unknown(self) -> None:
        """Other sources, several, or an empty one: it is told which are known."""
        for query in (
            "ns=quay.io",
            "ns=",
            "ns",
            f"{HUB}&ns=quay.io",
            f"{HUB}&ns=any.test",
            "ns=registry.test&ns=docker.io",
            "ns=hub.test",
            "ns=docker.io:443",
            "ns=127.0.0.1",
            f"ns={self.upstream.url}",
        ):
            for target in (MANIFEST, "/v2/", UPLOADS, "/v2/_catalog", "/v2/x/nothing"):
                asked = await self.asked(f"{target}?{query}")
                self.assertEqual(asked, "404 NAME_UNKNOWN -", query)
                self.assertIn("any.test, docker.io, localhost:5000", self.reply.message)

    async def test_event(self) -> None:
        """The log tells which registry it was."""
        event = self.event()
        await self.asked(f"{MANIFEST}?{HUB}")
        line = (await event)["line"]
        self.assertIn("registry=hub.test", line)
        self.assertNotIn("docker.io", line)

    async def test_event_refused(self) -> None:
        """It tells of a source that is refused, as far as it can be shown."""
        for query, registry in (
            ("ns=quay.io", "quay.io"),
            (f"{HUB}&ns=quay.io", "docker.io,quay.io"),
            ("ns=a%22%20b%0a", '"a??b?"'),
            ("ns=", "registry.test"),
        ):
            event = self.event()
            await self.asked(f"{MANIFEST}?{query}")
            self.assertIn(f" registry={registry} ", (await event)["line"])

    async def test_bad_host(self) -> None:
        """A Host that is none stays wrong."""
        asked = await self.asked(f"{MANIFEST}?{HUB}", "user@registry.test")
        self.assertEqual(asked, "400 UNSUPPORTED -")

    async def test_errors(self) -> None:
        """Errors tell the source, too: ours and the upstream's."""
        for target, status in (
            ("/v2/other/app/manifests/1", 404),
            ("/v2/team/app/nothing", 404),
            ("/v2/Team/app/manifests/1", 400),
        ):
            reply = await self.client.ask("GET", f"{target}?{HUB}")
            self.assertEqual(reply.status, status)
            self.assertEqual(reply.header(b"OCI-Namespace"), b"docker.io")
        for status in (401, 404, 429, 500):
            reply = await self.exchange("GET", f"{MANIFEST}?{HUB}", response(status))
            self.assertEqual(reply.status, status)
            self.assertEqual(reply.header(b"OCI-Namespace"), b"docker.io")
        reply = await self.exchange("GET", BLOB + "?" + HUB, response(999))
        self.assertEqual(
            (reply.status, reply.header(b"OCI-Namespace")), (502, b"docker.io")
        )


class OnlyMirrorTests(MirrorTestCase):
    """No registry for other hosts."""

    def ini(self) -> str:
        return super().ini().replace("[registry *]", "[registry a.test]")

    main = "ns =\n    docker.io = hub.test"

    async def test_unknown_host(self) -> None:
        """It is served for a known source, and misdirected otherwise."""
        reply = await self.exchange("GET", f"{MANIFEST}?{HUB}", response(200))
        self.assertEqual(reply.status, 200)
        for target, status in (
            (MANIFEST, 421),
            ("/v2/", 421),
            (f"{MANIFEST}?ns=quay.io", 404),
            (f"{MANIFEST}?ns=registry.test", 404),
            ("/auth", 421),
            (f"/auth?{HUB}", 421),
            ("/auth/quay.io", 421),
        ):
            reply = await self.client.ask("GET", target)
            self.assertEqual((reply.status, reply.code), (status, "NAME_UNKNOWN"))
        reply = await self.client.ask("DELETE", "/auth/docker.io")
        self.assertEqual(reply.status, 405)


class NoTableTests(ProxyTestCase):
    async def test_no_mirror(self) -> None:
        """Without a table there is nothing to be a mirror of."""
        for query in (HUB, "ns=", "ns=a&ns=b"):
            reply = await self.client.ask("GET", f"{MANIFEST}?a=1&{query}&b=2")
            self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))
            self.assertIn("known here: none", reply.message)
            self.assertIsNone(reply.header(b"OCI-Namespace"))
        self.assertEqual(self.upstream.calls, [])
        call = await self.relayed("GET", f"{TAGS}?n=1&ns=registry.test&last=2")
        self.assertEqual(call.target, "/v2/acme_team/app/tags/list?n=1&last=2")
        call.reply(200, body=b"{}")
        reply = await self.client.reply()
        self.assertEqual(reply.header(b"OCI-Namespace"), b"registry.test")
        reply = await self.client.ask("GET", "/auth/docker.io")
        self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))


class TokenTests(MirrorTestCase):
    tokens = True
    hub = "token-path = /hub/token"

    def realm(self, reply: Message) -> str:
        """The realm of the one challenge."""
        self.assertEqual(reply.status, 401)
        challenge = (reply.header(b"WWW-Authenticate") or b"").decode()
        return challenge.partition('realm="')[2].partition('"')[0]

    async def test_realm(self) -> None:
        """It tells the source: the token request has no other place for it."""
        answer = response(
            401,
            'WWW-Authenticate: Bearer realm="https://up.test/token",service="s",'
            'scope="repository:hub_team/app:pull"',
        )
        for host in ("registry.test", "unknown.test:5000"):
            for query, path in (
                ("", "/auth"),
                (HUB, "/hub/token/docker.io"),
                ("ns=LOCALHOST:5000", "/hub/token/localhost:5000"),
                ("ns=any.test", "/auth/any.test"),
                (f"ns={host}", "/auth"),
            ):
                ping = await self.client.ask("GET", f"/v2/?{query}", f"Host: {host}")
                self.client.request("GET", f"{MANIFEST}?{query}", f"Host: {host}")
                (await self.upstream.call()).answer(answer)
                for reply in (ping, await self.client.reply()):
                    self.assertEqual(self.realm(reply), f"http://{host}{path}")

    async def test_token_path(self) -> None:
        """Where the realm leads, that registry's tokens are asked for."""
        for path, name in (
            ("/auth", "acme_team"),
            ("/auth/any.test", "acme_team"),
            ("/hub/token/docker.io", "hub_team"),
            ("/hub/token/docker.io/", "hub_team"),
            ("/hub/token/localhost:5000", "hub_team"),
        ):
            for host in ("registry.test", "unknown.test"):
                self.client.request(
                    "GET",
                    f"{path}?service=x&scope=repository:team/app:pull,{host[0]}",
                    f"Host: {host}",
                )
                call = await self.upstream.call()
                self.assertTrue(call.target.startswith("/token?"), call.target)
                scope = dict(call.query)["scope"]
                self.assertEqual(scope.split(":")[1], f"{name}/app")
                call.reply(200, body=json.dumps({"token": path + host}).encode())
                self.assertEqual((await self.client.reply()).status, 200)
        for path in (
            "/auth/docker.io",
            "/auth/quay.io",
            "/hub/token",
            "/auth/any.test/x",
        ):
            reply = await self.client.ask("GET", path)
            self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))


class HandedOutTests(MirrorTestCase):
    """What a client is to come back to names its source again."""

    async def location(self, method: str, path: str, status: int, given: str) -> str:
        """The Location that a client of the mirror gets for the upstream's."""
        given = given.replace("UP", self.upstream.url)
        reply = await self.exchange(
            method, f"{path}?{HUB}", response(status, f"Location: {given}")
        )
        self.assertEqual(reply.status, status)
        return (reply.header(b"Location") or b"").decode()

    async def test_uploads(self) -> None:
        """An upload's Location, with its state byte for byte."""
        for given in ("UP", "http://registry.test", ""):
            for query in ("", STATE, f"{STATE}&&"):
                target = f"{given}/v2/hub_team/app/blobs/uploads/id"
                location = await self.location(
                    "POST", UPLOADS, 202, f"{target}?{query}" if query else target
                )
                self.assertEqual(
                    location, f"{UPLOAD}?{query}&{HUB}" if query else f"{UPLOAD}?{HUB}"
                )

    async def test_coming_back(self) -> None:
        """What comes back with it, or with it twice, is what the upstream said."""
        given = f"/v2/hub_team/app/blobs/uploads/id?{STATE}"
        location = await self.location("POST", UPLOADS, 202, given)
        for target in (location, f"{location}&{HUB}"):
            call = await self.relayed("PATCH", target, "Content-Length: 0")
            self.assertEqual(call.target, given)
            call.reply(202, f"Location: {given}")
            self.assertEqual(
                (await self.client.reply()).header(b"Location"), location.encode()
            )

    async def test_redirects(self) -> None:
        """Those that lead back to us; others are not touched."""
        for target, given, expected in (
            (MANIFEST, f"/v2/hub_team/app/blobs/{DIGEST}?a=b", f"{BLOB}?a=b&{HUB}"),
            (BLOB, "UP/v2/hub_team/app/manifests/1.0", f"{MANIFEST}?{HUB}"),
            (BLOB, "https://s3.test/x?X-Sig=a%2Fb", "https://s3.test/x?X-Sig=a%2Fb"),
            (BLOB, "//s3.test/x", "//s3.test/x"),
        ):
            self.assertEqual(await self.location("GET", target, 307, given), expected)

    async def test_links(self) -> None:
        """The next page, of tags, referrers and the catalog."""
        for path, given, expected in (
            (
                "/v2/team/app/tags/list",
                "/v2/hub_team/app/tags/list?n=2&last=b",
                "/v2/team/app/tags/list?n=2&last=b",
            ),
            (
                f"/v2/team/app/referrers/{DIGEST}",
                f"/v2/hub_team/app/referrers/{DIGEST}?next=a%2F",
                f"/v2/team/app/referrers/{DIGEST}?next=a%2F",
            ),
        ):
            reply = await self.exchange(
                "GET",
                f"{path}?{HUB}",
                response(200, f'Link: <{given}>; rel="next"', body=b'{"tags": []}'),
            )
            self.assertEqual(
                reply.header(b"Link"), f'<{expected}&{HUB}>; rel="next"'.encode()
            )
        names = {"repositories": ["hub_team/a", "hub_team/b"]}
        reply = await self.exchange(
            "GET",
            f"/v2/_catalog?n=1&{HUB}",
            response(200, body=json.dumps(names).encode()),
        )
        self.assertEqual(
            reply.header(b"Link"),
            f'</v2/_catalog?last=team%2Fa&n=1&{HUB}>; rel="next"'.encode(),
        )

    async def test_without_source(self) -> None:
        """A client that names none, or the registry itself, gets none."""
        for query in ("", "?ns=registry.test"):
            reply = await self.exchange(
                "POST",
                f"{UPLOADS}{query}",
                response(202, f"Location: /v2/acme_team/app/blobs/uploads/id?{STATE}"),
            )
            self.assertEqual(reply.header(b"Location"), f"{UPLOAD}?{STATE}".encode())


class OwnTokenTests(MirrorTestCase):
    """Accounts of our own: a token is good where its realm was named."""

    more = "accounts = staff"

    def ini(self) -> str:
        path = Path(self.mktemp()).absolute()
        path.touch()
        return (
            super().ini()
            + f"\n[accounts staff]\nhtpasswd = {path}\n"
            + "[access staff]\nanonymous = team/**: pull\n"
        )

    async def token(self, target: str, host: str) -> str:
        """The token that the ping's challenge leads to, and its service."""
        ping = await self.client.ask("GET", target, f"Host: {host}")
        challenge = (ping.header(b"WWW-Authenticate") or b"").decode()
        found = dict(
            pair.split('="') for pair in challenge[7:].removesuffix('"').split('",')
        )
        url = urlsplit(found["realm"])
        self.service = found["service"]
        reply = await self.client.ask(
            "GET",
            f"{url.path}?service={self.service}&scope=repository:team/app:pull",
            f"Host: {url.netloc}",
        )
        self.assertEqual(reply.status, 200)
        return str(reply.json()["token"])

    async def pulled(self, query: str, host: str, token: str) -> int:
        """The status of a pull with this token."""
        self.upstream.handler = lambda call: response(200)
        reply = await self.client.ask(
            "GET",
            f"{MANIFEST}{query}",
            f"Host: {host}",
            f"Authorization: Bearer {token}",
        )
        return reply.status

    async def test_tokens(self) -> None:
        """Under whatever Host: for the section's name, or for ``*``, the Host's."""
        for query, service in (
            (f"?{HUB}", "hub.test"),
            ("?ns=any.test", "registry.test:5000"),
            ("", "registry.test:5000"),
        ):
            token = await self.token(f"/v2/{query}", "registry.test:5000")
            self.assertEqual(self.service, service)
            self.assertEqual(await self.pulled(query, "registry.test:5000", token), 200)

    async def test_other_registries(self) -> None:
        """A token for one registry opens no other."""
        token = await self.token(f"/v2/?{HUB}", "registry.test")
        self.assertEqual(await self.pulled("", "registry.test", token), 401)
        self.assertEqual(await self.pulled("?ns=any.test", "registry.test", token), 401)
        self.assertEqual(await self.pulled("", "hub.test", token), 200)
        token = await self.token("/v2/", "registry.test")
        self.assertEqual(await self.pulled(f"?{HUB}", "registry.test", token), 401)
