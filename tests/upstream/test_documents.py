"""Small documents on the wire."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from regbroker.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamUnavailable,
)
from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.client.slots import Slots
from regbroker.transport.client.trust import Trust
from regbroker.upstream.documents import Document, Documents
from regbroker.upstream.own_requests import USER_AGENT
from tests.askingcase import AskingTestCase
from tests.certificates import authority, issued
from tests.scripted import ScriptedUpstream, response

MAX_BYTES = 1000


class DocumentsTestCase(AskingTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.documents = self.make_documents()

    def make_documents(self, max_bytes: int = MAX_BYTES) -> Documents:
        """The client that asks."""
        return Documents("the oracle", max_bytes, self.make_trust(), 5, self.time)

    def make_trust(self) -> Trust:
        """The CAs that we trust."""
        return Trust()

    async def tear_down(self) -> None:
        self.documents.close()
        await super().tear_down()

    def ask(
        self,
        target: str = "/",
        method: str = "GET",
        headers: Mapping[bytes, list[bytes]] | None = None,
        form: bytes | None = None,
    ) -> Deferred[Document]:
        """Ask for a document."""
        asking = self.documents.ask(method, self.upstream.url + target, headers, form)
        return Deferred.fromCoroutine(asking)

    async def assertFails(
        self, asking: Deferred[Document], kind: type[UpstreamError], message: str
    ) -> None:
        """It fails with these words for people."""
        error: Any = await self.assertFailure(asking, kind)
        self.assertEqual(error.message, message)


class DocumentsTests(DocumentsTestCase):
    async def test_control_characters(self) -> None:
        """A header with one is not for those who are told of it."""
        for value in ("3\x01", "\x1f", "a\x7fb"):
            asking = self.ask()
            (await self.upstream.call()).reply(429, f"Retry-After: {value}")
            await self.assertFails(
                asking,
                UpstreamMalformed,
                "what the oracle answered is not HTTP",
            )

    async def test_request(self) -> None:
        """The target byte for byte, the headers given, and nobody else's."""
        for target in ("/a%2Fb?q=x%20y%26z%2B%C3%A9&n=5", "/v1/search?q=", "/?a=+"):
            asking = self.ask(target, headers={b"X-A": [b"1"]})
            call = await self.upstream.call()
            self.assertEqual((call.method, call.target), ("GET", target))
            self.assertEqual(call.header(b"X-A"), b"1")
            self.assertEqual(call.header(b"User-Agent"), USER_AGENT[1])
            self.assertEqual(call.header(b"Host"), self.upstream.url[7:].encode())
            sent = {name.lower() for name, _ in call.head.headers}
            self.assertEqual(sent, {b"host", b"user-agent", b"x-a", b"accept-encoding"})
            call.reply(200)
            await asking

    async def test_ipv6(self) -> None:
        """An address of IPv6 is a host as any other."""
        await self.upstream.stop()
        self.upstream = ScriptedUpstream()
        self.upstream.interface = "::1"
        self.upstream.start()
        asking = self.ask("/a%2Fb?q=x%20y")
        call = await self.upstream.call()
        self.assertEqual(call.target, "/a%2Fb?q=x%20y")
        self.assertEqual(call.header(b"Host"), f"[::1]:{self.upstream.port}".encode())
        call.reply(200, body=b"{}")
        self.assertEqual((await asking).body, b"{}")

    async def test_form(self) -> None:
        """A body, of known length."""
        asking = self.ask("/t", "POST", form=b"a=b")
        call = await self.upstream.call()
        self.assertEqual((call.method, await call.body()), ("POST", b"a=b"))
        self.assertEqual(call.header(b"Content-Length"), b"3")
        call.reply(200)
        await asking

    async def test_document(self) -> None:
        """Status, headers and body, whatever they are; redirects are not followed."""
        for status in (200, 302, 401, 429, 500):
            asking = self.ask()
            call = await self.upstream.call()
            call.reply(status, "Location: /x", "Retry-After: 3", body=b"{}")
            document = await asking
            self.assertEqual((document.status, document.body), (status, b"{}"))
            self.assertEqual(document.headers.getRawHeaders(b"Retry-After"), [b"3"])
        self.assertEqual(len(self.upstream.calls), 5)
        self.assertEqual(len(self.upstream.wires), 1)

    async def test_no_cookies(self) -> None:
        """One answer's cookies are not in the next question."""
        for _ in range(2):
            asking = self.ask()
            call = await self.upstream.call()
            self.assertIsNone(call.header(b"Cookie"))
            call.reply(200, "Set-Cookie: session=alice; Path=/")
            await asking

    async def test_bounded(self) -> None:
        """So many bytes and no more, packed or not."""
        exact, more = bytes(MAX_BYTES), bytes(MAX_BYTES + 1)
        asking = self.ask()
        (await self.upstream.call()).reply(200, body=exact)
        self.assertEqual((await asking).body, exact)
        for answer in (
            response(200, body=more),
            response(200, "Content-Encoding: gzip", body=gzip.compress(more)),
        ):
            asking = self.ask()
            call = await self.upstream.call()
            call.answer(answer)
            error: Any = await self.assertFailure(asking, UpstreamMalformed)
            self.assertTrue(error.message.endswith(" than 1000 bytes"), error.message)
        asking = self.ask()
        (await self.upstream.call()).reply(
            200, "Content-Encoding: gzip", body=gzip.compress(exact)
        )
        self.assertEqual((await asking).body, exact)

    async def test_not_unpacked_first(self) -> None:
        """What is small and becomes very large is not unpacked before it is bounded."""
        bomb = gzip.compress(bytes(200 * 1024 * 1024))
        self.documents = self.make_documents(max_bytes=len(bomb))
        tracemalloc.start()
        try:
            asking = self.ask()
            (await self.upstream.call()).reply(200, "Content-Encoding: gzip", body=bomb)
            await self.assertFailure(asking, UpstreamMalformed)
            self.assertLess(tracemalloc.get_traced_memory()[1], 20 * 1024 * 1024)
        finally:
            tracemalloc.stop()

    async def test_many_at_once(self) -> None:
        """So many questions are asked at once; others wait, and then some not even."""
        self.documents._slots = Slots(2, 2, "the oracle")
        asking = [self.ask(f"/{number}") for number in range(4)]
        beyond: Any = await self.assertFailure(self.ask(), UpstreamUnavailable)
        self.assertEqual(beyond.header(b"Retry-After"), "1")
        # They come in any order: each connection looks its address up in a thread.
        both = [await self.upstream.call() for _ in range(2)]
        calls = {call.target: call for call in both}
        await self.turn()
        self.assertEqual(len(self.upstream.calls), 2)
        # Who leaves makes room, asked or not.
        for leaving in (asking[3], asking[0]):
            leaving.addErrback(lambda _: None)
            leaving.cancel()
        third = await self.upstream.call()
        for call, one in ((calls["/1"], asking[1]), (third, asking[2])):
            call.reply(200)
            self.assertEqual((await one).status, 200)
        self.assertEqual(self.documents._slots._free, 2)

    async def test_hangs_up(self) -> None:
        """A kept connection that is gone is no failure, for POST neither."""
        for method, form in (("GET", None), ("POST", None), ("POST", b"a=b")):
            asking = self.ask(method=method, form=form)
            (await self.upstream.call()).reply(200)
            await asking
            asking = self.ask(method=method, form=form)
            (await self.upstream.call()).wire.reset()
            again = await self.upstream.call()
            if form is not None:
                self.assertEqual(await again.body(), form)
            again.reply(200, body=b"again")
            self.assertEqual((await asking).body, b"again")

    async def test_hangs_up_at_once(self) -> None:
        """A new connection without an answer is a failure: it is asked once."""
        asking = self.ask("/t", "POST", form=b"a=b")
        (await self.upstream.call()).wire.close()
        await self.assertFails(
            asking,
            UpstreamUnavailable,
            "the oracle closed the connection without an answer",
        )
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_broken_off(self) -> None:
        """A document that is cut off is none."""
        await self.assert_broken_off(self.ask(), b'{"a":')

    async def test_cancelled(self) -> None:
        """Nobody wants the answer any more: the connection ends."""
        await self.assert_cancelled(self.ask())

    async def test_unreachable(self) -> None:
        """Nobody there is said so, with the name that people know."""
        await self.upstream.stop()
        asking = self.ask()
        while not asking.called:
            self.time.clock.advance(0.001)
            await self.turn()
        await self.assertFails(
            asking, UpstreamUnavailable, "the oracle cannot be reached"
        )

    async def test_no_url(self) -> None:
        """What is no address is nobody's."""
        for url in ("ftp://a/b", "/v1/search", "http://a@b/"):
            asking = Deferred.fromCoroutine(self.documents.ask("GET", url))
            await self.assertFails(
                asking, UpstreamMalformed, "the address of the oracle is no URL"
            )


class TrustedTests(DocumentsTestCase):
    """Over TLS, with a certificate that is trusted."""

    def make_upstream(self) -> ScriptedUpstream:
        pair = issued("127.0.0.1")
        return ScriptedUpstream(tls=certificate_options(pair.certificate, pair.key))

    def make_trust(self) -> Trust:
        path = Path(self.mktemp()).absolute()
        path.write_bytes(authority().certificate)
        return Trust(path)

    async def test_document(self) -> None:
        """It is asked for over one connection."""
        for _ in range(2):
            asking = self.ask()
            (await self.upstream.call()).reply(200, body=b"safe")
            self.assertEqual((await asking).body, b"safe")
        self.assertEqual(len(self.upstream.wires), 1)


class UntrustedTests(TrustedTests):
    """The same certificate, and nobody who vouches for it."""

    def make_trust(self) -> Trust:
        return Trust()

    async def test_document(self) -> None:
        """Nothing is asked."""
        await self.assertFails(
            self.ask(),
            UpstreamUnavailable,
            "no trusted TLS connection to the oracle can be made",
        )
        self.assertEqual(self.upstream.calls, [])
