"""
Assembly of an upstream: connections, tokens, our own account, the sandbox.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed

from regbroker.errors import StateError
from regbroker.protocol.origins import parse_origin
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import Config, UpstreamConfig
from regbroker.upstream.credential_helper import CredentialHelper
from regbroker.upstream.credentials import (
    Credentials,
    EnvironmentPassword,
    PasswordFile,
    docker_server,
)
from regbroker.upstream.own_account import OwnAccount
from regbroker.upstream.registry import Upstream
from regbroker.upstream.search_service import SearchService
from regbroker.upstream.tokens import UpstreamTokens

if TYPE_CHECKING:
    # Imported where it is built: not every configuration needs it.
    from regbroker.sandbox import SandboxService


class UpstreamService(Service):
    """Keeps one upstream open; starts the sandbox before it, if it is one."""

    def __init__(
        self,
        upstream: Upstream,
        tokens: UpstreamTokens,
        account: OwnAccount,
        nobodys: OwnAccount,
        sandbox: SandboxService | None,
        search: SearchService | None = None,
    ) -> None:
        self.upstream = upstream
        self.tokens = tokens
        #: Our account there, and one for who is to have none.
        self.account = account
        self.nobodys = nobodys
        self.search = search
        self._sandbox = sandbox

    @property
    def sandbox_url(self) -> str | None:
        """Where the sandbox is that runs here; None where there is none."""
        sandbox = self._sandbox
        return sandbox.url if sandbox is not None and sandbox.running else None

    def startService(self) -> None:
        """Open the upstream; it may be down, and is then asked until it is not."""
        super().startService()
        origin = self.upstream.config.origin
        if self._sandbox is not None:
            self._sandbox.startService()
            origin = parse_origin(*self._sandbox.url.split("://"))
        assert origin is not None
        self.upstream.open(origin)

    def stopService(self) -> Deferred[Any]:
        """Close the connections that nobody uses, and the sandbox."""
        super().stopService()
        self.upstream.close()
        self.account.close()
        self.tokens.close()
        if self.search is not None:
            self.search.close()
        if self._sandbox is None:
            return succeed(None)
        return maybeDeferred(self._sandbox.stopService)


def build_upstream(
    entry: UpstreamConfig, config: Config, reactor: INetworkReactor
) -> UpstreamService:
    """Return the service of one ``[upstream NAME]``; raises `StateError`."""
    sandbox = None
    if entry.origin is None:
        from regbroker.assembly.state_problems import sandbox_directory
        from regbroker.sandbox import SandboxService

        directory = sandbox_directory(config.state_directory, entry.name)
        sandbox = SandboxService(reactor, directory, entry.users)
    try:
        upstream = Upstream(entry, reactor)
    except ValueError as error:
        raise StateError(f"[upstream {entry.name}] {error}") from error
    tokens = UpstreamTokens(upstream, reactor, time.time)
    credentials = build_credentials(entry, reactor)
    return UpstreamService(
        upstream,
        tokens,
        OwnAccount(upstream, tokens, credentials, reactor),
        OwnAccount(upstream, tokens, None, reactor),
        sandbox,
        _build_search_service(upstream, reactor),
    )


def _build_search_service(
    upstream: Upstream, reactor: INetworkReactor
) -> SearchService | None:
    entry = upstream.config
    if entry.search_url is None:
        return None
    return SearchService(
        entry.search_url, upstream.trust, entry.connect_timeout, reactor
    )


def build_credentials(
    entry: UpstreamConfig, reactor: INetworkReactor
) -> Credentials | None:
    """Return our own account at an upstream; None where there is none."""
    if entry.password_file is not None:
        path = Path(entry.password_file)
        return PasswordFile(entry.username, path, reactor.seconds)
    if entry.password_env:
        return EnvironmentPassword(entry.username, entry.password_env)
    if entry.credential_helper:
        server = entry.credential_server or (
            docker_server(entry.origin.host, entry.origin.netloc)
            if entry.origin
            else entry.name
        )
        return CredentialHelper(entry.credential_helper, server, reactor)
    return None
