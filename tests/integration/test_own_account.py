"""Our own account at the upstream: Basic, tokens, and what is shared with others."""

from __future__ import annotations

import time

from .accounts_case import (
    NAMESPACES,
    SOON_SECONDS,
    UPSTREAM,
    WRONG,
    BareRegistryTestCase,
)
from .case import ALL
from .peers.docker_registry import DockerRegistry, Passwords, Tokens
from .peers.htpasswd import Htpasswd
from .peers.https_client import Reply, bearer
from .peers.images import MANIFEST_MEDIA_TYPE
from .peers.processes import poll
from .peers.skopeo import Skopeo
from .peers.token_server import ISSUER, SERVICE, TokenServer, User
from .peers.transcript import Transcript

ROBOT = "robot"
ROBOT_PASSWORD = "robot's first sécret + more"
NEXT_PASSWORD = "robot's next sécret / more"

TAGS = "/v2/team/app/tags/list"

HELPER = """\
#!/bin/sh
# docker-credential-rotating: what a file says
echo "$1 $(cat)" >>{directory}/asked
exec cat {directory}/answer
"""

HELPER_INTERVAL = 5.0
"""regbroker does not ask a helper again sooner."""

LENDING = """\
[registry localhost]
upstream = up
token-path = /auth
{registry}
namespaces =
{namespaces}
"""


class OwnAccountTestCase(BareRegistryTestCase):
    """The registry knows one user; the password lies in a file of regbroker's."""

    def setUp(self) -> None:
        super().setUp()
        self.fill()

    def fill(self) -> None:
        """Put an image into the registry, as its one user."""
        self.image = self.make_image()
        home = self.directory / "filler"
        skopeo = Skopeo(home, self.root_pem, Transcript())
        host = self.registry.host
        self.assert_done(skopeo.login(host, ROBOT, ROBOT_PASSWORD))
        for name in ("acme_team/app:1", "mirror/lib_open:1"):
            self.assert_done(skopeo.push(self.image.source, f"{host}/{name}"))

    def start_registry(
        self, authentication: Passwords | None = None, *, tls: bool = True
    ) -> None:
        self.upstream_passwords = Htpasswd(self.directory / "upstream-htpasswd")
        for password in (ROBOT_PASSWORD, NEXT_PASSWORD, "wrong for now"):
            self.add_secret(password)
        self.upstream_passwords.set(ROBOT, ROBOT_PASSWORD)
        super().start_registry(Passwords(self.upstream_passwords.path), tls=True)

    def start_regbroker(self) -> None:
        self.password_file = self.directory / "robot.password"
        self.write_password(ROBOT_PASSWORD)
        own = f"username = {ROBOT}\npassword-file = {self.password_file}"
        self.use(self.start_local(self.sections(upstream=own)))

    def start_token_upstream(self) -> None:
        """Start a registry with a token service, where the one user may do much."""
        self.add_secret(ROBOT_PASSWORD)
        self.add_secret(NEXT_PASSWORD)
        rights = {"acme_team/*": ALL, "mirror/lib_*": ALL, "people/*": ALL}
        self.token_server = TokenServer(
            self.authority, {ROBOT: User(ROBOT_PASSWORD, rights, True)}
        )
        self.addCleanup(self.token_server.stop)
        self.registry = DockerRegistry(
            self.directory / "registry",
            self.authority,
            Tokens(self.token_server.realm, SERVICE, ISSUER),
        )
        self.addCleanup(self.registry.stop)
        self.registry.start()

    def write_password(self, password: str) -> None:
        """Put another password into regbroker's file."""
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(password + "\n")

    def assert_unavailable(self, reply: Reply) -> None:
        """503 as JSON, with nothing in it about how the upstream is spoken to."""
        self.assert_oci_error(reply, 503, "UNAVAILABLE")
        self.assertEqual(reply.all("WWW-Authenticate"), [])
        text = reply.body.decode() + str(reply.headers)
        for word in (ROBOT, self.registry.host, *self.secrets):
            self.assertNotIn(word, text)


class BasicUpstreamTests(OwnAccountTestCase):
    """`username` and `password-file`, for a registry that wants Basic."""

    def test_skopeo(self) -> None:
        """Local rights count, upstream everything is done by the one account."""
        image = self.make_image("another")
        alice, bob = self.make_skopeo("alice"), self.make_skopeo("bob")
        self.log_in(alice, "alice")
        self.log_in(bob, "bob")
        reference = f"{self.host}/team/app:2"
        refused = bob.push(image.source, reference)
        self.assert_refused(refused, "denied|unauthorized|authentication required")
        self.assert_done(alice.push(image.source, reference))
        self.assertEqual(bob.digest_of(reference), image.digest)
        nobody = self.make_skopeo("nobody")
        open_one = f"{self.host}/lib/open:1"
        self.assertEqual(nobody.digest_of(open_one), self.image.digest)
        self.upstream_requests_until("/v2/acme_team/app/manifests/2")
        log = (self.registry.directory / "registry.log").read_text()
        self.assertNotIn("alice", log)

    def test_upstream_account_is_no_local_one(self) -> None:
        """The upstream's own user and password are nothing here."""
        reply = self.get(TAGS, self.as_user(ROBOT, ROBOT_PASSWORD))
        self.assert_oci_error(reply, 401, "UNAUTHORIZED")

    def test_password_changed(self) -> None:
        """Upstream first, then in the file: what fails between says 503."""
        alice = self.as_user("alice")
        self.assertEqual(self.get(TAGS, alice).status, 200)
        self.upstream_passwords.set(ROBOT, NEXT_PASSWORD)
        poll(
            lambda: self.get(TAGS, alice).status == 503,
            "the old password's end",
            SOON_SECONDS,
        )
        reply = self.get(TAGS, alice)
        self.assert_unavailable(reply)
        posted = self.https.request("POST", "/v2/team/app/blobs/uploads/", alice)
        self.assert_unavailable(posted)
        self.assertIn("[upstream up]", self.regbroker.log())
        self.write_password(NEXT_PASSWORD)
        # at once: a refusal is a reason to look at the file
        self.assertEqual(self.get(TAGS, alice).status, 200)

    def test_nobody_notices(self) -> None:
        """Changed in the file first, a request that is refused is sent again."""
        alice = self.as_user("alice")
        self.assertEqual(self.get(TAGS, alice).status, 200)
        self.upstream_passwords.set(ROBOT, NEXT_PASSWORD)
        self.write_password(NEXT_PASSWORD)
        for _ in range(20):
            self.assertEqual(self.get(TAGS, alice).status, 200)

    def test_file_away(self) -> None:
        """The last password counts while there is no file."""
        alice = self.as_user("alice")
        self.assertEqual(self.get(TAGS, alice).status, 200)
        self.password_file.unlink()
        poll(
            lambda: (
                self.get(TAGS, alice).status == 200
                and str(self.password_file) in self.regbroker.log()
            ),
            "the complaint in the log",
            SOON_SECONDS,
        )
        self.assertEqual(self.get(TAGS, alice).status, 200)

    def test_without_rights(self) -> None:
        """Who has no right is refused by us: the account is not even used."""
        refused = self.get("/v2/lib/closed/tags/list", self.as_user("bob"))
        self.assert_oci_error(refused, 403, "DENIED")
        asked = [one.target for one in self.registry.requests()]
        self.assertNotIn("/v2/mirror/lib_closed/tags/list", asked)


class HelperTests(OwnAccountTestCase):
    """`credential-helper`, whose answers expire."""

    def start_regbroker(self) -> None:
        self.helper = self.directory / "helper"
        self.helper.mkdir()
        program = self.helper / "docker-credential-rotating"
        program.write_text(HELPER.format(directory=self.helper))
        program.chmod(0o755)
        self.answer(ROBOT_PASSWORD)
        sections = self.sections(upstream="credential-helper = rotating")
        self.use(self.start_local(sections))

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.helper}:/usr/bin:/bin"}

    def answer(self, password: str) -> None:
        """What the helper says from now on."""
        server = self.registry.host
        (self.helper / "answer").write_text(
            f'{{"ServerURL":"{server}","Username":"{ROBOT}","Secret":"{password}"}}'
        )

    def asked(self) -> list[str]:
        """The helper's arguments and inputs so far."""
        path = self.helper / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_interval(self) -> None:
        """Return when the helper may be asked again."""
        asked = (self.helper / "asked").stat().st_mtime
        poll(lambda: time.time() - asked > HELPER_INTERVAL, "the helper's interval")

    def test_expiry(self) -> None:
        """It is asked once, and again after a 401, which no client notices."""
        alice = self.as_user("alice")
        for _ in range(5):
            self.assertEqual(self.get(TAGS, alice).status, 200)
        once = [f"get {self.registry.host}"]
        self.assertEqual(self.asked(), once)
        self.wait_for_interval()
        self.upstream_passwords.set(ROBOT, NEXT_PASSWORD)
        self.answer(NEXT_PASSWORD)
        for _ in range(5):
            self.assertEqual(self.get(TAGS, alice).status, 200)
        self.assertEqual(self.asked(), once * 2)
        # A whole image is pushed although the first request of it is refused.
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        image = self.make_image("another")
        self.wait_for_interval()
        self.upstream_passwords.set(ROBOT, ROBOT_PASSWORD)
        self.answer(ROBOT_PASSWORD)
        done = skopeo.push(image.source, f"{self.host}/team/app:2")
        self.assert_done(done)
        self.assertEqual(self.asked(), once * 3)

    def test_failing(self) -> None:
        """503 while it fails, and what it says of it is in the log, but no secret."""
        (self.helper / "docker-credential-rotating").write_text(
            f"#!/bin/sh\necho {ROBOT_PASSWORD!r}\necho no network >&2\nexit 1\n"
        )
        self.assert_unavailable(self.get(TAGS, self.as_user("alice")))
        self.assertIn("no network", self.regbroker.log())


class TokenUpstreamTests(OwnAccountTestCase):
    """An upstream with a token service, behind accounts of our own."""

    def start_registry(
        self, authentication: Passwords | None = None, *, tls: bool = True
    ) -> None:
        self.start_token_upstream()

    def fill(self) -> None:
        super().fill()
        self.before = len(self.token_server.requests())

    def asked(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Who asked the token server for what, since the registry was filled."""
        return [
            (one.method, one.user, one.scopes)
            for one in self.token_server.requests()[self.before :]
        ]

    def tearDown(self) -> None:
        for token in self.token_server.issued:
            self.add_secret(token)
        self.assertEqual(self.transcript.occurrences(self.token_server.issued), [])

    def test_reused(self) -> None:
        """A token is fetched for what is needed, in upstream names, and kept."""
        for user in ("alice", "bob", "carol"):
            for header in (self.token(user, "repository:team/app:pull"), {}):
                header = header or self.as_user(user)
                for _ in range(3):
                    self.assertEqual(self.get(TAGS, header).status, 200)
        pull = "GET", ROBOT, ("repository:acme_team/app:pull",)
        self.assertEqual(self.asked(), [pull])
        alice = self.as_user("alice")
        upload = self.https.request("POST", "/v2/team/app/blobs/uploads/", alice)
        self.assertEqual(upload.status, 202, upload)
        push = "repository:acme_team/app:pull,push"
        self.assertEqual(self.asked()[1:], [("GET", ROBOT, (push,))])
        # to give it up is a DELETE, for which the registry wants more; it is no
        # more to us, and alice may not delete
        gone = self.https.request("DELETE", upload.location(), alice)
        self.assertEqual(gone.status, 204, gone)
        self.assertEqual(self.asked()[2:], [("GET", ROBOT, (f"{push},delete",))])

    def test_skopeo(self) -> None:
        """Push and pull; clients never see the upstream's service or tokens."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        image = self.make_image("another")
        reference = f"{self.host}/team/app:2"
        self.assert_done(skopeo.push(image.source, reference))
        self.assertEqual(skopeo.digest_of(reference), image.digest)
        words = [SERVICE, f":{self.token_server.port}", "acme_team"]
        self.assertEqual(self.transcript.occurrences(words), [])
        for method, user, scopes in self.asked():
            self.assertEqual((method, user), ("GET", ROBOT))
            for scope in scopes:
                self.assertRegex(scope, "^repository:acme_team/app:")

    def test_catalog(self) -> None:
        """The catalog's own scope is asked for."""
        reply = self.get("/v2/_catalog", self.as_user("keeper"))
        self.assertEqual(reply.json(), {"repositories": ["team/app", "lib/open"]})
        self.assertEqual(self.asked(), [("GET", ROBOT, ("registry:catalog:*",))])

    def test_mount(self) -> None:
        """Both repositories are in the one token."""
        layer = self.image.layer_digests[0]
        target = f"/v2/team/copy/blobs/uploads/?mount={layer}&from=team/app"
        reply = self.https.request("POST", target, self.as_user("alice"))
        self.assertEqual(reply.status, 201, reply)
        (asked,) = self.asked()
        self.assertEqual(
            sorted(asked[2]),
            ["repository:acme_team/app:pull", "repository:acme_team/copy:pull,push"],
        )

    def test_refused(self) -> None:
        """The account's password is changed: 503, and in order once it is known."""
        self.token_server.users[ROBOT] = User(
            NEXT_PASSWORD, self.token_server.users[ROBOT].rights
        )
        alice = self.as_user("alice")
        self.assert_unavailable(self.get(TAGS, alice))
        self.write_password(NEXT_PASSWORD)
        self.assertEqual(self.get(TAGS, alice).status, 200)

    def test_too_little(self) -> None:
        """The account may not do what the local rules let alice do: 403, not 401."""
        self.token_server.users[ROBOT] = User(
            ROBOT_PASSWORD, {"acme_team/*": frozenset({"pull"})}
        )
        refused = self.post_upload("team/app", self.as_user("alice"))
        self.assert_oci_error(refused, 403, "DENIED")
        self.assertEqual(refused.all("WWW-Authenticate"), [])

    def test_down(self) -> None:
        """Without its token service the upstream is unavailable."""
        self.token_server.stop()
        reply = self.get(TAGS, self.as_user("alice"))
        self.assertIn(reply.status, (503, 504), reply)
        self.assertEqual(reply.error_codes(), ["UNAVAILABLE"])


class LendingTestCase(OwnAccountTestCase):
    """The upstream's accounts; ours for those who bring none."""

    anonymous = "shared"

    def start_regbroker(self) -> None:
        self.password_file = self.directory / "robot.password"
        self.write_password(ROBOT_PASSWORD)
        sections = LENDING.format(
            registry=f"anonymous = {self.anonymous}", namespaces=NAMESPACES
        ) + UPSTREAM.format(
            url=self.registry.url,
            upstream=(
                f"ca-file = {self.ca_file}\n"
                f"username = {ROBOT}\npassword-file = {self.password_file}"
            ),
        )
        self.use(self.start_local(sections))
        poll(
            lambda: "[upstream up]" in self.regbroker.log(), "the upstream's challenge"
        )

    def pull(self, headers: dict[str, str]) -> int:
        """How a pull is answered."""
        accept = {"Accept": MANIFEST_MEDIA_TYPE}
        return self.get("/v2/team/app/manifests/1", headers | accept).status


class LendingBasicTests(LendingTestCase):
    """To an upstream that wants Basic."""

    def test_pull_is_lent(self) -> None:
        """Who brings nothing pulls, and cannot push, delete or list."""
        self.assertEqual(self.get("/v2/").status, 200)
        self.assertEqual(self.pull({}), 200)
        nobody = self.make_skopeo()
        reference = f"{self.host}/team/app:1"
        self.assertEqual(nobody.digest_of(reference), self.image.digest)
        pushed = nobody.push(self.image.source, f"{self.host}/team/app:2")
        self.assertNotEqual(pushed.status, 0)
        for method, target in (
            ("POST", "/v2/team/app/blobs/uploads/"),
            ("DELETE", f"/v2/team/app/manifests/{self.image.digest}"),
            ("GET", "/v2/_catalog"),
        ):
            reply = self.https.request(method, target)
            self.assertEqual(reply.status, 401, (method, target, reply))
            self.assertTrue(reply.one("WWW-Authenticate").startswith("Basic "))

    def test_ones_own(self) -> None:
        """Who brings credentials is passed through, right or wrong."""
        self.upstream_passwords.set("alice", "alice's own")
        own = self.as_user("alice", "alice's own")
        self.assertEqual(self.pull(own), 200)
        upload = self.https.request("POST", "/v2/team/app/blobs/uploads/", own)
        self.assertEqual(upload.status, 202, upload)
        wrong = self.get(TAGS, self.as_user("alice", WRONG))
        self.assertEqual(wrong.status, 401, wrong)
        self.assertTrue(wrong.one("WWW-Authenticate").startswith("Basic "))

    def test_own_account_refused(self) -> None:
        """That is our affair, not the client's."""
        self.write_password("wrong for now")
        poll(lambda: self.pull({}) == 503, "the wrong password", SOON_SECONDS)
        self.assert_unavailable(self.get(TAGS))


class LendingTokensTests(LendingTestCase):
    """To an upstream with a token service."""

    def start_registry(
        self, authentication: Passwords | None = None, *, tls: bool = True
    ) -> None:
        self.start_token_upstream()
        self.token_server.users["alice"] = User("alice's own", {"acme_team/*": ALL})
        self.add_secret("alice's own")

    def test_skopeo(self) -> None:
        """Who brings nothing pulls with a token of our account's, and cannot push."""
        nobody = self.make_skopeo()
        reference = f"{self.host}/team/app:1"
        self.assertEqual(nobody.digest_of(reference), self.image.digest)
        self.assert_done(nobody.pull(reference, f"oci:{self.directory}/pulled:1"))
        pushed = nobody.push(self.image.source, f"{self.host}/team/app:2")
        self.assert_refused(pushed, "denied|unauthorized|authentication required")

    def test_what_is_lent(self) -> None:
        """However much is asked for, a lent token is for pulling."""
        self.assertEqual(self.get("/v2/").status, 401)
        reply = self.ask_token(
            "",
            "repository:team/app:pull,push,delete repository:lib/open:*",
            "registry:catalog:*",
            offline_token="true",
        )
        self.assertEqual(self.granted(reply), {"repository:acme_team/app": ["pull"]})
        self.assertNotIn("refresh_token", reply.json())
        token = bearer(reply.json()["token"])
        self.assertEqual(self.pull(token), 200)
        target = "/v2/team/app/blobs/uploads/"
        self.assertEqual(self.https.request("POST", target, token).status, 401)
        self.assertEqual(self.pull({}), 200, "straight on /v2, too")
        self.assertEqual(self.https.request("POST", target).status, 401)

    def test_ones_own(self) -> None:
        """Who brings credentials has their own rights, and none of ours."""
        skopeo = self.make_skopeo()
        self.assert_done(skopeo.login(self.host, "alice", "alice's own"))
        pushed = skopeo.push(self.image.source, f"{self.host}/team/app:2")
        self.assert_done(pushed)
        wrong = self.ask_token("alice", password=WRONG)
        self.assertEqual(wrong.status, 401, wrong)
        open_one = skopeo.list_tags(f"{self.host}/lib/open")
        self.assertNotEqual(open_one.status, 0, "alice has no right there")


class LendingMoreTests(LendingTestCase):
    """`shared: pull, push` lends that."""

    anonymous = "shared: pull, push"

    def test_push_is_lent(self) -> None:
        """A push without credentials works; a deletion does not."""
        nobody = self.make_skopeo()
        reference = f"{self.host}/team/app:2"
        self.assert_done(nobody.push(self.image.source, reference))
        self.assertEqual(nobody.digest_of(reference), self.image.digest)
        target = f"/v2/team/app/manifests/{self.image.digest}"
        self.assertEqual(self.https.request("DELETE", target).status, 401)
