"""
Accounts in an LDAP directory.

The way of a check (RFC 4511 and 4513), each on a connection of its own:

1. Connect, with TLS before anything else is said: ``ldaps``, or StartTLS.
2. Bind with the account that may search; or stay anonymous.
3. Search for the user's entry. Exactly one must match.
4. Search for the groups that name the entry or the user.
5. Bind as the entry, with the password.
6. Look whether the entry says that its account is disabled.

Entry and groups are read with the same rights whether there is a password or
not, so an account has one password version. Where step 3 finds nobody, the way goes on
with the name of no entry, so that unknown users cost what wrong passwords do,
but for the hash, which a directory takes of entries only. What the last bind of
an entry took is waited for then, too, so that slow hashes tell nobody who exists.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from regbroker.accounts.ldap.answers import Answer, DirectoryError, accept
from regbroker.accounts.ldap.connection import Connection, require_ldaptor
from regbroker.accounts.ldap.failures import FAILURES, describe, unavailable
from regbroker.accounts.ldap.filters import parse_group_filter
from regbroker.accounts.ldap.names import parse_name
from regbroker.accounts.ldap.refusals import NO, why_disabled, why_refused
from regbroker.accounts.ldap.search import (
    DirectorySearch,
    account_name,
    password_version,
)
from regbroker.accounts.ldap.url import LdapUrl
from regbroker.accounts.ldap.waits import Waits
from regbroker.accounts.principals import Account
from regbroker.errors import ConfigurationError
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.client.trust import client_options, trust_root

__all__ = ["GROUP_FILTER", "MAX_CHECKS", "LdapAccounts", "require_ldaptor"]

T = TypeVar("T")

_log = Logger()

#: Groups of both kinds (RFC 4519, RFC 2307).
GROUP_FILTER = "(|(member=${dn})(uniqueMember=${dn})(memberUid=${user}))"

#: Each check is a connection; directories have other clients, too.
MAX_CHECKS = 8

_NOBODY = "cn=no account of this name"


class LdapAccounts:
    """
    The accounts of one directory, an `AccountSource`.

    `start_tls` counts for ``ldap://`` only; False sends passwords in clear.
    `trust_root_file` holds the CAs to trust instead of the system's.
    `bind_password` is asked for every check. Groups are those below
    `group_base`; without it, those that the entry's ``memberOf`` names. Each
    step of a check may take `timeout` seconds.

    Raises `ConfigurationError` without ldaptor, and with every filter, name and
    file that cannot be used.
    """

    has_groups = True
    cheap_look_up = False

    def __init__(
        self,
        url: LdapUrl,
        reactor: INetworkReactor,
        *,
        trust_root_file: Path | None = None,
        start_tls: bool = True,
        bind_dn: str = "",
        bind_password: Callable[[], str] = lambda: "",
        group_base: str = "",
        group_filter: str = GROUP_FILTER,
        timeout: float = 5.0,
    ) -> None:
        require_ldaptor()
        problems: list[str] = []
        root = _usable(
            problems,
            "ldap-ca-file",
            trust_root_file,
            lambda: trust_root(trust_root_file),
        )
        _usable(problems, "ldap-group-base", group_base, lambda: parse_name(group_base))
        group_filter = group_filter or GROUP_FILTER
        groups = _usable(
            problems,
            "ldap-group-filter",
            group_filter,
            lambda: parse_group_filter(group_filter),
        )
        if problems or groups is None:
            raise ConfigurationError(problems)
        self.name = f"ldap {url}"
        self._searches = DirectorySearch(url, group_base, groups)
        self._reactor = reactor
        self._start_tls = start_tls and url.scheme == "ldap"
        self._in_clear = not start_tls and url.scheme == "ldap"
        self._bind_dn = bind_dn
        self._bind_password = bind_password
        self._timeout = timeout
        self._tls: Any = client_options(url.host, root)
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            reactor, url.host, url.port, timeout
        )
        if url.scheme == "ldaps":
            endpoint = wrapClientTLS(self._tls, endpoint)
        self._endpoint = endpoint
        self._turns = DeferredSemaphore(MAX_CHECKS)
        self._bind_seconds = 0.0
        self._waits = Waits(reactor, timeout)
        self._connections: set[Connection] = set()
        self._problem = ""

    def open(self) -> None:
        """Begin. Nothing is asked before somebody logs in."""
        self._waits.open()
        if self._in_clear:
            _log.warn("{name}: passwords cross the network in clear", name=self.name)

    def close(self) -> None:
        """End every check under way."""
        self._waits.close()
        for connection in list(self._connections):
            connection.drop()

    async def authenticate(self, user: str, password: str) -> Account | None:
        """Return the account when the directory lets it bind with the password."""
        # A bind with a name and no password succeeds as nobody (RFC 4513, 5.1.2).
        if not password or not _is_text(password):
            return None
        return await self._check(user, password.encode())

    async def look_up(self, user: str) -> Account | None:
        """Return the account without a password."""
        return await self._check(user, None)

    async def _check(self, user: str, password: bytes | None) -> Account | None:
        if not user or not _is_text(user):
            return None
        if not self._waits.is_open:
            raise unavailable()
        try:
            account = await self._take_turn(user, password)
        except FAILURES as error:
            if self._waits.is_open and not self._problem:
                self._problem = describe(error)
                _log.error("{name}: {why}", name=self.name, why=self._problem)
            raise unavailable() from None
        if self._problem:
            self._problem = ""
            _log.info("{name}: answers again", name=self.name)
        return account

    async def _take_turn(self, user: str, password: bytes | None) -> Account | None:
        await self._waits.until("a turn", self._turns.acquire())
        connection = Connection(self._reactor, self._timeout, self._connections.discard)
        try:
            connecting = self._endpoint.connect(_OneConnection(connection))
            await self._waits.until("a connection", connecting)
            self._connections.add(connection)
            return await self._ask(connection, user, password)
        finally:
            self._turns.release()
            connection.finish()

    async def _ask(
        self, connection: Connection, user: str, password: bytes | None
    ) -> Account | None:
        if self._start_tls:
            accept("StartTLS", await connection.start_tls())
            connection.begin_tls(self._tls)
        if self._bind_dn:
            what = "the bind of ldap-bind-dn"
            own = self._own_password()
            accept(what, await connection.bind(what, self._bind_dn.encode(), own))
        entry = await self._searches.entry(connection, user)
        if entry is None and password is None:
            return None
        dn = entry.dn if entry is not None else self._nobody
        groups = await self._searches.groups(connection, user, dn)
        answer = Answer(0)
        if password is not None:
            answer = await self._bind(connection, dn, password, entry is not None)
        if entry is None:
            return None
        name = account_name(entry, self._searches.url.attribute, user)
        why = why_disabled(entry, time.time()) or why_refused(answer)
        if why:
            _log.warn(
                "{name}: {user} is refused: {why}",
                name=self.name,
                user=ascii(name),
                why=why,
            )
        if why or answer.code:
            return None
        return Account(
            name,
            groups | self._searches.entry_groups(entry),
            password_version(entry),
        )

    async def _bind(
        self, connection: Connection, dn: bytes, password: bytes, is_known: bool
    ) -> Answer:
        """Return what a bind says of a password; it takes as long for nobody."""
        what = "the bind of a user"
        began = self._reactor.seconds()
        answer = await connection.bind(what, dn, password)
        took = self._reactor.seconds() - began
        if is_known:
            self._bind_seconds = took
        elif took < self._bind_seconds:
            left = self._bind_seconds - took
            waiting: Deferred[None] = deferLater(self._reactor, left)
            await self._waits.until("the time of a bind", waiting)
        if answer.code not in NO:
            accept(what, answer)
        return answer

    @property
    def _nobody(self) -> bytes:
        return f"{_NOBODY},{self._searches.url.base}".rstrip(",").encode()

    def _own_password(self) -> bytes:
        try:
            password = self._bind_password()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it cannot be read"
            raise DirectoryError(f"the password of ldap-bind-dn: {why}") from None
        if not password:
            raise DirectoryError("the password of ldap-bind-dn is empty")
        return password.encode()


class _OneConnection(Factory):
    """Hands out one connection."""

    noisy = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def buildProtocol(self, address: IAddress | None) -> Connection:
        """Return the connection."""
        return self._connection


def _usable(
    problems: list[str], option: str, value: object, make: Callable[[], T]
) -> T | None:
    try:
        return make()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        problems.append(f"{option}: {value}: {why}")
        return None


def _is_text(text: str) -> bool:
    # HTTP brings bytes, and those that are not UTF-8 come as lone surrogates.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
