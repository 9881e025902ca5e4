"""Search: between a client and a search service that the test plays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bcrypt

from regbroker.events import Event
from regbroker.protocol.basic_credentials import format_basic
from regbroker.upstream.own_requests import USER_AGENT
from regbroker.upstream.search_rules import MAX_SEARCH_BYTES
from regbroker.upstream.search_service import SEARCH_SECONDS
from tests.proxycase import ProxyTestCase
from tests.scripted import Call, ScriptedUpstream, response
from tests.wire import Message

SEARCH = "/v1/search"
PING = "/v1/_ping"


def basic(user: str, password: str) -> str:
    """An Authorization header."""
    return f"Authorization: {format_basic(user, password).decode()}"


def page(*names: str, **more: Any) -> bytes:
    """A page of the search service's."""
    results = [{"name": name, "description": f"{name} it is"} for name in names]
    return response(200, body=json.dumps({"results": results} | more).encode())


class SearchTestCase(ProxyTestCase):
    """`index` is the search service; nothing that is asked reaches the upstream."""

    async def set_up(self) -> None:
        self.index = ScriptedUpstream()
        self.index.start()
        await super().set_up()

    def ini(self) -> str:
        return f"{super().ini()}search-url = {self.index.url}\n"

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.index.stop()
        self.assertEqual(self.upstream.calls, [])

    async def asked(
        self, target: str, answer: bytes, *headers: str, method: str = "GET"
    ) -> tuple[Call, Message]:
        """Ask, and have the search service answer."""
        self.client.request(method, target, *headers)
        call = await self.index.call()
        call.answer(answer)
        return call, await self.client.reply(method)

    async def refused(self, method: str, target: str, *headers: str) -> Message:
        """A refusal that the search service knows nothing of."""
        before = len(self.index.calls)
        reply = await self.client.ask(method, target, *headers)
        self.assertEqual(len(self.index.calls), before)
        return reply

    def names(self, reply: Message) -> list[str]:
        """The names of the results."""
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.header(b"Content-Type"), b"application/json")
        return [result["name"] for result in reply.json()["results"]]


class SearchTests(SearchTestCase):
    async def test_search(self) -> None:
        """Names are mapped, both ways."""
        call, reply = await self.asked(
            f"{SEARCH}?q=team/a&n=25&x=y",
            page("acme_team/app", "other/app", num_pages=1, num_results=2),
        )
        self.assertEqual(
            (call.method, call.target), ("GET", "/v1/search?q=acme_team%2Fa&n=25")
        )
        self.assertEqual(
            reply.json(),
            {
                "num_pages": 1,
                "num_results": 2,
                "query": "team/a",
                # A description is free text.
                "results": [{"name": "team/app", "description": "acme_team/app it is"}],
            },
        )
        self.assertEqual(
            reply.header(b"Docker-Distribution-Api-Version"), b"registry/2.0"
        )

    async def test_nobody_is_told_of(self) -> None:
        """The search service learns nothing of who asks."""
        call, _ = await self.asked(
            f"{SEARCH}?q=a",
            page(),
            basic("alice", "wonderland"),
            "Cookie: session=1",
            "X-Docker-Token: true",
            "X-Registry-Auth: e30=",
            "X-Forwarded-For: 192.0.2.7",
            "Forwarded: for=192.0.2.7",
            "User-Agent: docker/28",
            "Referer: https://registry.test/",
        )
        expected = {b"host", b"user-agent", b"accept-encoding"}
        self.assertEqual({name.lower() for name, _ in call.head.headers}, expected)
        self.assertEqual(call.header(b"User-Agent"), USER_AGENT[1])
        self.assertEqual(call.header(b"Host"), self.index.url[7:].encode())

    async def test_nothing_comes_of_it(self) -> None:
        """No cookie of the search service's is kept or handed on."""
        answer = response(200, "Set-Cookie: a=b", "X-Up: acme", body=b"{}")
        for _ in range(2):
            call, reply = await self.asked(f"{SEARCH}?q=a", answer)
            self.assertIsNone(call.header(b"Cookie"))
            self.assertIsNone(reply.header(b"Set-Cookie"))
            self.assertIsNone(reply.header(b"X-Up"))
        self.assertEqual(len(self.index.wires), 1)

    async def test_not_here(self) -> None:
        """A namespace that is not served finds nothing, and is told to nobody."""
        reply = await self.refused("GET", f"{SEARCH}?q=other/app")
        self.assertEqual(self.names(reply), [])
        self.assertEqual(reply.json()["query"], "other/app")

    async def test_bad_query(self) -> None:
        """What makes no sense is not asked."""
        reply = await self.refused("GET", f"{SEARCH}?q=a&n=all")
        self.assertEqual((reply.status, reply.code), (400, "UNSUPPORTED"))

    async def test_head(self) -> None:
        """The head of the same reply."""
        call, reply = await self.asked(f"{SEARCH}?q=a", page(), method="HEAD")
        self.assertEqual(call.method, "GET")
        length = len(json.dumps({"query": "a", "results": []})) + 1
        self.assertEqual(reply.header(b"Content-Length"), b"%d" % length)
        _, reply = await self.asked(PING, response(200, body=b"true"), method="HEAD")
        self.assertEqual((reply.status, reply.header(b"Content-Length")), (200, b"5"))

    async def test_ping(self) -> None:
        """What docker asks first."""
        for headers, body, answer, standalone in (
            ((), b"true", True, None),
            (("X-Docker-Registry-Standalone: False",), b"true", True, b"False"),
            (
                ("X-Up: a",),
                b'{"standalone": true, "host": "x"}',
                {"standalone": True},
                None,
            ),
        ):
            call, reply = await self.asked(
                PING, response(200, *headers, body=body), basic("alice", "w")
            )
            self.assertEqual(call.target, "/v1/_ping")
            self.assertIsNone(call.header(b"Authorization"))
            self.assertEqual((reply.status, reply.json()), (200, answer))
            self.assertEqual(reply.header(b"X-Docker-Registry-Standalone"), standalone)
            self.assertIsNone(reply.header(b"X-Up"))

    async def test_methods(self) -> None:
        """Search is for reading."""
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            for target in (SEARCH, PING):
                client = await self.connect()
                reply = await client.ask(method, target, "Content-Length: 0")
                self.assertEqual((reply.status, reply.code), (405, "UNSUPPORTED"))
                self.assertEqual(reply.header(b"Allow"), b"GET, HEAD")
        self.assertEqual(self.index.calls, [])

    async def test_other_paths(self) -> None:
        """Of v1 there is nothing else."""
        for target in ("/v1", "/v1/", "/v1/users/", "/v1/searches", "/v1/search/x"):
            reply = await self.refused("GET", target)
            self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))

    async def test_event(self) -> None:
        """The log says who was asked, and how long it took."""
        told = self.event()
        self.client.request("GET", f"{SEARCH}?q=secret")
        call = await self.index.call()
        self.time.clock.advance(2)
        call.answer(page())
        event: Event = (await told)["event"]
        self.assertEqual((event.upstream, event.path), ("up", SEARCH))
        self.assertEqual(event.upstream_seconds, 2)
        self.assertNotIn("secret", event.line())

    async def test_shared(self) -> None:
        """Those who ask the same at once share an answer; one may leave."""
        self.client.request("GET", f"{SEARCH}?q=a")
        call = await self.index.call()
        told = self.event()
        other = await self.connect()
        other.request("GET", f"{SEARCH}?q=a")
        other.close()
        outcome = (await told)["event"].outcome
        self.assertEqual(outcome, "the client closed the connection")
        call.answer(page("acme_team/a"))
        self.assertEqual(self.names(await self.client.reply()), ["team/a"])
        self.assertEqual(len(self.index.calls), 1)


class TroubleTests(SearchTestCase):
    async def test_refused(self) -> None:
        """Refusals are OCI JSON with their status."""
        for status, headers, answered, code in (
            (429, ["Retry-After: 30"], 429, "TOOMANYREQUESTS"),
            (503, [], 503, "UNAVAILABLE"),
            (404, ["WWW-Authenticate: Basic"], 404, "NAME_UNKNOWN"),
            (500, [], 502, "UNAVAILABLE"),
            (501, [], 502, "UNAVAILABLE"),
            (599, [], 502, "UNAVAILABLE"),
            (401, ['WWW-Authenticate: Basic realm="x"'], 403, "DENIED"),
            (302, ["Location: https://evil.test/"], 502, "UNKNOWN"),
            (204, [], 502, "UNKNOWN"),
        ):
            for target in (f"{SEARCH}?q=a", PING):
                body = b"" if status == 204 else b"<h1>acme_team</h1>"
                answer = response(status, *headers, body=body)
                _, reply = await self.asked(target, answer)
                self.assertEqual((reply.status, reply.code), (answered, code))
                retry_after = b"30" if status == 429 else None
                self.assertEqual(reply.header(b"Retry-After"), retry_after)
                self.assertIsNone(reply.header(b"WWW-Authenticate"))
                self.assertIsNone(reply.header(b"Location"))
                self.assertNotIn("acme", reply.message)

    async def test_malformed(self) -> None:
        """What is no answer is the search service's fault."""
        for body in (b"<h1>", b"[]", b'{"results": 1}', bytes(MAX_SEARCH_BYTES + 1)):
            _, reply = await self.asked(f"{SEARCH}?q=a", response(200, body=body))
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))
        _, reply = await self.asked(PING, response(200, body=b"<h1>"))
        self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))

    async def test_silent(self) -> None:
        """Who does not answer is not waited for for ever."""
        self.client.request("GET", f"{SEARCH}?q=a")
        call = await self.index.call()
        self.time.clock.advance(SEARCH_SECONDS + 0.1)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (504, "UNAVAILABLE"))
        await call.wire.end()

    async def test_down(self) -> None:
        """Nobody there is 503."""
        await self.index.stop()
        told = self.event()
        self.client.request("GET", f"{SEARCH}?q=a")
        while not told.called:
            # Two addresses of one host would be tried at a distance.
            self.time.clock.advance(0.001)
            await self.turn()
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
        self.assertEqual(
            reply.message, "the upstream's search service cannot be reached"
        )

    async def test_stopped(self) -> None:
        """What is under way ends with the service."""
        self.client.request("GET", f"{SEARCH}?q=a")
        call = await self.index.call()
        await self.stop(self.services[0])
        await call.wire.end()


class WithoutSearchTests(ProxyTestCase):
    """No search-url."""

    async def test_none(self) -> None:
        """There is no search, and nobody is asked."""
        for target in (f"{SEARCH}?q=a", PING):
            reply = await self.client.ask("GET", target)
            self.assertEqual((reply.status, reply.code), (404, "UNSUPPORTED"))
            self.assertEqual(reply.message, "this registry has no search")
        self.assertEqual(self.upstream.calls, [])


class SecondUpstreamTests(SearchTestCase):
    """The search is the second upstream's; names without a namespace are Hub's."""

    registry = "team = acme_team\nhub/* = hub:*"

    def ini(self) -> str:
        return (
            f"{ProxyTestCase.ini(self)}\n[upstream hub]\nurl = {self.upstream.url}\n"
            f"default-namespace = library\nsearch-url = {self.index.url}/v1/\n"
        )

    async def test_search(self) -> None:
        """By the words that the client uses."""
        found = page("nginx", "bitnami/nginx", "acme_team/nginx")
        for text, sent, names in (
            ("ng", "ng", ["hub/nginx", "hub/bitnami/nginx", "hub/acme_team/nginx"]),
            (
                "hub/library/ng",
                "ng",
                ["hub/library/nginx", "hub/bitnami/nginx", "hub/acme_team/nginx"],
            ),
        ):
            told = self.event()
            call, reply = await self.asked(f"{SEARCH}?q={text}", found)
            self.assertEqual(call.target, f"/v1/search?q={sent}")
            self.assertEqual(self.names(reply), names)
            self.assertEqual((await told)["event"].upstream, "hub")

    async def test_not_there(self) -> None:
        """What is in the other upstream is not searched."""
        reply = await self.refused("GET", f"{SEARCH}?q=team/ng")
        self.assertEqual(self.names(reply), [])


class AccountsTests(SearchTestCase):
    """Accounts of our own: who may list the catalog may search."""

    more = "accounts = staff"
    registry = "* = *"

    def ini(self) -> str:
        path = Path(self.mktemp()).absolute()
        with path.open("w") as file:
            for user in ("alice", "bob", "carol"):
                hashed = bcrypt.hashpw(f"{user}'s".encode(), bcrypt.gensalt(4))
                file.write(f"{user}:{hashed.decode()}\n")
        return (
            f"{super().ini()}\n[accounts staff]\nhtpasswd = {path}\n"
            "[access staff]\nalice = team/**: catalog, pull\nbob = **: pull\n"
            "carol = **: catalog\n"
        )

    async def test_visible(self) -> None:
        """Everybody sees what they may list."""
        for user, names in (
            ("alice", ["team/a"]),
            ("carol", ["team/a", "other/b"]),
        ):
            told = self.event()
            call, reply = await self.asked(
                f"{SEARCH}?q=a", page("team/a", "other/b"), basic(user, f"{user}'s")
            )
            self.assertIsNone(call.header(b"Authorization"))
            self.assertEqual(self.names(reply), names)
            self.assertEqual((await told)["event"].user, user)

    async def test_without_the_right(self) -> None:
        """Others are asked for a password, or told that it is not enough."""
        for headers in ((), (basic("", ""),), (basic("alice", "bob's"),)):
            reply = await self.refused("GET", f"{SEARCH}?q=a", *headers)
            self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))
            self.assertEqual(
                reply.header(b"WWW-Authenticate"), b'Basic realm="registry.test"'
            )
        reply = await self.refused("GET", f"{SEARCH}?q=a", "Authorization: Bearer x")
        self.assertEqual(reply.status, 401)
        told = self.event()
        reply = await self.refused("GET", f"{SEARCH}?q=a", basic("bob", "bob's"))
        self.assertEqual((reply.status, reply.code), (403, "DENIED"))
        self.assertEqual(reply.message, "bob may not list the repositories")
        self.assertIsNone(reply.header(b"WWW-Authenticate"))
        self.assertEqual((await told)["event"].user, "bob")

    async def test_ping(self) -> None:
        """docker brings no password before it knows that this is a registry."""
        _, reply = await self.asked(PING, response(200, body=b"true"))
        self.assertEqual(reply.status, 200)

    async def test_token(self) -> None:
        """A token for the catalog is as good as a password; another is not."""
        for user, scope, status in (
            ("alice", "registry:catalog:*", 200),
            ("alice", "repository:team/a:pull", 403),
            ("", "registry:catalog:*", 401),
        ):
            given = [basic(user, f"{user}'s")] if user else []
            reply = await self.client.ask("GET", f"/auth?scope={scope}", *given)
            bearer = f"Authorization: Bearer {reply.json()['token']}"
            if status == 200:
                answer = page("team/a", "other/b")
                _, reply = await self.asked(f"{SEARCH}?q=a", answer, bearer)
                self.assertEqual(self.names(reply), ["team/a"])
            else:
                reply = await self.refused("GET", f"{SEARCH}?q=a", bearer)
                self.assertEqual(reply.status, status)
