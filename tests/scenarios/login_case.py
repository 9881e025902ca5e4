"""An upstream that judges our login, and requests that are relayed with it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.web.http_headers import Headers

from regbroker.protocol.basic_credentials import parse_basic
from regbroker.protocol.challenges import parse_challenges
from regbroker.protocol.origins import Origin
from regbroker.protocol.scopes import Scope, repository_scope
from regbroker.protocol.token_replies import IssuedToken
from regbroker.protocol.token_requests import TokenRequest
from regbroker.upstream.authorization import Refusal
from regbroker.upstream.credentials import Login
from regbroker.upstream.discovery import Discovered, Discovery
from regbroker.upstream.own_account import OwnAccount
from regbroker.upstream.token_service import TokenReply
from regbroker.upstream.tokens import TokenRefused
from tests.connectionscase import replied

BASIC = parse_challenges(['Basic realm="up"'])
BEARER = parse_challenges(['Bearer realm="https://up.test/token"'])


class Reply:
    """A registry's answer."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.deliver = replied(status).deliver

    def header(self, name: bytes) -> None:
        return None


class Credentials:
    """What a file holds."""

    password = "one"

    async def get(self) -> Login:
        return Login("robot", self.password)

    def refused(self, login: Login | None = None) -> None:
        """The file is looked at every time."""

    def close(self) -> None:
        """Nothing is open."""


class JudgingUpstream:
    """A registry and its token service; subclasses say how they judge a login."""

    name = "up"

    def __init__(self, clock: Clock, challenges: Any) -> None:
        self.now = clock.seconds
        self.password = "one"
        self.granted = 0
        discovery = Discovery(Origin("https", "up.test", 443))
        self.discovered: Discovered = discovery.pinged(challenges)

    async def judge(self, password: str) -> int:
        """The status for a login."""
        raise NotImplementedError

    async def discover(self) -> Discovered:
        return self.discovered

    # The registry.

    async def request(self, method: str, target: str, headers: Any) -> Any:
        login = parse_basic(dict(headers)[b"Authorization"].decode())
        assert login is not None
        return Reply(await self.judge(login[1]))

    # The token service.

    def cached(self, request: TokenRequest, scopes: tuple[Scope, ...]) -> None:
        return None

    async def get(
        self,
        request: TokenRequest,
        scopes: tuple[Scope, ...],
        max_age: float | None = None,
        is_own: bool = False,
    ) -> IssuedToken:
        status = await self.judge(request.password)
        if status != 200:
            raise TokenRefused(TokenReply(status, Headers(), b""))
        self.granted += 1
        return IssuedToken(f"token-{self.granted}", 1e9, received=self.now())

    def drop(self, token: str) -> None:
        """Nothing is kept."""


async def relay(upstream: JudgingUpstream, account: OwnAccount, name: str) -> None:
    """Send a request with our account, as it is relayed: three times at most."""
    needed = (repository_scope(name, "pull"),)
    authorization = await account.authorize(needed)
    try:
        for _ in range(3):
            if authorization.login is None:
                return
            status = await upstream.judge(authorization.login.password)
            if status not in (401, 403):
                if status == 200:
                    account.answered(authorization)
                return
            again = await account.reconsider(authorization, needed, Refusal(status))
            if again is None:
                return
            authorization = again
    finally:
        authorization.release()
