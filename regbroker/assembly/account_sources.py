"""Where accounts come from: htpasswd files and directories, built and tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock

from regbroker.accounts.key_file import parse_keys
from regbroker.accounts.principals import AccountSource
from regbroker.accounts.robot_users import RobotUsers
from regbroker.assembly.readable import problem_with_file
from regbroker.errors import ConfigurationError
from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.watched_file import WatchedFile, parse_file
from regbroker.settings.config import (
    Config,
    HtpasswdConfig,
    LdapConfig,
    RobotsConfig,
)
from regbroker.upstream.credentials import parse_password, password_problem


def build_source(
    source: HtpasswdConfig | LdapConfig | RobotsConfig, reactor: INetworkReactor
) -> AccountSource:
    """Return what a line of ``[accounts NAME]`` becomes; opens nothing."""
    if isinstance(source, RobotsConfig):
        return RobotUsers(source.users)
    # What knows the hashes takes long to load, and ldaptor is an extra.
    if isinstance(source, HtpasswdConfig):
        from regbroker.accounts.htpasswd import HtpasswdAccounts

        return HtpasswdAccounts(Path(source.path), reactor)
    from regbroker.accounts.ldap.source import LdapAccounts, require_ldaptor

    require_ldaptor()
    return LdapAccounts(
        source.url,
        reactor,
        trust_root_file=Path(source.ca_file) if source.ca_file else None,
        start_tls=source.start_tls,
        bind_dn=source.bind_dn,
        bind_password=_password_of(source, reactor),
        group_base=source.group_base,
        group_filter=source.group_filter,
    )


def _password_of(source: LdapConfig, reactor: IReactorTime) -> Callable[[], str]:
    if source.bind_password_file is None:
        return lambda: ""
    path = Path(source.bind_password_file)
    file = WatchedFile(path, parse_password, reactor.seconds)
    return lambda: file.latest() or ""


def problems_with_accounts(config: Config) -> Iterator[str]:
    """Say what is wrong with directories, keys and lists; starts nothing."""
    for name, entry in config.accounts.items():
        for source in entry.sources:
            try:
                build_source(source, cast(INetworkReactor, Clock()))
            except ConfigurationError as error:
                for problem in error.problems:
                    yield f"[accounts {name}] {problem}"
            if isinstance(source, HtpasswdConfig):
                from regbroker.assembly.htpasswd_report import htpasswd_problems

                for problem in htpasswd_problems(Path(source.path)):
                    yield f"[accounts {name}] htpasswd: {problem}"
            elif isinstance(source, LdapConfig) and source.bind_password_file:
                wrong = password_problem(Path(source.bind_password_file))
                if wrong is not None:
                    yield f"[accounts {name}] ldap-bind-password-file: {wrong}"
    if config.signing_key is not None:
        try:
            parse_file(Path(config.signing_key), parse_keys)
        except ValueError as error:
            yield f"[regbroker] signing-key: {error}"
    path = config.revoked_tokens
    if path is not None and not problem_with_file(path):
        from regbroker.accounts.robot_tokens import MAX_REVOKED_BYTES, parse_revoked

        try:
            parse_file(Path(path), parse_revoked, max_bytes=MAX_REVOKED_BYTES)
        except ValueError as error:
            yield f"[regbroker] revoked-tokens: {error}"
