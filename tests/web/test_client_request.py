"""A request as the client sent it, as a value."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from regbroker.errors import BadRequest
from regbroker.events import Event
from regbroker.protocol.headers import Forwarded
from regbroker.protocol.queries import MAX_PIECES
from regbroker.transport.server.streaming_request import received_headers
from regbroker.web.client_request import ClientRequest, parse_request

FORWARDED = Forwarded("192.0.2.1", "192.0.2.1", "https", "registry.test")


def parsed(uri: bytes, authorization: bytes | None = None) -> ClientRequest:
    """A GET of a target."""
    http: Any = DummyRequest([])
    http.method, http.uri = b"GET", uri
    if authorization is not None:
        http.requestHeaders.setRawHeaders(b"Authorization", [authorization])
    return parse_request(http, received_headers(http), FORWARDED, Event(lambda: 0.0))


class ParseTests(SynchronousTestCase):
    def test_target(self) -> None:
        """Path and query, each as it was written."""
        for uri, path, query in (
            (b"/v2/", "/v2/", ""),
            (b"/v2/a%2Fb?x=%41&&x", "/v2/a%2Fb", "x=%41&&x"),
            (b"/auth?a?b", "/auth", "a?b"),
            (b"/\xff?\xfe", "/\xff", "\xfe"),
        ):
            request = parsed(uri)
            self.assertEqual((request.path, str(request.query)), (path, query))
            self.assertEqual(request.http.uri, uri)

    def test_authorization(self) -> None:
        """None where there is none, which is not the same as an empty one."""
        for header, authorization in ((None, None), (b"", ""), (b"Basic x", "Basic x")):
            self.assertEqual(parsed(b"/", header).authorization, authorization)

    def test_credentials(self) -> None:
        """Their kind is in the record, and a token apart from its scheme."""
        for header, kind, token in (
            (b"", "", ""),
            (b"Basic YTpi", "password", ""),
            (b"Bearer t", "token", "t"),
            (b"bearer  t ", "token", "t"),
            (b"Bearer", "token", ""),
            (b"Bearert", "other", ""),
            (b"Digest x", "other", ""),
        ):
            http: Any = DummyRequest([])
            http.method, http.uri = b"GET", b"/v2/"
            http.requestHeaders.setRawHeaders(b"Authorization", [header])
            event = Event(lambda: 0.0)
            request = parse_request(http, received_headers(http), FORWARDED, event)
            self.assertEqual((event.credentials, request.token), (kind, token), header)

    def test_other_credentials(self) -> None:
        """Those that registries have their own names for, as they were sent."""
        http: Any = DummyRequest([])
        http.method, http.uri = b"GET", b"/v2/"
        for name in (b"Authorization", b"Accept", b"Private-Token", b"X-Meta-A"):
            http.requestHeaders.setRawHeaders(name, [b"x"])
        request = parse_request(
            http, received_headers(http), FORWARDED, Event(lambda: 0.0)
        )
        self.assertEqual(
            request.other_credentials, ((b"Private-Token", b"x"), (b"X-Meta-A", b"x"))
        )
        self.assertEqual(parsed(b"/", b"Basic x").other_credentials, ())

    def test_too_many_parameters(self) -> None:
        """A query that costs too much is refused before it is taken apart."""
        with self.assertRaises(BadRequest):
            parsed(b"/v2/?" + b"&" * MAX_PIECES)

    def test_paths_of_the_api(self) -> None:
        """Those below ``/v2``, and no path that only begins with it."""
        for uri, is_for_api in (
            (b"/v2", True),
            (b"/v2/", True),
            (b"/v2/x", True),
            (b"/v2x", False),
            (b"/V2/", False),
            (b"/v1/search", False),
        ):
            self.assertEqual(parsed(uri).is_for_api, is_for_api, uri)

    def test_shown(self) -> None:
        """What is shown of it has neither credentials nor the query."""
        text = repr(parsed(b"/v2/?token=s3cret", b"Bearer s3cret"))
        self.assertNotIn("s3cret", text)
