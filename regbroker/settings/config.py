"""
The configuration as a value: everything that serves is built from one `Config`.

`regbroker.settings.ini` makes it of a file. Who embeds regbroker may make it directly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from regbroker.accounts.access import AccessRules
from regbroker.accounts.ldap.url import LdapUrl
from regbroker.accounts.tokens import ACCESS_LIFE
from regbroker.naming.mapping import NameMapping
from regbroker.protocol.headers import Network
from regbroker.protocol.origins import Origin
from regbroker.transport.listeners import CertificateFiles, Listener
from regbroker.transport.pace import Pace

#: nginx users set 900 s for registries: the last request of a push may make
#: the upstream hash a whole layer before it answers.
DEFAULT_TIMEOUT = 900.0
DEFAULT_CONNECT_TIMEOUT = 10.0

#: docker gives a ping and a token 15 s, both sources together.
DEFAULT_ANSWER_TIMEOUT = 6.0


@dataclass(frozen=True)
class UpstreamConfig:
    """
    One ``[upstream NAME]``.

    `origin` is None for the sandbox, which chooses its own port when it
    starts. Times are in seconds; `answer_timeout` counts where another upstream
    can be asked instead. `realm` and `service`, when set, are used instead of
    what the upstream's own challenge says. Names without a namespace are in
    `default_namespace`. `redirect_hosts` may have addresses that are not public.
    `search_url` is the URL before ``/search``. Our own account is `username` with the
    password in `password_file` or the environment variable `password_env`, or what
    `credential_helper` says of `credential_server`, empty for docker's name of it.
    `redirect_paths` begin paths of the upstream's own host where redirects are
    followed; `show_address`, one of `redirects.SHOW_ADDRESS`, says whether clients may
    be told where it is.
    """

    name: str
    origin: Origin | None
    base_path: str = ""
    ca_file: PurePath | None = None
    timeout: float = DEFAULT_TIMEOUT
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT
    token_hosts: tuple[str, ...] = ()
    realm: str | None = None
    service: str | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    username: str = ""
    password_file: PurePath | None = None
    credential_helper: str = ""
    answer_timeout: float = DEFAULT_ANSWER_TIMEOUT
    default_namespace: str = ""
    redirect_hosts: tuple[str, ...] = ()
    search_url: str | None = None
    password_env: str = ""
    credential_server: str = ""
    redirect_paths: tuple[str, ...] = ()
    show_address: str = "if-public"

    @property
    def url(self) -> str:
        """Where it is, base path included, as the ini file has it."""
        return f"{self.origin}{self.base_path}" if self.origin else "sandbox:"


@dataclass(frozen=True)
class HtpasswdConfig:
    """A file that `htpasswd` writes."""

    path: PurePath


@dataclass(frozen=True)
class LdapConfig:
    """A directory; see `regbroker.accounts.ldap.source` for what the options mean."""

    url: LdapUrl
    ca_file: PurePath | None = None
    start_tls: bool = True
    bind_dn: str = ""
    bind_password_file: PurePath | None = None
    group_base: str = ""
    group_filter: str = ""


@dataclass(frozen=True)
class AccountsConfig:
    """One ``[accounts NAME]``: sources, asked in this order."""

    name: str
    sources: tuple[HtpasswdConfig | LdapConfig, ...]


@dataclass(frozen=True)
class RegistryConfig:
    """
    One ``[registry HOST]``; `host` is ``*`` for the default one.

    Without `accounts` they are those of the upstreams in `trusted_upstreams`,
    to which clients' credentials are sent, and to no other. `shared_actions` are
    those that our own account at an upstream lends to clients that have no
    credentials for it. `hosts` are those that ``*`` stands for, also as
    ``*.DOMAIN``; all when empty. `extensions` are those of the API that
    are relayed, each with the ``_`` that it begins with.
    """

    host: str
    mapping: NameMapping
    trusted_upstreams: tuple[str, ...] = ()
    token_path: str = "/auth"
    catalog: str = "filter"
    accounts: str | None = None
    access: AccessRules | None = None
    basic_challenge: bool = False
    token_life: float = ACCESS_LIFE
    public_url: Origin | None = None
    shared_actions: frozenset[str] = frozenset()
    redirects: str = "pass"
    writes: str = "allow"
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()

    @property
    def upstreams(self) -> tuple[str, ...]:
        """The upstreams that its names lead to, in the order they are asked."""
        return self.mapping.upstreams


@dataclass(frozen=True)
class Config:
    """
    Everything that serves is built from one of these.

    `sources` leads from the registries that mirrors stand for (the ``ns`` of a
    request) to the `host` of one of `registries`. Limits for connections that are
    None come from what the process may open.
    """

    listen: tuple[Listener, ...]
    state_directory: PurePath
    trusted_proxies: tuple[Network, ...]
    certificates: tuple[CertificateFiles, ...]
    registries: tuple[RegistryConfig, ...]
    upstreams: Mapping[str, UpstreamConfig]
    accounts: Mapping[str, AccountsConfig] = field(default_factory=dict)
    signing_key: PurePath | None = None
    denied_user_agents: re.Pattern[str] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    max_connections: int | None = None
    max_connections_per_address: int | None = None
