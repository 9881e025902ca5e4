"""
Registries with habits of their own, behind regbroker: what clients get, how often a
login is shown, and what one request costs upstream.
"""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs

from regbroker.upstream.login_record import FIRST_PAUSE_SECONDS
from regbroker.upstream.login_turns import TURN_SECONDS, Turns
from regbroker.upstream.own_account import PROVED_SECONDS
from tests.habitcase import (
    ALICE,
    MANIFEST,
    MISSING,
    SECRET,
    TAGS,
    UPLOADS,
    HabitTestCase,
)
from tests.habits import (
    ACR,
    DISTRIBUTION,
    ECR,
    HABITS,
    HARBOR,
    ICR,
    NEXUS,
    NEXUS_TOKENS,
    QUAY,
    ZOT,
    ZOT_OPEN,
    Habit,
)
from tests.scripted import Call, response


class OwnAccountTests(HabitTestCase):
    async def test_pull(self) -> None:
        """What our account may have, everybody gets, at one request and one token."""
        for habit in HABITS:
            await self.start_own(habit)
            self.assertEqual((await self.get()).status, 200, habit.name)
            self.manners.forget()
            for _ in range(3):
                self.assertEqual((await self.get()).status, 200, habit.name)
            self.assertEqual(len(self.manners.asked()), 3, habit.name)
            self.assertEqual(self.manners.token_requests, [], habit.name)
            self.assertEqual(self.manners.wrong, 0, habit.name)

    async def test_learnt_at_the_repository(self) -> None:
        """Where the ping passes, the first request brings it out, and no second one."""
        for habit in (NEXUS, NEXUS_TOKENS, ZOT_OPEN):
            await self.start_own(habit)
            self.assertEqual((await self.get()).status, 200, habit.name)
            statuses = [status for _, _, status in self.manners.asked("/manifests/")]
            self.assertEqual(statuses, [401, 200], habit.name)
            self.manners.forget()
            reply = await self.client.ask("POST", UPLOADS, body=b"")
            self.assertEqual(reply.status, 401)
            self.assertEqual((await self.get()).status, 200)
            self.assertEqual(len(self.manners.asked("/manifests/")), 1, habit.name)

    async def test_no_right(self) -> None:
        """403, however the registry says it: one request, one token, and no word."""
        for habit in (DISTRIBUTION, HARBOR, QUAY, ICR, ACR, ZOT, NEXUS_TOKENS):
            await self.start_own(habit)
            await self.get()
            self.manners.forget()
            with capturedLogs() as events:
                for number in range(1, 4):
                    reply = await self.get(SECRET)
                    given = reply.status, reply.code
                    self.assertEqual(given, (403, "DENIED"), habit.name)
                    self.assertEqual(len(self.manners.asked("secret")), number)
                    self.assertEqual(len(self.manners.token_requests), number)
            loud = [e for e in events if e["log_level"] >= LogLevel.warn]
            self.assertEqual(loud, [], habit.name)

    async def test_missing(self) -> None:
        """What is not there is the registry's 404."""
        for habit in (HARBOR, QUAY, ECR, NEXUS):
            await self.start_own(habit)
            await self.get()
            self.manners.forget()
            self.assertEqual((await self.get(MISSING)).status, 404)
            self.assertEqual(len(self.manners.asked()), 1, habit.name)

    async def test_wrong_from_the_start(self) -> None:
        """A wrong password is shown once."""
        self.file.write_text("wrong")
        for habit in (DISTRIBUTION, HARBOR, ECR, NEXUS):
            await self.start_own(habit)
            for _ in range(12):
                reply = await self.get()
                self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
            self.assertEqual(self.manners.wrong, 1, habit.name)

    async def test_changed(self) -> None:
        """One that was good, and is not any more, too; the new one works at once."""
        for habit in (DISTRIBUTION, QUAY, ECR, NEXUS):
            self.change("good")
            await self.start_own(habit)
            self.assertEqual((await self.get()).status, 200)
            self.manners.users["robot"] = "new"
            target = MANIFEST if "Basic" in habit.challenge else TAGS
            if target == TAGS:
                # Its token is good still; another scope needs another one.
                self.manners.rights["robot"].add("acme_team/b")
                target = "/v2/team/b/manifests/1"
            for _ in range(6):
                self.assertEqual((await self.get(target)).status, 503, habit.name)
            self.assertEqual(self.manners.wrong, 1, habit.name)
            self.change("new")
            self.assertEqual((await self.get(target)).status, 200, habit.name)
            self.assertEqual(self.manners.wrong, 1, habit.name)

    async def test_pauses(self) -> None:
        """After a pause it is shown again, and the pauses grow."""
        self.file.write_text("wrong")
        for habit in (DISTRIBUTION, NEXUS):
            await self.start_own(habit)
            await self.get()
            for number, pause in enumerate((1, 2, 4, 8), 1):
                for _ in range(3):
                    await self.get()
                self.assertEqual(self.manners.wrong, number, habit.name)
                self.time.clock.advance(pause * FIRST_PAUSE_SECONDS)
            # Whoever has mended the account there does not have to restart us.
            self.manners.users["robot"] = "wrong"
            self.assertEqual((await self.get()).status, 200)

    async def test_wider_scope(self) -> None:
        """Azure wants another action for lists: one more token, for it."""
        await self.start_own(ACR)
        await self.get()
        self.manners.forget()
        reply = await self.get(TAGS)
        self.assertEqual(reply.json(), {"name": "team/app", "tags": ["1"]})
        self.assertEqual(
            self.manners.token_requests,
            [("robot", ("repository:acme_team/app:pull,metadata_read",))],
        )
        self.assertEqual(len(self.manners.asked()), 2)
        self.manners.forget()
        # The token for the rest is good still.
        self.assertEqual((await self.get()).status, 200)
        self.assertEqual(self.manners.token_requests, [])

    async def test_right_granted(self) -> None:
        """It counts at the next request."""
        for habit in (DISTRIBUTION, HARBOR, QUAY, ICR):
            await self.start_own(habit)
            self.assertEqual((await self.get(SECRET)).status, 403)
            self.manners.rights["robot"].add("acme_team/secret")
            self.assertEqual((await self.get(SECRET)).status, 200, habit.name)


class ExpiredLoginTests(HabitTestCase):
    """A password that runs out, as ECR's does."""

    async def test_renewed(self) -> None:
        """The new one is asked for, and the request is repeated."""
        for seconds, shown in ((0.0, 1), (PROVED_SECONDS, 0)):
            self.change("good")
            await self.start_own(ECR)
            self.assertEqual((await self.get()).status, 200)
            self.manners.users["robot"] = "new"
            self.manners.expired.add("good")
            self.file.write_text("new")
            os.utime(self.file, (0, 0))
            self.time.clock.advance(seconds)
            self.manners.forget()
            self.assertEqual((await self.get()).status, 200)
            self.assertEqual(self.manners.wrong, shown)

    async def test_upload(self) -> None:
        """So is a push whose client waits for 100 Continue."""
        more = "anonymous = shared: pull, push"
        login = f"username = robot\npassword-file = {self.file}\n"
        await self.start(ECR, more, login)
        self.assertEqual((await self.client.ask("POST", UPLOADS, body=b"")).status, 202)
        self.manners.users["robot"] = "new"
        self.manners.expired.add("good")
        self.file.write_text("new")
        self.client = await self.connect()
        self.client.request(
            "PUT",
            f"{UPLOADS}0-1?digest=sha256:{'0' * 64}",
            "Content-Length: 4",
            "Expect: 100-continue",
        )
        reply = await self.client.reply()
        if reply.status == 100:
            self.client.send(b"data")
            reply = await self.client.reply()
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.manners.wrong, 1)

    async def test_no_other(self) -> None:
        """Without a new one it is shown once."""
        await self.start_own(ECR)
        await self.get()
        self.manners.expired.add("good")
        for _ in range(4):
            self.assertEqual((await self.get()).status, 503)
        self.assertEqual(self.manners.wrong, 1)


class BasicAtTheSameTimeTests(HabitTestCase):
    """Basic that was taken a moment ago, by many who come at the same time."""

    async def start_taken(self, habit: Habit, options: str = "") -> None:
        """Serve, and be let in once."""
        self.change("good")
        await self.start_own(habit, options)
        self.assertEqual((await self.get()).status, 200)
        self.manners.forget()

    async def ask_all(self, count: int) -> list[int]:
        """Ask from many connections at once, and return the statuses."""
        clients = [await self.connect() for _ in range(count)]
        for client in clients:
            client.request("GET", MANIFEST)
        return [(await client.reply()).status for client in clients]

    def hold(self) -> list[Call]:
        """Have requests wait upstream from now on."""
        held: list[Call] = []
        self.patch(self.upstream, "take", held.append)
        self.turns: set[Turns] = set()
        wait = Turns.wait

        def noted(turns: Turns) -> Deferred[None]:
            self.turns.add(turns)
            return wait(turns)

        self.patch(Turns, "wait", noted)
        return held

    async def waiting(self, count: int) -> None:
        """Wait until so many requests wait for their turn."""
        while sum(len(turns._waiters) for turns in self.turns) != count:
            await self.turn()

    async def held(self, held: list[Call], count: int) -> None:
        """Wait for so many requests; a new connection resolves its name in a thread."""
        while len(held) < count:
            await self.turn()

    async def test_changed(self) -> None:
        """A password that was changed is shown once, and the new one works at once."""
        for habit in (ECR, NEXUS):
            await self.start_taken(habit)
            self.manners.users["robot"] = "new"
            self.assertEqual(await self.ask_all(12), [503] * 12, habit.name)
            self.assertEqual(self.manners.wrong, 1, habit.name)
            self.change("new")
            self.assertEqual(await self.ask_all(12), [200] * 12, habit.name)
            self.assertEqual(self.manners.wrong, 1, habit.name)

    async def test_renewed(self) -> None:
        """One that has run out is shown once, and all go on with the other one."""
        await self.start_taken(ECR)
        self.manners.users["robot"] = "new"
        self.manners.expired.add("good")
        self.file.write_text("new")
        self.assertEqual(await self.ask_all(12), [200] * 12)
        self.assertEqual(self.manners.wrong, 1)

    async def test_right(self) -> None:
        """A hundred are let in at one request each, and none waits for a clock."""
        for habit in (ECR, NEXUS):
            await self.start_taken(habit)
            self.assertEqual(await self.ask_all(100), [200] * 100, habit.name)
            self.assertEqual(len(self.manners.requests), 100, habit.name)

    async def test_body_under_way(self) -> None:
        """The head of an answer is enough: others go on while its body comes."""
        await self.start_taken(NEXUS)
        held = self.hold()
        first, second = await self.connect(), await self.connect()
        first.request("GET", MANIFEST)
        await self.held(held, 1)
        second.request("GET", MANIFEST)
        await self.waiting(1)
        self.assertEqual(len(held), 1)
        held[0].send(response(200, "Content-Length: 4"))
        await self.held(held, 2)
        held[1].reply(200)
        self.assertEqual((await second.reply()).status, 200)
        held[0].answer(b"body")
        self.assertEqual((await first.reply()).body, b"body")

    async def test_one_who_leaves(self) -> None:
        """Who leaves gives the turn back; who leaves while waiting takes none."""
        await self.start_taken(NEXUS)
        held = self.hold()
        clients = [await self.connect() for _ in range(3)]
        clients[0].request("GET", MANIFEST)
        await self.held(held, 1)
        for number, client in enumerate(clients[1:], 1):
            client.request("GET", MANIFEST)
            await self.waiting(number)
        clients[1].close()
        await self.waiting(1)
        self.assertEqual(len(held), 1)
        clients[0].close()
        await self.held(held, 2)
        held[1].reply(200)
        self.assertEqual((await clients[2].reply()).status, 200)

    async def test_no_verdict(self) -> None:
        """An error of the upstream's is the answer of the one who asked."""
        await self.start_taken(NEXUS)
        held = self.hold()
        clients = [await self.connect() for _ in range(2)]
        clients[0].request("GET", MANIFEST)
        await self.held(held, 1)
        clients[1].request("GET", MANIFEST)
        await self.waiting(1)
        for number, status in enumerate((500, 200)):
            await self.held(held, number + 1)
            held[number].reply(status)
            self.assertEqual((await clients[number].reply()).status, status)

    async def test_long_upload(self) -> None:
        """A body that is long on its way up holds up others for a moment only."""
        login = f"username = robot\npassword-file = {self.file}\n"
        await self.start(NEXUS, "anonymous = shared: pull, push", login)
        self.assertEqual((await self.get()).status, 200)
        held = self.hold()
        pushing, pulling = await self.connect(), await self.connect()
        pushing.request("PATCH", f"{UPLOADS}0-1", "Content-Length: 8")
        pushing.send(b"half")
        await self.held(held, 1)
        pulling.request("GET", MANIFEST)
        await self.waiting(1)
        self.assertEqual([call.method for call in held], ["PATCH"])
        self.time.clock.advance(TURN_SECONDS)
        await self.held(held, 2)
        self.assertEqual([call.method for call in held], ["PATCH", "GET"])
        held[1].reply(200)
        self.assertEqual((await pulling.reply()).status, 200)
        pushing.send(b"done")
        self.assertEqual(await held[0].body(), b"halfdone")
        held[0].reply(202)
        self.assertEqual((await pushing.reply()).status, 202)


class ClientsAccountsTests(HabitTestCase):
    """`accounts = upstream`: the client's own login."""

    async def test_ping_passes(self) -> None:
        """The repository's challenge leads to us, and we to its token service."""
        await self.start(NEXUS_TOKENS)
        self.assertEqual((await self.get("/v2/")).status, 200)
        reply = await self.get()
        self.assertEqual(
            reply.header(b"WWW-Authenticate"),
            b'Bearer realm="http://registry.test/auth",service="up",'
            b'scope="repository:team/app:pull"',
        )
        self.assertEqual((await self.get(MANIFEST, await self.bearer())).status, 200)

    async def test_token_first(self) -> None:
        """After a restart a client may come for its token before anything else."""
        await self.start(NEXUS_TOKENS)
        self.assertEqual((await self.get(MANIFEST, await self.bearer())).status, 200)

    async def test_realm_written(self) -> None:
        """With a realm of the operator's the ping asks for a login."""
        realm = f"realm = {self.upstream.url}/token"
        await self.start(NEXUS_TOKENS, options=realm)
        reply = await self.get("/v2/")
        self.assertEqual(reply.status, 401)
        challenge = reply.header(b"WWW-Authenticate") or b""
        self.assertTrue(
            challenge.startswith(b'Bearer realm="http://registry.test/auth"')
        )
        self.assertEqual((await self.get("/v2/", await self.bearer())).status, 200)

    async def test_basic_at_the_repository(self) -> None:
        """Basic goes on as it came."""
        await self.start(NEXUS)
        self.assertEqual(
            (await self.get()).header(b"WWW-Authenticate"),
            b'Basic realm="registry.test"',
        )
        self.assertEqual((await self.get(MANIFEST, ALICE)).status, 200)

    async def test_scope_that_does_not_parse(self) -> None:
        """It is not handed on, and who brings it back all the same is let in."""
        await self.start(ZOT)
        challenge = (await self.get("/v2/")).header(b"WWW-Authenticate")
        self.assertEqual(
            challenge, b'Bearer realm="http://registry.test/auth",service="up"'
        )
        for scope in ("repository::pull", "repository%3A%3Apull"):
            await self.bearer(f"service=up&scope={scope}")
        self.assertEqual([s for _, s in self.manners.token_requests], [()])

    async def test_challenge_of_a_403(self) -> None:
        """It is mapped, as that of a 401."""
        await self.start(ICR)
        reply = await self.get(SECRET, await self.bearer())
        self.assertEqual(reply.status, 403)
        self.assertEqual(
            reply.header(b"WWW-Authenticate"),
            b'Bearer realm="http://registry.test/auth",service="up",'
            b'scope="repository:team/secret:pull",error="insufficient_scope"',
        )
        # Not where it would be ours that is spoken of.
        await self.start_own(ICR)
        reply = await self.get(SECRET)
        self.assertEqual((reply.status, reply.header(b"WWW-Authenticate")), (403, None))

    async def test_right_granted(self) -> None:
        """A token that was refused is not given out again."""
        secret = "scope=repository:team/secret:pull"
        for habit in (DISTRIBUTION, HARBOR, QUAY, ICR):
            await self.start(habit)
            for _ in range(2):
                bearer = await self.bearer(secret)
            self.assertEqual(len(self.manners.token_requests), 1)
            self.assertIn((await self.get(SECRET, bearer)).status, (401, 403))
            self.manners.rights["alice"].add("acme_team/secret")
            bearer = await self.bearer(secret)
            self.assertEqual((await self.get(SECRET, bearer)).status, 200, habit.name)

    async def test_redirected_token_service(self) -> None:
        """Followed, on its own origin."""
        for status in (301, 302, 307, 308):
            habit = Habit("redirecting", DISTRIBUTION.challenge, redirect_status=status)
            await self.start(habit)
            self.assertEqual(
                (await self.get(MANIFEST, await self.bearer())).status, 200
            )


class FourRegistriesTests(HabitTestCase):
    """Several registries before one upstream have one account there."""

    def ini(self) -> str:
        registries = "".join(
            f"[registry r{n}.test]\nupstream = up\nanonymous = shared\n"
            f"namespaces = team = acme_team\n"
            for n in range(4)
        )
        return (
            f"[regbroker]\nlisten = {self.listen}\nstate-directory = state\n"
            f"{registries}[upstream up]\nurl = {self.upstream.url}\n"
            f"{self.upstream_options}\n"
        )

    async def test_shown_once(self) -> None:
        """A wrong password is shown once for all of them, at the same time too."""
        self.file.write_text("wrong")
        for habit in (DISTRIBUTION, ECR):
            await self.start_own(habit)
            clients = [await self.connect() for _ in range(8)]
            for number, client in enumerate(clients):
                client.request("GET", MANIFEST, f"Host: r{number % 4}.test")
            for client in clients:
                self.assertEqual((await client.reply()).status, 503)
            self.assertEqual(self.manners.wrong, 1, habit.name)

    async def test_one_token(self) -> None:
        """And a token is asked for once."""
        await self.start_own(DISTRIBUTION)
        for number in range(4):
            await self.get(MANIFEST, f"Host: r{number}.test")
        self.assertEqual(len(self.manners.token_requests), 1)
