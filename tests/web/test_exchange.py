"""What is known of one request."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from regbroker.headers import ClientWay
from regbroker.mapping import Mapping, parse_rule
from regbroker.names import parse_path
from regbroker.observe import Event
from regbroker.web.exchange import Exchange


class ExchangeTests(SynchronousTestCase):
    def exchange(self, authorization: bytes | None = None) -> Exchange:
        """A request with this Authorization."""
        request: Any = DummyRequest([])
        if authorization is not None:
            request.requestHeaders.addRawHeader(b"Authorization", authorization)
        return Exchange(
            request,
            ClientWay("192.0.2.1", "192.0.2.1", "https", "registry.test"),
            Event(lambda: 0.0, method="GET"),
            parse_path("/v2/team/app/manifests/1"),
            "",
            Mapping([parse_rule("team = acme_team")], "up"),
        )

    def test_authorization(self) -> None:
        """Token and user, of what can be made out; the rest is the upstream's."""
        for given, token, user in (
            (None, "", ""),
            (b"Bearer abc", "abc", ""),
            (b"bearer  abc ", "abc", ""),
            (b"Basic YWxpY2U6dw==", "", "alice"),
            (b"Basic !", "", ""),
            (b"Negotiate abc", "", ""),
            (b"", "", ""),
        ):
            exchange = self.exchange(given)
            self.assertEqual(
                (exchange.bearer_token, exchange.basic_user), (token, user)
            )

    def test_names(self) -> None:
        """The client's own words come before the rules."""
        exchange = self.exchange()
        self.assertEqual(exchange.to_public("acme_team/x"), "team/x")
        self.assertIsNone(exchange.to_public("other/x"))
        exchange.names["acme_team/x"] = "acme_team/x"
        self.assertEqual(exchange.to_public("acme_team/x"), "acme_team/x")
