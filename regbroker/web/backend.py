"""One upstream as a registry uses it: how it is asked, and how its replies go on."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from regbroker.protocol.composite_token import token_for
from regbroker.runtime.keyed_hash import KeyedHash
from regbroker.upstream.failover import Server
from regbroker.upstream.policy import CLIENTS_OWN, Policy
from regbroker.upstream.registry import Upstream
from regbroker.web.api_request import ApiRequest
from regbroker.web.exchange import Exchange, UpstreamRequest
from regbroker.web.follow import RedirectFollower
from regbroker.web.forward import Forwarder
from regbroker.web.manifests import RememberedManifests
from regbroker.web.mounting import forward_mount
from regbroker.web.reply import Responder

#: One for all backends: registries with the same upstream share its circuits.
_hash = KeyedHash()


@dataclass(frozen=True)
class Backend:
    """
    One upstream of a registry.

    `follower` is None where redirects are passed on. `policy` says whose account is
    used there: the client's own, or ours. `manifests` is None where none are kept.
    """

    upstream: Upstream
    forwarder: Forwarder
    responder: Responder
    follower: RedirectFollower | None = None
    policy: Policy = CLIENTS_OWN
    manifests: RememberedManifests | None = None

    def server(self, asked: ApiRequest) -> Server:
        """Return the upstream as the account of a request sees it."""
        upstream, name = self.upstream, self.upstream.name
        return Server(
            name,
            f"[upstream {name}]",
            upstream.circuits,
            self.account(asked),
            upstream.check,
            upstream.config.answer_timeout,
        )

    def account(self, asked: ApiRequest) -> str:
        """Return a text for the account that the upstream sees a request of."""
        if not self.policy.clients or asked.client.authorization is None:
            return self._nobodys(asked)
        if asked.token_user is not None and asked.token_user != "-":
            # What the token service has found; the same for all of a user's tokens.
            user = asked.token_user
            return f"user {user}" if user else self._nobodys(asked)
        # Nobody has looked at this, or not here: it stands for itself alone.
        token = asked.client.token
        own = token_for(token, self.upstream.name) or token
        return f"hash {_hash.digest(own or asked.client.authorization).hex()}"

    def _nobodys(self, asked: ApiRequest) -> str:
        """Return the account of a request whose Authorization names none."""
        if self.policy.shares:
            return "ours"
        shown = asked.client.other_credentials if self.policy.clients else ()
        texts = (text.decode("latin-1") for header in shown for text in header)
        return f"hash {_hash.digest(*texts).hex()}" if shown else ""

    def forward(self, request: UpstreamRequest) -> Coroutine[Any, Any, Exchange]:
        """
        Send a request to the upstream, or answer it with a manifest that is kept.

        Raises as `Forwarder.forward`.
        """
        if self.manifests is not None and self.manifests.serves(request):
            return self.manifests.forward(request)
        if request.mount is not None:
            return forward_mount(self.forwarder, request)
        return self.forwarder.forward(request)

    async def followed(self, exchange: Exchange) -> Exchange:
        """Return what a redirect leads to, where redirects are followed here."""
        if self.follower is None:
            return exchange
        return await self.follower.follow(exchange)
