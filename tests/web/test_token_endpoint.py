"""The token endpoint, as clients of all kinds use it."""

from __future__ import annotations

import json

from regbroker.web.token_endpoint import MAX_FORM_BYTES
from tests.proxycase import ProxyTestCase
from tests.scripted import Call, response
from tests.wire import Message

ALICE = "Authorization: Basic YWxpY2U6d29uZGVybGFuZA=="
PULL = "scope=repository:team/app:pull"
TOKEN = json.dumps({"token": "s3cret-token", "expires_in": 300}).encode()


class TokenTests(ProxyTestCase):
    tokens = True

    async def set_up(self) -> None:
        await super().set_up()
        self.upstream.handler = self.answer

    def answer(self, call: Call) -> bytes | None:
        """Grant whatever is asked for by GET."""
        return response(200, body=TOKEN) if call.method == "GET" else None

    async def test_get(self) -> None:
        """A token that nobody may keep on the way."""
        reply = await self.client.ask("GET", f"/auth?{PULL}", ALICE)
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.json()["token"], "s3cret-token")
        self.assertEqual(reply.header(b"Content-Type"), b"application/json")
        self.assertEqual(reply.header(b"Cache-Control"), b"no-store")

    async def test_post(self) -> None:
        """A form, in pieces; `scope` may be repeated."""
        told = self.event()
        body = (
            b"grant_type=password&username=alice&password=w&service=x&client_id=c"
            b"&scope=repository%3Ateam%2Fapp%3Apull&scope=repository:team/b:push"
        )
        self.client.request("POST", "/auth", f"Content-Length: {len(body)}")
        self.client.send(body[:10])
        await self.turn()
        self.client.send(body[10:])
        call = await self.upstream.call()
        self.assertIn(
            b"repository%3Aacme_team%2Fapp%3Apull+repository%3Aacme_team%2Fb%3Apush",
            await call.body(),
        )
        call.reply(200, body=TOKEN)
        reply = await self.client.reply()
        self.assertEqual(
            reply.json()["scope"], "repository:team/app:pull repository:team/b:push"
        )
        event = (await told)["event"]
        self.assertEqual((event.endpoint, event.credentials), ("token", "password"))
        self.assertEqual(event.public_name, "team/app,team/b")

    async def test_large_authorization(self) -> None:
        """Cloud registries' passwords are long."""
        reply = await self.client.ask(
            "GET", f"/auth?{PULL}", "Authorization: Basic " + "YTpi" * 4096
        )
        self.assertEqual(reply.status, 200)

    async def refused(
        self, method: str, query: str, *more: str, body: str = ""
    ) -> Message:
        """A refusal that the upstream knows nothing of."""
        client = await self.connect()
        given = body.encode() if method == "POST" else None
        reply = await client.ask(method, f"/auth?{query}", *more, body=given)
        self.assertEqual(self.upstream.calls, [])
        return reply

    async def test_bad_requests(self) -> None:
        """Scopes too many or too long, credentials and forms that are none."""
        many = "&".join(f"scope=repository:team/a{n}:pull" for n in range(1000))
        for query, headers in (
            (many, ()),
            (f"scope=repository:team/{'a' * 5000}:pull", ()),
            (PULL, ("Authorization: Bearer x",)),
            (PULL, ("Authorization: Basic !!!",)),
            (PULL, ("Authorization: Basic YWxpY2U=",)),
            (f"service={'s' * 257}", ()),
            (f"client_id={'c' * 257}", ()),
            (f"account={'a' * 257}", ()),
        ):
            reply = await self.refused("GET", query, *headers)
            self.assertEqual(reply.status, 400, query[:100])
        for body in (
            "",
            "x=y",
            "grant_type=password",
            "grant_type=refresh_token",
            "\xff",
        ):
            reply = await self.refused("POST", "", body=body)
            self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))

    async def test_robot_token(self) -> None:
        """A robot token is a password of ours: no upstream is shown it."""
        robot = "rbrobot_x"
        forms = (
            f"grant_type=password&username=alice&password={robot}",
            f"grant_type=password&username={robot}&password=x",
            f"grant_type=refresh_token&refresh_token={robot}",
        )
        for form, shown in zip(forms, ("password", "password", "token"), strict=True):
            event = self.event()
            reply = await self.refused(
                "POST", "", body=f"{form}&service=x&client_id=c&{PULL}"
            )
            self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"), form)
            self.assertEqual((await event)["event"].credentials, shown, form)

    async def test_too_large(self) -> None:
        """A form without end."""
        reply = await self.refused("POST", "", body="x" * (MAX_FORM_BYTES + 1))
        self.assertEqual((reply.status, reply.code), (413, "SIZE_INVALID"))

    async def test_form_that_never_ends(self) -> None:
        """A client that goes away in the middle of its form leaves nothing behind."""
        event = self.event()
        self.client.request("POST", "/auth", "Content-Length: 100")
        self.client.send(b"grant_type=")
        await self.turn()
        self.client.close()
        self.assertIn("the client closed", (await event)["event"].outcome)

    async def test_clients_that_leave(self) -> None:
        """With the last one that waits for a token the question ends upstream."""
        self.upstream.handler = None
        clients = [await self.connect() for _ in range(2)]
        for client in clients:
            client.request("GET", f"/auth?{PULL}", ALICE)
        call = await self.upstream.call()
        clients[0].close()
        await clients[0].end()
        await self.turn()
        self.assertIsNone(call.wire.lost)
        clients[1].close()
        await call.wire.end()
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_methods(self) -> None:
        """GET and POST, and nothing else."""
        for method in ("PUT", "HEAD", "OPTIONS", "DELETE"):
            client = await self.connect()
            reply = await client.ask(method, "/auth", "Content-Length: 0")
            self.assertEqual(
                (reply.status, reply.header(b"Allow")), (405, b"GET, POST")
            )

    async def test_unmapped(self) -> None:
        """A stranger who asks for what is not served is told so."""
        reply = await self.refused("GET", "scope=repository:other/app:pull")
        self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))

    async def test_refused_by_upstream(self) -> None:
        """The upstream's refusal, names mapped back, and when to come again."""
        self.upstream.handler = lambda call: response(
            429,
            "Retry-After: 9",
            body=b'{"errors":[{"code":"TOOMANYREQUESTS","message":"acme_team/app"}]}',
        )
        reply = await self.client.ask("GET", f"/auth?{PULL}", ALICE)
        self.assertEqual((reply.status, reply.code), (429, "TOOMANYREQUESTS"))
        self.assertEqual(reply.message, "team/app")
        self.assertEqual(reply.header(b"Retry-After"), b"9")

    async def test_wrong_password(self) -> None:
        """A wrong password is 401, and asks for another one."""
        self.upstream.handler = lambda call: response(401, body=b"<h1>")
        reply = await self.client.ask("GET", f"/auth?{PULL}", ALICE)
        self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))
        self.assertEqual(
            reply.header(b"WWW-Authenticate"), b'Basic realm="registry.test"'
        )

    async def test_client_goes_away(self) -> None:
        """One that leaves does not end what another one waits for."""
        self.upstream.handler = None
        other = await self.connect()
        self.client.request("GET", f"/auth?{PULL}", ALICE)
        call = await self.upstream.call()
        other.request("GET", f"/auth?{PULL}", ALICE)
        await self.turn()
        event = self.event()
        self.client.reset()
        await event
        call.reply(200, body=TOKEN)
        self.assertEqual((await other.reply()).status, 200)
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_opaque_scopes(self) -> None:
        """A scope that may name a repository behind our back does not go up."""
        for scope in ("repository:team/app", "Repository:team/app:pull", "aws"):
            reply = await self.client.ask("GET", f"/auth?scope={scope}", ALICE)
            self.assertEqual(reply.status, 200)
        scopes = [
            value
            for call in self.upstream.calls
            for name, value in call.query
            if name == "scope"
        ]
        self.assertEqual(scopes, ["aws"])

    async def test_log_of_nobody(self) -> None:
        """An account without a password is nobody's, on the line and later."""
        event = self.event()
        reply = await self.client.ask("GET", f"/auth?{PULL}&account=bob")
        self.assertEqual(reply.status, 200)
        line = (await event)["line"]
        self.assertIn("user=- ", line)
        self.assertNotIn("bob", line)
        event = self.event()
        await self.client.ask("GET", "/v2/", "Authorization: Bearer s3cret-token")
        self.assertIn("user=- ", (await event)["line"])

    async def test_log(self) -> None:
        """The line has the user, and no secret; later the token has its user."""
        event = self.event()
        await self.client.ask("GET", f"/auth?{PULL}", ALICE)
        line = (await event)["line"]
        self.assertIn("user=alice", line)
        for secret in ("wonderland", "YWxp", "s3cret"):
            self.assertNotIn(secret, line)
        event = self.event()
        await self.client.ask("GET", "/v2/", "Authorization: Bearer s3cret-token")
        self.assertIn("user=alice", (await event)["line"])
