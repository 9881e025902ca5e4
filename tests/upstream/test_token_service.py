"""Token services on the wire."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred

from regbroker.errors import UpstreamMalformed
from regbroker.protocol.realms import parse_realm
from regbroker.protocol.scopes import parse_scopes
from regbroker.protocol.token_replies import MAX_REPLY_BYTES
from regbroker.protocol.token_requests import TokenRequest
from regbroker.transport.client.trust import Trust
from regbroker.upstream.token_service import TokenReply, TokenService
from tests.askingcase import AskingTestCase
from tests.scripted import Call, response

ALICE = TokenRequest("GET", username="alice", password="w\u00e9:1")


class TokenServiceTests(AskingTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.service = TokenService(Trust(), 5, cast(Any, self.time))

    async def tear_down(self) -> None:
        self.service.close()
        await super().tear_down()

    def ask(
        self, how: str = "get", target: str = "/t", request: TokenRequest = ALICE
    ) -> Deferred[TokenReply]:
        """Ask for a token."""
        realm = parse_realm(self.upstream.url + target)
        scopes = parse_scopes(["repository:a/b:pull,push", "x y"])
        asking: Any = getattr(self.service, how)(realm, request, "s:1", scopes)
        return Deferred.fromCoroutine(asking)

    async def asked(self, *given: Any, answer: bytes = b"") -> Call:
        """Ask, and have it answered."""
        asking = self.ask(*given)
        call = await self.upstream.call()
        await call.body()
        call.answer(answer or response(200))
        await asking
        return call

    async def test_get(self) -> None:
        """The query is added to the realm's own."""
        query = "service=s%3A1&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=x&scope=y"
        for target, asked in (
            ("/t", "/t?"),
            ("/", "/?"),
            ("", "/?"),
            ("/t?a=b%2F", "/t?a=b%2F&"),
            ("?a=b", "/?a=b&"),
        ):
            call = await self.asked("get", target)
            self.assertEqual(call.target, f"{asked}{query}&account=alice")
            self.assertEqual(call.header(b"Host"), self.upstream.url[7:].encode())
        self.assertEqual(call.header(b"Authorization"), b"Basic YWxpY2U6d8OpOjE=")

    async def test_reply(self) -> None:
        """Status, headers and body, whatever they are."""
        for status in (200, 303, 403, 429, 500):
            asking = self.ask()
            call = await self.upstream.call()
            call.reply(status, "Location: /x", "Retry-After: 3", body=b"{}")
            reply = await asking
            self.assertEqual((reply.status, reply.body), (status, b"{}"))
            self.assertEqual(reply.headers.getRawHeaders(b"Retry-After"), [b"3"])
        self.assertEqual(len(self.upstream.calls), 5)

    async def test_redirect_to_nowhere(self) -> None:
        """One that says no place is an answer, and is not asked for again."""
        asking = self.ask()
        (await self.upstream.call()).reply(302)
        self.assertEqual((await asking).status, 302)
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_one_connection(self) -> None:
        """Kept for who asks next."""
        for how in ("get", "post", "get"):
            await self.asked(how)
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_no_cookies(self) -> None:
        """One user's cookies are not another's."""
        await self.asked(answer=response(200, "Set-Cookie: session=alice; Path=/"))
        call = await self.asked()
        self.assertIsNone(call.header(b"Cookie"))

    async def test_hangs_up(self) -> None:
        """A kept connection that is gone is no failure, for POST neither."""
        for how in ("get", "post"):
            await self.asked(how)
            asking = self.ask(how)
            (await self.upstream.call()).wire.reset()
            call = await self.upstream.call()
            await call.body()
            call.reply(200, body=b"again")
            self.assertEqual((await asking).body, b"again")

    async def test_broken_off(self) -> None:
        """A reply that is cut off is no reply."""
        await self.assert_broken_off(self.ask(), b'{"token":')

    async def test_bounded(self) -> None:
        """A reply without end is not read to its end."""
        asking = self.ask()
        call = await self.upstream.call()
        call.send(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_REPLY_BYTES * 3))
        await self.assertFailure(asking, UpstreamMalformed)
        await call.wire.end()

    async def test_cancelled(self) -> None:
        """Nobody wants the answer any more: the connection ends."""
        await self.assert_cancelled(self.ask())
