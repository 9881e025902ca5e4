"""What the tests with real peers have in common."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, quote, quote_plus, unquote, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from .peers.certificates import Authority
from .peers.containerd import Containerd
from .peers.docker import Docker
from .peers.docker_registry import Access, DockerRegistry, Tokens
from .peers.https_client import HttpsClient, Reply, basic, bearer
from .peers.image_push import connect, push_image
from .peers.images import TAG, Image, make_image
from .peers.podman import Podman
from .peers.processes import Finished, poll, require_programs
from .peers.regbroker import Regbroker
from .peers.skopeo import Skopeo
from .peers.token_server import ISSUER, SERVICE, TokenRequest, TokenServer, User
from .peers.transcript import Transcript

PULL = frozenset({"pull"})
ALL = frozenset({"pull", "push", "delete"})

USERS = {
    "alice": User("alice's secret", {"acme_team/*": ALL, "mirror/lib_*": PULL}, True),
    "bob": User("bob's secret", {"acme_team/*": PULL}),
    "carol": User("carol's secret", {"acme_team/app": ALL, "acme_team/mine": ALL}),
    "keeper": User("keeper's secret", {"*": ALL}, True),
}

SECTIONS = """\
[registry localhost]
upstream = up
token-path = /auth
accounts = upstream
{registry}
namespaces =
    team = acme_team
    lib/* = mirror/lib_*

{more}
[upstream up]
url = {url}
ca-file = {authority}
{upstream}
"""

UPSTREAM_NAMES = re.compile(r"acme_team/|mirror/lib_|private/")
UPSTREAM_WORDS = ("acme_", "mirror/", "mirror%2F", "private/", "private%2F")
"""`private/` is what the upstream holds and no rule maps."""

API_NAME = re.compile(r"^/v2/(.+)/(?:manifests|blobs|tags|referrers)(?:/|$)")


class PeersTestCase(SynchronousTestCase):
    """A directory, an authority and a transcript; everything ends with the test.

    Subclasses add lines to the configuration: to [regbroker], to the registry, and
    whole sections.
    """

    main = ""
    registry_options = ""
    more_sections = ""

    upstream_sections = SECTIONS

    def setUp(self) -> None:
        # not trial's own: a socket's path may have no more than 107 characters
        # and podman reads no oci: path with "-_" in it, which mkdtemp may make.
        name = f"peers-{secrets.token_hex(6)}"
        self.directory = Path(tempfile.gettempdir(), name)
        self.directory.mkdir(mode=0o700)
        self.addCleanup(shutil.rmtree, self.directory)
        self.authority = Authority()
        self.transcript = Transcript()

    def start_upstream(self) -> None:
        """Start a registry and its token server."""
        require_programs("docker-registry")
        self.token_server = TokenServer(self.authority, USERS)
        self.addCleanup(self.token_server.stop)
        self.registry = self.make_registry()
        self.addCleanup(self.registry.stop)
        self.registry.start()

    def make_registry(self) -> DockerRegistry:
        """The registry, which believes the token server."""
        return DockerRegistry(self.directory / "registry", self.authority, self.tokens)

    @property
    def tokens(self) -> Tokens:
        """What a registry must know of the token server."""
        return Tokens(self.token_server.realm, SERVICE, ISSUER)

    def make_skopeo(self, name: str = "skopeo") -> Skopeo:
        """A skopeo of its own."""
        return Skopeo(self.directory / name, self.root_pem, self.transcript)

    def start_docker(self, mirror: str = "") -> Docker:
        """A dockerd of its own, running; `mirror` is where it looks first."""
        directory = self.directory / "docker"
        docker = Docker(directory, self.root_pem, self.transcript, mirror)
        self.addCleanup(docker.stop)
        return docker

    def make_podman(self) -> Podman:
        """A podman of its own."""
        return Podman(self.directory / "podman", self.root_pem, self.transcript)

    def start_containerd(self) -> Containerd:
        """A containerd of its own, running."""
        containerd = Containerd(
            self.directory / "containerd", self.root_pem, self.transcript
        )
        self.addCleanup(containerd.stop)
        return containerd

    def make_image(self, name: str = "image") -> Image:
        """An image like no other."""
        return make_image(self.directory / name)

    def import_image(self, containerd: Containerd, image: Image) -> str:
        """Put an image into containerd's store; how it is called there."""
        archive = self.directory / "image.tar"
        image.write_archive(archive)
        self.assert_done(containerd.import_archive(archive, "local/image"))
        return "local/image:latest"

    def assert_done(self, finished: Finished) -> Finished:
        """The command succeeded."""
        self.assertEqual(finished.status, 0, finished.output)
        return finished

    def assert_refused(self, finished: Finished, words: str) -> None:
        """The command failed and said something that matches `words`."""
        self.assertNotEqual(finished.status, 0, finished.output)
        self.assertRegex(finished.output, words)

    def start_regbroker_for(self, url: str, upstream: str = "") -> None:
        """Start regbroker in front of some upstream, with a client to ask it.

        `upstream` are lines to add to the upstream's section.
        """
        root = self.directory / "root.crt"
        root.write_bytes(self.root_pem)
        self.regbroker = Regbroker(
            self.directory / "regbroker",
            self.authority,
            self.upstream_sections.format(
                url=url,
                authority=root,
                registry=self.registry_options,
                more=self.more_sections,
                upstream=upstream,
            ),
            main=self.main,
        )
        self.addCleanup(self.regbroker.stop)
        self.regbroker.start()
        self.host = self.regbroker.host
        self.https = HttpsClient(self.regbroker.port, self.root_pem, self.transcript)

    @property
    def root_pem(self) -> bytes:
        """The certificate that everybody trusts here."""
        return self.authority.certificate_pem()


class ClientsTestCase(PeersTestCase):
    """Clients that trust regbroker, and a look for secrets in its log."""

    def make_podman(self) -> Podman:
        podman = super().make_podman()
        podman.trust(self.host)
        return podman

    def start_containerd(self) -> Containerd:
        containerd = super().start_containerd()
        containerd.trust(self.host)
        return containerd

    def logged(
        self, tokens: Iterable[str], passwords: Iterable[tuple[str, str]]
    ) -> list[str]:
        """Which of these tokens and passwords, however encoded, are in the log."""
        secrets = list(tokens)
        for user, password in passwords:
            credentials = basic(user, password).removeprefix("Basic ")
            secrets += [password, quote(password), quote_plus(password), credentials]
        log = self.regbroker.log()
        return [secret for secret in secrets if secret in log]


class RegbrokerTestCase(ClientsTestCase):
    """regbroker between clients that know `team/` and an upstream with `acme_team/`.

    When a test ends, whatever it did, nobody may have seen the other side's names and
    no secret may be in regbroker's log.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start_peers()

    def start_peers(self) -> None:
        """Start the upstream, then regbroker."""
        self.start_upstream()
        self.start_regbroker()

    def start_regbroker(self) -> None:
        """Start regbroker in front of the upstream."""
        self.start_regbroker_for(self.registry.url)
        self.addCleanup(self.assert_sides_kept_apart)

    def assert_sides_kept_apart(self) -> None:
        """Nobody has seen the other side's names, nor the log's readers a secret."""
        self.assertEqual(self.public_names_upstream(), [])
        self.assertEqual(self.upstream_words_seen(), [])
        self.assertEqual(self.secrets_logged(), [])

    def public_names_upstream(self) -> list[str]:
        """Names that reached the registry or its token server and are not theirs."""
        names = [name for access in self.registry.requests() for name in named(access)]
        for scope in self.token_server.scopes():
            kind, _, rest = scope.partition(":")
            if kind == "repository":
                names.append(rest.rpartition(":")[0])
        return [name for name in names if not UPSTREAM_NAMES.match(name)]

    def upstream_words_seen(self) -> list[str]:
        """Where clients were shown upstream names, the upstream or its realm."""
        return self.transcript.occurrences(
            [
                *UPSTREAM_WORDS,
                *(
                    f"{host}:{port}"
                    for host in ("127.0.0.1", "localhost")
                    for port in (self.registry.port, self.token_server.port)
                ),
            ]
        )

    def secrets_logged(self) -> list[str]:
        """Passwords, however encoded, and tokens in regbroker's log."""
        passwords = [(name, user.password) for name, user in USERS.items()]
        return self.logged(self.token_server.issued, passwords)

    def log_in(self, client: Skopeo | Podman, user: str) -> None:
        """Log in with the user's right password."""
        self.assert_done(client.login(self.host, user, USERS[user].password))

    def as_user(self, user: str) -> tuple[str, str]:
        """ctr's options for a user."""
        return "--user", f"{user}:{USERS[user].password}"

    def put_upstream(self, image: Image, *names: str) -> None:
        """Push an image as `NAME:TAG` straight to the upstream, with its own names."""
        with closing(connect(self.registry, self.root_pem)) as connection:
            for each in names:
                name, _, tag = each.partition(":")
                scope = f"repository:{name}:pull,push"
                keeper = TokenRequest("GET", "keeper", "", SERVICE, (scope,), False)
                token, _ = self.token_server.grant(keeper)
                push_image(connection, bearer(token), image, name, tag or TAG)

    def token(self, user: str, *scopes: str) -> dict[str, str]:
        """The Authorization header for a token with the part of the scopes granted."""
        password = USERS[user].password if user else ""
        reply = self.https.get_token("/auth", user, password, *scopes)
        self.assertEqual(reply.status, 200, reply)
        return bearer(reply.json()["token"])

    def assert_oci_error(self, reply: Reply, status: int, code: str) -> None:
        """An error as the specification has it."""
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.error_codes(), [code], reply)

    def upstream_requests_until(self, marker: str) -> list[Access]:
        """The registry's log once a target with `marker` is in it.

        The log is written behind the replies: without a marker one may look too early.
        """
        poll(
            lambda: any(marker in one.target for one in self.registry.requests()),
            f"{marker} in the registry's log",
        )
        return self.registry.requests()


def named(access: Access) -> list[str]:
    """The repository names in a request's path and query."""
    url = urlsplit(access.target)
    query = parse_qs(url.query)
    names = query.get("from", [])
    if url.path == "/v2/_catalog":
        names += query.get("last", [])
    if match := API_NAME.match(unquote(url.path)):
        names.append(match[1])
    return names


def uploads(requests: list[Access], repository: str) -> list[Access]:
    """The requests that carried a blob's bytes to a repository."""
    prefix = f"/v2/{repository}/blobs/uploads/"
    return [
        access
        for access in requests
        if access.method in ("PATCH", "PUT") and access.target.startswith(prefix)
    ]


def mounts(requests: list[Access], repository: str) -> list[Access]:
    """The requests to mount a blob into a repository."""
    prefix = f"/v2/{repository}/blobs/uploads/"
    return [
        access
        for access in requests
        if access.method == "POST"
        and access.target.startswith(prefix)
        and "mount=" in access.target
    ]
