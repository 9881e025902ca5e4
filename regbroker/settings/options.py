"""
The options of the ini file: one table for each kind of section.

Of these tables come the reading of a file (`regbroker.settings.section`), what is said
about unknown options, and `docs/configuration.md`. Defaults are those of the values in
`regbroker.settings.config`. The module stays whole: to add an option is to add a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, MISSING, dataclass, fields
from typing import Any

from regbroker.protocol.own_address import SHOW_ADDRESS
from regbroker.settings import addresses, endpoints, identities, values
from regbroker.settings.config import (
    AccountsConfig,
    Config,
    IdentityConfig,
    LdapConfig,
    RegistryConfig,
    RobotsConfig,
    UpstreamConfig,
)
from regbroker.transport.listening.listeners import CertificateFiles
from regbroker.transport.server.pace import Pace


@dataclass(frozen=True)
class Option:
    """
    One option; `meaning` is for people.

    `parse` returns its value, or raises `regbroker.settings.values.InvalidValue`; it is
    None where the value names other sections (`regbroker.settings.references`). The
    value becomes the `field` of the configuration that `sets` names, by default the one
    with the option's own name. `default` is for people, where the default of the field
    does not say it. `required` tells what to write when the option is missing. With
    `is_file` the value is the path of a file that must be readable, or a tuple of such
    paths.
    """

    name: str
    parse: Callable[[str], Any] | None
    meaning: str
    _: KW_ONLY
    sets: str = ""
    default: str = ""
    required: str = ""
    is_file: bool = False

    @property
    def field(self) -> str:
        """The field that the option sets."""
        return self.sets or self.name.replace("-", "_")


@dataclass(frozen=True)
class Table:
    """Options, and the class of the values whose fields they become."""

    value_class: type
    options: tuple[Option, ...]

    def default(self, option: Option) -> str:
        """Return an option's default as it is written; '' when there is none."""
        if option.default:
            return option.default
        value = next(
            (f.default for f in fields(self.value_class) if f.name == option.field),
            MISSING,
        )
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:g}"
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Kind:
    """A kind of section: how its title is written, and what it is about."""

    title: str
    meaning: str
    tables: tuple[Table, ...]


REGBROKER = Table(
    Config,
    (
        Option(
            "listen",
            endpoints.listeners,
            "Where to listen, one endpoint a line: `tls:PORT`, `tcp:PORT`, "
            "`tls:PORT:interface=ADDRESS`, `unix:PATH`, `tls:systemd:domain=INET:"
            "index=0`. `redirect:PORT` answers every request with the https URL of the "
            "same (308). `unix:PATH:mode=660:user=NAME:group=NAME` says whose the "
            "socket is. With `proxy:` in front, connections begin with a PROXY line.",
            default=Config.listen[0].text,
        ),
        Option(
            "state-directory",
            values.path,
            "The directory for what outlives a restart: the self-signed certificate, "
            "the signing key, the images of the sandbox.",
            default=str(Config.state_directory),
        ),
        Option(
            "trusted-proxies",
            addresses.networks,
            "Addresses or networks whose `X-Forwarded-*` headers and PROXY lines are "
            "believed. `unix` stands for whoever connects to a `unix:` listener.",
        ),
        Option(
            "signing-key",
            values.path,
            "A file with keys (P-256, PEM) that several machines share. The first key "
            "signs, all keys verify.",
            default="a key in the state directory",
            is_file=True,
        ),
        Option(
            "deny-user-agents",
            values.pattern,
            "Regular expressions, one a line, matched at the beginning of "
            "`User-Agent`: these clients get 404. Empty: no client is refused.",
            sets="denied_user_agents",
            default="docker before 1.6",
        ),
        Option(
            "ns",
            addresses.mirrors,
            "`SOURCE = HOST`, one a line: requests with `ns=SOURCE` are served by "
            "`[registry HOST]`, for mirrors of containerd.",
            sets="mirrors",
        ),
        Option(
            "drain-timeout",
            values.seconds,
            "Seconds that transfers have to end when regbroker is told to stop.",
        ),
        Option(
            "workers",
            values.workers,
            "How many processes serve clients; `auto`: one for each core. With more "
            "than one, another process in front of them opens the sockets, and starts "
            "a worker again that has ended.",
            default="1",
        ),
        Option(
            "max-connections",
            values.count,
            "Client connections at the same time.",
            default="from the number of files that the process may open",
        ),
        Option(
            "max-connections-per-address",
            values.count,
            "Client connections at the same time from one address (IPv6: one /64).",
            default="from the number of files that the process may open",
        ),
        Option(
            "health-path",
            addresses.health_path,
            "A path such as `/healthz` on every listener where balancers ask whether "
            "to send clients here: 200, and 503 while regbroker drains. Whatever the "
            "Host, without accounts, and not in the log.",
        ),
        Option(
            "client-ca",
            values.path,
            "The certificates that clients' certificates are checked against. Clients "
            "are asked for one on every `tls:` listener; a client without one may go "
            "on. Registries with `accounts = certificate` need it.",
            is_file=True,
        ),
        Option(
            "admin-listen",
            endpoints.admin_listeners,
            "Where `/live`, `/ready`, `/metrics` and the status page are, one endpoint "
            "a line: `tcp:PORT` on loopback, `unix:PATH`. Without accounts and TLS: "
            "whoever reaches it may read it. Addresses that others reach need "
            "`public:` in front, as in `public:tcp:9180`.",
        ),
        Option(
            "metrics-repositories",
            values.yes_or_no,
            "Whether `/metrics` counts requests by repository, with the public names.",
        ),
        Option(
            "log-format",
            values.one_of("line", "json"),
            "`line`: lines for people. `json`: one JSON object on each line.",
        ),
        Option(
            "audit-log",
            values.log_destination,
            "A file for logins, refusals, pushes, deletes and configurations, as JSON "
            "lines; `-` for the log itself.",
        ),
        Option(
            "revoked-tokens",
            values.path,
            "The file with the ids of robot tokens that are not taken any more, one a "
            "line; `regbroker token revoke` adds them. Changes count within a second. "
            "Registries with `robot-tokens = yes` need it.",
            is_file=True,
        ),
        Option(
            "robot-token-list",
            values.path,
            "The file in which `regbroker token create` notes what it has made, never "
            "the token itself, for `regbroker token list`.",
        ),
    ),
)

PACE = Table(
    Pace,
    (
        Option(
            "client-timeout",
            values.seconds,
            "After so many seconds without a byte from a client, its request ends with "
            "408, or its idle connection is closed.",
            sets="silence",
        ),
        Option(
            "body-timeout",
            values.seconds,
            "Seconds for a body that is read whole, such as a form.",
            sets="whole",
        ),
        Option(
            "min-upload-rate",
            values.rate,
            "Bytes per second below which an upload ends; 0 for no limit.",
            sets="rate",
        ),
    ),
)

TLS = Table(
    CertificateFiles,
    (
        Option(
            "certificate",
            values.path,
            "A file with the certificate and its chain, PEM.",
            is_file=True,
        ),
        Option(
            "key", values.path, "A file with the certificate's key, PEM.", is_file=True
        ),
    ),
)

REGISTRY = Table(
    RegistryConfig,
    (
        Option(
            "upstream",
            None,
            "The `[upstream NAME]` that holds the images, or several with commas, in "
            "the order in which they are asked.",
            default="those that the rules name",
        ),
        Option(
            "namespaces",
            None,
            "The rules between public and upstream names, one a line: `team = "
            "acme_team`, `* = acme_*`, `quay/* = quay:*`.",
            sets="mapping",
            required="write 'team = acme_team', or '* = *' to leave every name as it "
            "is",
        ),
        Option(
            "accounts",
            None,
            "Who may log in: `upstream` for the accounts of the first upstream, "
            "`upstream: NAME, NAME` for those of several, or the name of an "
            "`[accounts NAME]` section, of `[identity NAME]` sections, or of both, "
            "with commas. `certificate`: the Common Name of the client's "
            "certificate is the user; see `client-ca`.",
            default="upstream",
        ),
        Option(
            "access",
            None,
            "The `[access NAME]` section with the rights of the accounts.",
            default="the section with the name of `accounts`",
        ),
        Option(
            "token-path",
            addresses.token_path,
            "The path of the token service that clients are sent to.",
        ),
        Option(
            "token-life",
            values.token_life,
            "Seconds that regbroker's own tokens are valid. Needs `accounts = NAME`.",
        ),
        Option(
            "challenge",
            values.is_basic,
            "What clients are asked for: `bearer` for tokens, `basic` for a password "
            "with each request. Needs `accounts = NAME`.",
            sets="basic_challenge",
            default="bearer",
        ),
        Option(
            "anonymous",
            values.shared_actions,
            "`shared`: clients without credentials use regbroker's own account at the "
            "upstream, for pulls; `shared: pull, push` allows more. Needs `accounts = "
            "upstream`.",
            sets="shared_actions",
        ),
        Option(
            "public-url",
            addresses.public_url,
            "The URL with which clients reach this registry, if a proxy in front "
            "hides it.",
        ),
        Option(
            "hosts",
            addresses.public_hosts,
            "In `[registry *]`: the hosts that it serves, also as `*.DOMAIN`. Other "
            "hosts get 421.",
            default="every host",
        ),
        Option(
            "redirects",
            values.one_of("pass", "follow"),
            "`pass`: clients get the redirects of pulls. `follow`: regbroker fetches "
            "the content for them.",
        ),
        Option(
            "catalog",
            values.one_of("filter", "deny"),
            "`filter`: `_catalog` lists what is served here. `deny`: it is 404.",
        ),
        Option(
            "writes",
            values.one_of("allow", "deny"),
            "`deny`: pushes and deletes get 405 and never reach the upstream.",
        ),
        Option(
            "cors-origins",
            addresses.cors_origins,
            "Origins of web pages that may use this registry from a browser, or `*` "
            "for every page, then without credentials.",
        ),
        Option(
            "extensions",
            values.extensions,
            "Extensions of the API that are relayed, such as `_oci`. Others are 404.",
        ),
        Option(
            "robot-tokens",
            values.yes_or_no,
            "Whether tokens of `regbroker token create` are taken as passwords. Needs "
            "`accounts = NAME`.",
        ),
        Option(
            "tests",
            values.path,
            "A file of lines such as `alice pull team/app: allowed`: what the rights "
            "are meant to be. `regbroker check` fails where they are something else.",
        ),
    ),
)

UPSTREAM = Table(
    UpstreamConfig,
    (
        Option(
            "url",
            addresses.upstream_url,
            "`https://HOST`, with a port and a path if need be; `http://HOST` in a "
            "network of your own; `unix:/PATH` for a unix socket; `sandbox:` for a "
            "small registry inside regbroker.",
            sets="origin",
            required="write https://HOST, or sandbox: to try things out",
        ),
        Option(
            "users",
            values.users,
            "The accounts of the sandbox, one `name:password` a line.",
        ),
        Option(
            "username",
            values.username,
            "The user of regbroker's own account at the upstream.",
        ),
        Option(
            "password-file",
            values.path,
            "A file that holds the password of `username`, and nothing else. It is "
            "read again when it changes.",
            is_file=True,
        ),
        Option(
            "password-env",
            values.variable,
            "An environment variable that holds the password, instead of a file.",
        ),
        Option(
            "credential-helper",
            values.helper_name,
            "NAME of a program `docker-credential-NAME` that returns user and "
            "password, instead of `username`.",
        ),
        Option(
            "credential-server",
            addresses.credential_server,
            "What the helper is asked for: a host or a URL.",
            default="what docker asks for",
        ),
        Option(
            "ca-file",
            values.path,
            "The certificates that the upstream's certificate is checked against.",
            default="those of the system",
            is_file=True,
        ),
        Option(
            "client-certificate",
            values.path,
            "A file with a certificate and its chain, PEM, that regbroker shows to the "
            "upstream and its token service if they ask for one.",
            is_file=True,
        ),
        Option(
            "client-key",
            values.path,
            "A file with the key of `client-certificate`, PEM.",
            is_file=True,
        ),
        Option(
            "proxy",
            addresses.proxy,
            "`http://HOST:PORT`: the proxy through which regbroker reaches the "
            "upstream, its token service and its storages, with CONNECT. "
            "`environment`: what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; "
            "without it they have no effect.",
        ),
        Option(
            "proxy-credentials-file",
            values.path,
            "A file that holds `USER:PASSWORD` for the proxy, and nothing else. It is "
            "read again when it changes.",
            is_file=True,
        ),
        Option(
            "timeout",
            values.seconds,
            "Seconds without a byte in either direction after which a request ends.",
        ),
        Option(
            "connect-timeout",
            values.seconds,
            "Seconds in which a connection must be made.",
        ),
        Option(
            "answer-timeout",
            values.seconds,
            "Seconds in which an answer must begin, if there is another upstream to "
            "ask.",
        ),
        Option(
            "manifest-cache",
            values.size,
            "How much memory manifests may take, such as `64M`. One that is there "
            "is not fetched again; the upstream is asked with `HEAD` each time whether "
            "the client may have it. 0: nothing is kept.",
        ),
        Option(
            "default-namespace",
            values.namespace,
            "The namespace of names without one: `library` at Docker Hub.",
        ),
        Option(
            "redirect-hosts",
            addresses.hosts,
            "With `redirects = follow`: hosts that the upstream may redirect to even "
            "if their addresses are not public.",
        ),
        Option(
            "redirect-paths",
            addresses.path_prefixes,
            "With `redirects = follow`: beginnings of paths on the upstream's own "
            "host, outside /v2, that it may redirect to.",
        ),
        Option(
            "show-address",
            values.one_of(*SHOW_ADDRESS),
            "Whether a redirect may show clients where the upstream is: `if-public`, "
            "`yes` or `no`.",
        ),
        Option(
            "token-hosts",
            addresses.hosts,
            "Hosts of the upstream's token service, when they are neither the "
            "upstream's own nor in the same registered domain.",
        ),
        Option(
            "realm",
            addresses.realm,
            "The URL of the token service, whatever the upstream names.",
            default="what the upstream names",
        ),
        Option(
            "service",
            values.service,
            "The name by which that token service knows the registry. Needs `realm`.",
            default="what the upstream names",
        ),
        Option(
            "search-url",
            addresses.search_url,
            "The service that answers searches; `https://index.docker.io` for Docker "
            "Hub.",
        ),
    ),
)

ACCOUNTS = Table(
    AccountsConfig,
    (
        Option(
            "htpasswd",
            values.paths,
            "Files that htpasswd writes, one a line.",
            sets="sources",
            is_file=True,
        ),
        Option(
            "application",
            values.yes_or_no,
            "`yes`: the application that embeds regbroker brings accounts. They are "
            "asked last.",
        ),
    ),
)

LDAP = Table(
    LdapConfig,
    (
        Option(
            "ldap",
            addresses.ldap_url,
            "A directory (RFC 4516): host, base, the attribute that is the user's "
            "name, scope, filter.",
            sets="url",
        ),
        Option(
            "ldap-start-tls",
            values.yes_or_no,
            "Whether `ldap://` is upgraded with StartTLS. `no` sends passwords in the "
            "clear.",
            sets="start_tls",
        ),
        Option(
            "ldap-ca-file",
            values.path,
            "The certificates that the directory's certificate is checked against.",
            sets="ca_file",
            default="those of the system",
            is_file=True,
        ),
        Option(
            "ldap-bind-dn",
            values.distinguished_name,
            "The DN that regbroker searches with, if the directory refuses anonymous "
            "searches.",
            sets="bind_dn",
        ),
        Option(
            "ldap-bind-password-file",
            values.path,
            "A file that holds the password of `ldap-bind-dn`.",
            sets="bind_password_file",
            is_file=True,
        ),
        Option(
            "ldap-group-base",
            str,
            "Where groups are. Without it, a user has those that `memberOf` of the "
            "entry names.",
            sets="group_base",
        ),
        Option(
            "ldap-group-filter",
            str,
            "Which groups are the user's, with `${dn}` and `${user}`.",
            sets="group_filter",
            default="members by DN or by name",
        ),
    ),
)

ROBOTS = Table(
    RobotsConfig,
    (
        Option(
            "robots",
            values.robots,
            "Users without a password, one a line: robot tokens are their only way in.",
            sets="users",
        ),
    ),
)

IDENTITY = Table(
    IdentityConfig,
    (
        Option(
            "issuer",
            identities.issuer,
            "Who signs the JWTs: an https URL, byte for byte as `iss` has it.",
            required="write https://HOST, exactly as iss in the tokens",
        ),
        Option(
            "audience",
            identities.audience,
            "What `aud` must name, one of several: tokens for other services are "
            "refused.",
            required="write what aud is in tokens for this registry, for example its "
            "host",
        ),
        Option(
            "jwks",
            identities.keys,
            "Where the issuer's keys (JWKS) are: an https URL, or a file if the issuer "
            "cannot be reached. A file is read again when it changes.",
            default="what `/.well-known/openid-configuration` of the issuer says",
        ),
        Option(
            "ca-file",
            values.path,
            "The certificates that the issuer's certificate is checked against.",
            default="those of the system",
            is_file=True,
        ),
        Option(
            "algorithms",
            identities.algorithms,
            "The signatures that are taken: RS256 to RS512, PS256 to PS512, ES256, "
            "ES384, ES512, EdDSA.",
            default=", ".join(IdentityConfig.algorithms),
        ),
        Option(
            "leeway",
            identities.leeway,
            "Seconds by which the issuer's clock may differ, up to 300.",
        ),
        Option(
            "required-claims",
            identities.required_claims,
            "Conditions that all tokens must fulfil, `claim=text` with commas or lines "
            "between them: others are refused. `*` stands for any text, `|` for or.",
        ),
        Option(
            "user",
            identities.user,
            "The user for the log, made of claims, such as `ci:${repository}`. Nobody "
            "else can have a name that it makes.",
            default="`NAME:${sub}`",
        ),
        Option(
            "groups",
            identities.groups,
            "Groups made of claims, one a line, such as `team:${groups}`: one for each "
            "value of a list. Rights are given to `@team:NAME` then.",
        ),
        Option(
            "conditions",
            identities.conditions,
            "Named conditions, `NAME = EXPRESSION` one a line, in CEL over `claims`; "
            "for rights as `identity[NAME]`. Needs `regbroker[cel]`.",
        ),
        Option(
            "proxy",
            addresses.proxy,
            "The proxy through which regbroker reaches the issuer, as in "
            "`[upstream NAME]`.",
        ),
        Option(
            "proxy-credentials-file",
            values.path,
            "A file that holds `USER:PASSWORD` for the proxy, and nothing else. It is "
            "read again when it changes.",
            is_file=True,
        ),
    ),
)

#: The kinds of sections. In ``[access NAME]``, the options are users and groups.
KINDS = {
    "regbroker": Kind(
        "[regbroker]",
        "The process as a whole: where it listens, what it keeps, whom it believes.",
        (REGBROKER, PACE),
    ),
    "tls": Kind(
        "[tls]",
        "A certificate. `[tls HOST]` and `[tls *.DOMAIN]` hold more of them, picked by "
        "the host that the client asks for. Without any, regbroker makes a self-signed "
        "one.",
        (TLS,),
    ),
    "registry": Kind(
        "[registry HOST]",
        "A host that clients write before an image's name, without its port. "
        "`[registry *]` serves every host that has no section of its own.",
        (REGISTRY,),
    ),
    "upstream": Kind(
        "[upstream NAME]", "A registry that holds the images.", (UPSTREAM,)
    ),
    "accounts": Kind(
        "[accounts NAME]",
        "Accounts of regbroker's own, asked in the order in which they are written.",
        (ACCOUNTS, LDAP, ROBOTS),
    ),
    "identity": Kind(
        "[identity NAME]",
        "An issuer of signed tokens (JWT), as CI services and clusters have one: who "
        "shows such a token needs no password. Registries name it in `accounts`, and "
        "`[access NAME]` gives rights by claims.",
        (IDENTITY,),
    ),
}


def names(kind: str) -> list[str]:
    """Return the names of the options that a kind of section has."""
    return [option.name for table in KINDS[kind].tables for option in table.options]


def section_of(option: str) -> str | None:
    """Return the section that an option belongs in, or several, as it is written."""
    titles = [kind.title for name, kind in KINDS.items() if option in names(name)]
    return " or ".join(titles) or None
