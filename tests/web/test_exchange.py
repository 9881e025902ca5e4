"""A client's request as one upstream is to get it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.queries import Query
from regbroker.web.api_request import ApiRequest
from regbroker.web.client_request import ClientRequest
from regbroker.web.exchange import Exchange, Sent, UpstreamRequest, request_to
from tests.web.requests import MAPPING, SEVERAL, asked


def request(method: str, rest: str) -> UpstreamRequest:
    """A request for ``team/app`` at ``up``."""
    return request_to("up", asked(method, f"/v2/team/app/{rest}"))


def scopes(given: UpstreamRequest) -> str:
    """The scopes, as they are written."""
    return " ".join(map(str, given.scopes))


class ValuesTests(SynchronousTestCase):
    def test_final(self) -> None:
        """Nothing on the way changes what was asked: mypy refuses it."""
        for value in (ClientRequest, ApiRequest, UpstreamRequest, Sent, Exchange):
            for each in fields(value):
                self.assertTrue(str(each.type).startswith("Final["), each)


class ScopesTests(SynchronousTestCase):
    def test_upstream_names(self) -> None:
        """They have the upstream's name, for the upstream."""
        given = request("GET", "manifests/1")
        self.assertEqual(scopes(given), "repository:acme_team/app:pull")

    def test_upload_given_up(self) -> None:
        """It is a part of a push to us; upstream it takes the right to delete."""
        given = request("DELETE", "blobs/uploads/id")
        self.assertEqual(scopes(given), "repository:acme_team/app:pull,push,delete")

    def test_deletion(self) -> None:
        """That is the right to delete, and nothing else."""
        given = request("DELETE", "manifests/sha256:abc")
        self.assertEqual(scopes(given), "repository:acme_team/app:delete")

    def test_mount(self) -> None:
        """A mount needs to pull there, too; as an upload it keeps the names."""
        upload = asked(
            "POST", "/v2/team/app/blobs/uploads/", query="mount=sha256:1&from=team/b"
        )
        mounting = request_to("up", upload.mounting(MAPPING.route("team/b"), "team/b"))
        push = "repository:acme_team/app:pull,push"
        self.assertEqual(scopes(mounting), f"{push} repository:acme_team/b:pull")
        as_upload = mounting.without_mount()
        self.assertEqual(scopes(as_upload), push)
        self.assertEqual(str(as_upload.query), "")
        self.assertEqual(as_upload.to_public("acme_team/b"), "team/b")
        self.assertIsNotNone(mounting.mount)

    def test_catalog(self) -> None:
        """The catalog is about no repository."""
        given = request_to("up", asked("GET", "/v2/_catalog"))
        self.assertEqual(scopes(given), "registry:catalog:*")


class NamesTests(SynchronousTestCase):
    def test_as_written(self) -> None:
        """A client reads the name that it has written, whatever it is short for."""
        rules = NameMapping([parse_rule("* = *")], ["hub"], {"hub": "library"})
        given = request_to("hub", asked("GET", "/v2/nginx/manifests/1", mapping=rules))
        self.assertEqual(scopes(given), "repository:library/nginx:pull")
        self.assertEqual(given.to_public("library/nginx"), "nginx")
        self.assertEqual(given.to_public("library/httpd"), "library/httpd")

    def test_each_upstream(self) -> None:
        """At each upstream, a request is about that one's names alone."""
        client = asked("GET", "/v2/app/manifests/1", mapping=SEVERAL)
        one, two = request_to("one", client), request_to("two", client)
        self.assertEqual((one.target.upstream, one.names), ("one", {"acme_app": "app"}))
        self.assertEqual(
            (two.target.upstream, two.names), ("two", {"cache/app": "app"})
        )
        self.assertIsNone(two.to_public("acme_app"))

    def test_query(self) -> None:
        """Another query is another request; the first stays as it was."""
        given = request("GET", "tags/list")
        self.assertEqual(str(given.with_query(Query("n=1")).query), "n=1")
        self.assertEqual(str(given.query), "")


class SentTests(SynchronousTestCase):
    def test_secret(self) -> None:
        """What a request was authorized with is not shown."""
        sent = Sent("/v2/", ((b"Authorization", b"Bearer s3cret"),), is_ours=True)
        reply: Any = None
        exchange = Exchange(request("GET", "manifests/1"), sent, reply)
        for value in (sent, exchange):
            self.assertIn("/v2/", repr(value))
            self.assertNotIn("s3cret", repr(value))
