"""The sandbox as clients see it: over real sockets, from the first 401 on."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import treq
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import ServerFactory

from regbroker.errors import StateError
from regbroker.sandbox import SandboxService
from tests.sandboxcase import ALL, EMPTY, Reply, SandboxTestCase, basic


class TokenTests(SandboxTestCase):
    async def test_by_query(self) -> None:
        """GET with Basic: all scopes of all parameters, and a refresh token."""
        reply = await self.ask(
            "GET",
            "/token?service=regbroker-sandbox&account=alice&offline_token=true"
            "&scope=repository:a:pull+repository:b:push&scope=repository:c:pull",
            Authorization=basic("alice:wonderland"),
        )
        document = reply.json()
        self.assertEqual(document["token"], document["access_token"])
        self.assertEqual(document["expires_in"], 300)
        self.assertIn("refresh_token", document)
        issued = datetime.fromisoformat(document["issued_at"].replace("Z", "+00:00"))
        self.assertLess(abs(issued.timestamp() - time.time()), 60)
        token = document["token"]
        for name, status in (("a", 404), ("b", 401), ("c", 404), ("d", 401)):
            reply = await self.ask("GET", f"/v2/{name}/tags/list", None, token)
            self.assertEqual(reply.status, status)

    async def test_by_form(self) -> None:
        """POST by password, then by the refresh token that it brought."""
        form = {"service": "regbroker-sandbox", "scope": f"{ALL} aws"}
        reply = await self.ask(
            "POST",
            "/token",
            form
            | {
                "grant_type": "password",
                "username": "alice",
                "password": "wonderland",
                "access_type": "offline",
            },
        )
        self.assertEqual(reply.json()["scope"], ALL)
        refresh = reply.json()["refresh_token"]
        reply = await self.ask(
            "POST",
            "/token",
            form | {"grant_type": "refresh_token", "refresh_token": refresh},
        )
        self.assertNotIn("refresh_token", reply.json())
        token = reply.json()["access_token"]
        self.assertEqual((await self.ask("GET", "/v2/", None, token)).status, 200)

    async def test_granted(self) -> None:
        """A user gets what a registry knows, and nothing else."""
        everything = "pull,push,delete,*"
        for asked, granted in (
            ("repository:a/b:pull,push", "repository:a/b:pull,push"),
            ("repository:a/b:push,fly", "repository:a/b:push"),
            (
                "repository:a:delete repository:b:*",
                f"repository:a:delete repository:b:{everything}",
            ),
            ("repository(plugin):a:pull", "repository(plugin):a:pull"),
            ("registry:catalog:*", "registry:catalog:*"),
            ("registry:other:*", ""),
            ("repository:A:pull", ""),
            ("aws", ""),
            ("", ""),
        ):
            form = {"grant_type": "password", "username": "alice", "scope": asked}
            reply = await self.ask("POST", "/token", form | {"password": "wonderland"})
            self.assertEqual(reply.json()["scope"], granted)

    async def test_refused(self) -> None:
        """Wrong credentials are 401, whatever way they come; what are none is 400."""
        for authorization in (basic("alice:wrong"), basic("bob:wonderland")):
            reply = await self.ask("GET", "/token", Authorization=authorization)
            self.assertEqual((reply.status, reply.code()), (401, "UNAUTHORIZED"))
            self.assertEqual(
                reply.header("WWW-Authenticate"),
                f'Basic realm="{urlsplit(self.url).netloc}"',
            )
        for authorization in ("Basic !", "Bearer x"):
            reply = await self.ask("GET", "/token", Authorization=authorization)
            self.assertEqual(reply.status, 400)
        for form in (
            {"grant_type": "password", "username": "alice", "password": "wrong"},
            {"grant_type": "refresh_token", "refresh_token": "made up"},
        ):
            reply = await self.ask("POST", "/token", form)
            self.assertEqual(reply.status, 401)

    async def test_bad_requests(self) -> None:
        """Other grants and methods, and forms without end, are refused."""
        reply = await self.ask("POST", "/token", {"grant_type": "magic"})
        self.assertEqual(reply.status, 400)
        reply = await self.ask("PUT", "/token", b"")
        self.assertEqual((reply.status, reply.header("Allow")), (405, "GET, POST"))
        reply = await self.ask("POST", "/token", b"x" * 100_000)
        self.assertEqual(reply.status, 413)


class AccessTests(SandboxTestCase):
    def challenge(self, reply: Reply) -> str:
        self.assertEqual((reply.status, reply.code()), (401, "UNAUTHORIZED"))
        self.assertEqual(
            reply.header("Docker-Distribution-Api-Version"), "registry/2.0"
        )
        start = f'Bearer realm="{self.url}/token",service="regbroker-sandbox"'
        challenge = reply.header("WWW-Authenticate") or ""
        self.assertTrue(challenge.startswith(start), challenge)
        return challenge.removeprefix(start)

    async def test_without_token(self) -> None:
        """The challenge of each endpoint says what is needed."""
        for method, path, scope in (
            ("GET", "/v2/", None),
            ("GET", "/v2/_catalog", "registry:catalog:*"),
            ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
            ("PUT", "/v2/a/b/manifests/1", "repository:a/b:pull,push"),
            ("DELETE", "/v2/a/b/manifests/1", "repository:a/b:delete"),
            (
                "POST",
                f"/v2/a/b/blobs/uploads/?mount={EMPTY}&from=c",
                "repository:a/b:pull,push repository:c:pull",
            ),
        ):
            reply = await self.ask(method, path)
            wanted = f',scope="{scope}"' if scope else ""
            self.assertEqual(self.challenge(reply), wanted)

    async def test_not_enough(self) -> None:
        """A token is good for its own repository and actions only."""
        pull = await self.token("repository:a/b:pull")
        for method, path in (
            ("PUT", "/v2/a/b/manifests/1"),
            ("POST", "/v2/a/b/blobs/uploads/"),
            ("DELETE", f"/v2/a/b/blobs/{EMPTY}"),
            ("GET", "/v2/a/c/tags/list"),
            ("GET", "/v2/_catalog"),
        ):
            rest = self.challenge(await self.ask(method, path, None, pull))
            self.assertTrue(rest.endswith(',error="insufficient_scope"'), rest)

    async def test_invalid_token(self) -> None:
        """A token that is unknown, also one from before a restart, says so."""
        reply = await self.ask(
            "GET", "/token?offline_token=1", Authorization=basic("alice:wonderland")
        )
        token, refresh = reply.json()["token"], reply.json()["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        self.assertEqual((await self.ask("POST", "/token", form)).status, 200)
        await self.restart()
        for given in (token, refresh, "made-up", ""):
            reply = await self.ask("GET", "/v2/", None, given)
            self.assertEqual(self.challenge(reply), ',error="invalid_token"')
        self.assertEqual((await self.ask("POST", "/token", form)).status, 401)

    async def test_strangers(self) -> None:
        """Without credentials there is a token, but nothing that it allows."""
        token = await self.token("repository:a/b:pull", user=None)
        self.assertEqual((await self.ask("GET", "/v2/", None, token)).status, 200)
        reply = await self.ask("GET", "/v2/a/b/tags/list", None, token)
        self.assertIn("insufficient_scope", self.challenge(reply))

    async def test_outside(self) -> None:
        """Paths that are no endpoints, and wrong methods, are refused as OCI JSON."""
        for path, status, code in (
            ("/", 404, "UNSUPPORTED"),
            ("/v2/a/b/nothing", 404, "UNSUPPORTED"),
            ("/v2/A/tags/list", 400, "NAME_INVALID"),
            ("/v2/a/../b/tags/list", 400, "NAME_INVALID"),
        ):
            response = await self.agent.request(b"GET", (self.url + path).encode())
            reply = Reply(response, await treq.content(response))
            self.assertEqual((reply.status, reply.code()), (status, code))
        reply = await self.ask("PUT", "/v2/a/tags/list", b"")
        self.assertEqual((reply.status, reply.header("Allow")), (405, "GET, HEAD"))


class ServiceTests(SandboxTestCase):
    async def test_stop_ends_connections(self) -> None:
        """Stopping cuts what is still open, and frees the port."""
        client = await self.raw("GET /v2/ HTTP/1.1\r\nHost: x\r\n")
        port = urlsplit(self.url).port or 0
        await self.service.stopService()
        await client.lost
        again = reactor.listenTCP(port, ServerFactory(), interface="127.0.0.1")
        await maybeDeferred(again.stopListening)
        await self.service.stopService()

    async def test_started_again(self) -> None:
        """The same service starts again with what was pushed, on some port."""
        digest = await self.push_blob("a/b", b"layer", await self.token(ALL))
        await self.service.stopService()
        self.service.startService()
        self.url = self.service.url
        token = await self.token(ALL)
        reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
        self.assertEqual(reply.body, b"layer")

    async def test_tls_is_refused_at_once(self) -> None:
        """Whoever tries TLS first need not wait for an answer."""
        client = await self.raw("\x16\x03\x01\x02\x00")
        await client.lost

    def test_no_directory(self) -> None:
        """A directory that cannot be made is said in one line."""
        file = Path(self.mktemp())
        file.touch()
        service = SandboxService(cast(Any, reactor), file, {})
        with self.assertRaises(StateError):
            service.startService()
