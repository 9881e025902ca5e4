"""
One account of ours, needed by registries of several kinds in front of one upstream:
for everybody who comes in, for who brings nothing, and beside another upstream.
"""

from __future__ import annotations

import base64
import json
import os
from hashlib import sha1
from pathlib import Path

from twisted.logger import LogLevel, capturedLogs, formatEvent

from regbroker.upstream.credential_helper import RUN_INTERVAL
from regbroker.upstream.login_record import FIRST_PAUSE_SECONDS
from regbroker.upstream.own_account import PROVED_SECONDS
from tests.habitcase import (
    MANIFEST,
    MISSING,
    PULL,
    SECRET,
    TAGS,
    UPLOADS,
    HabitTestCase,
)
from tests.habits import (
    ACR,
    ARTIFACTORY,
    DISTRIBUTION,
    ECR,
    GITHUB,
    GOOGLE,
    HABITS,
    HARBOR,
    HUB,
    NEXUS,
    NEXUS_TOKENS,
    QUAY,
    ZOT,
    ZOT_OPEN,
    Answer,
)
from tests.proxycase import OtherUpstream
from tests.scripted import Call, response
from tests.wire import Message

KINDS = ("own", "lent", "more", "two")

#: Those whose answer to a good login without the right is no 401 to Basic.
CLEAR = tuple(habit for habit in HABITS if habit is not ARTIFACTORY)

KEY_FILE = '{\n  "type": "service_account",\n  "private_key": "-----BEGIN\\nx"\n}\n'

#: The upstream's `timeout`, when nothing is said.
SILENCE_SECONDS = 60

BOBS = base64.b64encode(sha1(b"builder").digest()).decode()

HELPER = """\
#!/bin/sh
cat >> {directory}/asked
echo >> {directory}/asked
cat {directory}/answer
"""


class KindsTestCase(OtherUpstream, HabitTestCase):
    """
    Registries of four kinds, by their hosts, before one upstream.

    `own` has accounts of ours, `shared` and `more` lend our account to who brings
    nothing, and `two` has another upstream besides.
    """

    async def set_up(self) -> None:
        await super().set_up()
        self.other.handler = lambda call: response(200)

    def ini(self) -> str:
        users = Path(self.mktemp()).absolute()
        users.write_text(f"bob:{{SHA}}{BOBS}\n")
        names = "namespaces = team = acme_team"
        return (
            f"[regbroker]\nlisten = {self.listen}\nstate-directory = state\n"
            f"[registry own.test]\nupstream = up\naccounts = staff\n{names}\n"
            f"[registry lent.test]\nupstream = up\nanonymous = shared\n{names}\n"
            f"[registry more.test]\nupstream = up\nanonymous = shared: pull, push\n"
            f"{names}\n"
            f"[registry two.test]\nupstream = other, up\nanonymous = shared\n"
            f"namespaces =\n    team = up:acme_team\n    x = other:x\n"
            f"[accounts staff]\nhtpasswd = {users}\n"
            f"[access staff]\nanonymous = team/**: pull, push, catalog\n"
            f"[upstream up]\nurl = {self.upstream.url}\n{self.upstream_options}\n"
            f"[upstream other]\nurl = {self.other.url}\n"
        )

    async def at(
        self, kind: str, target: str = MANIFEST, method: str = "GET"
    ) -> Message:
        """Ask a registry of some kind."""
        self.client = await self.connect()
        return await self.client.ask(method, target, f"Host: {kind}.test")


class KindsTests(KindsTestCase):
    async def test_pull(self) -> None:
        """A token is asked for once for all kinds, and none of them pays more."""
        for habit in HABITS:
            await self.start_own(habit)
            self.assertEqual((await self.at("lent")).status, 200, habit.name)
            self.manners.forget()
            for kind in KINDS:
                reply = await self.at(kind)
                self.assertEqual(reply.status, 200, (habit.name, kind, reply.body))
            self.assertEqual(len(self.manners.asked()), len(KINDS), habit.name)
            self.assertEqual(self.manners.token_requests, [], habit.name)

    async def test_no_right(self) -> None:
        """403 for the client; one request, one token at most, and no line."""
        for habit in CLEAR:
            await self.start_own(habit)
            await self.at("lent")
            for kind in KINDS:
                self.manners.forget()
                with capturedLogs() as events:
                    reply = await self.at(kind, SECRET)
                self.assertEqual(
                    (reply.status, reply.code), (403, "DENIED"), (habit.name, kind)
                )
                self.assertIsNone(reply.header(b"WWW-Authenticate"))
                self.assertLessEqual(len(self.manners.asked()), 1, habit.name)
                self.assertLessEqual(len(self.manners.token_requests), 1, habit.name)
                loud = [e for e in events if e["log_level"] >= LogLevel.warn]
                self.assertEqual(list(map(formatEvent, loud)), [], habit.name)

    async def test_no_right_again_and_again(self) -> None:
        """What may be read goes on meanwhile, at the price that it has."""
        for habit in CLEAR:
            await self.start_own(habit)
            await self.at("own")
            for _ in range(4):
                await self.at("own", SECRET)
            self.manners.forget()
            self.assertEqual((await self.at("own")).status, 200, habit.name)
            self.assertEqual(len(self.manners.asked()), 1, habit.name)
            self.assertEqual(self.manners.token_requests, [], habit.name)
            self.assertEqual(self.manners.wrong, 0, habit.name)

    async def test_missing(self) -> None:
        """What is not there is 404, as the registry says."""
        for habit in HABITS:
            await self.start_own(habit)
            await self.at("own")
            for kind in ("own", "lent", "more"):
                self.manners.forget()
                self.assertEqual((await self.at(kind, MISSING)).status, 404, habit.name)
                self.assertEqual(len(self.manners.asked()), 1, habit.name)

    async def test_wrong_password(self) -> None:
        """It is shown once, whoever needs it, for whatever."""
        self.file.write_text("wrong")
        for habit in HABITS:
            if habit.wrong_status != 401:
                continue
            await self.start_own(habit)
            for kind in KINDS * 3:
                reply = await self.at(kind)
                self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
            for kind in ("lent", "more", "two"):
                await self.at(kind, f"/auth?{PULL}")
                await self.at(kind, "/v2/")
            await self.at("own", "/v2/_catalog")
            await self.at("own", TAGS)
            await self.at("more", UPLOADS, "POST")
            await self.at("own", MANIFEST, "HEAD")
            self.assertEqual(self.manners.wrong, 1, habit.name)

    async def test_locked(self) -> None:
        """So an upstream that locks accounts at the third wrong one does not."""
        for habit in (DISTRIBUTION, ECR, NEXUS, NEXUS_TOKENS, HARBOR):
            self.change("good")
            await self.start_own(habit)
            self.manners.lock_after = 3
            self.manners.users["robot"] = "new"
            for kind in KINDS * 4:
                await self.at(kind)
            self.assertEqual(self.manners.locked, set(), habit.name)
            self.change("new")
            for kind in KINDS:
                self.assertEqual((await self.at(kind)).status, 200, habit.name)

    async def test_line(self) -> None:
        """One line of the log says what to look at, and none of them the password."""
        self.file.write_text("wr0ng-one")
        for habit in (DISTRIBUTION, ECR, NEXUS):
            with capturedLogs() as events:
                await self.start_own(habit)
                for kind in KINDS * 2:
                    await self.at(kind)
            said = [formatEvent(e) for e in events if e["log_level"] >= LogLevel.warn]
            about = [line for line in said if "our own account" in line]
            self.assertEqual(len(about), 1, said)
            self.assertIn("password-file", about[0])
            self.assertNotIn("wr0ng-one", "".join(map(str, events)))

    async def test_no_verdict(self) -> None:
        """An outage says nothing of a login: it is good as soon as that is over."""
        outages = (429, 500, 502, 503)
        for habit in (DISTRIBUTION, ECR, NEXUS_TOKENS, QUAY):
            await self.start_own(habit)
            await self.at("lent", "/v2/")
            for status in outages:
                self.manners.moods = [Answer(status)] * 2
                reply = await self.at("lent")
                self.assertGreaterEqual(reply.status, 429, habit.name)
                self.manners.moods.clear()
                reply = await self.at("lent")
                self.assertEqual(reply.status, 200, (habit.name, status, reply.body))
            self.assertEqual(self.manners.wrong, 0)

    async def test_silence(self) -> None:
        """An upstream that falls silent is 504 for all, and no login waits for it."""
        for habit in (DISTRIBUTION, ECR, NEXUS):
            await self.start_own(habit)
            await self.at("lent")
            self.time.clock.advance(PROVED_SECONDS)
            silent: list[Call] = []
            self.patch(self.upstream, "take", silent.append)
            clients = [await self.connect() for _ in range(4)]
            for number, client in enumerate(clients):
                # Not what a token is at hand for.
                target = f"/v2/team/b{number}/manifests/1"
                client.request("GET", target, f"Host: {KINDS[number]}.test")
            while not silent:
                await self.turn()
            for _ in range(8 * len(clients)):
                self.time.clock.advance(SILENCE_SECONDS / 8)
                await self.turn()
            answered = [bool(client.seen) for client in clients]
            self.assertEqual(answered, [True] * len(clients), habit.name)
            for client in clients:
                self.assertIn((await client.reply()).status, (503, 504), habit.name)
            del self.upstream.take
            self.assertEqual((await self.at("lent")).status, 200, habit.name)

    async def test_limit(self) -> None:
        """A limit, the token service's or the registry's, is told with its end."""
        for habit in (HUB, ECR):
            await self.start_own(habit)
            await self.at("lent")
            limit = Answer(429, ("Retry-After: 30",))
            self.manners.moods = [limit]
            reply = await self.at("lent", TAGS)
            given = reply.status, reply.header(b"Retry-After")
            self.assertEqual(given, (429, b"30"), habit.name)

    async def test_tokens_forgotten(self) -> None:
        """A token that was good is got anew, once for all, and the request repeated."""
        for habit in HABITS:
            if not habit.challenge.startswith("Bearer"):
                continue
            await self.start_own(habit)
            await self.at("lent")
            self.manners.forget_tokens()
            self.manners.forget()
            self.assertEqual((await self.at("lent")).status, 200, habit.name)
            self.assertEqual(len(self.manners.asked()), 2, habit.name)
            self.assertEqual(len(self.manners.token_requests), 1, habit.name)
            self.manners.forget_tokens()
            self.manners.forget()
            clients = [await self.connect() for _ in range(12)]
            for number, client in enumerate(clients):
                client.request("GET", MANIFEST, f"Host: {KINDS[number % 4]}.test")
            for client in clients:
                self.assertEqual((await client.reply()).status, 200, habit.name)
            self.assertEqual(len(self.manners.token_requests), 1, habit.name)

    async def test_tokens_forgotten_in_a_push(self) -> None:
        """As long as nothing of the body has been read."""
        for habit in HABITS:
            if not habit.challenge.startswith("Bearer"):
                continue
            await self.start_own(habit)
            self.assertEqual((await self.at("more", UPLOADS, "POST")).status, 202)
            self.manners.forget_tokens()
            self.client = await self.connect()
            self.client.request(
                "PATCH",
                f"{UPLOADS}0-1",
                "Host: more.test",
                "Content-Length: 4",
                "Expect: 100-continue",
            )
            reply = await self.client.reply()
            if reply.status == 100:
                self.client.send(b"data")
                reply = await self.client.reply()
            self.assertEqual(reply.status, 200, (habit.name, reply.body))

    async def test_catalog(self) -> None:
        """A catalog that is for nobody (Harbor's) is 403, and no login is at fault."""
        await self.start_own(HARBOR)
        await self.at("own")
        self.manners.forget()
        with capturedLogs() as events:
            reply = await self.at("own", "/v2/_catalog")
        self.assertEqual((reply.status, reply.code), (403, "DENIED"))
        self.assertLessEqual(len(self.manners.token_requests), 1)
        loud = [formatEvent(e) for e in events if e["log_level"] >= LogLevel.warn]
        self.assertEqual(loud, [])
        self.assertEqual((await self.at("own")).status, 200)

    async def test_mount(self) -> None:
        """One from where our account may not read becomes an upload."""
        mount = f"{UPLOADS}?mount=sha256:{'0' * 64}&from=team/"
        for habit in CLEAR:
            for kind in ("own", "more"):
                await self.start_own(habit)
                await self.at(kind)
                for name in ("app", "secret"):
                    self.manners.forget()
                    with capturedLogs() as events:
                        reply = await self.at(kind, mount + name, "POST")
                    about = habit.name, kind, name
                    self.assertEqual(reply.status, 202, (about, reply.body))
                    asked = len(self.manners.asked("/uploads/"))
                    self.assertLessEqual(asked, 1 if name == "app" else 2, about)
                    loud = [e for e in events if e["log_level"] >= LogLevel.warn]
                    self.assertEqual(list(map(formatEvent, loud)), [], about)

    async def test_login_of_ours(self) -> None:
        """A scope that an upstream has told does not stop a login here, either."""
        await self.start_own(ZOT)
        for scope in ("repository::pull", "repository:UPPER:pull", ":::", "aws"):
            for password, status in (("builder", 200), ("guess", 401)):
                given = base64.b64encode(f"bob:{password}".encode()).decode()
                self.client = await self.connect()
                reply = await self.client.ask(
                    "GET",
                    f"/auth?service=own.test&scope={scope}",
                    "Host: own.test",
                    f"Authorization: Basic {given}",
                )
                self.assertEqual(reply.status, status, (scope, reply.body))

    async def test_ping_of_ours(self) -> None:
        """Where accounts are in front, the ping asks, whatever the upstream's says."""
        for habit in (NEXUS, NEXUS_TOKENS, ZOT_OPEN):
            await self.start_own(habit)
            self.assertEqual((await self.at("own", "/v2/")).status, 401, habit.name)

    async def test_wider_scope(self) -> None:
        """A list costs one more token, and the next one none."""
        for kind in KINDS:
            await self.start_own(ACR)
            await self.at(kind)
            self.manners.forget()
            reply = await self.at(kind, TAGS)
            self.assertEqual(reply.status, 200, (kind, reply.body))
            self.assertEqual(len(self.manners.token_requests), 1, kind)
            self.assertEqual((await self.at(kind, TAGS)).status, 200)
            self.assertEqual(len(self.manners.token_requests), 1, kind)

    async def test_wider_scope_of_another_name(self) -> None:
        """A challenge for another repository gets no token of ours."""
        await self.start_own(DISTRIBUTION)
        await self.at("lent")
        self.manners.forget()
        challenge = (
            f'Bearer realm="{self.upstream.url}/token",service="up",'
            'scope="repository:acme_secret/x:pull"'
        )
        self.manners.moods = [Answer(401, (f"WWW-Authenticate: {challenge}",))]
        await self.at("lent", TAGS)
        asked = json.dumps(self.manners.token_requests)
        self.assertNotIn("acme_secret", asked)


class PasswordTests(KindsTestCase):
    async def test_key_file(self) -> None:
        """Google's password is a file of many lines."""
        self.file.write_text(KEY_FILE)
        for habit in (GOOGLE, ECR):
            login = f"username = _json_key\npassword-file = {self.file}\n"
            await self.start(habit, "anonymous = shared", login)
            self.manners.users["_json_key"] = KEY_FILE.removesuffix("\n")
            self.manners.rights["_json_key"] = {"acme_team/app"}
            for kind in KINDS:
                self.assertEqual((await self.at(kind)).status, 200, habit.name)
            self.assertEqual(self.manners.wrong, 0)

    async def test_refused_with_403(self) -> None:
        """A token service that says 403 to a wrong login (GitHub's): shown no more."""
        self.file.write_text("wrong")
        await self.start_own(GITHUB)
        for _ in range(6):
            reply = await self.at("lent")
            self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
        self.assertEqual(self.manners.wrong, 2)
        self.change("good")
        self.assertEqual((await self.at("lent")).status, 200)

    async def test_good_beside_want_of_right(self) -> None:
        """Basic that is refused for a name says nothing of what else there is."""
        for first in (MANIFEST, SECRET):
            await self.start_own(ARTIFACTORY)
            await self.at("lent", first)
            # The login is right, and has no right to this.
            await self.at("lent", SECRET)
            self.time.clock.advance(FIRST_PAUSE_SECONDS)
            reply = await self.at("lent")
            self.assertEqual(reply.status, 200, (first, reply.body))
            self.assertEqual(self.manners.wrong, 0)


class HelperTests(KindsTestCase):
    """A credential helper in front of an upstream whose passwords run out."""

    async def set_up(self) -> None:
        await super().set_up()
        self.helper = Path(self.mktemp()).absolute()
        self.helper.mkdir()
        program = self.helper / "docker-credential-rotating"
        program.write_text(HELPER.format(directory=self.helper))
        program.chmod(0o755)
        self.answer("good")
        environment = {**os.environ, "PATH": f"{self.helper}:/usr/bin:/bin"}
        self.patch(os, "environ", environment)

    def answer(self, password: str) -> None:
        """What the helper says from now on."""
        said = json.dumps({"Username": "robot", "Secret": password})
        (self.helper / "answer").write_text(said)

    @property
    def asked(self) -> int:
        """How often the helper was asked."""
        path = self.helper / "asked"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def expire(self, password: str) -> None:
        """Have all but this password run out, upstream."""
        self.manners.expired.add(self.manners.users["robot"])
        self.manners.users["robot"] = password

    async def start_helped(self) -> None:
        """Serve, with the helper's login used for the first time."""
        await self.start(ECR, "", "credential-helper = rotating")
        self.assertEqual((await self.at("lent")).status, 200)
        self.assertEqual(self.asked, 1)
        self.time.clock.advance(RUN_INTERVAL)

    async def test_expired(self) -> None:
        """It is asked again, once, and the client notices nothing."""
        for passed in (0.0, PROVED_SECONDS, 12 * 3600.0):
            for kind in KINDS:
                (self.helper / "asked").unlink(missing_ok=True)
                self.answer("good")
                await self.start_helped()
                self.time.clock.advance(passed)
                self.expire("new")
                self.answer("new")
                for _ in range(3):
                    reply = await self.at(kind)
                    self.assertEqual(reply.status, 200, (kind, passed, reply.body))
                self.assertEqual(self.asked, 2)
                self.assertLessEqual(self.manners.wrong, 1)

    async def test_lists(self) -> None:
        """Lists are no exception."""
        for target in (TAGS, "/v2/_catalog"):
            for passed in (0.0, PROVED_SECONDS):
                (self.helper / "asked").unlink(missing_ok=True)
                self.answer("good")
                await self.start_helped()
                self.manners.rights["robot"].add("_catalog")
                self.time.clock.advance(passed)
                self.expire("new")
                self.answer("new")
                reply = await self.at("own", target)
                self.assertEqual(reply.status, 200, (target, passed, reply.body))
                self.assertIn(b"team/app", reply.body)
                self.assertEqual(self.asked, 2)

    async def test_head(self) -> None:
        """Also where the 403 has no body that says why."""
        for passed in (0.0, PROVED_SECONDS):
            (self.helper / "asked").unlink(missing_ok=True)
            self.answer("good")
            await self.start_helped()
            self.time.clock.advance(passed)
            self.expire("new")
            self.answer("new")
            self.assertEqual((await self.at("own", MANIFEST, "HEAD")).status, 200)
            self.assertEqual(self.asked, 2)

    async def test_no_other_yet(self) -> None:
        """It is asked no oftener than its interval, and the old login shown once."""
        await self.start_helped()
        self.expire("new")
        for kind in KINDS * 3:
            self.assertEqual((await self.at(kind)).status, 503)
        self.assertEqual(self.asked, 2)
        self.assertEqual(self.manners.wrong, 1)
        self.answer("new")
        self.time.clock.advance(RUN_INTERVAL)
        for kind in KINDS:
            self.assertEqual((await self.at(kind)).status, 200)
        self.assertEqual(self.asked, 3)
        self.assertEqual(self.manners.wrong, 1)

    async def test_uploads(self) -> None:
        """Pushes are repeated where nothing of their body has been read."""
        for kind in ("own", "more"):
            for passed in (0.0, PROVED_SECONDS):
                (self.helper / "asked").unlink(missing_ok=True)
                self.answer("good")
                await self.start_helped()
                self.time.clock.advance(passed)
                self.expire("new")
                self.answer("new")
                self.client = await self.connect()
                reply = await self.client.ask(
                    "POST", UPLOADS, f"Host: {kind}.test", "Content-Length: 0"
                )
                self.assertEqual(reply.status, 202, (kind, passed, reply.body))
                self.time.clock.advance(RUN_INTERVAL)
                self.expire("newer")
                self.answer("newer")
                self.client.request(
                    "PATCH",
                    f"{UPLOADS}0-1",
                    f"Host: {kind}.test",
                    "Content-Length: 4",
                    "Expect: 100-continue",
                )
                reply = await self.client.reply()
                if reply.status == 100:
                    self.client.send(b"data")
                    reply = await self.client.reply()
                self.assertEqual(reply.status, 200, (kind, passed, reply.body))

    async def test_body_under_way(self) -> None:
        """One whose body is under way is told to come again, and then may."""
        await self.start_helped()
        await self.at("more")
        self.expire("new")
        self.answer("new")
        self.client = await self.connect()
        reply = await self.client.ask(
            "PATCH", f"{UPLOADS}0-1", "Host: more.test", body=b"data"
        )
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
        self.assertEqual(reply.header(b"Retry-After"), b"1")
        self.client = await self.connect()
        reply = await self.client.ask(
            "PATCH", f"{UPLOADS}0-1", "Host: more.test", body=b"data"
        )
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.asked, 2)

    async def test_want_of_right(self) -> None:
        """A 403 that is about a right does not have the helper asked each time."""
        await self.start_helped()
        for _ in range(10):
            self.assertEqual((await self.at("own", SECRET)).status, 403)
        self.assertLessEqual(self.asked, 2)
        self.assertEqual(self.manners.wrong, 0)
