"""What the tests of accounts, rights and our own account upstream have in common."""

from __future__ import annotations

import base64
import os
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

from .case import PeersTestCase
from .peers.docker_registry import Access, DockerRegistry, Passwords
from .peers.htpasswd import Htpasswd
from .peers.https_client import HttpsClient, Reply, basic, bearer
from .peers.image_push import connect, push_image
from .peers.images import TAG, Image
from .peers.processes import poll
from .peers.regbroker import Regbroker
from .peers.signing import claims_of
from .peers.skopeo import Skopeo

PASSWORDS = {
    name: f"{name}'s sécret + more"
    for name in ("alice", "bob", "carol", "dora", "keeper")
}
"""With characters that are written otherwise in URLs and in base64."""

WRONG = "nobody's sécret + more"
"""What is nobody's password."""

NAMESPACES = """\
    team = acme_team
    lib/* = mirror/lib_*
    home = people
"""

RIGHTS = """\
alice =
    team/**: pull, push
    lib/**: pull
bob = team/**: pull
carol = team/**: pull, delete
dora = team/web, lib/**: catalog
keeper = **: *
authenticated = home/${user}/**: pull, push
anonymous = lib/open*: pull
"""

REGISTRY = """\
[registry localhost]
upstream = up
token-path = /auth
accounts = staff
{registry}
namespaces =
{namespaces}
"""

UPSTREAM = """\
[upstream up]
url = {url}
{upstream}
"""

ACCOUNTS = """\
[accounts staff]
htpasswd = {htpasswd}

[access staff]
{rights}
"""

SOON_SECONDS = 10.0
"""`within seconds`, on a machine that may be busy."""

TICKS = os.sysconf("SC_CLK_TCK")


class AccountsTestCase(PeersTestCase):
    """regbroker with accounts of its own in front of a registry.

    When a test ends, whatever it did, no secret that it used may be in regbroker's
    log, however encoded.
    """

    def setUp(self) -> None:
        super().setUp()
        self.secrets = {WRONG}
        self.ca_file = self.directory / "root.crt"
        self.ca_file.write_bytes(self.root_pem)
        self.htpasswd = Htpasswd(self.directory / "htpasswd")
        for user, password in PASSWORDS.items():
            self.set_password(user, password)

    def set_password(self, user: str, password: str, *options: str) -> None:
        """Give a local user a password."""
        self.add_secret(password)
        self.htpasswd.set(user, password, *options)

    def add_secret(self, secret: str) -> None:
        """Remember what must not be in the log."""
        self.secrets.add(secret)

    def start_registry(
        self, authentication: Passwords | None = None, *, tls: bool = False
    ) -> None:
        """Start an upstream: by default one without any authentication."""
        self.registry = DockerRegistry(
            self.directory / "registry", self.authority, authentication, tls=tls
        )
        self.addCleanup(self.registry.stop)
        self.registry.start()

    def sections(
        self,
        *,
        registry: str = "",
        upstream: str = "",
        accounts: str | None = None,
    ) -> str:
        """The configuration; the arguments are lines to add to its sections.

        `accounts` are the sections of accounts and rights instead of ours.
        """
        if self.registry.url.startswith("https:"):
            upstream += f"\nca-file = {self.ca_file}"
        if accounts is None:
            accounts = ACCOUNTS.format(htpasswd=self.htpasswd.path, rights=RIGHTS)
        return (
            REGISTRY.format(registry=registry, namespaces=NAMESPACES)
            + UPSTREAM.format(url=self.registry.url, upstream=upstream)
            + accounts
        )

    def start_local(self, sections: str, name: str = "regbroker") -> Regbroker:
        """Start a regbroker over TLS; what it logs is searched when the test ends."""
        regbroker = Regbroker(
            self.directory / name,
            self.authority,
            sections,
            main=self.main,
            environment=self.environment(),
        )
        self.addCleanup(self.assert_nothing_secret_logged, regbroker)
        self.addCleanup(regbroker.stop)
        regbroker.start()
        return regbroker

    main = ""
    """Lines of [regbroker]."""

    def environment(self) -> dict[str, str]:
        """What is special in regbroker's environment."""
        return {}

    def use(self, regbroker: Regbroker) -> None:
        """Send requests to this one."""
        self.regbroker = regbroker
        self.host = regbroker.host
        self.https = self.client()

    def client(self, address: str = "127.0.0.1") -> HttpsClient:
        """A client at some address."""
        return HttpsClient(self.regbroker.port, self.root_pem, self.transcript, address)

    def assert_nothing_secret_logged(self, regbroker: Regbroker) -> None:
        """No password, token or key is in the log, however encoded."""
        log = regbroker.log()
        self.assertEqual(
            [
                secret
                for secret in self.secrets
                if any(form in log for form in forms(secret))
            ],
            [],
        )

    def hashing_seconds(self) -> float:
        """How long regbroker's threads, which do nothing but hash, have computed."""
        ticks = 0
        for task in Path(f"/proc/{self.regbroker.pid}/task").iterdir():
            if task.name != str(self.regbroker.pid):
                # the name of the program, in brackets, may have spaces
                fields = (task / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    # who asks

    def as_user(self, user: str, password: str | None = None) -> dict[str, str]:
        """The Authorization header with a user's password."""
        given = PASSWORDS[user] if password is None else password
        self.add_secret(given)
        return {"Authorization": basic(user, given)}

    def ask_token(
        self,
        user: str,
        *scopes: str,
        password: str | None = None,
        client: HttpsClient | None = None,
        **parameters: str,
    ) -> Reply:
        """Ask for a token; without a user, anonymously."""
        given = PASSWORDS.get(user, "") if password is None else password
        if given:
            self.add_secret(given)
        reply = (client or self.https).get_token(
            "/auth", user, given, *scopes, **parameters
        )
        self.note_tokens(reply)
        return reply

    def post_token(self, **form: str) -> Reply:
        """Ask for a token with a form."""
        for name in ("password", "refresh_token"):
            if name in form:
                self.add_secret(form[name])
        reply = self.https.post_token("/auth", **form)
        self.note_tokens(reply)
        return reply

    def note_tokens(self, reply: Reply) -> None:
        """Remember the tokens in a reply as secrets."""
        if reply.status == 200:
            document = reply.json()
            for name in ("token", "access_token", "refresh_token"):
                if name in document:
                    self.add_secret(document[name])

    def token(self, user: str, *scopes: str) -> dict[str, str]:
        """The Authorization header for a token with the part that is granted."""
        reply = self.ask_token(user, *scopes)
        self.assertEqual(reply.status, 200, reply)
        return bearer(reply.json()["token"])

    def log_in(self, client: Skopeo, user: str) -> None:
        """Log in with the user's password."""
        self.assert_done(client.login(self.host, user, PASSWORDS[user]))

    # what is there

    def put_upstream(self, image: Image, *names: str) -> None:
        """Push an image as `NAME:TAG` straight to an upstream without accounts."""
        with closing(connect(self.registry, self.root_pem)) as connection:
            for each in names:
                name, _, tag = each.partition(":")
                push_image(connection, {}, image, name, tag or TAG)

    # what comes back

    def assert_oci_error(self, reply: Reply, status: int, code: str) -> None:
        """An error as the specification has it."""
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.error_codes(), [code], reply)
        self.assertEqual(reply.one("Docker-Distribution-Api-Version"), "registry/2.0")

    def upstream_requests_until(self, marker: str) -> list[Access]:
        """The registry's log once a target with `marker` is in it."""
        poll(
            lambda: any(marker in one.target for one in self.registry.requests()),
            f"{marker} in the registry's log",
        )
        return self.registry.requests()


class BareRegistryTestCase(AccountsTestCase):
    """`docker-registry` without authentication, over plain HTTP if nothing is said."""

    def setUp(self) -> None:
        super().setUp()
        self.start_registry(tls=self.tls_upstream)
        self.start_regbroker()

    tls_upstream = False

    def start_regbroker(self) -> None:
        """Start regbroker as the class wants it."""
        self.use(self.start_local(self.sections()))

    def granted(self, reply: Reply) -> dict[str, list[str]]:
        """The actions by name that the token in a reply is good for."""
        self.assertEqual(reply.status, 200, reply)
        access = claims_of(reply.json()["token"])["access"]
        return {f"{one['type']}:{one['name']}": one["actions"] for one in access}

    def get(self, target: str, headers: dict[str, str] | None = None) -> Reply:
        """Send a GET."""
        return self.https.request("GET", target, headers)

    def post_upload(self, name: str, headers: dict[str, str], query: str = "") -> Reply:
        """Ask for an upload; it is taken back."""
        target = f"/v2/{name}/blobs/uploads/{query}"
        reply = self.https.request("POST", target, headers)
        if reply.status == 202:
            self.https.request("DELETE", reply.location(), headers)
        return reply


def forms(secret: str) -> list[str]:
    """How a secret may be written."""
    users = ["", *(f"{user}:" for user in (*PASSWORDS, "robot", "oidc"))]
    raw = [(user + secret).encode() for user in users]
    return [
        secret,
        repr(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        *(base64.b64encode(text).decode().rstrip("=") for text in raw),
        *(base64.urlsafe_b64encode(text).decode().rstrip("=") for text in raw),
    ]
