"""``/v2/_catalog``: of the upstream's repositories those that are served here."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from regbroker.runtime.single_flight import Coalescer
from regbroker.web.catalog import MAX_PAGE
from regbroker.web.catalog_pages import MAX_PAGES, UPSTREAM_PAGES
from regbroker.web.catalog_walks import REMEMBERED_SECONDS
from tests.proxycase import ProxyTestCase
from tests.scripted import Call, response
from tests.wire import Message

NEXT = 'Link: </v2/_catalog?last={}&n=1000>; rel="next"'


def page(*names: str, more: bool = False) -> bytes:
    """A page of the upstream's, with a link to the next one or not."""
    links = [NEXT.format(names[-1].replace("/", "%2F"))] if more else []
    return response(200, *links, body=json.dumps({"repositories": names}).encode())


class CatalogTests(ProxyTestCase):
    async def asked(self, query: str, *answers: bytes) -> Message:
        """Ask for a page while the upstream gives these."""
        self.time.clock.advance(REMEMBERED_SECONDS)
        self.client = await self.connect()
        self.targets: list[str] = []
        left = list(answers)

        def answer(call: Call) -> bytes:
            self.targets.append(call.target)
            return left.pop(0)

        self.upstream.handler = answer
        reply = await self.client.ask("GET", f"/v2/_catalog{query}")
        self.assertEqual(left, [])
        return reply

    def names(self, reply: Message) -> list[str]:
        """The names in a page."""
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.header(b"Content-Type"), b"application/json")
        (names,) = reply.json().values()
        found: list[str] = names
        return found

    async def test_filtered(self) -> None:
        """Public names, of what is served here only."""
        reply = await self.asked(
            "", page("aaa", "acme_team/app", "other/app", "team/x")
        )
        self.assertEqual(self.names(reply), ["team/app"])
        self.assertIsNone(reply.header(b"Link"))
        self.assertEqual(self.targets, ["/v2/_catalog?n=1000"])

    async def test_filled(self) -> None:
        """A page of ours is filled from several of the upstream's."""
        reply = await self.asked(
            "?n=2",
            page("aaa", "acme_team/a", more=True),
            page("b", "c", more=True),
            page("acme_team/d", "acme_team/e"),
        )
        self.assertEqual(self.names(reply), ["team/a", "team/d"])
        self.assertEqual(
            reply.header(b"Link"), b'</v2/_catalog?last=team%2Fd&n=2>; rel="next"'
        )
        self.assertEqual(
            self.targets,
            [
                "/v2/_catalog?n=1000",
                "/v2/_catalog?last=acme_team%2Fa&n=1000",
                "/v2/_catalog?last=c&n=1000",
            ],
        )

    async def test_next(self) -> None:
        """`last` is a repository: it goes up by the upstream's name."""
        reply = await self.asked("?n=2&last=team/d", page("acme_team/e"))
        self.assertEqual(self.names(reply), ["team/e"])
        self.assertIsNone(reply.header(b"Link"))
        self.assertEqual(self.targets, ["/v2/_catalog?n=1000&last=acme_team%2Fd"])

    async def test_exactly_full(self) -> None:
        """Nothing after a full page: no link."""
        reply = await self.asked("?n=1", page("acme_team/a"))
        self.assertIsNone(reply.header(b"Link"))

    async def test_very_many_wanted(self) -> None:
        """A client gets no more at once than is good for it; the link leads on."""
        names = [f"acme_team/{n:04}" for n in range(MAX_PAGE + 1)]
        reply = await self.asked(
            f"?n={MAX_PAGE + 1}", page(*names[:600], more=True), page(*names[600:])
        )
        self.assertEqual(len(self.names(reply)), MAX_PAGE)
        last = f"team%2F{MAX_PAGE - 1:04}"
        self.assertEqual(
            reply.header(b"Link"),
            f'</v2/_catalog?last={last}&n={MAX_PAGE}>; rel="next"'.encode(),
        )
        self.assertEqual((MAX_PAGE, UPSTREAM_PAGES[0]), (1000, "1000"))

    async def test_empty(self) -> None:
        """Nothing that may be seen is an empty list."""
        for body in (b'{"repositories": []}', b'{"repositories": null}', b"{}"):
            reply = await self.asked("", response(200, body=body))
            self.assertEqual(self.names(reply), [])

    async def test_bad_queries(self) -> None:
        """A page that makes no sense, or starts at what is not served here."""
        for query, status, code in (
            ("?n=0", 400, "UNSUPPORTED"),
            ("?n=-1", 400, "UNSUPPORTED"),
            ("?n=x", 400, "UNSUPPORTED"),
            ("?n=9999999999", 400, "UNSUPPORTED"),
            ("?last=other/app", 404, "NAME_UNKNOWN"),
            ("?last=../x", 400, "NAME_INVALID"),
        ):
            reply = await self.asked(query)
            self.assertEqual((reply.status, reply.code), (status, code))

    async def test_refused(self) -> None:
        """The upstream's refusal is the client's, with our challenge."""
        warned = self.logged("regbroker.web.catalog", "status")
        reply = await self.asked(
            "",
            response(
                401,
                'WWW-Authenticate: Bearer realm="https://x/t",'
                'scope="registry:catalog:*",error="invalid_token"',
            ),
        )
        self.assertEqual(
            reply.all(b"WWW-Authenticate"),
            [
                b'Bearer realm="http://registry.test/auth",'
                b'scope="registry:catalog:*",error="invalid_token"'
            ],
        )
        # A right that is missing is the client's affair; a list is the operator's.
        self.assertFalse(warned.called)
        reply = await self.asked(
            "?n=5", page("acme_team/a", more=True), response(404, body=b"<h1>")
        )
        self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))
        self.assertEqual((await warned)["status"], 404)

    async def test_refused_together(self) -> None:
        """Whoever asks at the same moment is refused in the upstream's own words."""
        other = await self.connect()
        self.client.request("GET", "/v2/_catalog")
        call = await self.upstream.call()
        joined = self.joining()
        other.request("GET", "/v2/_catalog")
        await joined
        body = b'{"errors": [{"code": "DENIED", "message": "not for you"}]}\n'
        call.send(response(403, f"Content-Length: {len(body)}"))
        for _ in range(3):
            await self.turn()
        call.answer(body)
        for client in (self.client, other):
            reply = await client.reply()
            self.assertEqual((reply.status, reply.body), (403, body))
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_other_host(self) -> None:
        """Whoever names another host at the same moment is not led there."""

        def led_to_host(call: Call) -> bytes:
            host = (call.header(b"X-Forwarded-Host") or b"").decode()
            return response(307, f"Location: https://{host}/x")

        other = await self.connect()
        self.client.request("GET", "/v2/_catalog", "Host: other.test")
        others = await self.upstream.call()
        joined = self.joining()
        other.request("GET", "/v2/_catalog")
        await joined
        self.upstream.handler = led_to_host
        others.answer(led_to_host(others))
        for call in self.upstream.calls[1:]:
            call.answer(led_to_host(call))
        for client, host in ((self.client, b"other.test"), (other, b"registry.test")):
            reply = await client.reply()
            self.assertEqual(reply.header(b"Location"), b"https://" + host + b"/x")

    def joining(self) -> Deferred[None]:
        """Fire when somebody asks for a page of an upstream's."""
        joined: Deferred[None] = Deferred()
        run = Coalescer.run

        def note(pages: Any, key: Any, work: Any) -> Any:
            running = run(pages, key, work)
            if not joined.called:
                joined.callback(None)
            return running

        self.patch(Coalescer, "run", note)
        return joined

    async def test_other_credentials(self) -> None:
        """What a token by another name shows is for nobody without it."""
        self.upstream.handler = lambda call: (
            page("acme_team/hidden") if call.header(b"Private-Token") else page()
        )
        for headers, names in (
            (["PRIVATE-TOKEN: a"], ["team/hidden"]),
            ([], []),
            (["PRIVATE-TOKEN: a"], ["team/hidden"]),
        ):
            reply = await self.client.ask("GET", "/v2/_catalog", *headers)
            self.assertEqual(self.names(reply), names)
        self.assertEqual(len(self.upstream.calls), 2)

    async def test_without_end(self) -> None:
        """An upstream that leads in a circle is no reason to go round for ever."""
        reply = await self.asked("", page("aaa", more=True), page("aaa", more=True))
        self.assertEqual(self.names(reply), [])

    async def test_many_pages(self) -> None:
        """So many pages of the upstream's are read for one of ours, and no more."""
        for first in ("aaa", "acme_team/a"):
            pages = (f"b{n:03}" for n in range(1, MAX_PAGES))
            reply = await self.asked(
                "?n=5", page(first, more=True), *(page(p, more=True) for p in pages)
            )
            self.assertEqual(len(self.targets), MAX_PAGES)
            found = ["team/a"] if first != "aaa" else []
            self.assertEqual(self.names(reply), found)
            link = (reply.header(b"Link") or b"").decode()
            # Without a name to go on from, only what is sealed says where.
            self.assertEqual("place=" in link, not found)
            query = link.partition("_catalog")[2].partition(">")[0]
            reply = await self.asked(query, page("acme_team/z"))
            self.assertEqual(self.names(reply), ["team/z"])
            last = "acme_team%2Fa" if found else "b099"
            self.assertEqual(self.targets[-1].count(f"last={last}"), 1)
        self.assertEqual(MAX_PAGES, 100)

    async def test_no_list(self) -> None:
        """What is no list is the upstream's fault."""
        for body in (b"<h1>", b'{"repositories": 5}'):
            reply = await self.asked("", response(200, body=body))
            self.assertEqual((reply.status, reply.code), (502, "UNKNOWN"))

    async def test_not_names(self) -> None:
        """What is no name in a list is left out."""
        body = b'{"repositories": [1, null, "acme_team/../x", "acme_team/a"]}'
        reply = await self.asked("", response(200, body=body))
        self.assertEqual(self.names(reply), ["team/a"])
