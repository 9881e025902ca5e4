"""
Registries whose clients show a certificate: ``accounts = certificate``.

There is no challenge for a certificate: who shows none, and needs one, gets 403. So
there are no tokens either, and what a client sends as Authorization is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from regbroker.accounts.access import CATALOG, AccessRules
from regbroker.accounts.principals import Account
from regbroker.broker.mounts import MountChallenges
from regbroker.broker.principal import Principal
from regbroker.errors import Denied, EndpointUnknown
from regbroker.events import Event
from regbroker.protocol.headers import Forwarded
from regbroker.protocol.names import Action
from regbroker.protocol.token_requests import TokenRequest
from regbroker.transport.certificates.peer import certificate_user
from regbroker.web.admission import denial, is_allowed
from regbroker.web.api_request import ApiRequest
from regbroker.web.client_request import ClientRequest

_WANTED = "this registry wants a client certificate"


class CertificateGate:
    """Decides by the certificate of the connection, and by `rules`."""

    def __init__(self, rules: AccessRules, now: Callable[[], float]) -> None:
        self._rules = rules
        self._mount_challenges = MountChallenges(now)

    async def admit(self, asked: ApiRequest) -> ApiRequest:
        """Let a request in whose certificate's user has the right to it."""
        principal, why = self._principal(asked.client.http)
        asked.event.user = principal.user
        if asked.target.operation.is_ping:
            # Else docker would go no further.
            allowed = bool(principal.user) or self._rules.anonymous_may_anything
        else:
            allowed = is_allowed(principal, asked)
        if not allowed:
            if why:
                asked.event.login_problem = why
                # What of a certificate's names goes to a client is its own.
                raise Denied(f"{_WANTED}: {why}")
            raise denial(principal, asked)
        if asked.mount is not None:
            source = asked.mount.route.public_name
            asked = asked.mounted_by(self._mount_challenges, principal.user, False)
            if not principal.may(Action.PULL, source):
                asked = asked.without_mount()
        return replace(asked, principal=principal)

    async def visible(self, principal: Principal) -> Callable[[str], bool]:
        """Return the names for which the principal has the ``catalog`` right."""
        return lambda name: self._rules.allows(principal.account, CATALOG, name)

    async def search(
        self, request: ClientRequest, event: Event
    ) -> Callable[[str], bool]:
        """Return what a client may find: what it may list."""
        principal, why = self._principal(request.http)
        event.user = principal.user
        if not principal.may_list:
            event.login_problem = why
            raise Denied(_WANTED if not principal.user else "you may not search here")
        return await self.visible(principal)

    def _principal(self, request: Any) -> tuple[Principal, str]:
        """Return who has connected, and why that is nobody."""
        account, why = None, ""
        try:
            account = Account(certificate_user(request))
        except ValueError as error:
            why = str(error)
        principal = Principal(
            account.user if account else "",
            False,
            lambda action, name: self._rules.allows(account, action.value, name),
            self._rules.allows_catalog(account),
            account,
        )
        return principal, why


async def no_tokens(request: TokenRequest, forwarded: Forwarded, event: Event) -> bytes:
    """Say that there is nothing to be had; raises `EndpointUnknown`."""
    raise EndpointUnknown("there are no tokens here; clients show a certificate")
