"""The resource that is a whole site."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site

from regbroker.transport.server.site import StreamingSite
from regbroker.transport.server.whole_site import WholeSite
from tests.proxycase import SiteTestCase


def finish(request: Any, body: bytes) -> None:
    """Answer a request."""
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(body)
    request.finish()


class Root(WholeSite):
    """Answers with the path."""

    def answer(self, request: Any) -> None:
        finish(request, request.path)


class OursTests(SiteTestCase):
    def make_site(self) -> Site:
        return StreamingSite(Root(), reactor=self.time)

    async def test_answered(self) -> None:
        """Every path and method is the root's."""
        for method, path in (("GET", "/"), ("DELETE", "/v2/a/b"), ("ODD", "/x")):
            self.client.request(method, path)
            self.assertEqual((await self.client.reply(method)).body, path.encode())


class TwistedTests(OursTests):
    """On a site of Twisted's."""

    def make_site(self) -> Site:
        return Site(Root())


class Namesake(Resource):
    """Has a method of the same name, for something else."""

    def answer(self, request: Any) -> None:
        finish(request, b"for something else")

    def getChild(self, path: bytes, request: Any) -> Resource:
        leaf: Any = Resource()
        leaf.isLeaf = True
        leaf.render = lambda request: b"child " + path
        return leaf  # type: ignore[no-any-return]


class NamesakeTests(SiteTestCase):
    def make_site(self) -> Site:
        return StreamingSite(Namesake(), reactor=self.time)

    async def test_child(self) -> None:
        """The resource of the path renders, as on any site."""
        self.client.request("GET", "/a")
        self.assertEqual((await self.client.reply("GET")).body, b"child a")
