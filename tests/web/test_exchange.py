"""What is known of one request."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.headers import Forwarded
from regbroker.protocol.names import parse_path
from regbroker.protocol.queries import Query
from regbroker.web.client_request import ClientRequest
from regbroker.web.exchange import Exchange

WAY = Forwarded("192.0.2.1", "192.0.2.1", "https", "registry.test")
MAPPING = NameMapping([parse_rule("team = acme_team")], ["up"])


def request(method: str, path: str, authorization: str = "") -> ClientRequest:
    """A request as it comes in."""
    http: Any = DummyRequest([])
    return ClientRequest(http, WAY, method, path, Query(""), authorization or None)


def exchange(method: str, rest: str, authorization: str = "") -> Exchange:
    """A request for ``team/app``."""
    target = parse_path(f"/v2/team/app/{rest}")
    event = Event(lambda: 0.0, method=method, path=target.path)
    made = Exchange(
        request(method, target.path, authorization), event, target, "", MAPPING
    )
    made.leads_to(MAPPING.routes("team/app"))
    return made


class WantedTests(SynchronousTestCase):
    def wanted(self, given: Exchange, of_upstream: bool) -> str:
        """The scopes, as they are written."""
        return " ".join(map(str, given.wanted(of_upstream)))

    def test_names(self) -> None:
        """Public names for clients, the upstream's for the upstream."""
        given = exchange("GET", "manifests/1")
        self.assertEqual(self.wanted(given, False), "repository:team/app:pull")
        self.assertEqual(self.wanted(given, True), "repository:acme_team/app:pull")

    def test_as_written(self) -> None:
        """A client reads the name that it has written, whatever it is short for."""
        rules = NameMapping([parse_rule("* = *")], ["hub"], {"hub": "library"})
        target = parse_path("/v2/nginx/manifests/1")
        event = Event(lambda: 0.0, method="GET", path=target.path)
        given = Exchange(request("GET", target.path), event, target, "", rules)
        given.leads_to(rules.routes("nginx"))
        self.assertEqual(self.wanted(given, False), "repository:nginx:pull")
        self.assertEqual(self.wanted(given, True), "repository:library/nginx:pull")
        self.assertEqual(given.to_public("library/nginx"), "nginx")
        self.assertEqual(given.to_public("library/httpd"), "library/httpd")

    def test_turned(self) -> None:
        """Turned to another upstream, it is about that one's names alone."""
        rules = NameMapping(
            [parse_rule("* = acme_*"), parse_rule("* = two:cache/*")], ["one", "two"]
        )
        target = parse_path("/v2/app/manifests/1")
        event = Event(lambda: 0.0, method="GET", path=target.path)
        given = Exchange(request("GET", target.path), event, target, "", rules)
        given.leads_to(rules.routes("app"))
        self.assertEqual((given.upstream, given.names), ("one", {"acme_app": "app"}))
        given.turn_to("two")
        self.assertEqual((given.upstream, given.names), ("two", {"cache/app": "app"}))
        self.assertIsNone(given.to_public("acme_app"))
        self.assertEqual((event.upstream, event.upstream_name), ("two", "cache/app"))

    def test_mount(self) -> None:
        """A mount needs to pull there, too, until it mounts nothing."""
        given = exchange("POST", "blobs/uploads/")
        given.mounts(MAPPING.route("team/b"), "team/b")
        push = "repository:team/app:pull,push"
        self.assertEqual(self.wanted(given, False), f"{push} repository:team/b:pull")
        given.mounts_nothing()
        self.assertEqual(self.wanted(given, False), push)

    def test_upload_given_up(self) -> None:
        """It is a part of a push to us; upstream it takes the right to delete."""
        given = exchange("DELETE", "blobs/uploads/id")
        self.assertEqual(self.wanted(given, False), "repository:team/app:pull,push")
        self.assertEqual(
            self.wanted(given, True), "repository:acme_team/app:pull,push,delete"
        )

    def test_deletion(self) -> None:
        """That is the right to delete, and nothing else."""
        given = exchange("DELETE", "manifests/sha256:abc")
        self.assertEqual(self.wanted(given, True), "repository:acme_team/app:delete")


class CredentialsTests(SynchronousTestCase):
    def test_token(self) -> None:
        """The token, whatever case its scheme is written in."""
        for text, token in {
            "Bearer abc": "abc",
            "bearer  abc ": "abc",
            "Basic abc": "",
            "Bearer": "",
            "": "",
        }.items():
            given = exchange("GET", "manifests/1", text)
            self.assertEqual(given.bearer_token, token, text)

    def test_user(self) -> None:
        """The user for the log; none for what is damaged."""
        for text, user in {"Basic Ym9iOmI=": "bob", "Basic !": "", "": ""}.items():
            given = exchange("GET", "manifests/1", text)
            self.assertEqual(given.basic_user, user, text)
