"""What the tests of registries with several upstreams have in common."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from .case import API_NAME, ClientsTestCase, named
from .peers.certificates import Authority
from .peers.docker_registry import Access, DockerRegistry, Passwords, Tokens
from .peers.htpasswd import Htpasswd
from .peers.https_client import HttpsClient, Reply, basic, bearer
from .peers.image_push import push_image
from .peers.images import Image
from .peers.moody import Moody, Seen
from .peers.podman import Podman
from .peers.regbroker import Regbroker
from .peers.skopeo import Skopeo
from .peers.token_server import TokenRequest, TokenServer, User

ALL = frozenset({"pull", "push", "delete"})
PULL = frozenset({"pull"})

KEEPER = User("keeper's secret", {"*": ALL}, True)
"""Who fills the upstreams."""

UPSTREAM = """\
[upstream {name}]
url = {url}
ca-file = {authority}
{lines}

"""


class Source:
    """One upstream: a registry, its own token server, and a moody front before it."""

    def __init__(
        self,
        name: str,
        directory: Path,
        authority: Authority,
        users: Mapping[str, User],
        names: str,
        passwords: Path | None = None,
        redirect_to: str = "",
    ) -> None:
        """`names` is a regular expression for the names that lead here.

        With a file of `passwords` the registry wants Basic instead of tokens; with
        `redirect_to` it sends who wants a blob to a storage there.
        """
        self.name = name
        self.service = f"the service of {name}"
        self.names = re.compile(names)
        issuer = f"the issuer of {name}"
        self.token_server = TokenServer(
            authority, {**users, "keeper": KEEPER}, issuer=issuer
        )
        self.registry = DockerRegistry(
            directory,
            authority,
            Passwords(passwords)
            if passwords
            else Tokens(self.token_server.realm, self.service, issuer),
            tls=False,
            redirect_to=redirect_to,
        )
        self._wants_basic = passwords is not None
        self.registry.start()
        self.moody = Moody(authority, self.registry.port)

    def stop(self) -> None:
        """End all three."""
        self.moody.stop()
        self.registry.stop()
        self.token_server.stop()

    def section(self, root: Path, lines: str = "") -> str:
        """Its `[upstream NAME]`."""
        return UPSTREAM.format(
            name=self.name, url=self.moody.url, authority=root, lines=lines
        )

    def put(self, image: Image, name: str, tag: str) -> None:
        """Push an image past the moody front, which sees nothing of it."""
        scope = f"repository:{name}:pull,push"
        keeper = TokenRequest("GET", "keeper", "", self.service, (scope,), False)
        token, _ = self.token_server.grant(keeper)
        authorization = bearer(token)
        if self._wants_basic:
            authorization = {"Authorization": basic("keeper", KEEPER.password)}
        connection = http.client.HTTPConnection("127.0.0.1", self.registry.port)
        push_image(connection, authorization, image, name, tag)
        connection.close()

    def requests(self) -> list[Seen]:
        """What has reached it, but for pings."""
        return [one for one in self.moody.requests() if one.target != "/v2/"]

    def count(self) -> int:
        """How many `requests` there are."""
        return len(self.requests())

    def served(self) -> int:
        """How many requests its registry has answered."""
        return sum(one.passed_on for one in self.requests())

    def foreign_names(self) -> list[str]:
        """Names that reached the registry or its token server and are not theirs."""
        names = [
            name
            for seen in self.moody.requests()
            for name in named(Access(seen.method, seen.target, seen.status))
        ]
        for scope in self.token_server.scopes():
            kind, _, rest = scope.partition(":")
            if kind == "repository":
                names.append(rest.rpartition(":")[0])
        return [name for name in names if not self.names.match(name)]

    def foreign_authorizations(self) -> list[str]:
        """What reached the registry as Authorization and is nothing of its own."""
        known = {"", *(f"Bearer {token}" for token in self.token_server.issued)}
        seen = {one.authorization for one in self.moody.requests()} - known
        return [
            one for one in seen if not (self._wants_basic and one.startswith("Basic "))
        ]

    def addresses(self) -> list[str]:
        """What would give away where it is, or its token server."""
        ports = (self.moody.port, self.registry.port, self.token_server.port)
        return [
            f"{host}:{port}" for host in ("127.0.0.1", "localhost") for port in ports
        ]


class FrontsTestCase(ClientsTestCase):
    """regbroker in front of two upstreams with accounts of their own.

    When a test ends, whatever it did: neither upstream was asked about names of the
    other side or shown tokens of the other, clients have seen nothing of where they
    are, no secret is in regbroker's log, and the passwords of clients have reached
    those alone who are trusted with them.
    """

    users: Mapping[str, str] = {}
    """The passwords of clients."""

    hidden_words: tuple[str, ...] = ()
    """What clients must not see."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """The upstreams, the first one first."""
        raise NotImplementedError

    @property
    def trusted(self) -> tuple[Source, ...]:
        """Those that clients' passwords are sent to."""
        return self.sources[:1]

    def start_source(
        self,
        name: str,
        users: Mapping[str, User],
        names: str,
        passwords: Path | None = None,
        redirect_to: str = "",
    ) -> Source:
        """Start an upstream."""
        source = Source(
            name,
            self.source_directory(name),
            self.authority,
            users,
            names,
            passwords,
            redirect_to,
        )
        self.addCleanup(source.stop)
        return source

    def source_directory(self, name: str) -> Path:
        """Where an upstream's registry keeps what it has."""
        return self.directory / f"source-{name}"

    def start_regbroker(self, sections: str) -> None:
        """Start regbroker, with a client to ask it."""
        self.regbroker = Regbroker(
            self.directory / "regbroker", self.authority, sections
        )
        self.addCleanup(self.regbroker.stop)
        self.regbroker.start()
        self.addCleanup(self.assert_sides_kept_apart)
        self.host = self.regbroker.host
        self.https = HttpsClient(self.regbroker.port, self.root_pem, self.transcript)

    def own_account(self, user: str, password: str) -> str:
        """The lines of an upstream for regbroker's own account there."""
        path = self.directory / f"{user}.password"
        path.touch(mode=0o600)
        path.write_text(password)
        return f"username = {user}\npassword-file = {path}\n"

    def local_accounts(self, user: str, password: str, rights: str) -> str:
        """The sections for an account of regbroker's own."""
        htpasswd = Htpasswd(self.directory / "htpasswd")
        htpasswd.set(user, password)
        return (
            f"[accounts staff]\nhtpasswd = {htpasswd.path}\n\n"
            f"[access staff]\n{user} = {rights}\n"
        )

    @property
    def root(self) -> Path:
        """A file with the certificate that everybody trusts here."""
        path = self.directory / "root.crt"
        path.write_bytes(self.root_pem)
        return path

    def assert_sides_kept_apart(self) -> None:
        """See the class."""
        for source in self.sources:
            self.assertEqual(source.foreign_names(), [], source.name)
            self.assertEqual(source.foreign_authorizations(), [], source.name)
            if source not in self.trusted:
                asked = {one.secret for one in source.token_server.requests()}
                self.assertEqual(asked & set(self.users.values()), set(), source.name)
        addresses = [one for source in self.sources for one in source.addresses()]
        words = [*addresses, *self.hidden_words]
        self.assertEqual(self.transcript.occurrences(words), [])
        self.assertEqual(self.secrets_logged(), [])

    def secrets_logged(self) -> list[str]:
        """Passwords, however encoded, and tokens in regbroker's log."""
        tokens = [one for source in self.sources for one in source.token_server.issued]
        passwords = list(self.users.items())
        for source in self.sources:
            users = source.token_server.users
            passwords += [(name, user.password) for name, user in users.items() if name]
        return self.logged(tokens, passwords)

    # who asks

    def log_in(self, client: Skopeo | Podman, user: str, host: str = "") -> None:
        """Log in with the user's right password."""
        self.assert_done(client.login(host or self.host, user, self.users[user]))

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        host: str = "",
    ) -> Reply:
        """Send a request, to another host of regbroker's if one is given."""
        named_host = {"Host": host} if host else {}
        return self.https.request(method, target, {**named_host, **(headers or {})})

    def service(self, host: str = "") -> str:
        """What regbroker calls itself in its challenge, whose realm must be its own."""
        ping = self.request("GET", "/v2/", host=host)
        self.assertEqual(ping.status, 401, ping)
        challenge = ping.challenge()
        self.assertEqual(challenge["realm"], f"https://{host or self.host}/auth")
        return challenge["service"]

    def ask_token(
        self, user: str, *scopes: str, host: str = "", password: str | None = None
    ) -> Reply:
        """Ask for a token; without a user, anonymously."""
        query = [("service", self.service(host))]
        query += [("scope", scope) for scope in scopes]
        words = "&".join(f"{name}={quote(value, safe='')}" for name, value in query)
        given = self.users.get(user, "") if password is None else password
        headers = {"Authorization": basic(user, given)} if user else {}
        return self.request("GET", f"/auth?{words}", headers, host)

    def token(self, user: str, *scopes: str, host: str = "") -> dict[str, str]:
        """The Authorization header for a token with the part of the scopes granted."""
        reply = self.ask_token(user, *scopes, host=host)
        self.assertEqual(reply.status, 200, reply)
        return bearer(reply.json()["token"])

    # what comes back

    def assert_oci_error(self, reply: Reply, status: int, code: str) -> None:
        """An error as the specification has it."""
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.error_codes(), [code], reply)
        self.assertEqual(reply.one("Docker-Distribution-Api-Version"), "registry/2.0")


def repositories(seen: list[Seen]) -> set[str]:
    """The repositories that requests were about."""
    paths = (unquote(urlsplit(one.target).path) for one in seen)
    return {match[1] for path in paths if (match := API_NAME.match(path))}
