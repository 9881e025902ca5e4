"""Logging in through regbroker, and the challenges that ask for it."""

from __future__ import annotations

from .case import USERS, RegbrokerTestCase
from .peers.https_client import basic
from .peers.token_server import SERVICE, User


class LoginTests(RegbrokerTestCase):
    """The upstream's own accounts, used under our name."""

    def test_skopeo(self) -> None:
        """The right password is accepted, the wrong one is not."""
        skopeo = self.make_skopeo()
        wrong = skopeo.login(self.host, "alice", "wrong")
        self.assert_refused(wrong, "invalid username/password")
        self.log_in(skopeo, "alice")

    def test_podman(self) -> None:
        """The right password is accepted, the wrong one is not."""
        podman = self.make_podman()
        wrong = podman.login(self.host, "alice", "wrong")
        self.assert_refused(wrong, "invalid username/password")
        self.log_in(podman, "alice")

    def test_what_the_token_server_sees(self) -> None:
        """A login asks for no scope, and the upstream's token server decides."""
        self.log_in(self.make_skopeo(), "alice")
        requests = self.token_server.requests()
        self.assertEqual([request.user for request in requests], ["alice"])
        self.assertEqual(requests[0].scopes, ())
        self.assertEqual(requests[0].service, SERVICE)

    def test_refusal_is_not_remembered(self) -> None:
        """A password that was wrong is asked about again, and may be right by then."""
        refused = self.https.get_token("/auth", "dora", "dora's secret")
        self.assertEqual(refused.status, 401, refused)
        self.token_server.users["dora"] = User("dora's secret")
        granted = self.https.get_token("/auth", "dora", "dora's secret")
        self.assertEqual(granted.status, 200, granted)


class ChallengeTests(RegbrokerTestCase):
    """Every 401 sends clients to us, under public names."""

    def test_ping(self) -> None:
        """The ping's one challenge has our realm and the upstream's service."""
        reply = self.https.request("GET", "/v2/")
        self.assertEqual(reply.status, 401, reply)
        self.assertEqual(
            reply.challenge(),
            {"realm": f"https://{self.host}/auth", "service": SERVICE},
        )
        self.assertEqual(reply.one("Docker-Distribution-Api-Version"), "registry/2.0")
        self.assertEqual(reply.error_codes(), ["UNAUTHORIZED"])

    def test_ping_is_answered_locally(self) -> None:
        """Many clients that ping cost the upstream nothing."""
        for _ in range(10):
            self.assertEqual(self.https.request("GET", "/v2/").status, 401)
        self.log_in(self.make_skopeo(), "alice")
        requests = self.upstream_requests_until("/v2/")
        unauthorized = [access for access in requests if access.status == 401]
        self.assertLessEqual(len(unauthorized), 2, requests)

    def test_every_endpoint(self) -> None:
        """A 401 of any endpoint names the public repository and the action."""
        digest = "sha256:" + "0" * 64
        cases = [
            ("GET", "/v2/team/app/manifests/1", "repository:team/app:pull"),
            ("HEAD", "/v2/team/app/manifests/1", "repository:team/app:pull"),
            ("GET", f"/v2/lib/tool/blobs/{digest}", "repository:lib/tool:pull"),
            ("GET", "/v2/team/app/tags/list", "repository:team/app:pull"),
            ("POST", "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push"),
            ("DELETE", "/v2/team/app/manifests/1", "repository:team/app:delete"),
            ("GET", "/v2/_catalog", "registry:catalog:*"),
        ]
        for method, target, scope in cases:
            reply = self.https.request(method, target)
            self.assertEqual(reply.status, 401, (method, target, reply))
            challenge = reply.challenge()
            self.assertEqual(challenge["realm"], f"https://{self.host}/auth")
            self.assertEqual(challenge["service"], SERVICE)
            self.assertEqual(challenge["scope"], scope)

    def test_token_with_too_little_access(self) -> None:
        """The challenge says what is missing, and that access is what is missing."""
        reply = self.https.request(
            "POST",
            "/v2/team/app/blobs/uploads/",
            self.token("bob", "repository:team/app:pull"),
        )
        self.assertEqual(reply.status, 401, reply)
        challenge = reply.challenge()
        self.assertEqual(challenge["scope"], "repository:team/app:pull,push")
        self.assertEqual(challenge["error"], "insufficient_scope")

    def test_token_that_is_none(self) -> None:
        """A bad token is told from a missing one."""
        reply = self.https.request(
            "GET", "/v2/team/app/tags/list", {"Authorization": "Bearer nonsense"}
        )
        self.assertEqual(reply.status, 401, reply)
        self.assertEqual(reply.challenge()["error"], "invalid_token")

    def test_another_host(self) -> None:
        """A Host that no registry here has is refused."""
        reply = self.https.request("GET", "/v2/", {"Host": "other.example"})
        self.assertEqual(reply.status, 421, reply)
        self.assertEqual(len(reply.error_codes()), 1)

    def test_basic_on_the_api_is_challenged(self) -> None:
        """The upstream wants tokens: a password in their place gets the challenge."""
        credentials = basic("alice", USERS["alice"].password)
        reply = self.https.request("GET", "/v2/", {"Authorization": credentials})
        self.assertEqual(reply.status, 401, reply)
        self.assertEqual(reply.challenge()["realm"], f"https://{self.host}/auth")
