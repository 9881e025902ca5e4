"""
What Authorization a relayed request carries, and what follows when it is refused.

One decision in one place: a `regbroker.upstream.policy.Policy` says whose credentials a
request carries, and that account makes them. The relay knows nothing of accounts and
tokens itself.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from regbroker.errors import UpstreamMalformed
from regbroker.protocol.bodies import MAX_ERROR_BYTES
from regbroker.protocol.composite_token import token_for
from regbroker.protocol.names import PING_PATH
from regbroker.protocol.scopes import Scope
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.reply import Reply
from regbroker.upstream.authorization import REFUSALS, Authorization, Refusal
from regbroker.upstream.own_account import OwnAccount
from regbroker.upstream.own_requests import proof_target
from regbroker.upstream.policy import CredentialOwner, Policy
from regbroker.upstream.registry import Upstream
from regbroker.upstream.tokens import UpstreamTokens


class Authorizer:
    """
    Gives requests to one upstream their Authorization.

    `policy` says whose it is: the client's, or that of one of our accounts. `ours` is
    our account there, `nobodys` one without credentials. With `composite`, clients hold
    composite tokens, out of which this upstream's is taken.
    """

    def __init__(
        self,
        policy: Policy,
        upstream: Upstream,
        tokens: UpstreamTokens,
        ours: OwnAccount,
        nobodys: OwnAccount,
        composite: bool,
    ) -> None:
        self.policy = policy
        self._upstream = upstream
        self._tokens = tokens
        self._ours = ours
        self._nobodys = nobodys
        self._composite = composite

    def of_client(self, client_authorization: str | None) -> str | None:
        """Return what a request says that carries its client's own credentials."""
        if self._composite:
            return self._own_part(client_authorization)
        return client_authorization

    def of_ours(
        self, owner: CredentialOwner, needed: tuple[Scope, ...]
    ) -> Coroutine[Any, Any, Authorization]:
        """
        Return what a request says that carries credentials of ours.

        `needed` is what the request needs, in upstream names. Raises as
        `OwnAccount.authorize`.
        """
        return self._account(owner).authorize(needed)

    async def reconsider(
        self, authorization: Authorization, needed: tuple[Scope, ...], reply: Reply
    ) -> tuple[Reply, Authorization | None]:
        """
        Return a reply, and what to say instead if it is a refusal of ours.

        Raises as `OwnAccount.reconsider`; the reply is given up then.
        """
        account = None
        if authorization.owner.is_ours:
            account = self._account(authorization.owner)
        if reply.status not in REFUSALS:
            if account is not None and reply.status < 500 and reply.status != 429:
                account.answered(authorization)
            return reply, None
        challenges = reply.challenges
        if challenges:
            name = next((scope.name for scope in needed if scope.is_repository), None)
            proof = proof_target(name) if name else PING_PATH
            self._upstream.challenged(
                challenges, proof, authorization.value is not None
            )
        if account is None:
            scheme, _, token = (authorization.value or "").partition(" ")
            if scheme.lower() == "bearer":
                # Who asks for it again is to get what is granted by now.
                self._tokens.drop(token.strip())
            return reply, None
        try:
            text = ""
            if authorization.login is not None and reply.status == 403:
                reply, text = await _read(reply)
            refusal = Refusal(reply.status, challenges, text)
            again = await account.reconsider(authorization, needed, refusal)
        except BaseException:
            reply.abort()
            raise
        return reply, again

    def _account(self, owner: CredentialOwner) -> OwnAccount:
        return self._ours if owner is CredentialOwner.OURS else self._nobodys

    def _own_part(self, client_authorization: str | None) -> str | None:
        """Return what of a composite token is for this upstream; passwords are."""
        scheme, _, token = (client_authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return client_authorization
        own = token_for(token.strip(), self._upstream.name)
        return None if own is None else f"Bearer {own}"


async def _read(reply: Reply) -> tuple[Reply, str]:
    """Return a reply to be read once more, and the text of its body."""
    try:
        body = await gather_body(reply, MAX_ERROR_BYTES)
    except UpstreamMalformed:
        body = b""
    return reply.with_body(body), body.decode("utf-8", "replace")
