"""The token endpoint in front of a token server that speaks to nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from .case import USERS, RegbrokerTestCase
from .peers.https_client import Reply, bearer
from .peers.images import MANIFEST_MEDIA_TYPE
from .peers.processes import poll
from .peers.token_server import Refusal, TokenRequest

ALICE = USERS["alice"].password
PULL = "repository:team/app:pull"
UPSTREAM_PULL = "repository:acme_team/app:pull"
REFUSALS_OF_POST = (404, 405, 401, 400)
"""Google, the specification, Artifactory, Azure."""


class TokenTestCase(RegbrokerTestCase):
    """An image to pull with whatever token one gets."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.make_image()
        self.put_upstream(self.image, "acme_team/app:1")
        self.before = len(self.token_server.requests())

    def asked(self) -> list[TokenRequest]:
        """What regbroker has asked the token server."""
        return self.token_server.requests()[self.before :]

    def assert_pulls(self, token: str) -> None:
        """The token is good for the image."""
        headers = bearer(token) | {"Accept": MANIFEST_MEDIA_TYPE}
        reply = self.https.request("GET", "/v2/team/app/manifests/1", headers)
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(reply.one("Docker-Content-Digest"), self.image.digest)


class GetTests(TokenTestCase):
    """GET with Basic, as docker, podman and skopeo do it."""

    def get(self, *scopes: str, **parameters: str) -> Reply:
        """Ask as alice."""
        return self.https.get_token("/auth", "alice", ALICE, *scopes, **parameters)

    def test_pull(self) -> None:
        """The upstream's token is what the client gets, with its life."""
        reply = self.get(PULL, account="alice", client_id="tests")
        self.assertEqual(reply.status, 200, reply)
        body = reply.json()
        self.assertIn(body["token"], self.token_server.issued)
        self.assertGreaterEqual(body["expires_in"], 60)
        self.assertIn("issued_at", body)
        self.assert_pulls(body["token"])
        self.assertEqual([one.scopes for one in self.asked()], [(UPSTREAM_PULL,)])

    def test_many_scopes(self) -> None:
        """Repeated and space-separated scopes, of every type, are all mapped."""
        reply = self.get(
            PULL,
            "repository:team/copy:pull,push repository:lib/tool:pull",
            "registry:catalog:*",
        )
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(
            sorted(self.asked()[0].scopes),
            [
                "registry:catalog:*",
                UPSTREAM_PULL,
                "repository:acme_team/copy:pull,push",
                "repository:mirror/lib_tool:pull",
            ],
        )

    def test_less_than_asked_for(self) -> None:
        """bob asks for more than he may have and gets what he may."""
        reply = self.https.get_token(
            "/auth", "bob", USERS["bob"].password, "repository:team/app:pull,push"
        )
        self.assertEqual(reply.status, 200, reply)
        self.assert_pulls(reply.json()["token"])

    def test_offline(self) -> None:
        """`offline_token` brings a refresh token that works later."""
        refresh = self.get(offline_token="true").json()["refresh_token"]
        reply = self.https.post_token(
            "/auth", grant_type="refresh_token", refresh_token=refresh, scope=PULL
        )
        self.assertEqual(reply.status, 200, reply)
        self.assert_pulls(reply.json()["access_token"])

    def test_anonymous(self) -> None:
        """Without credentials the upstream decides what everybody may do."""
        self.token_server.users[""] = USERS["bob"]
        reply = self.https.get_token("/auth", "", "", PULL)
        self.assertEqual(reply.status, 200, reply)
        self.assert_pulls(reply.json()["token"])

    def test_refusal_is_mapped_back(self) -> None:
        """The upstream's message arrives, about the name that was asked for."""
        reply = self.https.get_token("/auth", "alice", "wrong", PULL)
        self.assertEqual(reply.status, 401, reply)
        self.assertIn("no token for team/app", reply.body.decode())

    def test_too_many_requests(self) -> None:
        """429 keeps its status and its Retry-After, and is not remembered."""
        self.token_server.refusal = Refusal(429, {"Retry-After": "17"})
        reply = self.get(PULL)
        self.assertEqual(reply.status, 429, reply)
        self.assertEqual(reply.one("Retry-After"), "17")
        self.token_server.refusal = None
        self.assertEqual(self.get(PULL).status, 200)

    def test_unmapped_name(self) -> None:
        """The token server never hears of a name that no rule maps."""
        self.get("repository:elsewhere/app:pull", PULL)
        scopes = [scope for one in self.asked() for scope in one.scopes]
        self.assertNotIn("elsewhere", " ".join(scopes))


class SharedTests(TokenTestCase):
    """The token server is asked no more often than it must be."""

    def get(self, user: str, password: str) -> Reply:
        """Ask for a pull of one repository."""
        return self.https.get_token("/auth", user, password, PULL)

    def test_at_the_same_moment(self) -> None:
        """Identical requests that come while one is under way share its answer."""
        clients = 8
        self.token_server.hold()
        with ThreadPoolExecutor(clients + 1) as pool:
            replies = [pool.submit(self.get, "alice", ALICE) for _ in range(clients)]
            poll(self.asked, "the first request")
            # another's request comes behind those: when it is there, so are they
            other = pool.submit(self.get, "bob", USERS["bob"].password)
            poll(lambda: len(self.asked()) > 1, "the second request")
            self.token_server.release.set()
            statuses = [reply.result().status for reply in [*replies, other]]
        self.assertEqual(statuses, [200] * (clients + 1))
        users = [request.user for request in self.asked()]
        self.assertEqual(sorted(users), ["alice", "bob"])

    def test_one_after_the_other(self) -> None:
        """A token is used again; its life is told from now on, not from then."""
        first = self.get("alice", ALICE).json()
        second = self.get("alice", ALICE).json()
        self.assertEqual(second["token"], first["token"])
        self.assertLessEqual(second["expires_in"], first["expires_in"])
        self.assertEqual(len(self.asked()), 1)

    def test_only_for_the_same_credentials(self) -> None:
        """A cached token is no way round a password."""
        self.assertEqual(self.get("alice", ALICE).status, 200)
        self.assertEqual(self.get("alice", "wrong").status, 401)
        self.assertEqual(self.get("bob", ALICE).status, 401)
        self.assertEqual(len(self.asked()), 3)


class PostTests(TokenTestCase):
    """POST of an OAuth2 form, as containerd does it."""

    def post(self, **form: str) -> Reply:
        """Ask with alice's password."""
        return self.https.post_token(
            "/auth", grant_type="password", username="alice", password=ALICE, **form
        )

    def test_password(self) -> None:
        """The reply has the access token and what it is good for, mapped back."""
        reply = self.post(scope=f"{PULL} repository:team/copy:pull,push")
        self.assertEqual(reply.status, 200, reply)
        body = reply.json()
        self.assertEqual(
            sorted(body["scope"].split()), [PULL, "repository:team/copy:pull,push"]
        )
        self.assert_pulls(body["access_token"])
        self.assertEqual(
            [(one.method, one.grant) for one in self.asked()], [("POST", "password")]
        )

    def test_wrong_password(self) -> None:
        """It is refused, whichever way the broker has asked."""
        reply = self.https.post_token(
            "/auth", grant_type="password", username="alice", password="wrong"
        )
        self.assertEqual(reply.status, 401, reply)

    def test_offline(self) -> None:
        """`access_type=offline` brings a refresh token, and that a new token."""
        refresh = self.post(scope=PULL, access_type="offline").json()["refresh_token"]
        reply = self.https.post_token(
            "/auth", grant_type="refresh_token", refresh_token=refresh, scope=PULL
        )
        self.assertEqual(reply.status, 200, reply)
        self.assert_pulls(reply.json()["access_token"])
        self.token_server.revoke_refresh_tokens()
        copy = "repository:team/copy:pull"
        refused = self.https.post_token(
            "/auth", grant_type="refresh_token", refresh_token=refresh, scope=copy
        )
        self.assertIn(refused.status, (400, 401), refused)

    def test_token_server_without_post(self) -> None:
        """A password grant becomes a GET with Basic where POST is refused."""
        for status in REFUSALS_OF_POST:
            self.token_server.refuse_post = status
            scope = f"repository:team/app{status}:pull"
            before = len(self.asked())
            reply = self.post(scope=scope)
            self.assertEqual(reply.status, 200, (status, reply))
            self.assertIn("access_token", reply.json())
            last = self.asked()[before:][-1]
            self.assertEqual((last.method, last.user), ("GET", "alice"))
            self.assertEqual(last.scopes, (f"repository:acme_team/app{status}:pull",))


class ClientTests(TokenTestCase):
    """The same, as the clients use it."""

    def test_skopeo_with_a_refresh_token(self) -> None:
        """An identity token instead of a password."""
        skopeo = self.make_skopeo()
        refresh = self.token_server.refresh_token_for("bob")
        skopeo.use_identity_token(self.host, refresh)
        digest = skopeo.digest_of(f"{self.host}/team/app:1")
        self.assertEqual(digest, self.image.digest)
        grants = {(one.method, one.grant, one.user) for one in self.asked()}
        self.assertEqual(grants, {("POST", "refresh_token", "bob")})

    def test_containerd_with_a_refresh_token(self) -> None:
        """`ctr images pull --refresh`."""
        containerd = self.start_containerd()
        refresh = self.token_server.refresh_token_for("bob")
        reference = f"{self.host}/team/app:1"
        self.assert_done(containerd.pull(reference, "--refresh", refresh))
        grants = {(one.method, one.grant, one.user) for one in self.asked()}
        self.assertEqual(grants, {("POST", "refresh_token", "bob")})

    def test_containerd_with_a_password(self) -> None:
        """containerd posts, and the upstream gets a POST."""
        containerd = self.start_containerd()
        reference = f"{self.host}/team/app:1"
        self.assert_done(containerd.pull(reference, *self.as_user("bob")))
        methods = {(one.method, one.grant) for one in self.asked()}
        self.assertEqual(methods, {("POST", "password")})

    def test_containerd_where_post_is_refused(self) -> None:
        """containerd posts, the token server wants GET, the pull works."""
        containerd = self.start_containerd()
        bob = self.as_user("bob")
        self.put_upstream(
            self.image, *(f"acme_team/app{status}:1" for status in REFUSALS_OF_POST)
        )
        for status in REFUSALS_OF_POST:
            self.token_server.refuse_post = status
            reference = f"{self.host}/team/app{status}:1"
            self.assert_done(containerd.pull(reference, *bob))
            self.assertEqual(self.asked()[-1].method, "GET")
