"""A broker in front of a token service that the test plays."""

from __future__ import annotations

import json
from typing import Any, cast

from twisted.internet.defer import Deferred

from regbroker.broker.upstream_broker import Broker
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.origins import Origin
from regbroker.protocol.token_requests import TokenRequest, parse_get, parse_post
from regbroker.settings.config import UpstreamConfig
from regbroker.upstream.registry import Upstream
from regbroker.upstream.tokens import UpstreamTokens
from tests.proxycase import TOKENS, HeldTime, SocketTestCase
from tests.scripted import ScriptedUpstream, response

ALICE = "Basic YWxpY2U6d29uZGVybGFuZA=="
BOB = "Basic Ym9iOmJ1aWxkZXI="
HOST = "registry.test"
PULL = "scope=repository:team/app:pull"


def granted(token: str = "t0ken", **more: Any) -> bytes:
    """A token service's reply."""
    return response(200, body=json.dumps({"token": token} | more).encode())


def form(**fields: str) -> bytes:
    """An OAuth2 form with a password."""
    given = {"grant_type": "password", "username": "alice", "password": "w"} | fields
    return "&".join(f"{name}={value}" for name, value in given.items()).encode()


class BrokerTestCase(SocketTestCase):
    rules = ("team = acme_team", "hub/* = hub_*")
    service: str | None = "registry.upstream.test"

    async def set_up(self) -> None:
        await super().set_up()
        self.time: Any = HeldTime()
        self.now = 1_000_000.0
        self.upstream = ScriptedUpstream()
        self.upstream.start()
        challenge = TOKENS.format(url=self.upstream.url)
        if not self.service:
            challenge = challenge.partition(",")[0]
        self.upstream.ping = response(401, f"WWW-Authenticate: {challenge}")
        origin = Origin("http", "127.0.0.1", self.upstream.port)
        self.registry = Upstream(
            UpstreamConfig(name="up", origin=origin), cast(Any, self.time)
        )
        self.registry.open(origin)
        mapping = NameMapping([parse_rule(rule) for rule in self.rules], ["up"])
        self.tokens = UpstreamTokens(
            self.registry, cast(Any, self.time), lambda: self.now
        )
        self.broker = Broker("up", self.tokens, mapping, lambda: self.now)
        await self.registry.discover()

    async def tear_down(self) -> None:
        self.tokens.close()
        self.registry.close()
        await self.upstream.stop()

    def grant(self, request: TokenRequest) -> Deferred[bytes]:
        """Ask for a token."""

        async def ask() -> bytes:
            wanted = self.broker.wanted(request, HOST)
            return await self.broker.grant(request, wanted, HOST)

        return Deferred.fromCoroutine(ask())

    def get(self, query: str, user: str | None = ALICE) -> Deferred[bytes]:
        """Ask by GET."""
        return self.grant(parse_get(query, user))

    def post(self, **fields: str) -> Deferred[bytes]:
        """Ask by POST."""
        return self.grant(parse_post(form(**fields)))

    async def token(self, query: str, user: str | None = ALICE) -> Any:
        """Ask by GET, and return the token."""
        return json.loads(await self.get(query, user))["token"]

    def count(self) -> None:
        """Have the upstream number its tokens."""
        self.upstream.handler = lambda call: granted(f"t{len(self.upstream.calls)}")
