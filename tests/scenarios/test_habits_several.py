"""
Registries with habits, two of them behind one registry of ours: our account, clients'
accounts and nobody's, each where it belongs.
"""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.logger import LogLevel, capturedLogs, formatEvent

from regbroker.assembly import registries, upstreams
from regbroker.broker.upstream_broker import REUSE_SECONDS
from tests.habitcase import ALICE, HabitTestCase, HabitUpstream
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
    Habit,
    Manners,
)
from tests.wire import Message

ONE = "/v2/one/app/manifests/1"
TWO = "/v2/two/app/manifests/1"
TWO_SECRET = "/v2/two/secret/manifests/1"
TWO_OPEN = "/v2/two/open/manifests/1"
TWO_TAGS = "/v2/two/app/tags/list"

WRONG = f"Authorization: Basic {base64.b64encode(b'alice:guess').decode()}"

CHALLENGED = (DISTRIBUTION, HARBOR, QUAY, ICR, ACR, ZOT, NEXUS_TOKENS)


class SeveralHabitsTestCase(HabitTestCase):
    """
    `one` is where clients have accounts, and `two` another registry.

    The names below `one` and `two` lead to them; those below `both` to either.
    """

    registry_options = ""

    async def set_up(self) -> None:
        self.other: Any = HabitUpstream()
        self.other.start()
        await super().set_up()

    async def tear_down(self) -> None:
        await super().tear_down()
        await self.other.stop()

    def ini(self) -> str:
        return (
            f"[regbroker]\nlisten = {self.listen}\nstate-directory = state\n"
            f"[registry *]\nupstream = one, two\n{self.registry_options}\n"
            "namespaces =\n    one = one:acme_team\n    two = two:acme_team\n"
            f"[upstream one]\nurl = {self.upstream.url}\n{self.upstream_options}\n"
            f"[upstream two]\nurl = {self.other.url}\n{self.upstream_options}\n"
        )

    async def start_two(
        self, one: Habit, two: Habit, options: str = "", own: bool = True
    ) -> None:
        """Serve before two registries; with `own`, we have an account at both."""
        self.registry_options = options
        self.second = self.other.manners = Manners(
            two,
            self.other.url,
            {"alice": "wonderland", "robot": "good"},
            {
                "alice": {"acme_team/app"},
                "robot": {"acme_team/app"},
                "": {"acme_team/open"},
            },
        )
        login = f"username = robot\npassword-file = {self.file}\n" if own else ""
        await self.start(one, "", login)
        # Both pings are answered.
        await self.get("/v2/")

    async def quietly(self, target: str, *headers: str) -> Message:
        """Ask, and see that nobody is told of it in the log."""
        with capturedLogs() as events:
            reply = await self.get(target, *headers)
        loud = [formatEvent(e) for e in events if e["log_level"] >= LogLevel.warn]
        self.assertEqual(loud, [])
        return reply


class LentTests(SeveralHabitsTestCase):
    """Our account at both, lent to who brings nothing."""

    async def test_pull(self) -> None:
        """Each with its own account's token or password."""
        for habit in HABITS:
            await self.start_two(DISTRIBUTION, habit, "anonymous = shared")
            for _ in range(3):
                reply = await self.get(TWO)
                self.assertEqual(reply.status, 200, (habit.name, reply.body))
            self.assertEqual((await self.get(ONE)).status, 200)
            self.assertEqual(self.second.wrong, 0, habit.name)
            self.assertLessEqual(len(self.second.token_requests), 1, habit.name)

    async def test_no_right(self) -> None:
        """403, with one request and one token, and no line."""
        for habit in CHALLENGED:
            await self.start_two(DISTRIBUTION, habit, "anonymous = shared")
            await self.get(TWO)
            self.second.forget()
            reply = await self.quietly(TWO_SECRET)
            self.assertEqual((reply.status, reply.code), (403, "DENIED"), habit.name)
            self.assertEqual(len(self.second.asked()), 1, habit.name)
            self.assertEqual(len(self.second.token_requests), 1, habit.name)

    async def test_wrong_at_one(self) -> None:
        """A wrong password at one is no affair of the other's."""
        for habit in (DISTRIBUTION, ECR, NEXUS):
            await self.start_two(DISTRIBUTION, habit, "anonymous = shared")
            self.second.users["robot"] = "changed"
            for _ in range(6):
                self.assertEqual((await self.get(TWO)).status, 503, habit.name)
                self.assertEqual((await self.get(ONE)).status, 200, habit.name)
            self.assertEqual((self.second.wrong, self.manners.wrong), (1, 0))

    async def test_tags(self) -> None:
        """A list costs one token more where it wants a right of its own."""
        await self.start_two(ACR, ACR, "anonymous = shared")
        await self.get(TWO)
        self.second.forget()
        self.assertEqual((await self.get(TWO_TAGS)).status, 200)
        self.assertEqual(len(self.second.token_requests), 1)


class NobodysTests(SeveralHabitsTestCase):
    """No account at `two`: whoever comes asks as anybody."""

    async def test_open(self) -> None:
        """What everybody may read, everybody reads."""
        for habit in (*CHALLENGED, NEXUS):
            await self.start_two(DISTRIBUTION, habit, own=False)
            reply = await self.get(TWO_OPEN)
            self.assertEqual(reply.status, 200, (habit.name, reply.body))

    async def test_private(self) -> None:
        """What is for accounts is 403: nobody is at fault, nor is a password."""
        for habit in (*CHALLENGED, NEXUS):
            await self.start_two(DISTRIBUTION, habit, own=False)
            # It is known from here on who asks for what.
            await self.get(TWO_SECRET)
            bearer = await self.bearer("scope=repository:one/app:pull")
            for given in ((), (bearer,)):
                self.second.forget()
                reply = await self.quietly(TWO_SECRET, *given)
                self.assertEqual(
                    (reply.status, reply.code), (403, "DENIED"), habit.name
                )
                self.assertEqual(len(self.second.asked()), 1, habit.name)
                self.assertLessEqual(len(self.second.token_requests), 1, habit.name)
            self.assertEqual(self.second.shown, [], habit.name)

    async def test_password_stays(self) -> None:
        """The client's password is not for it."""
        for habit in (NEXUS, NEXUS_TOKENS, ECR):
            await self.start_two(DISTRIBUTION, habit, own=False)
            await self.get(TWO, ALICE)
            await self.token("scope=repository:two/app:pull")
            self.assertEqual(self.second.shown, [], habit.name)


class ClientsAccountsTests(SeveralHabitsTestCase):
    """Clients have the same accounts at both."""

    trusted = "accounts = upstream: one, two"

    async def test_pull(self) -> None:
        """A composite token has one for each, also where pings pass."""
        scopes = "scope=repository:one/app:pull&scope=repository:two/app:pull"
        for habit in (*CHALLENGED, NEXUS_TOKENS):
            await self.start_two(habit, habit, self.trusted, own=False)
            bearer = await self.bearer(scopes)
            self.assertEqual((await self.get(ONE, bearer)).status, 200, habit.name)
            self.assertEqual((await self.get(TWO, bearer)).status, 200, habit.name)

    async def test_right_granted(self) -> None:
        """A refused token is not given out again, nor is it in a composite token."""
        secret = "scope=repository:two/secret:pull"
        for habit in (DISTRIBUTION, HARBOR, QUAY, ICR, NEXUS_TOKENS):
            await self.start_two(DISTRIBUTION, habit, self.trusted, own=False)
            bearer = await self.bearer(secret)
            reply = await self.get(TWO_SECRET, bearer)
            self.assertIn(reply.status, (401, 403))
            self.second.rights["alice"].add("acme_team/secret")
            bearer = await self.bearer(secret)
            reply = await self.get(TWO_SECRET, bearer)
            self.assertEqual(reply.status, 200, habit.name)

    async def test_password_taken_back(self) -> None:
        """It is good for a minute more at most, in a composite token too."""
        now = 1_800_000_000.0
        time = SimpleNamespace(time=lambda: now)
        self.patch(upstreams, "time", time)
        self.patch(registries, "time", time)
        scopes = "scope=repository:one/app:pull&scope=repository:two/app:pull"
        for options in ("accounts = upstream", self.trusted):
            await self.start_two(DISTRIBUTION, DISTRIBUTION, options, own=False)
            self.assertEqual((await self.token(scopes)).status, 200)
            for manners in (self.manners, self.second):
                manners.users["alice"] = "changed"
            now += REUSE_SECONDS + 1
            self.assertEqual((await self.token(scopes)).status, 401, options)

    async def test_challenge_of_a_403(self) -> None:
        """It is mapped, whichever upstream says it."""
        await self.start_two(DISTRIBUTION, ICR, self.trusted, own=False)
        bearer = await self.bearer("scope=repository:two/secret:pull")
        reply = await self.get(TWO_SECRET, bearer)
        challenge = (reply.header(b"WWW-Authenticate") or b"").decode()
        self.assertEqual(reply.status, 403)
        self.assertIn('realm="http://registry.test/auth"', challenge)
        self.assertIn('scope="repository:two/secret:pull"', challenge)
        self.assertIn('error="insufficient_scope"', challenge)

    async def test_login_with_scopes_of_nothing(self) -> None:
        """It is a login all the same: a right password is taken, a wrong one not."""
        for options in ("accounts = upstream", self.trusted):
            for scope in (
                "repository::pull",
                "repository:UPPER:pull",
                "repository:nowhere/app:pull",
            ):
                await self.start_two(ZOT, ZOT, options, own=False)
                reply = await self.token(f"service=up&scope={scope}")
                self.assertEqual(reply.status, 200, reply.body)
                reply = await self.token(f"service=up&scope={scope}", WRONG)
                self.assertEqual(reply.status, 401, (options, scope, reply.body))


class SameNamesTestCase(SeveralHabitsTestCase):
    """Both have the same names, and `two` stands in for `one`."""

    def ini(self) -> str:
        return (
            f"[regbroker]\nlisten = {self.listen}\nstate-directory = state\n"
            f"[registry *]\nupstream = one, two\n{self.registry_options}\n"
            "namespaces =\n    * = acme_*\n    * = two:acme_*\n"
            f"[upstream one]\nurl = {self.upstream.url}\n{self.upstream_options}\n"
            f"[upstream two]\nurl = {self.other.url}\n{self.upstream_options}\n"
        )


class SameNamesTests(SameNamesTestCase):
    async def test_wrong_password(self) -> None:
        """Shown once to each, and what is said is not that all is well."""
        self.file.write_text("wrong")
        for habit in (DISTRIBUTION, ECR, NEXUS, HARBOR):
            await self.start_two(habit, habit, "anonymous = shared")
            for _ in range(12):
                reply = await self.get("/v2/team/app/manifests/1")
                self.assertEqual(reply.status, 503, habit.name)
            self.assertLessEqual(self.manners.wrong, 1, habit.name)
            self.assertLessEqual(self.second.wrong, 1, habit.name)

    async def test_no_right(self) -> None:
        """The first one's word counts, and it costs one request there."""
        for habit in (DISTRIBUTION, HARBOR, QUAY, ICR):
            await self.start_two(habit, habit, "anonymous = shared")
            await self.get("/v2/team/app/manifests/1")
            self.manners.forget()
            reply = await self.quietly("/v2/team/secret/manifests/1")
            self.assertEqual((reply.status, reply.code), (403, "DENIED"), habit.name)
            self.assertEqual(len(self.manners.asked()), 1, habit.name)
            self.assertEqual(len(self.manners.token_requests), 1, habit.name)

    async def test_expired(self) -> None:
        """A login that has run out is renewed, and no reason to go elsewhere."""
        await self.start_two(ECR, ECR, "anonymous = shared")
        await self.get("/v2/team/app/manifests/1")
        self.second.forget()
        self.manners.expired.add("good")
        self.manners.users["robot"] = "new"
        self.file.write_text("new")
        reply = await self.get("/v2/team/app/manifests/1")
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.second.asked(), [])


class RestartTests(HabitTestCase):
    """Nothing is known yet, and a client comes for its token at once."""

    async def test_token_first(self) -> None:
        """With a realm that is written, and without; with a scope, and for a login."""
        for written in (True, False):
            for query in ("scope=repository:team/app:pull", "service=up"):
                if not written and query == "service=up":
                    # Nothing here says where tokens are.
                    continue
                realm = f"realm = {self.upstream.url}/token" if written else ""
                await self.start(NEXUS_TOKENS, options=realm)
                reply = await self.token(query)
                self.assertEqual(reply.status, 200, (written, query, reply.body))

    async def test_wrong_password(self) -> None:
        """And a wrong one is refused there."""
        for realm in ("", f"realm = {self.upstream.url}/token"):
            await self.start(NEXUS_TOKENS, options=realm)
            query = "scope=repository:team/app:pull"
            self.assertEqual((await self.token(query, WRONG)).status, 401)

    async def test_push_to_what_all_may_read(self) -> None:
        """That everybody reads it does not say that there are no tokens for it."""
        await self.start(NEXUS_TOKENS)
        self.manners.rights[""] = {"acme_team/app"}
        reply = await self.token("scope=repository:team/app:pull,push")
        self.assertEqual(reply.status, 200, reply.body)

    async def test_ours_first(self) -> None:
        """Our account's token for who brings nothing, too."""
        path = Path(self.file)
        path.write_text("good")
        await self.start_own(NEXUS_TOKENS)
        reply = await self.token(user="")
        self.assertEqual(reply.status, 200, reply.body)
        bearer = f"Authorization: Bearer {reply.json()['token']}"
        self.assertEqual(
            (await self.get("/v2/team/app/manifests/1", bearer)).status, 200
        )
