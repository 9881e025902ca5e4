"""Requests under ``/v2`` as values, for the tests of what is made of them."""

from __future__ import annotations

from typing import Any

from twisted.web.test.requesthelper import DummyRequest

from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.headers import Forwarded
from regbroker.protocol.names import parse_path
from regbroker.protocol.queries import Query
from regbroker.transport.server.request_bodies import NO_BODY
from regbroker.web.api_request import ApiRequest
from regbroker.web.client_request import ClientRequest, parse_authorization
from regbroker.web.mapped_target import mapped_target, operation_of

FORWARDED = Forwarded("192.0.2.1", "192.0.2.1", "https", "registry.test")
MAPPING = NameMapping([parse_rule("team = acme_team")], ["up"])
SEVERAL = NameMapping(
    [parse_rule("* = acme_*"), parse_rule("* = two:cache/*")], ["one", "two"]
)


def asked(
    method: str,
    path: str,
    authorization: str = "",
    query: str = "",
    mapping: NameMapping = MAPPING,
) -> ApiRequest:
    """A request whose name is mapped."""
    http: Any = DummyRequest([])
    http.body = NO_BODY
    client = ClientRequest(
        http,
        FORWARDED,
        method,
        path,
        Query(query),
        authorization or None,
        token=parse_authorization(authorization)[1],
    )
    parsed = parse_path(path)
    target = mapped_target(parsed, operation_of(parsed, method, mapping))
    event = Event(lambda: 0.0, method=method, path=path)
    return ApiRequest(client, event, target, client.query)
