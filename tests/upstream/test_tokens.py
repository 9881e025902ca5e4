"""Tokens of an upstream: asked for once, kept for a while, for nobody else."""

from __future__ import annotations

import base64
import gc
import gzip
import json
from secrets import token_hex
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from regbroker.broker.upstream_broker import REUSE_SECONDS
from regbroker.errors import (
    RedirectRefused,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.scopes import parse_scopes, repository_scope
from regbroker.protocol.token_replies import MAX_REPLY_BYTES
from regbroker.protocol.token_requests import TokenRequest, parse_get
from regbroker.upstream.tokens import TOKEN_SECONDS, UpstreamTokens
from tests.brokercase import ALICE, BOB, PULL, BrokerTestCase, granted
from tests.proxycase import TOKENS
from tests.scripted import Call, response

PULLED = (repository_scope("acme_team/app", "pull"),)


class BoundTests(BrokerTestCase):
    async def test_upstream_reply(self) -> None:
        """An upstream reply without end is not read to its end."""
        asking = self.get(PULL)
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n{")
        call.send(b" " * (MAX_REPLY_BYTES * 4))
        await self.assertFailure(asking, UpstreamMalformed)
        await call.wire.end()

    async def test_our_reply(self) -> None:
        """A token that would make ours too large stands there once."""
        asking = self.get(PULL)
        (await self.upstream.call()).answer(granted("t" * 40_000))
        reply = await asking
        self.assertLess(len(reply), MAX_REPLY_BYTES)
        self.assertEqual(len(json.loads(reply)["token"]), 40_000)
        asking = self.post()
        call = await self.upstream.call()
        await call.body()
        call.answer(granted("t" * 40_000))
        self.assertEqual(len(json.loads(await asking)["access_token"]), 40_000)

    async def test_packed(self) -> None:
        """Nor can a small reply be made a large one."""
        asking = self.get(PULL)
        call = await self.upstream.call()
        bomb = gzip.compress(bytes(20_000_000))
        call.reply(200, "Content-Encoding: gzip", body=bomb)
        await self.assertFailure(asking, UpstreamMalformed)


class PreparedTests(BrokerTestCase):
    async def close_registry(self) -> None:
        """Close the registry's connection, which discovery has opened."""
        (wire,) = self.upstream.wires
        self.registry.connections.close()
        await wire.end()

    async def test_request_comes_next(self) -> None:
        """While a token is on its way, a connection to the registry is opened."""
        await self.close_registry()
        before = len(self.upstream.wires)
        asking = self.get(PULL)
        call = await self.upstream.call()
        while len(self.upstream.wires) < before + 2:
            await self.turn()
        call.answer(granted("t1"))
        await asking
        # A request to the registry, which uses it.
        asked = self.registry.request("GET", "/v2/acme_team/app/tags/list", ())
        call = await self.upstream.call()
        self.assertIsNot(call.wire, self.upstream.calls[0].wire)
        call.reply(200)
        await asked
        self.assertEqual(len(self.upstream.wires), before + 2)

    async def test_login(self) -> None:
        """Somebody who only logs in has no request for the registry."""
        await self.close_registry()
        before = len(self.upstream.wires)
        asking = self.get("")
        (await self.upstream.call()).answer(granted("t1"))
        await asking
        self.assertEqual(len(self.upstream.wires), before + 1)


class CacheTests(BrokerTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.count()

    async def test_reused(self) -> None:
        """The same credentials and scopes get the same token, without asking."""
        self.upstream.handler = lambda call: granted("t1", expires_in=300)
        first = json.loads(await self.get(PULL))
        self.now += 50
        second = json.loads(await self.get(f"{PULL}&account=alice&client_id=other"))
        self.assertEqual(len(self.upstream.calls), 1)
        self.assertEqual(second["token"], first["token"])
        self.assertEqual((first["expires_in"], second["expires_in"]), (300, 250))
        self.assertNotEqual(first["issued_at"], second["issued_at"])

    async def test_login_is_looked_at_again(self) -> None:
        """A password that is taken back upstream is good for a minute more at most."""
        self.upstream.handler = lambda call: granted(
            f"t{len(self.upstream.calls)}", expires_in=300
        )
        self.assertEqual(await self.token(PULL), "t1")
        self.now += REUSE_SECONDS
        self.assertEqual(await self.token(PULL), "t1")
        self.now += 1
        self.assertEqual(await self.token(PULL), "t2")
        self.assertEqual(await self.token(PULL), "t2")

    async def test_refused(self) -> None:
        """A token that the registry has refused is not given out again."""
        self.count()
        both = f"{PULL}&scope=repository:team/b:pull"
        self.assertEqual([await self.token(q) for q in (PULL, both)], ["t1", "t2"])
        self.tokens.drop("t1")
        self.tokens.drop("never seen")
        self.assertEqual([await self.token(q) for q in (PULL, both)], ["t3", "t2"])

    async def test_size_of_keys(self) -> None:
        """What a token is kept under does not grow with what was asked for."""
        for count in (1, 2, 100):
            scopes = (
                f"scope=repository:team/{n}{'a' * 200}:pull" for n in range(count)
            )
            await self.token("&".join(scopes))
        sizes = {len(repr(key)) // 100 for key in self.tokens.cache._grants}
        self.assertEqual(len(self.tokens.cache), 3)
        self.assertLess(max(sizes), 4)

    async def test_order_of_scopes(self) -> None:
        """Scopes are a set."""
        one, two = PULL, "scope=repository:team/b:pull"
        self.assertEqual(await self.token(f"{one}&{two}"), "t1")
        self.assertEqual(await self.token(f"{two}&{one}"), "t1")

    async def test_not_shared(self) -> None:
        """Anything that makes a difference upstream makes another token."""
        wrong = "Basic YWxpY2U6d3Jvbmc="
        asked = [
            (PULL, ALICE),
            (PULL, BOB),
            (PULL, wrong),
            (PULL, None),
            (PULL + ",push", ALICE),
            ("", ALICE),
            (f"{PULL}&offline_token=true", ALICE),
        ]
        tokens = [await self.token(query, user) for query, user in asked]
        self.assertEqual(len(set(tokens)), len(asked))
        self.assertEqual([await self.token(q, u) for q, u in asked], tokens)

    async def test_no_confusion_of_parts(self) -> None:
        """User and password cannot be cut at another place."""
        pairs = [b"a:b\0c", b"a\0b:c", b"a\0:b", b"a:\0b"]
        users = [f"Basic {base64.b64encode(pair).decode()}" for pair in pairs]
        tokens = {await self.token(PULL, user) for user in users}
        self.assertEqual(len(tokens), len(pairs))

    async def test_expiry(self) -> None:
        """A token that lives for less than a minute is not handed out."""
        self.upstream.handler = lambda call: granted(
            f"t{len(self.upstream.calls)}", expires_in=300
        )
        self.assertEqual(await self.token(PULL, None), "t1")
        self.now += 239
        self.assertEqual(await self.token(PULL, None), "t1")
        self.now += 2
        self.assertEqual(await self.token(PULL, None), "t2")

    async def test_refresh_tokens_are_not_kept(self) -> None:
        """A reply with a refresh token is for who has asked, and for nobody else."""
        self.upstream.handler = lambda call: granted(
            f"t{len(self.upstream.calls)}", refresh_token="r"
        )
        query = f"{PULL}&offline_token=true"
        self.assertEqual(await self.token(query), "t1")
        self.assertEqual(await self.token(query), "t2")

    async def test_own_refresh_tokens(self) -> None:
        """Our own account has no use for one that is sent unasked: a token is kept."""
        self.upstream.handler = lambda call: granted(
            f"t{len(self.upstream.calls)}", refresh_token="r"
        )
        request = TokenRequest("POST", refresh_token="identity")
        first, second = [
            await self.tokens.get(request, PULLED, is_own=True) for _ in range(2)
        ]
        self.assertEqual((first.token, second.token), ("t1", "t1"))
        self.assertEqual(second.refresh_token, "")
        self.assertEqual(self.tokens.cached(request, PULLED), second)

    async def test_no_secrets_in_memory(self) -> None:
        """Who has asked is known only by a keyed hash; no password is kept."""
        password = token_hex()
        pair = base64.b64encode(f"alice:{password}".encode()).decode()
        await self.token(PULL, f"Basic {pair}")
        self.upstream.calls.clear()
        kept = [
            thing
            for thing in gc.get_objects()
            if isinstance(thing, tuple | list | dict) and holds(thing, password)
        ]
        self.assertEqual(kept, [])
        (key,) = self.tokens.cache._grants
        self.assertNotIn(password, repr(key))

    async def test_keyed(self) -> None:
        """The hash says nothing to who has not the key of this process."""
        request = parse_get(PULL, ALICE)
        discovered = await self.registry.discover()
        other = UpstreamTokens(self.registry, self.time, lambda: self.now)
        keys = [
            tokens._cache_key(request, discovered, ())
            for tokens in (self.tokens, other)
        ]
        self.assertNotEqual(keys[0], keys[1])
        other.close()

    async def test_long_scopes(self) -> None:
        """What a client asks for is not remembered at any length."""
        discovered = await self.registry.discover()
        short = parse_scopes(["repository:team/app:pull"])
        actions = ",".join(f"{number:03}" for number in range(200))
        long = parse_scopes([f"repository:team/app:{actions}"])
        request = parse_get(PULL, ALICE)
        keys = {
            self.tokens._cache_key(request, discovered, scopes)
            for scopes in (short, long, short, long)
        }
        self.assertEqual(len(keys), 2)
        self.assertEqual(len(self.tokens._asked), 1)


def holds(thing: Any, text: str) -> bool:
    """Whether a container holds a text."""
    values = thing.values() if isinstance(thing, dict) else thing
    return any(type(value) is str and value == text for value in list(values))


class ConcurrencyTests(BrokerTestCase):
    async def test_one_request(self) -> None:
        """Who asks the same at the same moment is answered with one request."""
        asking = [self.get(PULL) for _ in range(20)]
        call = await self.upstream.call()
        call.answer(granted())
        replies = {await one for one in asking}
        self.assertEqual(len(replies), 1)
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_others(self) -> None:
        """Who asks for something else, or is somebody else, is asked for apart."""
        asking = [self.get(PULL), self.get(PULL, BOB), self.get(PULL, None)]
        for _ in asking:
            (await self.upstream.call()).answer(granted())
        for one in asking:
            await one
        self.assertEqual(len(self.upstream.calls), 3)

    async def test_refused(self) -> None:
        """A refusal is everybody's who has asked."""
        asking = [self.get(PULL) for _ in range(3)]
        (await self.upstream.call()).reply(403)
        for one in asking:
            await self.assertFailure(one, UpstreamRefused)

    async def test_one_goes_away(self) -> None:
        """One that goes away disturbs nobody."""
        asking = [self.get(PULL) for _ in range(3)]
        call = await self.upstream.call()
        asking[0].addErrback(lambda _: None)
        asking[0].cancel()
        call.answer(granted())
        for one in asking[1:]:
            self.assertIn(b"t0ken", await one)

    async def test_timeout(self) -> None:
        """Clients wait 15 s for a token: they are told before that."""
        asking = self.get(PULL)
        call = await self.upstream.call()
        self.time.clock.advance(TOKEN_SECONDS + 0.1)
        await self.assertFailure(asking, UpstreamTimeout)
        await call.wire.end()

    async def test_closed(self) -> None:
        """A broker that is closed asks nobody any more."""
        asking = self.get(PULL)
        call = await self.upstream.call()
        self.tokens.close()
        await self.assertFailure(asking, CancelledError)
        await call.wire.end()


class WithoutTokensTests(BrokerTestCase):
    async def asked(self, *challenges: str) -> str:
        """What a client is told when this is all that the upstream says."""
        self.upstream.ping = response(
            401, *[f"WWW-Authenticate: {value}" for value in challenges]
        )
        self.registry.discovered = None
        error: Any = await self.assertFailure(self.get(PULL), UpstreamMalformed)
        self.assertEqual(self.upstream.calls, [])
        message: str = error.message
        return message

    async def test_no_tokens(self) -> None:
        """An upstream without a token service issues none."""
        self.assertIn("no tokens", await self.asked('Basic realm="x"'))

    async def test_asked_at_the_repository(self) -> None:
        """Where the ping passes, the repository says where tokens are."""
        self.upstream.ping = response(200)
        self.registry.discovered = None
        asking = self.get(PULL)
        call = await self.upstream.call()
        self.assertEqual(call.target, "/v2/acme_team/app/tags/list?n=1")
        self.assertIsNone(call.header(b"Authorization"))
        challenge = TOKENS.format(url=self.upstream.url)
        call.reply(401, f"WWW-Authenticate: {challenge}")
        call = await self.upstream.call()
        self.assertTrue(call.target.startswith("/token?"))
        call.answer(granted("t0"))
        self.assertEqual(json.loads(await asking)["token"], "t0")

    async def test_no_tokens_anywhere(self) -> None:
        """A repository that is open, too, issues none."""
        self.upstream.ping = response(200)
        self.upstream.handler = lambda call: response(200)
        self.registry.discovered = None
        error: Any = await self.assertFailure(self.get(PULL), UpstreamMalformed)
        self.assertIn("no tokens", error.message)

    async def test_no_status(self) -> None:
        """What is no status of an error is no refusal; no client is to see it."""
        for status in (304, 600, 999):
            asking = self.get(PULL)
            (await self.upstream.call()).reply(status)
            error: Any = await self.assertFailure(asking, UpstreamMalformed)
            self.assertIn(f"status {status}", error.message)

    async def test_realm_not_allowed(self) -> None:
        """Credentials do not go where nobody has allowed them to."""
        for realm in (
            "https://evil.test/token",
            "http://evil.test/token",
            "file:///etc/passwd",
            "/token",
            "https://127.0.0.1@evil.test/token",
            "https://169.254.169.254/latest",
        ):
            told = await self.asked(f'Bearer realm="{realm}",service="s"')
            self.assertIn("may be used", told)


class RedirectTests(BrokerTestCase):
    """A token service that sends requests on."""

    async def redirected(self, asking: Deferred[bytes], status: int, to: str) -> None:
        """Answer a request with a redirect."""
        call = await self.upstream.call()
        if call.method == "POST":
            await call.body()
        call.reply(status, f"Location: {to}")

    async def test_followed(self) -> None:
        """On its own origin, with the credentials; relative and absolute."""
        for status in (301, 302, 307, 308):
            for to in ("/t2?scope=x", f"{self.upstream.url}/t2?scope=x", "t2?scope=x"):
                self.now += REUSE_SECONDS + 1
                asking = self.get(PULL)
                await self.redirected(asking, status, to)
                call = await self.upstream.call()
                self.assertEqual((call.method, call.target), ("GET", "/t2?scope=x"))
                self.assertEqual(call.header(b"Authorization"), ALICE.encode())
                call.answer(granted())
                self.assertEqual(json.loads(await asking)["token"], "t0ken")

    async def test_form(self) -> None:
        """It is posted again."""
        for status in (301, 302, 307, 308):
            self.now += REUSE_SECONDS + 1
            asking = self.post()
            await self.redirected(asking, status, "/t2")
            call = await self.upstream.call()
            self.assertEqual((call.method, call.target), ("POST", "/t2"))
            self.assertIn(b"password=w", await call.body())
            call.answer(granted())
            await asking

    async def test_nowhere_else(self) -> None:
        """No other origin hears of it; the operator hears what to write."""
        port = self.upstream.port
        for to in (
            f"https://127.0.0.1:{port}/t2?account=alice",
            f"http://localhost:{port}/t2",
            "//evil.test/t2",
            "ftp://127.0.0.1/t2",
        ):
            with capturedLogs() as events:
                asking = self.get(PULL)
                await self.redirected(asking, 307, to)
                error: Any = await self.assertFailure(asking, RedirectRefused)
            self.assertNotIn("127.0.0.1", error.message)
            (why,) = (event["why"] for event in events if "why" in event)
            self.assertNotIn("alice", why)
            self.assertIn("write 'realm = ", why)
        self.assertEqual({call.target[:7] for call in self.upstream.calls}, {"/token?"})

    async def test_no_end(self) -> None:
        """One that never ends is left."""
        self.upstream.handler = lambda call: response(307, "Location: /t2")
        await self.assertFailure(self.get(PULL), RedirectRefused)
        self.assertEqual(len(self.upstream.calls), 6)


class OutageTests(BrokerTestCase):
    async def test_down(self) -> None:
        """A token service that cannot be reached is 503."""
        await self.upstream.stop()
        asking = self.get(PULL)
        while not asking.called:
            self.time.clock.advance(0.001)
            await self.turn()
        await self.assertFailure(asking, UpstreamUnavailable)

    async def test_hangs_up(self) -> None:
        """One that hangs up on a kept connection is asked again."""
        self.count()
        await self.token(PULL)
        self.upstream.handler = None
        for ask in (lambda: self.get("", BOB), lambda: self.post(username="bob")):
            asking = ask()
            call: Call = await self.upstream.call()
            call.wire.reset()
            call = await self.upstream.call()
            await call.body()
            call.answer(granted())
            self.assertIn(b"t0ken", await asking)
