"""
Clients' own logins in front of registries with habits: how long they are good after
they were taken back, what a herd of them costs, and what is passed on of a refusal.
"""

from __future__ import annotations

import base64
from types import SimpleNamespace

from regbroker.assembly import registries, upstreams
from tests.habitcase import ALICE, MANIFEST, PULL, SECRET, TAGS, HabitTestCase
from tests.habits import (
    ACR,
    DISTRIBUTION,
    ECR,
    GITHUB,
    GOOGLE,
    HARBOR,
    HUB,
    ICR,
    NEXUS,
    NEXUS_TOKENS,
    QUAY,
    REDIRECTING,
    ZOT,
    Answer,
    Habit,
)

#: A password that was taken back upstream is good here no longer than this.
BOUND_SECONDS = 60

TOKENS = (DISTRIBUTION, HARBOR, QUAY, ACR, ICR, ZOT, NEXUS_TOKENS, GOOGLE, HUB, GITHUB)

SECRET_PULL = "scope=repository:team/secret:pull"
SECRET_PUSH = "scope=repository:team/secret:pull,push"


def login(password: str) -> str:
    """Alice's Authorization with some password."""
    encoded = base64.b64encode(f"alice:{password}".encode()).decode()
    return f"Authorization: Basic {encoded}"


class ClientsTestCase(HabitTestCase):
    """Tokens live on a clock that the test moves: `now`, in seconds since 1970."""

    async def set_up(self) -> None:
        await super().set_up()
        self.now = 1_800_000_000.0
        time = SimpleNamespace(time=lambda: self.now)
        self.patch(upstreams, "time", time)
        self.patch(registries, "time", time)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, for tokens and for everything else."""
        self.now += seconds
        self.time.clock.advance(seconds)


class RevokedTests(ClientsTestCase):
    async def test_password_taken_back(self) -> None:
        """It is good for a minute more at most, however often it is used."""
        for habit in TOKENS:
            await self.start(habit)
            self.assertEqual((await self.token()).status, 200, habit.name)
            self.manners.users["alice"] = "changed"
            for _ in range(4):
                self.pass_time(BOUND_SECONDS / 4)
                await self.token()
            self.pass_time(1)
            reply = await self.token()
            self.assertEqual(reply.status, habit.wrong_status, habit.name)
            reply = await self.token(user=login("changed"))
            self.assertEqual(reply.status, 200, habit.name)

    async def test_other_password(self) -> None:
        """A token is not for who comes with another password than it was given for."""
        for habit in TOKENS:
            await self.start(habit)
            await self.token()
            reply = await self.token(user=login("guess"))
            self.assertEqual(reply.status, habit.wrong_status, habit.name)
            self.assertEqual((await self.token()).status, 200)

    async def test_login_alone(self) -> None:
        """The same is so for a login that asks for nothing, as docker's is."""
        await self.start(DISTRIBUTION)
        self.assertEqual((await self.token("service=up")).status, 200)
        self.manners.users["alice"] = "changed"
        self.pass_time(BOUND_SECONDS + 1)
        self.assertEqual((await self.token("service=up")).status, 401)

    async def test_basic(self) -> None:
        """Where Basic is sent, nothing is remembered at all."""
        for habit in (ECR, NEXUS):
            await self.start(habit)
            self.assertEqual((await self.get(MANIFEST, ALICE)).status, 200)
            self.manners.users["alice"] = "changed"
            self.assertEqual((await self.get(MANIFEST, ALICE)).status, 401)

    async def test_herd(self) -> None:
        """Many who ask the same cost one request, at once and within the minute."""
        for habit in TOKENS:
            await self.start(habit)
            await self.get()
            self.manners.forget()
            clients = [await self.connect() for _ in range(12)]
            for client in clients:
                client.request("GET", f"/auth?{PULL}", ALICE)
            for client in clients:
                self.assertEqual((await client.reply()).status, 200)
            self.pass_time(BOUND_SECONDS - 1)
            await self.token()
            self.assertEqual(len(self.manners.token_requests), 1, habit.name)
            self.pass_time(2)
            clients = [await self.connect() for _ in range(12)]
            for client in clients:
                client.request("GET", f"/auth?{PULL}", ALICE)
            for client in clients:
                self.assertEqual((await client.reply()).status, 200)
            self.assertEqual(len(self.manners.token_requests), 2, habit.name)

    async def test_whoever_brings_nothing(self) -> None:
        """Nobody's tokens are good for their life: there is nothing to take back."""
        await self.start(DISTRIBUTION)
        self.manners.rights[""] = {"acme_team/app"}
        for _ in range(3):
            self.assertEqual((await self.token(user="")).status, 200)
            self.pass_time(BOUND_SECONDS + 1)
        self.assertEqual(len(self.manners.token_requests), 1)


class RefusedTokenTests(ClientsTestCase):
    async def refused(self, target: str, bearer: str, method: str = "GET") -> None:
        """Send a token that is not good enough, and drop it."""
        self.client = await self.connect()
        reply = await self.client.ask(method, target, bearer)
        self.assertIn(reply.status, (401, 403))

    async def test_right_granted(self) -> None:
        """It counts at the next token, however the refusal was met."""
        for habit in TOKENS:
            for method, target in (
                ("GET", SECRET),
                ("HEAD", SECRET),
                ("GET", "/v2/team/secret/tags/list"),
                ("GET", f"/v2/team/secret/blobs/sha256:{'0' * 64}"),
                ("POST", "/v2/team/secret/blobs/uploads/"),
            ):
                await self.start(habit)
                query = SECRET_PUSH if method == "POST" else SECRET_PULL
                bearer = await self.bearer(query)
                await self.refused(target, bearer, method)
                self.manners.rights["alice"].add("acme_team/secret")
                bearer = await self.bearer(query)
                self.client = await self.connect()
                reply = await self.client.ask(
                    method, SECRET if method == "GET" else target, bearer
                )
                self.assertIn(reply.status, (200, 202), (habit.name, method))

    async def test_others_keep_theirs(self) -> None:
        """Only the token that was refused is dropped."""
        await self.start(DISTRIBUTION)
        good = await self.bearer()
        bad = await self.bearer(SECRET_PULL)
        await self.refused(SECRET, bad)
        self.manners.forget()
        self.assertEqual(await self.bearer(), good)
        self.assertEqual(self.manners.token_requests, [])

    async def test_one_request(self) -> None:
        """What the client brought is sent once, and its answer is the answer."""
        for habit in TOKENS:
            await self.start(habit)
            bearer = await self.bearer(SECRET_PULL)
            self.manners.forget()
            await self.refused(SECRET, bearer)
            self.assertEqual(len(self.manners.asked()), 1, habit.name)
            self.assertEqual(self.manners.token_requests, [], habit.name)


class ChallengeTests(ClientsTestCase):
    async def challenge(self, target: str, *headers: str) -> tuple[int, str]:
        """The status, and the challenge of a reply."""
        reply = await self.get(target, *headers)
        lines = reply.all(b"WWW-Authenticate")
        return reply.status, "; ".join(line.decode() for line in lines)

    async def test_forbidden(self) -> None:
        """A 403's challenge is mapped like a 401's, and never the upstream's own."""
        for habit in (ICR, Habit("icr-open", ICR.challenge, True, lacking=ICR.lacking)):
            await self.start(habit)
            bearer = await self.bearer()
            for target in (SECRET, "/v2/team/secret/tags/list"):
                status, challenge = await self.challenge(target, bearer)
                self.assertEqual(status, 403)
                self.assertEqual(
                    challenge,
                    'Bearer realm="http://registry.test/auth",service="up",'
                    'scope="repository:team/secret:pull",error="insufficient_scope"',
                )

    async def test_forbidden_without(self) -> None:
        """A 403 without a challenge has none here."""
        for habit in (ECR, NEXUS):
            await self.start(habit)
            self.assertEqual(await self.challenge(SECRET, ALICE), (403, ""), habit.name)

    async def test_scope_that_the_upstream_names(self) -> None:
        """Azure's scope reaches the client in public names, and is taken back."""
        await self.start(ACR)
        _, challenge = await self.challenge(TAGS)
        self.assertIn('scope="repository:team/app:metadata_read"', challenge)
        bearer = await self.bearer("scope=repository:team/app:metadata_read")
        self.assertEqual((await self.get(TAGS, bearer)).status, 200)

    async def test_scopes_taken_back(self) -> None:
        """Whatever scope our 401 carries, our token service takes, and logs in."""
        for scope in (
            "repository::pull",
            "repository:user/image:pull",
            "repository:team/app:*",
            "registry:catalog:*",
            "aws",
            "repository:team/app:pull,metadata_read",
            "repository:UPPER/Case:pull",
            ":::",
            "repository:team/app",
        ):
            await self.start(Habit("odd", DISTRIBUTION.challenge, ping_scope=scope))
            status, challenge = await self.challenge("/v2/")
            self.assertEqual(status, 401)
            carried = challenge.partition('scope="')[2].partition('"')[0]
            for brought in {scope, carried}:
                reply = await self.token(f"service=up&scope={brought}")
                self.assertEqual(reply.status, 200, (brought, reply.body))
                reply = await self.token(f"service=up&scope={brought}", login("guess"))
                self.assertEqual(reply.status, 401, (brought, reply.body))

    async def test_form_with_odd_scopes(self) -> None:
        """In a form, too."""
        await self.start(ZOT)
        for scope in ("repository::pull", ":::"):
            form = (
                "grant_type=password&service=up&client_id=oras&username=alice"
                f"&password=wonderland&scope={scope}"
            ).encode()
            self.client = await self.connect()
            reply = await self.client.ask(
                "POST",
                "/auth",
                "Content-Type: application/x-www-form-urlencoded",
                body=form,
            )
            self.assertEqual(reply.status, 200, reply.body)


class RedirectTests(ClientsTestCase):
    async def test_nowhere_else(self) -> None:
        """A redirect to another origin is not followed, and no login goes there."""
        for place in (
            "http://127.0.0.1:1/token",
            "https://127.0.0.1:{port}/token",
            "http://localhost:{port}/token",
            "//evil.test/token",
        ):
            for user in (ALICE, ""):
                await self.start(DISTRIBUTION)
                await self.get("/v2/")
                location = place.format(port=self.upstream.port)
                self.manners.moods = [Answer(307, (f"Location: {location}",))]
                seen = len(self.upstream.wires)
                reply = await self.token(user=user)
                self.assertEqual(reply.status, 502, (place, reply.body))
                self.assertNotIn("127.0.0.1", reply.message)
                self.assertLessEqual(len(self.upstream.wires), seen + 1)

    async def test_our_login(self) -> None:
        """Our own account's login follows it on its own origin, and is shown once."""
        for status in (301, 302, 307, 308):
            habit = Habit("moved", DISTRIBUTION.challenge, redirect_status=status)
            await self.start_own(habit)
            self.assertEqual((await self.get()).status, 200)
            self.assertEqual(len(self.manners.token_requests), 1)
            self.manners.users["robot"] = "changed"
            for _ in range(6):
                self.assertIn((await self.get(SECRET)).status, (403, 503))
            self.assertEqual(self.manners.wrong, 1)

    async def test_form(self) -> None:
        """A client's form is answered through it, as its GET is."""
        await self.start(REDIRECTING)
        form = (
            b"grant_type=password&service=up&client_id=c&username=alice"
            b"&password=wonderland&scope=repository:team/app:pull"
        )
        self.client = await self.connect()
        reply = await self.client.ask(
            "POST",
            "/auth",
            "Content-Type: application/x-www-form-urlencoded",
            body=form,
        )
        self.assertEqual(reply.status, 200, reply.body)
