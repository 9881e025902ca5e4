"""Passwords checked by regbroker: while they change, and what checking them costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .accounts_case import PASSWORDS, SOON_SECONDS, WRONG, BareRegistryTestCase
from .peers.https_client import HttpsClient, Reply, basic
from .peers.processes import poll

TAGS = "/v2/team/app/tags/list"

DEAR = ("-B", "-C", "12")

#: How often a cost is measured at most, until it is what it should be.
ROUNDS = 3
"""bcrypt that takes a fifth of a second: enough to be counted by it."""

KINDS = {
    "bcrypt": ["-B"],
    "apr1": ["-m"],
    "sha1": ["-s"],
    "crypt": ["-d"],
    "sha256": ["-2"],
    "sha512": ["-5"],
}


class PasswordTestCase(BareRegistryTestCase):
    """One image, and ways to ask whether a password is right."""

    def setUp(self) -> None:
        super().setUp()
        self.put_upstream(self.make_image(), "acme_team/app:1")
        # It listens before the file is read, and a test may change that at once.
        self.until_logged("read; accounts:")

    def status(self, user: str, password: str | None = None) -> int:
        """How a token request with a password is answered."""
        return self.ask_token(user, password=password).status

    def until(self, user: str, password: str, status: int) -> None:
        """Return when a password is answered like this."""
        poll(
            lambda: self.status(user, password) == status,
            f"{status} for {user}",
            SOON_SECONDS,
        )

    def until_logged(self, words: str) -> None:
        """Return when the log says something."""
        poll(lambda: words in self.regbroker.log(), words, SOON_SECONDS)


class ChangeTests(PasswordTestCase):
    """The file changes while regbroker runs."""

    def test_password(self) -> None:
        """The old one is refused within seconds, the new one is right.

        That the old one was right a moment ago does not help it, nor does Basic.
        """
        basic = self.as_user("alice")
        self.assertEqual(self.get(TAGS, basic).status, 200)
        self.set_password("alice", "a new one")
        poll(
            lambda: self.get(TAGS, basic).status == 401,
            "the old password's end",
            SOON_SECONDS,
        )
        self.assertEqual(self.status("alice", "a new one"), 200)
        self.assertEqual(self.status("alice"), 401)
        self.assertEqual(self.status("bob"), 200)

    def test_users_come_and_go(self) -> None:
        """Somebody new logs in within seconds, who was removed does not."""
        self.assertEqual(self.status("erin", "erin's secret"), 401)
        self.set_password("erin", "erin's secret")
        self.until("erin", "erin's secret", 200)
        skopeo = self.make_skopeo()
        self.assert_done(skopeo.login(self.host, "erin", "erin's secret"))
        mine = f"{self.host}/home/erin/app:1"
        image = self.make_image("another")
        self.assert_done(skopeo.push(image.source, mine))
        self.htpasswd.remove("erin")
        self.until("erin", "erin's secret", 401)

    def test_file_away(self) -> None:
        """The last good one counts while there is none, and while it is damaged."""
        path = self.htpasswd.path
        good = path.read_bytes()
        path.rename(path.with_suffix(".away"))
        self.until_logged("No such file")
        self.assertEqual(self.status("alice"), 200)
        self.assertEqual(self.status("alice", WRONG), 401)
        path.write_text("alice:$2y$05$cut\n")
        self.until_logged("cannot be understood")
        self.assertIn(str(path), self.regbroker.log())
        self.assertEqual(self.status("bob"), 200)
        path.write_bytes(good)
        self.set_password("bob", "another one")
        self.until("bob", "another one", 200)

    def test_unreadable(self) -> None:
        """A directory in its place is no file either."""
        path = self.htpasswd.path
        path.unlink()
        path.mkdir()
        self.until_logged("no regular file")
        self.assertEqual(self.status("alice"), 200)

    def test_every_kind(self) -> None:
        """Whatever `htpasswd` writes, beside what was there."""
        for kind, options in KINDS.items():
            # crypt sees eight bytes
            self.set_password(kind, f"{kind:.4}-sé", *options)
        for kind in KINDS:
            self.until(kind, f"{kind:.4}-sé", 200)
            self.assertEqual(self.status(kind, f"{kind:.4}-se"), 401)


class BasicTests(PasswordTestCase):
    """Passwords straight on /v2, as curl sends them."""

    def test_rights(self) -> None:
        """They count as with a token; 403 when new credentials would not help."""
        alice, bob = self.as_user("alice"), self.as_user("bob")
        self.assertEqual(self.get("/v2/", bob).json(), {})
        self.assertEqual(self.get(TAGS, bob).status, 200)
        self.assertEqual(self.post_upload("team/app", alice).status, 202)
        refused = self.post_upload("team/app", bob)
        self.assert_oci_error(refused, 403, "DENIED")
        self.assertEqual(refused.all("WWW-Authenticate"), [])

    def test_wrong(self) -> None:
        """A wrong password is 401 everywhere, also where nobody needs one."""
        for target in ("/v2/", TAGS, "/v2/lib/open/tags/list"):
            reply = self.get(target, self.as_user("alice", WRONG))
            self.assert_oci_error(reply, 401, "UNAUTHORIZED")
            self.assertTrue(reply.challenge()["realm"])

    def test_nonsense(self) -> None:
        """What is no credentials at all is an error, and no traceback."""
        for value in ("Basic", "Basic !", "Basic YWxpY2U=", "Negotiate abc", "Bearer"):
            reply = self.get(TAGS, {"Authorization": value})
            self.assertIn(reply.status, (400, 401), (value, reply))
            self.assertEqual(len(reply.error_codes()), 1)
        self.assertNotIn("Traceback", self.regbroker.log())

    def test_not_for_the_upstream(self) -> None:
        """The client's Authorization ends here: a registry that wants none sees none.

        What docker-registry logs of a request has the user of its credentials.
        """
        self.assertEqual(self.get(TAGS, self.as_user("alice")).status, 200)
        self.upstream_requests_until("/v2/acme_team/app/tags/list")
        log = (self.registry.directory / "registry.log").read_text()
        self.assertNotIn("alice", log)


class SearchTests(PasswordTestCase):
    """What every test here ends with."""

    def test_a_secret_would_be_found(self) -> None:
        """A secret in the log fails the test, whatever it is written like."""
        for secret, path in (
            ("needle", "/v2/team/needle/tags/list"),
            ("thread?", "/v2/dGhyZWFkPw"),
            ("ey/e", "/v2/ey%2Fe"),
        ):
            self.get(path)
            self.until_logged(f"path={path} ")
            self.add_secret(secret)
            with self.assertRaises(self.failureException):
                self.assert_nothing_secret_logged(self.regbroker)
            self.secrets.remove(secret)


class BasicChallengeTests(PasswordTestCase):
    """`challenge = basic`, for clients that know nothing else."""

    def start_regbroker(self) -> None:
        self.use(self.start_local(self.sections(registry="challenge = basic")))

    def test_challenge(self) -> None:
        """Every 401 asks for Basic alone."""
        bob = self.as_user("bob", WRONG)
        for target, header in (("/v2/", {}), (TAGS, {}), (TAGS, bob)):
            reply = self.get(target, header)
            self.assert_oci_error(reply, 401, "UNAUTHORIZED")
            self.assertEqual(
                reply.one("WWW-Authenticate"), f'Basic realm="{self.host}"'
            )
        self.assertEqual(self.get("/v2/lib/open/tags/list").status, 404)

    def test_clients(self) -> None:
        """skopeo and containerd log in so, too, and rights count."""
        image = self.make_image("another")
        alice, bob = self.make_skopeo("alice"), self.make_skopeo("bob")
        wrong = bob.login(self.host, "bob", WRONG)
        self.assert_refused(wrong, "invalid username/password")
        self.log_in(alice, "alice")
        self.log_in(bob, "bob")
        reference = f"{self.host}/team/app:2"
        self.assert_refused(bob.push(image.source, reference), "denied|403")
        self.assert_done(alice.push(image.source, reference))
        self.assertEqual(bob.digest_of(reference), image.digest)
        containerd = self.start_containerd()
        containerd.trust(self.host)
        user = "--user", f"bob:{PASSWORDS['bob']}"
        self.assert_done(containerd.pull(reference, *user))


class CostTests(PasswordTestCase):
    """What is computed, told by the processor time of the threads that hash."""

    def setUp(self) -> None:
        super().setUp()
        self.set_password("dear", "dear's secret", *DEAR)
        self.until("dear", "dear's secret", 200)

    def cost(self, *requests: tuple[str, str]) -> float:
        """The seconds of hashing for token requests, one after the other."""
        before = self.hashing_seconds()
        for user, password in requests:
            self.status(user, password)
        return self.hashing_seconds() - before

    def assert_one(self, spend: Callable[[str], None]) -> None:
        """
        Assert that `spend`, with a password that is new, costs one hash.

        A busy machine makes the same work take longer, so the fewest of some times
        count.
        """
        costs = []
        last = "dear's secret"
        for number in range(ROUNDS):
            # Every kind of hash that the file has.
            one = self.cost(("bob", f"{WRONG} {number}"))
            self.assertGreater(one, 0.05, "too fast to be counted")
            password = f"another {number}"
            self.set_password("dear", password, *DEAR)
            self.until("dear", last, 401)
            last = password
            before = self.hashing_seconds()
            spend(password)
            costs.append((self.hashing_seconds() - before) / one)
            if costs[-1] < 1.9:
                break
        self.assertLess(min(costs), 1.9)
        self.assertGreater(min(costs), 0.5)

    def test_basic_a_hundred_times(self) -> None:
        """`curl -u` a hundred times costs one hash."""

        def spend(password: str) -> None:
            header = self.as_user("dear", password)
            for _ in range(100):
                self.assertEqual(self.get("/v2/", header).status, 200)

        self.assert_one(spend)

    def test_at_the_same_moment(self) -> None:
        """The same password in many requests at once is one hash, too."""

        def spend(password: str) -> None:
            with ThreadPoolExecutor(20) as pool:
                futures = [
                    pool.submit(self.status, "dear", password) for _ in range(20)
                ]
                self.assertEqual({future.result() for future in futures}, {200})

        self.assert_one(spend)

    def test_unknown_user_costs_the_same(self) -> None:
        """What is computed does not tell who exists, whatever kind their hash is."""
        known = self.cost(("dear", WRONG))
        cheap = self.cost(("alice", WRONG))
        unknown = self.cost(("nobody", WRONG))
        self.assertGreater(known, 0.05, "too fast to be counted")
        for other in (cheap, unknown):
            self.assertLess(abs(other - known), known / 2, (known, cheap, unknown))


class SameReplyTests(PasswordTestCase):
    """A refusal does not tell who exists."""

    def test_unknown_user(self) -> None:
        """The replies are the same, byte for byte, on each way in.

        Each has a date and an id of its own.
        """

        def alike(reply: Reply) -> tuple[object, ...]:
            own = ("date", "x-request-id")
            headers = [each for each in reply.headers if each[0].lower() not in own]
            request_id = reply.one("X-Request-ID").encode()
            self.assertEqual(len(request_id), 12)
            return reply.status, headers, reply.body.replace(request_id, b"ID")

        ways: dict[str, Callable[[str], Reply]] = {
            "token": lambda user: self.ask_token(user, password=WRONG),
            "basic": lambda user: self.get(TAGS, self.as_user(user, WRONG)),
            "form": lambda user: self.post_token(
                grant_type="password", username=user, password=WRONG
            ),
        }
        for number, (way, ask) in enumerate(ways.items(), 66):
            # from one address, the third failure on would be slowed
            self.https = self.client(f"127.0.0.{number}")
            replies = [ask("alice"), ask("nobody"), ask("carol")]
            self.assertEqual(replies[0].status, 401, (way, replies[0]))
            first, *others = map(alike, replies)
            self.assertEqual(others, [first, first], way)


class LoadTests(PasswordTestCase):
    """Somebody tries passwords, many at a time."""

    PARALLEL = 40
    ATTEMPTS = 200

    def guess(self, client: HttpsClient, user: str, number: int) -> Reply:
        """Try one password."""
        authorization = basic(user, f"guess {number}")
        return client.request("GET", "/auth", {"Authorization": authorization})

    def guess_often(self, users: list[str]) -> list[Reply]:
        """Try many from one address, while alice logs in for the first time."""
        client = self.client("127.0.0.66")
        with ThreadPoolExecutor(self.PARALLEL) as pool:
            futures = [
                pool.submit(self.guess, client, users[i % len(users)], i)
                for i in range(self.ATTEMPTS)
            ]
            right = [self.ask_token("alice").status for _ in range(5)]
            replies = [future.result() for future in futures]
        self.assertEqual(right, [200] * 5, "alice does not get in meanwhile")
        for index in range(self.ATTEMPTS):
            self.add_secret(f"guess {index}")
        return replies

    def assert_slowed(self, replies: list[Reply], most: int) -> None:
        """After some were checked, they are 429 with a time to wait for."""
        counted = Counter(reply.status for reply in replies)
        self.assertEqual(set(counted), {401, 429}, counted)
        self.assertLessEqual(counted[401], most)
        for reply in replies:
            if reply.status == 429:
                self.assert_oci_error(reply, 429, "TOOMANYREQUESTS")
                self.assertGreater(int(reply.one("Retry-After")), 0)
        self.assertEqual(self.ask_token("alice").status, 200)

    def test_for_one_user(self) -> None:
        """alice, for whom somebody guesses, gets in from where she is."""
        self.assert_slowed(self.guess_often(["alice"]), 10 + self.PARALLEL)

    def test_for_many_users(self) -> None:
        """An address that tries many users is slowed as a whole."""
        users = [f"user{number}" for number in range(40)] + ["alice", "bob"]
        self.assert_slowed(self.guess_often(users), 30 + self.PARALLEL)
        client = self.client("127.0.0.66")
        refused = self.ask_token("bob", client=client)
        self.assert_oci_error(refused, 429, "TOOMANYREQUESTS")

    def test_basic(self) -> None:
        """On /v2 it is the same, and no way around."""
        client = self.client("127.0.0.66")
        header = {"Authorization": basic("alice", "guess")}
        with ThreadPoolExecutor(self.PARALLEL) as pool:
            futures = [
                pool.submit(client.request, "GET", "/v2/", header) for _ in range(100)
            ]
            replies = [future.result() for future in futures]
        self.assert_slowed(replies, 10 + self.PARALLEL)

    def test_anonymous_and_tokens_go_on(self) -> None:
        """Who needs no check is not slowed, not even at the same address."""
        header = self.token("alice", "repository:team/app:pull")
        self.guess_often(["alice", "bob"])
        client = self.client("127.0.0.66")
        self.assertEqual(client.request("GET", TAGS, header).status, 200)
        self.assertEqual(client.request("GET", "/v2/").status, 401)
        self.assertEqual(self.ask_token("", client=client).status, 200)

    def test_same_address(self) -> None:
        """Who has logged in there before gets in beside a guesser."""
        client = self.client("127.0.0.66")
        self.assertEqual(self.ask_token("bob", client=client).status, 200)
        self.guess_often([f"user{number}" for number in range(40)])
        self.assertEqual(self.ask_token("bob", client=client).status, 200)
