"""One catalog of what several upstreams have."""

from __future__ import annotations

import json

from regbroker.web.catalog_pages import MAX_PAGES
from regbroker.web.catalog_walks import REMEMBERED_SECONDS
from tests.scripted import Call, ScriptedUpstream, response
from tests.severalcase import SeveralTestCase

REFUSED = response(401, 'WWW-Authenticate: Bearer realm="https://x.test/t",service="s"')


class CatalogsTestCase(SeveralTestCase):
    wants_tokens = ()
    listed = ""
    registry = "hub/* = one:*\nquay/* = two:*"

    def holds(self, upstream: ScriptedUpstream, *names: str, page: int = 1000) -> None:
        """Have an upstream list these, `page` of them at once."""

        def answer(call: Call) -> bytes:
            self.assertTrue(call.target.startswith("/v2/_catalog?"), call.target)
            last = dict(call.query).get("last", "")
            left = [name for name in sorted(names) if name > last]
            links = []
            if len(left) > page:
                links = [f'Link: </v2/_catalog?last={left[page - 1]}>; rel="next"']
            body = json.dumps({"repositories": left[:page]}).encode()
            return response(200, *links, body=body)

        upstream.handler = answer
        self.forget()

    def forget(self) -> None:
        """Have nothing that was read before be remembered."""
        self.time.clock.advance(REMEMBERED_SECONDS)

    async def names(self, query: str = "") -> list[str]:
        """The names in one page."""
        self.client = await self.connect()
        reply = await self.client.ask("GET", f"/v2/_catalog{query}")
        self.assertEqual(reply.status, 200, reply.body)
        link = reply.header(b"Link")
        self.next = link.decode().partition(">")[0][1:] if link else None
        found: list[str] = reply.json()["repositories"]
        return found

    async def walked(self, count: int) -> list[list[str]]:
        """All pages, of `count` names each."""
        pages = [await self.names(f"?n={count}")]
        while self.next is not None:
            pages.append(await self.names(self.next.removeprefix("/v2/_catalog")))
        return pages


class SplitTests(CatalogsTestCase):
    async def set_up(self) -> None:
        await super().set_up()
        self.holds(self.upstream, "a", "b/c")
        self.holds(self.other, "a", "z")

    async def test_whole(self) -> None:
        """One after the other, each with its public names."""
        self.assertEqual(await self.names(), ["hub/a", "hub/b/c", "quay/a", "quay/z"])
        self.assertIsNone(self.next)

    async def test_pages(self) -> None:
        """However a client pages, it gets each name once."""
        names = ["hub/a", "hub/b/c", "quay/a", "quay/z"]
        for size in (1, 2, 1000):
            self.holds(self.upstream, "a", "b/c", page=size)
            self.holds(self.other, "a", "z", page=size)
            for count in range(1, 6):
                pages = await self.walked(count)
                self.assertEqual([name for page in pages for name in page], names)
                self.assertTrue(all(len(page) == count for page in pages[:-2]), pages)

    async def test_first_is_empty(self) -> None:
        """An upstream without anything is passed over."""
        self.holds(self.upstream)
        self.assertEqual(await self.walked(1), [["quay/a"], ["quay/z"]])

    async def test_second_hides(self) -> None:
        """A page without a name says, too, in which upstream the next one begins."""
        self.holds(self.upstream)

        def answer(call: Call) -> bytes:
            number = int(dict(call.query).get("next_page", "0"))
            if number == MAX_PAGES:
                return response(200, body=b'{"repositories": ["z"]}')
            link = f'Link: </v2/_catalog?next_page={number + 1}>; rel="next"'
            return response(200, link, body=b'{"repositories": []}')

        self.other.handler = answer
        self.forget()
        self.assertEqual(await self.walked(1), [[], ["quay/z"]])

    async def test_limits(self) -> None:
        """What an upstream says of its limits is told."""
        self.client = await self.connect()
        body = b'{"repositories": ["a"]}'
        self.upstream.handler = lambda call: response(
            200, "RateLimit-Remaining: 7;w=21600", "X-Other: 1", body=body
        )
        reply = await self.client.ask("GET", "/v2/_catalog")
        self.assertEqual(reply.header(b"RateLimit-Remaining"), b"7;w=21600")
        self.assertIsNone(reply.header(b"X-Other"))

    async def test_unknown_last(self) -> None:
        """A place that is not served here is nowhere."""
        self.client = await self.connect()
        reply = await self.client.ask("GET", "/v2/_catalog?last=other/a")
        self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))

    async def test_no_list(self) -> None:
        """One that gives no list is left out; the log has it."""
        for status in (403, 404, 405):
            self.forget()
            self.other.handler = lambda call, s=status: response(s)
            left_out = self.logged("regbroker.web.catalog", "status")
            self.assertEqual(await self.names(), ["hub/a", "hub/b/c"])
            self.assertEqual((await left_out)["name"], "two")
        self.other.handler = self.upstream.handler = lambda call: response(405)
        self.forget()
        self.client = await self.connect()
        reply = await self.client.ask("GET", "/v2/_catalog")
        self.assertEqual(reply.status, 405)

    async def test_login_wanted(self) -> None:
        """Who has not logged in is asked to; who has, gets what there is."""
        self.client = await self.connect()
        self.upstream.handler = lambda call: REFUSED
        reply = await self.client.ask("GET", "/v2/_catalog")
        self.assertEqual(reply.status, 401)
        reply = await self.client.ask("GET", "/v2/_catalog", "Authorization: Bearer x")
        self.assertEqual(reply.json()["repositories"], ["quay/a", "quay/z"])

    async def test_failure(self) -> None:
        """One that fails is not left out: half a list would look whole."""
        self.client = await self.connect()
        self.other.handler = lambda call: response(503)
        reply = await self.client.ask("GET", "/v2/_catalog")
        self.assertEqual(reply.status, 503)


class SameNamesTests(CatalogsTestCase):
    listed = "upstream = one, two"
    registry = "* = acme_*\n* = two:cache/*"

    async def test_first(self) -> None:
        """Upstreams with the same names are one list: the first's."""
        self.holds(self.upstream, "acme_a", "acme_b", "other")
        self.assertEqual(await self.walked(1), [["a"], ["b"]])
        self.assertEqual(self.other.calls, [])

    async def test_next(self) -> None:
        """When it fails the second's, from where the client was."""
        self.upstream.handler = lambda call: response(503)
        self.holds(self.other, "cache/a", "cache/b", "cache/c", "other")
        self.assertEqual(await self.names("?n=1&last=a"), ["b"])
        self.assertEqual(self.next, "/v2/_catalog?last=b&n=1")
