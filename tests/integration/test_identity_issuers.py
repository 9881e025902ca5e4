"""Issuers that are slow, too large, or not who they say: nobody else is held up."""

from __future__ import annotations

from urllib.parse import urlencode

from tests.issuers import rsa_key, token

from .accounts_case import PASSWORDS
from .identity_case import EXCHANGE, JWT_TYPE, SteeredTestCase
from .peers.certificates import Authority
from .peers.https_client import Reply, basic, bearer
from .peers.issuer_server import DISCOVERY, GITHUB_KEYS, IssuerServer
from .peers.processes import poll

FORM = {"Content-Type": "application/x-www-form-urlencoded"}

#: A set of keys takes minutes, so.
SLOW_SECONDS = 0.3
QUICK_SECONDS = 0.0001

MIB = 1 << 20


class SlowIssuerTests(SteeredTestCase):
    """The issuer is slow from the start, or gets slow."""

    def start_registry(self, *arguments: object, **named: object) -> None:
        super().start_registry()
        if self._testMethodName != "test_known_keys":
            self.issuer.hold(DISCOVERY)

    def assert_others_served(self) -> None:
        """Passwords and strangers are answered as ever."""
        self.assertEqual(self.get("/v2/", self.as_user("alice")).status, 200)
        reply = self.ask_token("alice", "repository:team/app:pull")
        self.assertEqual(self.granted(reply), {"repository:team/app": ["pull"]})
        alice = basic("alice", "not " + PASSWORDS["alice"])
        self.assertEqual(self.get("/v2/", {"Authorization": alice}).status, 401)
        self.assertEqual(self.get("/v2/").status, 401)

    def assert_unavailable(self, reply: Reply) -> None:
        """Nobody can tell now, and the client is to come again."""
        self.assert_oci_error(reply, 503, "UNAVAILABLE")
        self.assertEqual(reply.one("Retry-After"), "1")
        self.assertEqual(reply.all("WWW-Authenticate"), [])
        self.assertNotIn(b"localhost", reply.body)

    def assert_back(self) -> None:
        """Jobs log in again."""
        job = self.job()
        poll(lambda: self.status(job) == 200, "the issuer's keys")

    def test_one_fetch(self) -> None:
        """Many logins at once wait for one fetch, and then all are answered."""
        poll(lambda: self.issuer.requests == [DISCOVERY], "the first question")
        logins = [self.show(self.job()) for _ in range(12)]
        poll(lambda: self.under_way() == len(logins), "the logins to wait")
        self.assertEqual(self.get("/v2/", self.as_user("alice")).status, 200)
        self.assertEqual([login for login in logins if login.done()], [])
        self.issuer.release()
        self.assertEqual({login.result().status for login in logins}, {200})
        self.assertEqual(self.issuer.requests, [DISCOVERY, GITHUB_KEYS])

    def test_deadline(self) -> None:
        """However a token comes, its login ends, though the issuer never answers."""
        job = self.job()
        password = {"Authorization": basic("oidc", job)}
        form = urlencode(
            {
                "grant_type": EXCHANGE,
                "subject_token": job,
                "subject_token_type": JWT_TYPE,
            }
        ).encode()
        logins = [
            self.show(job),
            self.ask("/v2/", bearer(job)),
            self.ask("/auth", password),
            self.begin(lambda: self.client().request("POST", "/auth", FORM, form)),
        ]
        for login in logins:
            self.assert_unavailable(login.result())
        self.assertIn("no answer within 8 s", self.regbroker.log())
        self.assert_others_served()
        self.assertNotIn(GITHUB_KEYS, self.issuer.requests)
        self.issuer.release()
        self.assert_back()

    def drip(self, path: str) -> None:
        """An answer that comes byte by byte ends with the deadline, or in time."""
        self.issuer.dripping[path] = SLOW_SECONDS
        self.issuer.release()
        self.assert_unavailable(self.show(self.job()).result())
        poll(lambda: path in self.issuer.broken_off, "the connection's end")
        self.assert_others_served()
        self.issuer.dripping[path] = QUICK_SECONDS
        self.assert_back()

    def test_dripping_discovery(self) -> None:
        """Discovery comes byte by byte."""
        self.drip(DISCOVERY)

    def test_dripping_keys(self) -> None:
        """The keys come byte by byte."""
        self.drip(GITHUB_KEYS)

    def test_known_keys(self) -> None:
        """Who has a key that is known does not wait for those of others."""
        self.assert_back()
        self.issuer.hold(GITHUB_KEYS)
        said = {"iss": self.issuer.issuer}
        stranger = token(said, rsa_key("x"), "RS256", kid="x")
        waiting = self.show(stranger)
        poll(lambda: self.issuer.requests.count(GITHUB_KEYS) == 2, "a second fetch")
        self.assertEqual(self.status(self.job()), 200)
        self.assert_others_served()
        self.assertFalse(waiting.done())
        self.issuer.release()
        self.assertEqual(waiting.result().status, 401)
        self.assertEqual(self.status(self.job()), 200)


class DistrustedTests(SteeredTestCase):
    """Keys that nobody vouches for, or that are too many, are not taken."""

    def make_issuer(self) -> IssuerServer:
        name = self._testMethodName
        if name == "test_other_name":
            pair = self.authority.issue("issuer.example.com")
        elif name == "test_expired":
            pair = self.authority.issue_expired("localhost")
        elif name == "test_other_authority":
            pair = Authority().issue("localhost")
        else:
            pair = self.authority.issue("localhost")
        issuer = IssuerServer(self.authority, GITHUB_KEYS, pair=pair)
        issuer.padding = 10 * MIB if name == "test_large" else 0
        return issuer

    def assert_not_taken(self, why: str) -> None:
        """A token of its key is not taken, and the log says why."""
        reply = self.show(self.job()).result()
        self.assert_oci_error(reply, 503, "UNAVAILABLE")
        self.regbroker.wait_for(why)
        self.assertEqual(self.get("/v2/", self.as_user("alice")).status, 200)

    def test_other_name(self) -> None:
        """The certificate is for another host."""
        self.assert_not_taken("no trusted TLS connection")
        self.assertEqual(self.issuer.requests, [])

    def test_expired(self) -> None:
        """The certificate has ended."""
        self.assert_not_taken("no trusted TLS connection")
        self.assertEqual(self.issuer.requests, [])

    def test_other_authority(self) -> None:
        """The certificate is of an authority that is not in ca-file."""
        self.assert_not_taken("no trusted TLS connection")
        self.assertEqual(self.issuer.requests, [])

    def test_large(self) -> None:
        """The keys have 10 MiB; when they are as usual, they are taken."""
        self.assert_not_taken("sent more than 262144 bytes")
        self.assertIn(GITHUB_KEYS, self.issuer.broken_off)
        self.issuer.padding = 0
        job = self.job()
        poll(lambda: self.status(job) == 200, "the issuer's keys")
