"""
The token service of a registry whose accounts are ours.

Passwords are checked here, rights are looked up here, and the tokens are our
own: what the upstream asks for is `regbroker.upstream.authorizer`'s affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from regbroker.accounts.access import CATALOG, AccessRules
from regbroker.accounts.narrowing import parse_rights
from regbroker.accounts.principals import Account, SignedLogins
from regbroker.accounts.signing import TokenSigner
from regbroker.accounts.tokens import InvalidToken, Robot
from regbroker.broker.local_logins import LocalLogins, Passwords
from regbroker.broker.principal import Principal, WrongToken, bearer_of
from regbroker.broker.vouching import note, vouched_of
from regbroker.errors import ClientError, ExchangeRefused, Unauthorized
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.protocol.basic_credentials import parse_basic
from regbroker.protocol.challenges import basic_challenge, unauthorized
from regbroker.protocol.names import check_name
from regbroker.protocol.scopes import Scope, format_scopes
from regbroker.protocol.token_replies import IssuedToken, format_reply
from regbroker.protocol.token_requests import TokenRequest


class LocalBroker:
    """
    Grants our own tokens, and says whose token a request brings.

    `host` is the registry's section, ``*`` for the default one. `now` returns
    seconds since 1970. A password that one of `logins` takes is seen by that one alone.
    `is_revoked` tells of a robot token's id whether it is not good any more.
    """

    def __init__(
        self,
        host: str,
        checks: Passwords,
        rules: AccessRules,
        signer: TokenSigner,
        mapping: NameMapping,
        now: Callable[[], float],
        logins: Sequence[SignedLogins] = (),
        is_revoked: Callable[[str], bool] = lambda token_id: False,
    ) -> None:
        self.logins = LocalLogins(host, checks, logins)
        self._is_revoked = is_revoked
        self._host = host
        self._checks = checks
        self._rules = rules
        self._signer = signer
        self._mapping = mapping
        self._now = now

    def service(self, public_host: str) -> str:
        """Return what our tokens are for: their audience."""
        return public_host if self._host == "*" else self._host

    async def identify(
        self,
        authorization: str | None,
        public_host: str,
        address: str,
        event: Event | None = None,
    ) -> Principal | None:
        """
        Return the principal of this Authorization; None when the password is wrong.

        `address` is the client's; `event` notes what is to be said of a login or a
        token. Raises `WrongToken`, and what `PasswordChecks.check` raises.
        """
        if authorization is None:
            return self._principal(None)
        basic = parse_basic(authorization)
        if basic == ("", ""):
            # How some clients write that they have nothing.
            return self._principal(None)
        if basic is not None:
            account = await self.logins.check(*basic, address, event)
            note(event, vouched_of(account, self._rules))
            return None if account is None else self._principal(account)
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer":
            return None
        try:
            token = self._signer.check_access(text, self.service(public_host))
        except InvalidToken as error:
            login = self.logins.signed(text)
            if login is None:
                raise WrongToken(str(error)) from None
            signed = await self.logins.check_signed(login, "", text, address, event)
            if signed is None:
                raise WrongToken("the signed login is not good here") from None
            note(event, vouched_of(signed, self._rules))
            return self._principal(signed)
        if token.robot is not None:
            if event is not None:
                event.user, event.token_id = token.user, token.robot.id
            if self._is_revoked(token.robot.id):
                why = (
                    f"robot token {token.robot.id}, which its token is for, is revoked"
                )
                self.logins.note_refused(why, address, event)
                raise WrongToken(why)
        note(event, token.vouched)
        return bearer_of(token)

    def issue(
        self, request: TokenRequest, account: Account | None, public_host: str
    ) -> bytes:
        """
        Return the reply to a token request: what was asked for and is granted.

        `account` is what `account` has returned for it.
        """
        service = self.service(public_host)
        granted: list[Scope] = []
        shown: list[Scope] = []
        # What the token says of these is for mounts (`regbroker.broker.mounts`).
        refused: list[str] = []
        is_mount = sum(scope.is_repository for scope in request.scopes) > 1
        for scope in request.scopes:
            canonical = self._canonical(scope, public_host)
            allowed = canonical and self._rules.granted(account, canonical)
            if allowed:
                granted.append(allowed)
                # The client hears of the name that it has written.
                shown.append(allowed.with_name(scope.name))
            if canonical and is_mount and self._is_refused_pull(account, canonical):
                refused.append(canonical.name)
        text = self._signer.issue_access(
            account.user if account else "",
            service,
            tuple(granted),
            tuple(refused),
            vouched_of(account, self._rules),
            account.expires if account else None,
            Robot(account.token_id, account.limits.lines)
            if account and account.limits
            else None,
        )
        refresh_token = ""
        if request.offline and account is not None and account.password_version:
            refresh_token = self._signer.issue_identity(
                account.user, service, account.password_version, request.client_id
            )
        now = self._now()
        expires = now + self._signer.access_life
        if account is not None and account.expires is not None:
            expires = min(expires, account.expires)
        grant = IssuedToken(text, expires, None, refresh_token)
        scope_text = format_scopes(shown) if request.method == "POST" else None
        return format_reply(
            grant, scope_text, request.method, now, bool(request.subject_token)
        )

    async def account(
        self,
        request: TokenRequest,
        public_host: str,
        address: str,
        event: Event | None = None,
    ) -> Account | None:
        """
        Return the account whose credentials a token request brings; None for nobody.

        `event` notes what is to be said of a token. Raises `Unauthorized` or
        `ExchangeRefused` for wrong credentials, and what `PasswordChecks.check` raises.
        """
        account = await self._account(request, public_host, address, event)
        note(event, vouched_of(account, self._rules))
        return account

    async def _account(
        self,
        request: TokenRequest,
        public_host: str,
        address: str,
        event: Event | None,
    ) -> Account | None:
        if request.is_anonymous:
            return None
        if request.subject_token:
            return await self._account_of_exchange(request, public_host, address, event)
        if request.refresh_token:
            return await self._account_of_identity(request, public_host, address, event)
        checked = await self.logins.check(
            request.username, request.password, address, event
        )
        if checked is None:
            raise _wrong_credentials(public_host)
        return checked

    async def _account_of_exchange(
        self,
        request: TokenRequest,
        public_host: str,
        address: str,
        event: Event | None,
    ) -> Account:
        """Return whom a token is for that is to be exchanged, or `ExchangeRefused`."""
        service = self.service(public_host)
        if not {service, f"https://{service}"}.issuperset(request.audience):
            raise ExchangeRefused(
                "invalid_target", f"the only audience here is {service}"
            )
        text = request.subject_token
        login = self.logins.signed(text)
        account = None
        if login is not None:
            account = await self.logins.check_signed(login, "", text, address, event)
        if account is None:
            raise ExchangeRefused(
                "invalid_request", "the subject_token is not good here"
            )
        return account

    async def _account_of_identity(
        self,
        request: TokenRequest,
        public_host: str,
        address: str,
        event: Event | None,
    ) -> Account:
        service = self.service(public_host)
        try:
            token = self._signer.check_identity(request.refresh_token, service)
        except InvalidToken as error:
            why = f"an identity token is not good: {error}"
            self.logins.note_refused(why, address, event)
            raise _wrong_credentials(public_host) from None
        if event is not None:
            event.user = token.user
        # Another version is another password, or another person.
        account = await self._checks.look_up(token.user, token.password_version)
        if account is None or not account.password_version:
            why = (
                f"an identity token of {token.user} is not good: the password has "
                "changed, or there is no such user any more"
            )
            self.logins.note_refused(why, address, event)
            raise _wrong_credentials(public_host)
        # The token may be older than the issuer whose names are its own now.
        if self.logins.unless_owned(account) is None:
            raise _wrong_credentials(public_host)
        return account

    async def visible(self, principal: Principal) -> Callable[[str], bool]:
        """
        Return which canonical public names a principal sees in the catalog.

        A token says that its user may list, not what; so the user is looked up.
        """
        account = principal.account
        if account is None and principal.user:
            account = await self._checks.look_up(principal.user)
            account = account or Account(principal.user)
            if principal.robot is not None:
                limits = parse_rights(principal.robot.rights)
                account = replace(account, limits=limits)
        return lambda name: self._rules.allows(account, CATALOG, name)

    def _canonical(self, scope: Scope, public_host: str) -> Scope | None:
        """Return a scope with the canonical name; None for what is not served."""
        if not scope.is_repository:
            return scope
        try:
            name = check_name(scope.name.removeprefix(public_host + "/"))
            return scope.with_name(self._mapping.route(name).public_name)
        except ClientError:
            return None

    def _is_refused_pull(self, account: Account | None, scope: Scope) -> bool:
        if not scope.is_repository or {"pull", "*"}.isdisjoint(scope.actions):
            return False
        return not self._rules.allows(account, "pull", scope.name)

    def _principal(self, account: Account | None) -> Principal:
        return Principal(
            account.user if account else "",
            False,
            lambda action, name: self._rules.allows(account, action.value, name),
            self._rules.allows_catalog(account),
            account,
        )


def _wrong_credentials(public_host: str) -> Unauthorized:
    return unauthorized(
        [basic_challenge(public_host)], "the user name or the password is wrong"
    )
