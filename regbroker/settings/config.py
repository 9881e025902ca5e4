"""
The configuration as values, with all defaults: everything that serves is built from
one `Config`.

`regbroker.settings.ini` makes it of a file. A program that embeds regbroker may make it
directly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Literal

from regbroker.accounts.access import AccessRules
from regbroker.accounts.claims import Condition
from regbroker.accounts.identity.algorithms import DEFAULT_ALGORITHMS
from regbroker.accounts.identity.users import Template
from regbroker.accounts.ldap.url import LdapUrl
from regbroker.accounts.tokens import ACCESS_LIFE
from regbroker.naming.mapping import NameMapping
from regbroker.protocol.headers import Network
from regbroker.protocol.origins import Origin
from regbroker.transport.listening.listeners import CertificateFiles, Listener
from regbroker.transport.server.pace import Pace

#: nginx users set 900 s for registries: the last request of a push may make
#: the upstream hash a whole layer before it answers.
DEFAULT_TIMEOUT = 900.0
DEFAULT_CONNECT_TIMEOUT = 10.0

#: docker gives a ping and a token 15 s, both sources together.
DEFAULT_ANSWER_TIMEOUT = 6.0

#: Seconds by which the clock of an issuer may differ: machines keep time to a second,
#: and a token that is good for longer than it says is good for too long.
DEFAULT_LEEWAY = 10.0

#: docker and Kubernetes kill after 10 s and 30 s unless they are told otherwise;
#: systemd after 90 s.
DEFAULT_DRAIN_TIMEOUT = 30.0

DEFAULT_LISTENER = Listener(
    text="tls:8443:interface=127.0.0.1",
    endpoint="tcp:8443:interface=127.0.0.1",
    tls=True,
)

#: What `RegistryConfig.accounts` is where clients show certificates.
CERTIFICATE = "certificate"

DEFAULT_STATE_DIRECTORY = PurePath("var")

#: docker before 1.6 speaks another protocol, and says only "Go" in its ping.
OLD_DOCKER = re.compile(r"docker/1\.(?:[0-4]|5(?!\.[0-9]-dev))\b|Go \d")


@dataclass(frozen=True, kw_only=True)
class UpstreamConfig:
    """
    One ``[upstream NAME]``.

    `origin` is None for the sandbox, which chooses its own port when it
    starts. Times are in seconds; `answer_timeout` counts where another upstream
    can be asked instead. `realm` and `service`, when set, are used instead of
    what the upstream's own challenge says. Names without a namespace are in
    `default_namespace`. `redirect_hosts` may have addresses that are not public.
    `search_url` is the URL before ``/search``.

    The account of regbroker itself is `username` with the password in `password_file`
    or in the environment variable `password_env`; or it is what the program
    `credential_helper` returns for `credential_server`, which is empty for the name
    that docker would ask for.

    `redirect_paths` are beginnings of paths on the upstream's own host where redirects
    are followed. `show_address`, one of `regbroker.protocol.own_address.SHOW_ADDRESS`,
    tells whether clients may learn where the upstream is.

    `socket` is the unix socket behind which `origin` is. `proxy` is the proxy on the
    way to the upstream and to what belongs to it, or ``environment`` where
    ``HTTPS_PROXY`` and the like name it; its user and password are in
    `proxy_credentials_file`.
    `client_certificate` and `client_key` are shown to servers that ask for them.
    Manifests of `manifest_cache` bytes are kept in memory, none if that is 0.
    """

    name: str
    origin: Origin | None
    base_path: str = ""
    ca_file: PurePath | None = None
    timeout: float = DEFAULT_TIMEOUT
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT
    answer_timeout: float = DEFAULT_ANSWER_TIMEOUT
    token_hosts: tuple[str, ...] = ()
    realm: str | None = None
    service: str | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    username: str = ""
    password_file: PurePath | None = None
    password_env: str = ""
    credential_helper: str = ""
    credential_server: str = ""
    default_namespace: str = ""
    redirect_hosts: tuple[str, ...] = ()
    redirect_paths: tuple[str, ...] = ()
    show_address: str = "if-public"
    search_url: str | None = None
    socket: PurePath | None = None
    proxy: Origin | Literal["environment"] | None = None
    proxy_credentials_file: PurePath | None = None
    client_certificate: PurePath | None = None
    client_key: PurePath | None = None
    manifest_cache: int = 0

    @property
    def url(self) -> str:
        """Where it is, base path included, as the ini file has it."""
        if self.socket is not None:
            return f"unix:{self.socket}"
        return f"{self.origin}{self.base_path}" if self.origin else "sandbox:"

    @property
    def has_account(self) -> bool:
        """Whether regbroker has an account of its own there."""
        return bool(self.username or self.credential_helper)


@dataclass(frozen=True, kw_only=True)
class HtpasswdConfig:
    """A file that `htpasswd` writes."""

    path: PurePath


@dataclass(frozen=True, kw_only=True)
class LdapConfig:
    """A directory; see `regbroker.accounts.ldap.source` for what the options mean."""

    url: LdapUrl
    ca_file: PurePath | None = None
    start_tls: bool = True
    bind_dn: str = ""
    bind_password_file: PurePath | None = None
    group_base: str = ""
    group_filter: str = ""


@dataclass(frozen=True, kw_only=True)
class RobotsConfig:
    """Users that have no password, and log in with robot tokens alone."""

    users: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AccountsConfig:
    """
    One ``[accounts NAME]``: sources, asked in this order.

    `application` says that the application around regbroker brings more of them.
    """

    name: str
    sources: tuple[HtpasswdConfig | LdapConfig | RobotsConfig, ...]
    application: bool = False


@dataclass(frozen=True, kw_only=True)
class IdentityConfig:
    """
    One ``[identity NAME]``: an issuer of JWTs, and what accounts they make.

    `audience` are those of which a JWT must name one. The keys come from `jwks`, a file
    or an https URL, or from where the issuer's discovery says. `leeway` is in seconds.
    All of `required_claims` must hold. `conditions` are CEL expressions by name.
    `proxy` and `proxy_credentials_file` are as in `UpstreamConfig`.
    """

    name: str
    issuer: str
    audience: tuple[str, ...]
    user: Template
    groups: tuple[Template, ...] = ()
    jwks: PurePath | str | None = None
    ca_file: PurePath | None = None
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    leeway: float = DEFAULT_LEEWAY
    required_claims: tuple[Condition, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)
    proxy: Origin | Literal["environment"] | None = None
    proxy_credentials_file: PurePath | None = None


@dataclass(frozen=True, kw_only=True)
class RegistryConfig:
    """
    One ``[registry HOST]``; `host` is ``*`` for the default one.

    `accounts` is the name of a section, or `CERTIFICATE`, or empty where nobody has a
    password; `identities` are the ``[identity NAME]`` sections beside it. With None,
    clients use the accounts of the upstreams in `trusted_upstreams`: their credentials
    are sent to these and to no other.
    `shared_actions` are the actions for which regbroker's own account at an upstream is
    shared with clients that have no credentials for it. `hosts` are those that ``*``
    stands for, also as ``*.DOMAIN``; all when empty. `extensions` are those of the API
    that are relayed, each with the ``_`` that it begins with. `robot_tokens` tells
    whether tokens of ``regbroker token create`` are taken as passwords. `tests` is a
    file that says what the rights are meant to be.
    """

    host: str
    mapping: NameMapping
    trusted_upstreams: tuple[str, ...] = ()
    token_path: str = "/auth"
    catalog: str = "filter"
    accounts: str | None = None
    identities: tuple[str, ...] = ()
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
    robot_tokens: bool = False
    tests: PurePath | None = None

    @property
    def upstreams(self) -> tuple[str, ...]:
        """The upstreams that its names lead to, in the order they are asked."""
        return self.mapping.upstreams


@dataclass(frozen=True, kw_only=True)
class Config:
    """
    Everything that serves is built from one of these.

    `upstreams`, `accounts`, `access` and `identities` are the sections of these kinds;
    a registry has the rules of its access section themselves. `mirrors` leads from the
    registry that a mirror stands for (the ``ns`` of a request) to the `host` of one of
    `registries`. Limits for connections that are None follow from how many files the
    process may open. Clients that connect with TLS are asked for a certificate that one
    of those in `client_ca` has issued. Health checks are answered at `health_path`, if
    it is not empty.
    `workers` processes serve clients, 0 for one per core; a service that a program
    embeds is always one.
    `metrics_repositories` tells whether repositories are counted by name. The process
    writes its log as ``log_format``, ``line`` or ``json``, and the audit log into the
    file `audit_log`; ``-`` is the log itself, and nothing is nowhere.
    `revoked_tokens` has the ids of robot tokens that are not taken any more;
    `robot_token_list` is where ``regbroker token create`` notes those that it makes.
    `file_warnings` are about lines of the file that none of these
    values holds.
    """

    registries: tuple[RegistryConfig, ...]
    upstreams: Mapping[str, UpstreamConfig]
    accounts: Mapping[str, AccountsConfig] = field(default_factory=dict)
    access: Mapping[str, AccessRules] = field(default_factory=dict)
    identities: Mapping[str, IdentityConfig] = field(default_factory=dict)
    certificates: tuple[CertificateFiles, ...] = ()
    listen: tuple[Listener, ...] = (DEFAULT_LISTENER,)
    state_directory: PurePath = DEFAULT_STATE_DIRECTORY
    trusted_proxies: tuple[Network, ...] = ()
    signing_key: PurePath | None = None
    denied_user_agents: re.Pattern[str] | None = OLD_DOCKER
    mirrors: Mapping[str, str] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    drain_timeout: float = DEFAULT_DRAIN_TIMEOUT
    workers: int = 1
    max_connections: int | None = None
    max_connections_per_address: int | None = None
    health_path: str = ""
    client_ca: PurePath | None = None
    admin_listen: tuple[Listener, ...] = ()
    metrics_repositories: bool = False
    log_format: str = "line"
    audit_log: PurePath | str = ""
    revoked_tokens: PurePath | None = None
    robot_token_list: PurePath | None = None
    file_warnings: tuple[str, ...] = ()

    @property
    def signs_tokens(self) -> bool:
        """Whether tokens of our own are signed."""
        return bool(self.accounts or self.identities)

    def in_use(self) -> Config:
        """Return the same without the upstreams and accounts that no registry uses."""
        upstreams = {name for entry in self.registries for name in entry.upstreams}
        accounts = {entry.accounts for entry in self.registries}
        identities = {name for entry in self.registries for name in entry.identities}
        return replace(
            self,
            upstreams={k: v for k, v in self.upstreams.items() if k in upstreams},
            accounts={k: v for k, v in self.accounts.items() if k in accounts},
            identities={k: v for k, v in self.identities.items() if k in identities},
        )
