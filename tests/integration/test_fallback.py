"""Two upstreams for the same names: when the first one fails, the second serves."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from itertools import count

from .fronts_case import ALL, KEEPER, PULL, FrontsTestCase, Source, repositories
from .peers.htpasswd import Htpasswd
from .peers.https_client import Reply, basic
from .peers.images import MANIFEST_MEDIA_TYPE
from .peers.processes import Finished, poll
from .peers.skopeo import Skopeo
from .peers.token_server import Refusal, User

SECTIONS = """\
[registry localhost]
upstream = one, two
{accounts}
namespaces =
    team = acme_team
    team = two:spare_team
    lib/* = mirror/lib_*
    lib/* = two:spare/lib_*

"""

ANSWER_SECONDS = 1

ALICE = User("alice's secret", {"acme_team/*": ALL, "mirror/lib_*": PULL}, True)
ONE = {"": User("", {"mirror/lib_*": PULL}), "alice": ALICE}
TWO = {"": User("", {"spare/lib_*": PULL, "spare_team/*": PULL})}

TOOL = "/v2/lib/tool/manifests/1"
ACCEPT = {"Accept": MANIFEST_MEDIA_TYPE}
WRITES = ("POST", "PUT", "PATCH", "DELETE")


class Pulling:
    """Pulls again and again in a thread of its own, for as long as it is entered."""

    def __init__(self, pull: Callable[[], Finished]) -> None:
        self._pull = pull
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.begun = 0
        self.ended = 0
        self.failures: list[Finished] = []

    def __enter__(self) -> Pulling:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, pulls: int) -> None:
        """Return when that many pulls have been made, from beginning to end."""
        enough = self.begun + pulls
        poll(lambda: self.ended >= enough or self.failures, f"{pulls} more pulls")

    def _run(self) -> None:
        while not (self._stop.is_set() or self.failures):
            self.begun += 1
            try:
                done = self._pull()
            except subprocess.TimeoutExpired as error:
                done = Finished(-1, "", str(error))
            if done.status != 0:
                self.failures.append(done)
            self.ended += 1


class FallbackTestCase(FrontsTestCase):
    """`lib/tool` and `team/app` are in both, under other names."""

    users = {"alice": ALICE.password}
    hidden_words = ("acme_", "mirror/", "mirror%2F", "spare")

    def setUp(self) -> None:
        super().setUp()
        self.one = self.start_one()
        self.two = self.start_source("two", TWO, "spare_team/|spare/lib_")
        self.image = self.make_image()
        self.one.put(self.image, "mirror/lib_tool", "1")
        self.one.put(self.image, "acme_team/app", "1")
        self.two.put(self.image, "spare/lib_tool", "1")
        self.two.put(self.image, "spare_team/app", "1")
        self.start()

    accounts = "accounts = upstream"
    own_one = ""
    own_two = ""
    """Lines about an account of regbroker's own."""

    def start_one(self) -> Source:
        """Start the first upstream."""
        return self.start_source("one", ONE, "acme_team/|mirror/lib_")

    def start(self) -> None:
        """Start regbroker."""
        self.start_regbroker(self.sections())

    def sections(self) -> str:
        """The configuration."""
        lines = f"answer-timeout = {ANSWER_SECONDS}\n{self.own_one}"
        return (
            SECTIONS.format(accounts=self.accounts)
            + self.one.section(self.root, lines)
            + self.two.section(self.root, self.own_two)
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.one, self.two

    def pulling(self, skopeo: Skopeo, name: str = "lib/tool:1") -> Pulling:
        """Pull an image with skopeo, each time as if it were new."""
        numbers = count()

        def pull() -> Finished:
            target = f"oci:{self.directory}/pulled-{next(numbers)}:1"
            return skopeo.pull(f"{self.host}/{name}", target)

        return Pulling(pull)

    def wait_for_first(self, ask: Callable[[], object]) -> None:
        """Ask until the first upstream serves again, and goes on to do so."""

        def is_back() -> bool:
            # one may be on its way already when the first begins to rest
            served = self.one.served()
            ask()
            ask()
            return self.one.served() > served + 1

        poll(is_back, "the first upstream to serve again")


class MoodTests(FallbackTestCase):
    """Clients pull in a loop; the first upstream fails in some way, and comes back."""

    def assert_nobody_notices(self, fail: Callable[[], None]) -> None:
        """No pull fails, whoever serves it."""
        one, two = self.one, self.two
        with self.pulling(self.make_skopeo()) as loop:
            loop.wait_for(1)
            self.assertEqual(two.count(), 0, "the first serves while it can")
            fail()
            loop.wait_for(2)
            if not loop.failures:
                self.assertIn("spare/lib_tool", repositories(two.requests()))
            one.moody.pass_on()
            served = one.served()
            poll(
                lambda: one.served() > served + 2 or loop.failures,
                "the first upstream to serve again",
            )
            second = two.count()
            loop.wait_for(2)
        self.assertEqual([failed.output for failed in loop.failures], [])
        # a pull that the second had begun may have gone on there
        self.assertLessEqual(two.count() - second, 6)
        self.assert_digest()

    def assert_digest(self) -> None:
        """What is pulled is the image."""
        skopeo = self.make_skopeo("another")
        self.assertEqual(skopeo.digest_of(f"{self.host}/lib/tool:1"), self.image.digest)

    def test_too_many_requests(self) -> None:
        """429 with Retry-After."""
        self.assert_nobody_notices(lambda: self.one.moody.answer(429, retry_after=1))

    def test_unavailable(self) -> None:
        """503, as a balancer says it, without a word of when to come back."""
        self.assert_nobody_notices(lambda: self.one.moody.answer(503))

    def test_silence(self) -> None:
        """No answer at all."""
        self.assert_nobody_notices(self.one.moody.silence)

    def test_refused(self) -> None:
        """Nobody listens."""
        self.assert_nobody_notices(self.one.moody.refuse)

    def test_token_service(self) -> None:
        """The registry is there, its token service is not."""
        server = self.one.token_server

        def fail() -> None:
            # tokens that clients or regbroker have already stay good
            server.refusal = Refusal(503)
            self.one.moody.answer(503)

        with self.pulling(self.make_skopeo()) as loop:
            loop.wait_for(1)
            fail()
            loop.wait_for(2)
            server.refusal = None
            self.one.moody.pass_on()
            served = self.one.served()
            poll(
                lambda: self.one.served() > served + 2 or loop.failures,
                "the first upstream to serve again",
            )
        self.assertEqual([failed.output for failed in loop.failures], [])


class OtherClientsTests(FallbackTestCase):
    """What other clients make of it."""

    def test_containerd(self) -> None:
        """It takes the challenge of each 401, and never pings."""
        containerd = self.start_containerd()
        reference = f"{self.host}/lib/tool:1"
        for fail in (lambda: self.one.moody.answer(429), self.one.moody.refuse):
            fail()
            served = self.two.served()
            self.assert_done(containerd.pull(reference))
            self.assertEqual(containerd.digest_of(reference), self.image.digest)
            self.assertGreater(self.two.served(), served)
            containerd.remove(reference)

    def test_podman(self) -> None:
        """It pings first."""
        podman = self.make_podman()
        self.one.moody.answer(503)
        reference = f"{self.host}/lib/tool:1"
        self.assert_done(podman.pull(reference))
        self.assertEqual(podman.digest_of(reference), self.image.digest)

    def test_logged_in(self) -> None:
        """A user of the first upstream's is nobody in particular at the second."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        reference = f"{self.host}/team/app:1"
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        self.one.moody.answer(503)
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        asked = self.two.token_server.requests()
        self.assertEqual({one.user for one in asked}, {""})


class RequestsTests(FallbackTestCase):
    """Raw requests, one by one."""

    def test_statuses(self) -> None:
        """Each of these is a reason to ask the other; what is not there is none."""
        token = self.token("", "repository:lib/tool:pull") | ACCEPT
        missing = self.request("GET", "/v2/lib/tool/manifests/none", token)
        self.assert_oci_error(missing, 404, "MANIFEST_UNKNOWN")
        self.assertEqual(self.two.count(), 0)
        for status in (429, 502, 503, 504):
            self.one.moody.answer(status, retry_after=1)
            first = self.one.count()
            reply = self.request("GET", TOOL, token)
            self.assertEqual(reply.status, 200, reply)
            self.assertEqual(reply.body, self.image.blob(self.image.digest))
            self.assertGreater(self.one.count(), first, status)
            self.one.moody.pass_on()
            self.wait_for_first(lambda: self.request("GET", TOOL, token))

    def test_others_are_answers(self) -> None:
        """500 and 403 are the upstream's last word."""
        token = self.token("", "repository:lib/tool:pull") | ACCEPT
        for status in (500, 403):
            self.one.moody.answer(status)
            reply = self.request("GET", TOOL, token)
            self.assertEqual(reply.status, status, reply)
        self.assertEqual(self.two.count(), 0)

    def test_head_and_blobs(self) -> None:
        """HEAD, tags and blobs come from the second, too, under the public name."""
        token = self.token("", "repository:lib/tool:pull") | ACCEPT
        self.one.moody.answer(429, retry_after=30)
        head = self.request("HEAD", TOOL, token)
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.one("Docker-Content-Digest"), self.image.digest)
        tags = self.request("GET", "/v2/lib/tool/tags/list", token)
        self.assertEqual(tags.json(), {"name": "lib/tool", "tags": ["1"]})
        layer = self.image.layer_digests[0]
        part = self.request(
            "GET", f"/v2/lib/tool/blobs/{layer}", {**token, "Range": "bytes=10-19"}
        )
        self.assertEqual(part.status, 206, part)
        self.assertEqual(part.body, self.image.blob(layer)[10:20])
        # what the second has not, the first may have
        unknown = self.request("GET", "/v2/lib/tool/manifests/none", token)
        self.assert_oci_error(unknown, 429, "TOOMANYREQUESTS")

    def test_rests(self) -> None:
        """Until its Retry-After is over, the first is left alone."""
        token = self.token("", "repository:lib/tool:pull") | ACCEPT
        self.one.moody.answer(429, retry_after=600)
        first = len(self.one.moody.requests())
        for _ in range(20):
            self.assertEqual(self.request("GET", TOOL, token).status, 200)
        self.assertEqual(len(self.one.moody.requests()) - first, 1)

    def test_silence_costs_once(self) -> None:
        """One request waits for the first, those after it do not."""
        token = self.token("", "repository:lib/tool:pull") | ACCEPT
        self.one.moody.silence()
        first = self.one.count()
        for _ in range(5):
            self.assertEqual(self.request("GET", TOOL, token).status, 200)
        # it may be tried again after a pause of a second
        self.assertLessEqual(self.one.count() - first, 2)

    def test_all_fail(self) -> None:
        """429, with when to come back, is more use than 502 or 503; no order."""
        token = self.token("", "repository:lib/tool:pull") | ACCEPT
        self.one.moody.answer(429, retry_after=7)
        self.two.moody.answer(503)
        self.assert_limited(self.request("GET", TOOL, token))

    def test_all_fail_in_the_other_order(self) -> None:
        """The second's 429 counts as well."""
        token = self.token("", "repository:lib/tool:pull") | ACCEPT
        self.one.moody.refuse()
        self.two.moody.answer(429, retry_after=7)
        self.assert_limited(self.request("GET", TOOL, token))

    def test_all_away(self) -> None:
        """Nobody has anything useful to say: ours, and in order again later."""
        token = self.token("", "repository:lib/tool:pull") | ACCEPT
        self.one.moody.answer(502)
        self.two.moody.refuse()
        reply = self.request("GET", TOOL, token)
        self.assertIn(reply.status, (502, 503, 504), reply)
        self.assertEqual(len(reply.error_codes()), 1, reply)
        self.assertEqual(reply.one("Docker-Distribution-Api-Version"), "registry/2.0")
        self.two.moody.pass_on()
        poll(
            lambda: self.request("GET", TOOL, token).status == 200,
            "the second upstream to be tried again",
        )

    def assert_limited(self, reply: Reply) -> None:
        """429 with the upstream's time to come back."""
        self.assert_oci_error(reply, 429, "TOOMANYREQUESTS")
        self.assertEqual(reply.one("Retry-After"), "7", reply)


class TokenServiceTests(FallbackTestCase):
    """The first upstream's token service fails before anybody has a token."""

    def test_unavailable(self) -> None:
        """503: whoever brings nothing, and who has logged in before."""
        skopeo, alice = self.make_skopeo(), self.make_skopeo("alice")
        self.log_in(alice, "alice")
        self.one.token_server.refusal = Refusal(503)
        reference = f"{self.host}/lib/tool:1"
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        self.assert_done(skopeo.pull(reference, f"oci:{self.directory}/pulled:1"))
        self.assertEqual(alice.digest_of(reference), self.image.digest)

    def test_stopped(self) -> None:
        """Nobody listens there."""
        self.one.token_server.stop()
        skopeo = self.make_skopeo()
        reference = f"{self.host}/lib/tool:1"
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        self.assert_done(skopeo.pull(reference, f"oci:{self.directory}/pulled:1"))

    def test_limited(self) -> None:
        """429: the token service counts, too."""
        self.one.token_server.refusal = Refusal(429, {"Retry-After": "1"})
        skopeo = self.make_skopeo()
        reference = f"{self.host}/lib/tool:1"
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)

    def test_refusal_is_an_answer(self) -> None:
        """A wrong password is wrong: the second upstream is no way around it."""
        reply = self.ask_token("alice", "repository:lib/tool:pull", password="wrong")
        self.assertEqual(reply.status, 401, reply)


class BasicFirstTests(FallbackTestCase):
    """The first upstream wants Basic, the second tokens."""

    def start_one(self) -> Source:
        htpasswd = Htpasswd(self.directory / "upstream-htpasswd")
        htpasswd.set("alice", ALICE.password)
        htpasswd.set("keeper", KEEPER.password)
        names = "acme_team/|mirror/lib_"
        return self.start_source("one", {}, names, htpasswd.path)

    def test_password_stays(self) -> None:
        """The password in every request is for the first alone."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "alice")
        reference = f"{self.host}/team/app:1"
        for fail in (self.one.moody.pass_on, lambda: self.one.moody.answer(503)):
            fail()
            self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        self.assertEqual(repositories(self.two.requests()), {"spare_team/app"})
        pushed = skopeo.push(self.image.source, f"{self.host}/team/app:2")
        self.assert_refused(pushed, "(?i)unavailable|50[234]")

    def test_wrong_password(self) -> None:
        """While the first can say so, it is wrong."""
        headers = {"Authorization": basic("alice", "wrong")}
        reply = self.request("GET", TOOL, headers)
        self.assertEqual(reply.status, 401, reply)
        self.assertEqual(self.two.count(), 0)


class LocalAccountsTests(FallbackTestCase):
    """Accounts of regbroker's own, and an account of its own at each upstream."""

    users = {"bob": "bob's secret"}
    accounts = "accounts = staff"

    @property
    def trusted(self) -> tuple[Source, ...]:
        return ()

    def sections(self) -> str:
        self.one.token_server.users["first"] = User("first's secret", {"*": ALL}, True)
        self.two.token_server.users["second"] = User("second's secret", {"*": ALL})
        self.own_one = self.own_account("first", "first's secret")
        self.own_two = self.own_account("second", "second's secret")
        rights = "**: pull, push"
        local = self.local_accounts("bob", self.users["bob"], rights)
        return super().sections() + local

    def test_moods(self) -> None:
        """bob pulls, whoever serves, and pushes to the first."""
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "bob")
        reference = f"{self.host}/team/app:1"
        one = self.one.moody
        for fail in (one.pass_on, lambda: one.answer(429, retry_after=1), one.refuse):
            fail()
            self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        self.one.moody.pass_on()
        self.wait_for_first(
            lambda: self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        )
        self.assert_done(skopeo.push(self.image.source, f"{self.host}/team/app:2"))
        for source, user in ((self.one, "first"), (self.two, "second")):
            asked = source.token_server.requests()
            self.assertEqual({request.user for request in asked}, {user})

    def test_token_service(self) -> None:
        """The first upstream's fails: its registry cannot be asked, the other can."""
        self.one.token_server.refusal = Refusal(503)
        skopeo = self.make_skopeo()
        self.log_in(skopeo, "bob")
        reference = f"{self.host}/team/app:1"
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        self.assertEqual(repositories(self.one.requests()), set())


class DownAtStartTests(FallbackTestCase):
    """The first upstream is not there when regbroker starts."""

    def start(self) -> None:
        self.one.moody.refuse()
        super().start()

    def test_second_serves(self) -> None:
        """Its challenge is not known yet; clients pull all the same."""
        skopeo = self.make_skopeo()
        reference = f"{self.host}/lib/tool:1"
        self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        self.one.moody.pass_on()
        self.wait_for_first(
            lambda: self.assertEqual(skopeo.digest_of(reference), self.image.digest)
        )


class PushTests(FallbackTestCase):
    """Writes are the first upstream's."""

    def setUp(self) -> None:
        super().setUp()
        self.skopeo = self.make_skopeo()
        self.log_in(self.skopeo, "alice")
        self.another = self.make_image("another")

    def assert_nothing_written(self) -> None:
        """The second upstream has got no write."""
        written = [one for one in self.two.requests() if one.method in WRITES]
        self.assertEqual(written, [])

    def test_first_alone(self) -> None:
        """A push and a deletion never reach the second."""
        reference = f"{self.host}/team/app:2"
        self.assert_done(self.skopeo.push(self.another.source, reference))
        self.assertEqual(self.skopeo.digest_of(reference), self.another.digest)
        self.assert_done(self.skopeo.delete(reference))
        self.assertEqual(self.two.count(), 0)

    def test_failing(self) -> None:
        """While it fails, pushes fail, and say so."""
        reference = f"{self.host}/team/app:2"
        for fail in (lambda: self.one.moody.answer(503), self.one.moody.refuse):
            fail()
            refused = self.skopeo.push(self.another.source, reference)
            self.assert_refused(refused, "(?i)unavailable|50[234]|bad gateway")
        self.assert_nothing_written()
        self.one.moody.pass_on()

        def is_back() -> bool:
            pushed = self.skopeo.push(self.another.source, reference)
            return pushed.status == 0

        # whatever rests for reading, writes need not wait for it
        poll(is_back, "the push to work again")
        self.assert_nothing_written()

    def test_limited(self) -> None:
        """The client is told when to come back."""
        token = self.token("alice", "repository:team/app:pull,push")
        self.one.moody.answer(429, retry_after=7)
        for _ in range(2):
            reply = self.request("POST", "/v2/team/app/blobs/uploads/", token)
            self.assert_oci_error(reply, 429, "TOOMANYREQUESTS")
            self.assertIn(int(reply.one("Retry-After")), range(1, 8), reply)
        self.assert_nothing_written()

    def test_upload_status(self) -> None:
        """Where an upload stands, only the first can know."""
        token = self.token("alice", "repository:team/app:pull,push,delete")
        started = self.request("POST", "/v2/team/app/blobs/uploads/", token)
        self.assertEqual(started.status, 202, started)
        self.one.moody.answer(503)
        asked = self.request("GET", started.location(), token)
        self.assertIn(asked.status, (502, 503), asked)
        self.assertEqual(self.two.count(), 0)
        self.one.moody.pass_on()
        gone = self.request("DELETE", started.location(), token)
        self.assertEqual(gone.status, 204, gone)

    def test_rest_is_about_reading(self) -> None:
        """A push goes to the first although it rests."""
        token = self.token("alice", "repository:team/app:pull,push,delete") | ACCEPT
        self.one.moody.answer(429, retry_after=600)
        self.assertEqual(
            self.request("GET", "/v2/team/app/manifests/1", token).status, 200
        )
        self.one.moody.pass_on()
        first = self.one.served()
        reply = self.request("POST", "/v2/team/app/blobs/uploads/", token)
        self.assertEqual(reply.status, 202, reply)
        self.assertGreater(self.one.served(), first)
        gone = self.request("DELETE", reply.location(), token)
        self.assertEqual(gone.status, 204, gone)

    def test_blobs_of_the_other(self) -> None:
        """What only the second has is still pushed to the first, while it rests."""
        self.two.put(self.another, "spare_team/app", "9")
        token = self.token("alice", "repository:team/app:pull,push") | ACCEPT
        self.one.moody.answer(429, retry_after=600)
        manifest = self.request("GET", "/v2/team/app/manifests/1", token)
        self.assertEqual(manifest.status, 200, manifest)
        self.one.moody.pass_on()
        reference = f"{self.host}/team/app:2"
        self.assert_done(self.skopeo.push(self.another.source, reference))
        self.assert_nothing_written()
