"""regbroker before a registry with a habit, and the registry as one that is played."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.habits import DISTRIBUTION, Answer, Habit, Manners
from tests.proxycase import ProxyTestCase
from tests.scripted import Call, ScriptedUpstream, response
from tests.wire import Message

MANIFEST = "/v2/team/app/manifests/1"
SECRET = "/v2/team/secret/manifests/1"
MISSING = "/v2/team/app/manifests/missing"
TAGS = "/v2/team/app/tags/list"
UPLOADS = "/v2/team/app/blobs/uploads/"

PULL = "scope=repository:team/app:pull"
ALICE = f"Authorization: Basic {base64.b64encode(b'alice:wonderland').decode()}"

TAG_LIST = json.dumps({"name": "acme_team/app", "tags": ["1"]}).encode()
CATALOG = json.dumps({"repositories": ["acme_team/app"]}).encode()


class HabitUpstream(ScriptedUpstream):
    """A scripted upstream with manners; pings are for these, too."""

    manners: Manners

    def take(self, call: Call) -> None:
        authorization = (call.header(b"Authorization") or b"").decode()
        answer = self.manners.answer(call.method, call.target, authorization)
        if answer is None:
            answer = self._behind(call)
        reply = response(answer.status, *answer.headers, body=answer.body)
        call.answer(
            reply
            if call.method != "HEAD"
            else reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        )

    def _behind(self, call: Call) -> Answer:
        """What a registry says to who may."""
        if call.target.endswith("/missing"):
            return Answer(404, (), b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        if "/tags/list" in call.target:
            return Answer(200, (), TAG_LIST)
        if call.target.startswith("/v2/_catalog"):
            return Answer(200, (), CATALOG)
        if call.method == "POST":
            place = f"Location: {call.target}0-1"
            return Answer(202, (place, "Docker-Upload-UUID: 0-1"))
        return Answer(200, (), b"fine")


class HabitTestCase(ProxyTestCase):
    """regbroker before a registry with a habit; `robot` is its account there."""

    habit: Habit = DISTRIBUTION
    accounts = "accounts = upstream"
    autostart = False
    time: Any

    async def set_up(self) -> None:
        await super().set_up()
        self.file = Path(self.mktemp()).absolute()
        self.file.write_text("good")

    def make_upstream(self) -> ScriptedUpstream:
        return HabitUpstream()

    async def start(self, habit: Habit, more: str = "", options: str = "") -> None:
        """Serve before a registry with this habit.

        What served before is stopped: its timers would cost time at each step of the
        clock.
        """
        await self.hang_up()
        await self.stop_all()
        upstream: Any = self.upstream
        self.manners = upstream.manners = Manners(
            habit,
            self.upstream.url,
            {"alice": "wonderland", "robot": "good"},
            {"alice": {"acme_team/app"}, "robot": {"acme_team/app"}},
        )
        self.more = more
        self.upstream_options = options
        await self.serve()
        self.client = await self.connect()

    async def start_own(self, habit: Habit, options: str = "") -> None:
        """The same, with our account, shared with whoever comes."""
        login = f"username = robot\npassword-file = {self.file}\n"
        await self.start(habit, "anonymous = shared", login + options)

    def change(self, password: str) -> None:
        """Write another password into our file."""
        self.file.write_text(password)
        self.time.clock.advance(1.5)

    async def get(self, target: str = MANIFEST, *headers: str) -> Message:
        """Ask, with a connection that has not been idle."""
        self.client = await self.connect()
        return await self.client.ask("GET", target, *headers)

    async def token(self, query: str = PULL, user: str = ALICE) -> Message:
        """Ask the token service."""
        headers = (user,) if user else ()
        self.client = await self.connect()
        return await self.client.ask("GET", f"/auth?{query}", *headers)

    async def bearer(self, query: str = PULL, user: str = ALICE) -> str:
        """A header with a token."""
        reply = await self.token(query, user)
        self.assertEqual(reply.status, 200, reply.body)
        return f"Authorization: Bearer {reply.json()['token']}"
