"""`podman search`, and what `docker search` sends, with a search service behind.

podman asks `/v1/search` first, without credentials, and the catalog only when that
fails. skopeo has no search: it lists tags.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from .accounts_case import PASSWORDS, AccountsTestCase
from .case import USERS, PeersTestCase, RegbrokerTestCase
from .peers.docker_registry import DockerRegistry
from .peers.https_client import Reply, basic
from .peers.regbroker import Regbroker
from .peers.search_service import SearchService
from .peers.skopeo import Skopeo
from .peers.transcript import Transcript

SENT = {"host", "user-agent", "accept-encoding"}
"""The headers that a search service gets, whoever asks."""


class SearchTestCase(PeersTestCase):
    """A search service that is to learn nothing of who asks."""

    def start_search_service(self, *names: str) -> str:
        """Start it; the option that leads to it."""
        self.index = SearchService(self.authority, names)
        self.addCleanup(self.index.stop)
        self.addCleanup(self.assert_told_nothing)
        return f"search-url = {self.index.url}/v1\n"

    def assert_told_nothing(self) -> None:
        """It was asked, by regbroker, with nothing of anybody else's."""
        self.assertNotEqual(self.index.questions, [])
        for question in self.index.questions:
            self.assertEqual(set(question.headers), SENT)
            self.assertTrue(question.headers["user-agent"].startswith("regbroker/"))
        address = f"127.0.0.1:{self.index.port}"
        self.assertEqual(self.transcript.occurrences([address]), [])


def names_of(reply: Reply) -> list[str]:
    """The names of the results in a reply."""
    return [result["name"] for result in reply.json()["results"]]


class UpstreamAccountsTests(RegbrokerTestCase, SearchTestCase):
    """The upstream's accounts: everybody may search what everybody is shown."""

    def start_regbroker(self) -> None:
        option = self.start_search_service(
            "acme_team/app", "acme_team/web", "mirror/lib_tool", "private/app", "app"
        )
        self.start_regbroker_for(self.registry.url, option)
        self.addCleanup(self.assert_sides_kept_apart)

    def test_podman(self) -> None:
        """Public names, also to somebody whose credentials are at hand."""
        podman = self.make_podman()
        for _ in range(2):
            found = podman.search(f"{self.host}/app")
            self.assertEqual(found, [f"{self.host}/team/app"])
            found = podman.search(f"{self.host}/team/")
            self.assertEqual(found, [f"{self.host}/team/{n}" for n in ("app", "web")])
            self.log_in(podman, "alice")
        self.assertEqual(self.index.texts(), ["app", "acme_team/"] * 2)
        catalogs = [one for one in self.registry.requests() if "catalog" in one.target]
        self.assertEqual(catalogs, [])

    def test_docker(self) -> None:
        """What docker sends: a ping, then a search, with the user's password."""
        credentials = {"Authorization": basic("alice", "alice's secret")}
        reply = self.https.request("GET", "/v1/_ping")
        self.assertEqual((reply.status, reply.json()), (200, True))
        reply = self.https.request(
            "GET",
            "/v1/search?q=lib%2Ft&n=25",
            {"X-Docker-Token": "true", "Cookie": "a=b", **credentials},
        )
        self.assertEqual(names_of(reply), ["lib/tool"])
        self.assertEqual(
            [question.target for question in self.index.questions],
            ["/v1/_ping", "/v1/search?q=mirror%2Flib_t&n=25"],
        )

    def test_docker_itself(self) -> None:
        """docker finds the same with a login as without, and shows it to nobody."""
        docker = self.start_docker()
        for _ in range(2):
            found = self.assert_done(docker.search(f"{self.host}/lib/t"))
            names = [one["name"] for one in json.loads(found.stdout)]
            self.assertEqual(names, ["lib/tool"])
            self.assert_done(docker.login(self.host, "alice", USERS["alice"].password))
        self.assertEqual(self.index.texts(), ["mirror/lib_t"] * 2)

    def test_down(self) -> None:
        """Without the search service podman finds what the catalog has."""
        self.assertEqual(
            names_of(self.https.request("GET", "/v1/search?q=web")), ["team/web"]
        )
        image = self.make_image()
        self.put_upstream(image, "acme_team/app:1", "private/app:1")
        podman = self.make_podman()
        self.log_in(podman, "alice")
        self.index.stop()
        self.assert_oci_error(
            self.https.request("GET", "/v1/search?q=app"), 503, "UNAVAILABLE"
        )
        found = podman.search(f"{self.host}/app")
        self.assertEqual(found, [f"{self.host}/team/app"])


HUB = """\
[registry localhost]
namespaces = {rule}

[upstream hub]
url = {url}
ca-file = {authority}
default-namespace = library
{option}
"""


class HubTests(SearchTestCase):
    """A mirror of Docker Hub, whose official images have no namespace there."""

    def setUp(self) -> None:
        super().setUp()
        self.registry = DockerRegistry(self.directory / "registry", self.authority)
        self.addCleanup(self.registry.stop)
        self.registry.start()

        image = self.make_image()
        skopeo = Skopeo(self.directory / "keeper", self.root_pem, Transcript())
        for name in ("library/nginx", "bitnami/nginx"):
            reference = f"{self.registry.host}/{name}:latest"
            self.assert_done(skopeo.push(image.source, reference))

    def start_regbroker(self, rule: str) -> None:
        """Start regbroker with one rule."""
        root = self.directory / "root.crt"
        root.write_bytes(self.root_pem)
        option = self.start_search_service("nginx", "bitnami/nginx", "node")
        self.regbroker = Regbroker(
            self.directory / "regbroker",
            self.authority,
            HUB.format(url=self.registry.url, authority=root, option=option, rule=rule),
        )
        self.addCleanup(self.regbroker.stop)
        self.regbroker.start()
        self.host = self.regbroker.host

    def assert_found(self, *searches: tuple[str, list[str]]) -> None:
        """podman finds these names, and each can be pulled as it stands there."""
        podman = self.make_podman()
        podman.trust(self.host)
        for text, names in searches:
            found = podman.search(f"{self.host}/{text}")
            self.assertEqual(found, [f"{self.host}/{name}" for name in names])
            for reference in found:
                self.assert_done(podman.pull(reference))
        self.assertEqual(self.index.texts(), ["ngi"] * len(searches))

    def test_prefix(self) -> None:
        """Everything of Docker Hub's is below one prefix, which stays here."""
        self.start_regbroker("hub/* = hub:*")
        self.assert_found(
            ("ngi", ["hub/bitnami/nginx", "hub/nginx"]),
            ("hub/ngi", ["hub/bitnami/nginx", "hub/nginx"]),
            ("hub/library/ngi", ["hub/bitnami/nginx", "hub/library/nginx"]),
        )

    def test_mirror(self) -> None:
        """Names are Docker Hub's own."""
        self.start_regbroker("* = hub:*")
        self.assert_found(
            ("ngi", ["bitnami/nginx", "nginx"]),
            ("library/ngi", ["bitnami/nginx", "library/nginx"]),
        )


class OwnAccountsTests(SearchTestCase, AccountsTestCase):
    """Accounts of regbroker's own: who may list may search, and sees as much."""

    def setUp(self) -> None:
        super().setUp()
        self.start_registry(tls=True)
        option = self.start_search_service(
            "acme_team/web", "acme_team/app", "mirror/lib_web"
        )
        self.use(self.start_local(self.sections(upstream=option)))

    def search(self, text: str, headers: dict[str, str] | None = None) -> Reply:
        """Search as docker does."""
        return self.https.request("GET", f"/v1/search?q={quote(text)}", headers)

    def test_docker(self) -> None:
        """Results by rights; a challenge for who has none."""
        for user, names in (
            ("keeper", ["team/web", "team/app", "lib/web"]),
            ("dora", ["team/web", "lib/web"]),
        ):
            self.assertEqual(names_of(self.search("", self.as_user(user))), names)
        self.assert_oci_error(self.search("web", self.as_user("bob")), 403, "DENIED")
        refused = self.search("web")
        self.assert_oci_error(refused, 401, "UNAUTHORIZED")
        self.assertEqual(refused.one("WWW-Authenticate"), f'Basic realm="{self.host}"')
        wrong = self.search("web", self.as_user("keeper", "nobody's sécret + more"))
        self.assert_oci_error(wrong, 401, "UNAUTHORIZED")
        self.assertEqual(self.index.texts(), ["", ""])

    def test_docker_itself(self) -> None:
        """docker searches with the password of its login."""
        docker = self.start_docker()
        term = f"{self.host}/web"
        self.assert_refused(docker.search(term), "401")
        self.assert_done(docker.login(self.host, "dora", PASSWORDS["dora"]))
        found = self.assert_done(docker.search(term))
        names = {one["name"] for one in json.loads(found.stdout)}
        self.assertEqual(names, {"team/web", "lib/web"})

    def test_podman(self) -> None:
        """podman searches without its password; it then finds what the catalog has."""
        self.put_upstream(self.make_image(), "acme_team/web:1", "acme_team/app:1")
        podman = self.make_podman()
        podman.trust(self.host)
        self.assert_done(podman.login(self.host, "dora", PASSWORDS["dora"]))
        found = podman.search(f"{self.host}/team/")
        self.assertEqual(found, [f"{self.host}/team/web"])
        self.assertEqual(self.index.texts(), [])
        self.assertEqual(
            names_of(self.search("app", self.as_user("keeper"))), ["team/app"]
        )
