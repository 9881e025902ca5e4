"""Who may come in: the gates, each with a broker that the test plays."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from regbroker.broker.local_broker import Principal, WrongToken
from regbroker.errors import Denied, Unauthorized, UpstreamUnavailable
from regbroker.events import Event
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.challenges import Challenge, parse_challenges
from regbroker.protocol.headers import Forwarded
from regbroker.protocol.names import Action, parse_path
from regbroker.protocol.queries import Query
from regbroker.protocol.realms import parse_realm
from regbroker.settings.config import UpstreamConfig
from regbroker.upstream.discovery import Discovered
from regbroker.upstream.policy import Policy
from regbroker.web.admission import LocalGate, UpstreamGate
from regbroker.web.client_request import ClientRequest
from regbroker.web.exchange import Exchange
from regbroker.web.failover import Candidate

HOST = "registry.test"
WAY = Forwarded("192.0.2.1", "192.0.2.1", "https", HOST)
MAPPING = NameMapping([parse_rule("team = acme_team")], ["up"])
REALM = parse_realm("https://up.test/token")

MANIFEST = "/v2/team/app/manifests/1"
UPLOADS = "/v2/team/app/blobs/uploads/"


def exchange(method: str, path: str, authorization: str = "") -> Exchange:
    """A request whose names are mapped."""
    http: Any = DummyRequest([])
    request = ClientRequest(http, WAY, method, path, Query(""), authorization or None)
    target = parse_path(path)
    event = Event(lambda: 0.0, method=method, path=path)
    made = Exchange(request, event, target, "", MAPPING)
    if target.name is not None:
        made.leads_to(MAPPING.routes(target.name))
    return made


def principal(user: str, *actions: Action, token: bool = False) -> Principal:
    """Somebody who may do this to ``team/app``."""
    return Principal(
        user,
        token,
        lambda action, name: action in actions and name == "team/app",
        False,
    )


class FakeBroker:
    """Lets in whom the test says."""

    def __init__(self, answer: Principal | Exception | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str | None, str, str]] = []

    def service(self, host: str) -> str:
        return f"service of {host}"

    async def identify(self, *asked: Any) -> Principal | None:
        self.asked.append(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def visible(self, principal: Principal) -> Any:
        return principal.user.__eq__


class GateTestCase(SynchronousTestCase):
    def result(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What some work returns at once."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def error(self, work: Coroutine[Any, Any, Any], kind: type[Exception]) -> Any:
        """What some work fails with at once."""
        return self.failureResultOf(Deferred.fromCoroutine(work), kind).value

    def challenge_of(self, error: Unauthorized) -> str:
        """The one challenge of a refusal."""
        ((name, value),) = error.headers
        self.assertEqual(name, b"WWW-Authenticate")
        return value.decode()


class LocalGateTests(GateTestCase):
    def gate(
        self, answer: Principal | Exception | None, basic: bool = False
    ) -> LocalGate:
        """A gate before a broker."""
        self.broker = FakeBroker(answer)
        broker: Any = self.broker
        return LocalGate(broker, "/auth", basic)

    def refusal(
        self, answer: Principal | Exception | None, given: Exchange, basic: bool = False
    ) -> str:
        """The challenge that refuses somebody."""
        gate = self.gate(answer, basic)
        return self.challenge_of(self.error(gate.admit(given), Unauthorized))

    def test_let_in(self) -> None:
        """Who may do it comes in, and the log hears who it was."""
        alice = principal("alice", Action.PULL)
        given = exchange("GET", MANIFEST, "Bearer x")
        self.assertIs(self.result(self.gate(alice).admit(given)), alice)
        self.assertEqual(given.event.user, "alice")
        self.assertEqual(self.broker.asked, [("Bearer x", HOST, "192.0.2.1")])

    def test_aliases(self) -> None:
        """What is asked is about the canonical name."""
        given = exchange("GET", "/v2/acme_team/app/manifests/1")
        nobody = principal("", Action.PULL)
        self.assertIs(self.result(self.gate(nobody).admit(given)), nobody)

    def test_ping(self) -> None:
        """It lets in who has anything, and asks for it who has nothing."""
        for known in (principal("alice"), principal("", token=True)):
            given = exchange("GET", "/v2/")
            self.assertIs(self.result(self.gate(known).admit(given)), known)
        self.assertEqual(
            self.refusal(principal("", Action.PULL), exchange("GET", "/v2/")),
            'Bearer realm="https://registry.test/auth",'
            'service="service of registry.test"',
        )

    def test_challenges(self) -> None:
        """They say what is missing: everything, access, or a good token."""
        common = (
            'Bearer realm="https://registry.test/auth",'
            'service="service of registry.test",scope="repository:team/app:'
        )
        get, post = exchange("GET", MANIFEST), exchange("POST", UPLOADS)
        self.assertEqual(self.refusal(principal(""), get), f'{common}pull"')
        self.assertEqual(self.refusal(principal(""), post), f'{common}pull,push"')
        self.assertEqual(self.refusal(None, get), f'{common}pull"')
        self.assertEqual(
            self.refusal(principal("alice", Action.PULL, token=True), post),
            f'{common}pull,push",error="insufficient_scope"',
        )
        self.assertEqual(
            self.refusal(WrongToken(), get), f'{common}pull",error="invalid_token"'
        )
        catalog = self.refusal(principal(""), exchange("GET", "/v2/_catalog"))
        self.assertIn('scope="registry:catalog:*"', catalog)

    def test_basic(self) -> None:
        """For clients that know nothing else, there is nothing else."""
        basic = 'Basic realm="registry.test"'
        answers = (principal(""), None, WrongToken(), principal("alice", token=True))
        for answer in answers:
            given = exchange("GET", MANIFEST)
            self.assertEqual(self.refusal(answer, given, basic=True), basic)

    def test_denied(self) -> None:
        """Who has shown a password and may not is told so: 403, no challenge."""
        bob = principal("bob", Action.PULL)
        error = self.error(self.gate(bob).admit(exchange("POST", UPLOADS)), Denied)
        self.assertEqual(error.headers, ())
        self.assertEqual(error.detail, {"name": "team/app"})
        catalog = exchange("GET", "/v2/_catalog")
        error = self.error(self.gate(bob).admit(catalog), Denied)
        self.assertEqual(error.message, "bob may not list the repositories")

    def test_mount(self) -> None:
        """Without the right to pull there, it is an upload."""
        for source, mounts in (("team/app", True), ("team/other", False)):
            given = exchange("POST", UPLOADS)
            given.query = Query(f"mount=sha256:1&from={source}")
            given.mounts(MAPPING.route(source), source)
            alice = principal("alice", Action.PULL, Action.PUSH)
            self.result(self.gate(alice).admit(given))
            self.assertEqual(given.mounted_from is not None, mounts)
            self.assertEqual("mount" in str(given.query), mounts)

    def test_visible(self) -> None:
        """The broker says what is seen."""
        seen = self.result(self.gate(None).visible(principal("x")))
        self.assertTrue(seen("x"))


class FakeUpstream:
    """What is known of an upstream, and what it tells when it is asked."""

    def __init__(
        self, known: Discovered | None, told: Discovered | None = None
    ) -> None:
        self.known = known
        self.told = told
        self.config = UpstreamConfig(name="up", origin=None)

    async def discovered(self) -> Discovered:
        if self.told is None:
            raise UpstreamUnavailable("down")
        return self.told


class FakeAnswering:
    """Writes challenges anew."""

    def challenges(self, given: tuple[Challenge, ...], _: Exchange) -> Any:
        return [challenge.scheme.encode() for challenge in given]


class TokenUsers:
    """Remembers whose token is whose."""

    def user_of(self, token: str) -> str:
        return {"t": "carol"}.get(token, "")


BEARER = Discovered(parse_challenges(['Bearer realm="https://up.test/token"']), REALM)
BASIC = Discovered(parse_challenges(['Basic realm="up"']))


class UpstreamGateTests(GateTestCase):
    def gate(
        self,
        known: Discovered | None,
        shares: bool = False,
        told: Discovered | None = None,
    ) -> UpstreamGate:
        """A gate before an upstream of which this is known."""
        upstream: Any = FakeUpstream(known, told)
        broker: Any = TokenUsers()
        answering: Any = FakeAnswering()
        asking: Any = None
        shared = frozenset({"pull"} if shares else ())
        candidate = Candidate(
            upstream, asking, answering, policy=Policy(clients=True, shared=shared)
        )
        return UpstreamGate([candidate], broker.user_of, Clock())

    def test_ping(self) -> None:
        """It is answered here when it is known what the upstream will say."""
        given = exchange("GET", "/v2/")
        for known, shares in ((BEARER, False), (BASIC, False), (BEARER, True)):
            error = self.error(self.gate(known, shares).admit(given), Unauthorized)
            scheme = known.challenges[0].scheme
            self.assertEqual(self.challenge_of(error), scheme)

    def test_ping_at_the_start(self) -> None:
        """What is lent does not open the ping before anything is known."""
        given = exchange("GET", "/v2/")
        self.error(self.gate(None, True, BEARER).admit(given), Unauthorized)
        for told in (None, BASIC, Discovered(())):
            self.assertIsNone(self.result(self.gate(None, True, told).admit(given)))
        self.assertIsNone(self.result(self.gate(None, False, BEARER).admit(given)))

    def test_ping_for_the_upstream(self) -> None:
        """It is not when nothing is known or wanted, or Basic would be lent."""
        given = exchange("GET", "/v2/")
        for known, shares in ((None, False), (Discovered(()), False), (BASIC, True)):
            self.assertIsNone(self.result(self.gate(known, shares).admit(given)))
        with_token = exchange("GET", "/v2/", "Bearer t")
        self.assertIsNone(self.result(self.gate(BEARER).admit(with_token)))
        self.assertEqual(with_token.event.user, "carol")

    def test_everything_else(self) -> None:
        """That is for the upstream to decide; the log hears who asks."""
        given = exchange("GET", MANIFEST, "Basic Ym9iOmI=")
        self.assertIsNone(self.result(self.gate(BEARER).admit(given)))
        self.assertEqual(given.event.user, "bob")
        visible = self.result(self.gate(BEARER).visible(principal("")))
        self.assertTrue(visible("anything"))
