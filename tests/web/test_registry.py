"""Which endpoint of a registry answers, and how the registry is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import EndpointUnknown
from regbroker.protocol.origins import Origin
from regbroker.protocol.queries import Query
from regbroker.web.client_request import ClientRequest
from regbroker.web.registry import Registry

from .requests import FORWARDED

PROXY: Any = object()
TOKENS: Any = object()
SEARCH: Any = object()


def registry(**options: Any) -> Registry:
    """Return a registry whose token service is at /auth."""
    return Registry("a.test", "/auth", PROXY, TOKENS, **options)


def request(path: str) -> ClientRequest:
    """Return a request for a path."""
    http: Any = None
    return ClientRequest(http, FORWARDED, "GET", path, Query(""), None)


class EndpointTests(SynchronousTestCase):
    def test_by_path(self) -> None:
        """The API, the token service and searches, each below its own path."""
        served = registry(search=SEARCH)
        for path, endpoint in (
            ("/v2", PROXY),
            ("/v2/", PROXY),
            ("/v2/team/app/manifests/1", PROXY),
            ("/auth", TOKENS),
            ("/auth/", TOKENS),
            ("/v1/search", SEARCH),
        ):
            self.assertIs(served.endpoint(request(path)), endpoint, path)
        for path in ("/", "/v20", "/authx", "/auth/x", "/v1/other"):
            with self.assertRaises(EndpointUnknown, msg=path):
                served.endpoint(request(path))

    def test_without_search(self) -> None:
        """A registry without a search says so."""
        with self.assertRaises(EndpointUnknown) as refused:
            registry().endpoint(request("/v1/search"))
        self.assertEqual(refused.exception.message, "this registry has no search")

    def test_source(self) -> None:
        """A mirror's clients carry the source in the path of the token service."""
        asked = request("/auth")
        mirrored = replace(asked, forwarded=replace(FORWARDED, source="docker.io"))
        with self.assertRaises(EndpointUnknown):
            registry().endpoint(mirrored)


class NameTests(SynchronousTestCase):
    def test_receive(self) -> None:
        """An endpoint gets the request as clients of the public URL see it."""
        asked = request("/v2/")
        for url, scheme, host in (
            (None, FORWARDED.scheme, FORWARDED.host),
            (Origin("https", "b.test", 443), "https", "b.test"),
            (Origin("https", "hub.test", 5000), "https", "hub.test:5000"),
        ):
            served = registry(public_url=url)
            received = served.receive(asked)
            assert received is not None
            endpoint, seen = received
            self.assertIs(endpoint, served.endpoint(asked))
            self.assertEqual((seen.path, seen.forwarded.host), (asked.path, host))
            self.assertEqual(seen.forwarded.scheme, scheme)
            self.assertEqual(seen is asked, url is None)

    def test_preflight(self) -> None:
        """A preflight is answered before anybody looks for an endpoint."""
        asked: list[tuple[ClientRequest, str]] = []

        class Answering:
            def answer(self, request: ClientRequest, token_path: str) -> bool:
                asked.append((request, token_path))
                return request.path != "/v2/"

        served = registry(cross_origin=Answering())
        self.assertIsNone(served.receive(request("/nothing")))
        self.assertEqual(served.receive(request("/v2/")), (PROXY, request("/v2/")))
        paths = [(one.path, token_path) for one, token_path in asked]
        self.assertEqual(paths, [("/nothing", "/auth"), ("/v2/", "/auth")])

    def test_hosts(self) -> None:
        """It stands for every host, or for those that it names."""
        self.assertTrue(registry().is_for("any.test"))
        named = registry(hosts=("a.test", "*.b.test"))
        for host, is_meant in (("a.test", True), ("x.b.test", True), ("c.test", False)):
            self.assertEqual(named.is_for(host), is_meant, host)
