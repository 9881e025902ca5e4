"""Who may come in: the gates, each with a broker that the test plays."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.broker.principal import Principal, WrongToken
from regbroker.errors import Denied, Unauthorized, UpstreamUnavailable
from regbroker.protocol.challenges import Challenge, parse_challenges
from regbroker.protocol.names import Action, parse_path
from regbroker.protocol.queries import Query
from regbroker.protocol.realms import parse_realm
from regbroker.settings.config import UpstreamConfig
from regbroker.upstream.discovery import Discovered
from regbroker.upstream.policy import Policy
from regbroker.web.admission import LocalGate, UpstreamGate
from regbroker.web.api_request import ApiRequest
from regbroker.web.backend import Backend
from regbroker.web.exchange import UpstreamRequest
from regbroker.web.mapped_target import mapped_target, operation_of
from tests.web.requests import MAPPING, asked

HOST = "registry.test"
REALM = parse_realm("https://up.test/token")

MANIFEST = "/v2/team/app/manifests/1"
UPLOADS = "/v2/team/app/blobs/uploads/"


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

    def challenge_of(self, work: Coroutine[Any, Any, Any]) -> str:
        """The one challenge with which a gate answers at once."""
        refusal = self.result(work)
        self.assertIsInstance(refusal, Unauthorized)
        ((name, value),) = refusal.headers
        self.assertEqual(name, b"WWW-Authenticate")
        text: str = value.decode()
        return text


class LocalGateTests(GateTestCase):
    def gate(
        self, answer: Principal | Exception | None, basic: bool = False
    ) -> LocalGate:
        """A gate before a broker."""
        self.broker = FakeBroker(answer)
        broker: Any = self.broker
        return LocalGate(broker, "/auth", basic)

    def refusal(
        self,
        answer: Principal | Exception | None,
        given: ApiRequest,
        basic: bool = False,
    ) -> str:
        """The challenge that refuses somebody."""
        gate = self.gate(answer, basic)
        return self.challenge_of(gate.admit(given))

    def test_let_in(self) -> None:
        """Who may do it comes in, and the log hears who it was."""
        alice = principal("alice", Action.PULL)
        given = asked("GET", MANIFEST, "Bearer x")
        admitted = self.result(self.gate(alice).admit(given))
        self.assertIs(admitted.principal, alice)
        self.assertEqual(given.event.user, "alice")
        shown = ("Bearer x", HOST, "192.0.2.1", given.event)
        self.assertEqual(self.broker.asked, [shown])

    def test_aliases(self) -> None:
        """What is asked is about the canonical name."""
        given = asked("GET", "/v2/acme_team/app/manifests/1")
        nobody = principal("", Action.PULL)
        admitted = self.result(self.gate(nobody).admit(given))
        self.assertIs(admitted.principal, nobody)

    def test_ping(self) -> None:
        """It lets in who has anything, and asks for it who has nothing."""
        for known in (principal("alice"), principal("", token=True)):
            given = asked("GET", "/v2/")
            admitted = self.result(self.gate(known).admit(given))
            self.assertIs(admitted.principal, known)
        self.assertEqual(
            self.refusal(principal("", Action.PULL), asked("GET", "/v2/")),
            'Bearer realm="https://registry.test/auth",'
            'service="service of registry.test"',
        )

    def test_challenges(self) -> None:
        """They say what is missing: everything, access, or a good token."""
        common = (
            'Bearer realm="https://registry.test/auth",'
            'service="service of registry.test",scope="repository:team/app:'
        )
        get, post = asked("GET", MANIFEST), asked("POST", UPLOADS)
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
        catalog = self.refusal(principal(""), asked("GET", "/v2/_catalog"))
        self.assertIn('scope="registry:catalog:*"', catalog)

    def test_again(self) -> None:
        """One gate says the same again, and something else of something else."""
        gate = self.gate(principal(""))
        common = (
            'Bearer realm="https://registry.test/auth",'
            'service="service of registry.test"'
        )
        scope = 'scope="repository:team/app:pull'
        for _ in range(2):
            for answer, given, expected in (
                (principal(""), asked("GET", "/v2/"), common),
                (None, asked("GET", MANIFEST), f'{common},{scope}"'),
                (WrongToken(), asked("GET", "/v2/"), f'{common},error="invalid_token"'),
                (principal(""), asked("POST", UPLOADS), f'{common},{scope},push"'),
            ):
                self.broker.answer = answer
                self.assertEqual(self.challenge_of(gate.admit(given)), expected)

    def test_basic(self) -> None:
        """For clients that know nothing else, there is nothing else."""
        basic = 'Basic realm="registry.test"'
        answers = (principal(""), None, WrongToken(), principal("alice", token=True))
        for answer in answers:
            given = asked("GET", MANIFEST)
            self.assertEqual(self.refusal(answer, given, basic=True), basic)

    def test_denied(self) -> None:
        """Who has shown a password and may not is told so: 403, no challenge."""
        bob = principal("bob", Action.PULL)
        error = self.error(self.gate(bob).admit(asked("POST", UPLOADS)), Denied)
        self.assertEqual(error.headers, ())
        self.assertEqual(error.detail, {"name": "team/app"})
        catalog = asked("GET", "/v2/_catalog")
        error = self.error(self.gate(bob).admit(catalog), Denied)
        self.assertEqual(error.message, "bob may not list the repositories")

    def test_about_everything(self) -> None:
        """Who may list may read what is about everything; nobody may change it."""
        alice = principal("alice", Action.PULL, Action.PUSH)
        lister = replace(alice, may_list=True)
        for method, somebody, is_let_in in (
            ("GET", lister, True),
            ("GET", alice, False),
            ("POST", lister, False),
        ):
            target = parse_path("/v2/_ext/search", extensions=True)
            operation = operation_of(target, method, MAPPING)
            target_here = mapped_target(target, operation)
            given = replace(asked(method, "/v2/"), target=target_here)
            admitting = self.gate(somebody).admit(given)
            if is_let_in:
                self.assertIs(self.result(admitting).principal, somebody)
            else:
                self.error(admitting, Denied)

    def test_mount(self) -> None:
        """Without the right to pull there, it is an upload."""
        for source, mounts in (("team/app", True), ("team/other", False)):
            query = Query(f"mount=sha256:1&from={source}")
            given = replace(asked("POST", UPLOADS), query=query)
            given = given.mounting(MAPPING.route(source), source)
            alice = principal("alice", Action.PULL, Action.PUSH)
            admitted = self.result(self.gate(alice).admit(given))
            self.assertEqual(admitted.mount is not None, mounts)
            self.assertEqual("mount" in str(admitted.query), mounts)
            # What was asked stays as it was.
            self.assertIn("mount", str(given.query))

    def test_visible(self) -> None:
        """The broker says what is seen."""
        seen = self.result(self.gate(None).visible(principal("x")))
        self.assertTrue(seen("x"))


class FakeUpstream:
    """What is known of an upstream, and what it tells when it is asked."""

    def __init__(
        self, discovered: Discovered | None, told: Discovered | None = None
    ) -> None:
        self.discovered = discovered
        self.told = told
        self.name = "up"
        self.config = UpstreamConfig(name="up", origin=None)

    async def discover(self) -> Discovered:
        if self.told is None:
            raise UpstreamUnavailable("down")
        return self.told


class FakeResponder:
    """Writes challenges anew."""

    def challenges(self, given: tuple[Challenge, ...], _: UpstreamRequest) -> Any:
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
        discovered: Discovered | None,
        shares: bool = False,
        told: Discovered | None = None,
    ) -> UpstreamGate:
        """A gate before an upstream of which this is known."""
        upstream: Any = FakeUpstream(discovered, told)
        broker: Any = TokenUsers()
        responder: Any = FakeResponder()
        forwarder: Any = None
        shared = frozenset({"pull"} if shares else ())
        backend = Backend(
            upstream, forwarder, responder, policy=Policy(clients=True, shared=shared)
        )
        return UpstreamGate([backend], broker.user_of, Clock())

    def assert_passes(self, gate: UpstreamGate, given: ApiRequest) -> None:
        """A request is let in, and the upstream decides who it is by."""
        self.assertIsNone(self.result(gate.admit(given)).principal)

    def test_ping(self) -> None:
        """It is answered here when it is known what the upstream will say."""
        given = asked("GET", "/v2/")
        for discovered, shares in ((BEARER, False), (BASIC, False), (BEARER, True)):
            challenge = self.challenge_of(self.gate(discovered, shares).admit(given))
            self.assertEqual(challenge, discovered.challenges[0].scheme)

    def test_ping_again(self) -> None:
        """It is answered with what is known now, for the host that was asked."""
        gate = self.gate(BEARER)
        backend: Any = gate._trusted[0]
        written: list[Any] = []

        def write(given: tuple[Challenge, ...], request: UpstreamRequest) -> Any:
            forwarded = request.asked.client.forwarded
            line = f"{given[0].scheme} {forwarded.scheme} {forwarded.host}"
            written.append(f"{line} {forwarded.source}")
            return [written[-1].encode()]

        backend.responder.challenges = write
        given = asked("GET", "/v2/")
        changes: tuple[dict[str, Any], ...] = (
            {},
            {"host": "other.test"},
            {"scheme": "http"},
            {"source": "docker.io"},
        )
        for change in changes:
            forwarded = replace(given.client.forwarded, **change)
            other = replace(given, client=replace(given.client, forwarded=forwarded))
            for _ in range(2):
                challenge = self.challenge_of(gate.admit(other))
                self.assertEqual(challenge, written[-1])
        self.assertEqual(len(set(written)), len(written))
        backend.upstream.discovered = BASIC
        challenge = self.challenge_of(gate.admit(given))
        self.assertEqual(challenge, f"basic https {HOST} ")

    def test_ping_at_the_start(self) -> None:
        """A shared account does not open the ping before anything is known."""
        given = asked("GET", "/v2/")
        learning = self.gate(None, True, BEARER)
        self.assertEqual(self.challenge_of(learning.admit(given)), "bearer")
        for told in (None, BASIC, Discovered(())):
            self.assert_passes(self.gate(None, True, told), given)
        self.assert_passes(self.gate(None, False, BEARER), given)

    def test_ping_for_the_upstream(self) -> None:
        """It is not when nothing is known or wanted, or Basic would be shared."""
        given = asked("GET", "/v2/")
        for discovered, shares in (
            (None, False),
            (Discovered(()), False),
            (BASIC, True),
        ):
            self.assert_passes(self.gate(discovered, shares), given)
        with_token = asked("GET", "/v2/", "Bearer t")
        self.assert_passes(self.gate(BEARER), with_token)
        self.assertEqual(with_token.event.user, "carol")

    def test_everything_else(self) -> None:
        """That is for the upstream to decide; the log hears who asks."""
        given = asked("GET", MANIFEST, "Basic Ym9iOmI=")
        self.assert_passes(self.gate(BEARER), given)
        self.assertEqual(given.event.user, "bob")
        visible = self.result(self.gate(BEARER).visible(principal("")))
        self.assertTrue(visible("anything"))
