"""A mount whose token does not name where it mounts from."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from urllib.parse import quote

from regbroker.service import RegbrokerService
from tests.proxycase import BLOB, DIGEST, UPLOAD, UPLOADS, ProxyTestCase
from tests.scripted import Call, response
from tests.severalcase import SeveralTestCase
from tests.wire import Message

PUSH = "repository:team/app:pull,push"
PULL = "repository:team/other:pull"
MOUNT = f"{UPLOADS}?mount={DIGEST}&from=team/other"

BOTH = (
    "repository:acme_team/app:pull,push repository:acme_team/other:pull",
    f"{PUSH} {PULL}",
)
MADE = response(201, f"Location: /v2/acme_team/app/blobs/{DIGEST}")
BEGUN = response(202, "Location: /v2/acme_team/app/blobs/uploads/id")


def scopes_of(token: str) -> dict[str, str]:
    """The actions by name that a token of the test's is good for."""
    given = (scope.split(":") for scope in bytes.fromhex(token).decode().split())
    return {name: actions for _, name, actions in given}


_numbers = count()


def token_of(granted: list[str]) -> bytes:
    """A token service's reply: a token like no other."""
    token = " ".join([*granted, f"id:{next(_numbers)}:"]).encode().hex()
    return response(200, body=json.dumps({"token": token}).encode())


class MountTestCase(ProxyTestCase):
    """`user` may push to ``team/app``, and pull from ``team/other`` if it is alice."""

    async def mount(self, token: str, *headers: str) -> Message:
        """Ask for the mount."""
        credentials = (f"Authorization: Bearer {token}",) if token else ()
        return await self.client.ask(
            "POST", MOUNT, *credentials, *headers, "Content-Length: 0"
        )

    async def token(self, *scopes: str, user: str = "alice") -> str:
        """A token from regbroker."""
        query = "&".join(f"scope={quote(scope)}" for scope in scopes)
        reply = await self.client.ask("GET", f"/auth?{query}", *self.as_user(user))
        self.assertEqual(reply.status, 200, reply.body)
        token: str = reply.json()["token"]
        return token

    def as_user(self, user: str) -> tuple[str, ...]:
        """Credentials, in regbroker's or the upstream's accounts."""
        if not user:
            return ()
        basic = {"alice": "YWxpY2U6dw==", "bob": "Ym9iOnc="}[user]
        return (f"Authorization: Basic {basic}",)

    def assert_told(self, reply: Message) -> None:
        """The client hears of both scopes."""
        self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))
        challenge = (reply.header(b"WWW-Authenticate") or b"").decode()
        self.assertIn(f'scope="{PUSH} {PULL}"', challenge)
        self.assertIn('realm="http', challenge)

    def assert_mounted(self, reply: Message) -> None:
        """The blob is there."""
        self.assertEqual(reply.status, 201, reply.body)
        self.assertEqual(reply.header(b"Location"), BLOB.encode())

    def assert_begun(self, reply: Message) -> None:
        """An ordinary upload has begun."""
        self.assertEqual(reply.status, 202, reply.body)
        self.assertEqual(reply.header(b"Location"), UPLOAD.encode())

    async def assert_widens(self) -> None:
        """Who may, gets its mount after one 401; who may not, an upload."""
        narrow = await self.token(PUSH)
        wide = await self.token(PUSH, PULL)
        for _ in range(3):
            self.assert_told(await self.mount(narrow))
            self.assert_mounted(await self.mount(wide))
        narrow = await self.token(PUSH, user="bob")
        wide = await self.token(PUSH, PULL, user="bob")
        self.assert_told(await self.mount(narrow))
        for _ in range(3):
            self.assert_begun(await self.mount(wide))
            self.assert_begun(await self.mount(narrow))


class UpstreamMountTests(MountTestCase):
    """The upstream's accounts and tokens."""

    tokens = True
    #: What the registry's 401 says it wants.
    wanted = BOTH[0]

    async def set_up(self) -> None:
        await super().set_up()
        self.upstream.handler = self.handle

    def handle(self, call: Call) -> bytes:
        """A registry with a token service."""
        if call.target.startswith("/token"):
            is_alice = (call.header(b"Authorization") or b"").endswith(b"YWxpY2U6dw==")
            asked = [value for name, value in call.query if name == "scope"]
            granted = [one for one in asked if is_alice or "other" not in one]
            return token_of(granted)
        token = (call.header(b"Authorization") or b" ").split()[-1].decode()
        has = scopes_of(token)
        if "push" not in has.get("acme_team/app", "") or (
            "mount" in call.target and "acme_team/other" not in has
        ):
            return response(
                401,
                f'WWW-Authenticate: Bearer realm="https://x/t",service="up",'
                f'scope="{self.wanted}",error="insufficient_scope"',
            )
        return MADE if "mount" in call.target else BEGUN

    async def test_widens(self) -> None:
        """The first 401 is the client's, who knows what to do with it."""
        await self.assert_widens()

    async def test_never_widens(self) -> None:
        """A client that comes with new narrow tokens gets an upload."""
        self.assert_told(await self.mount(await self.token(PUSH)))
        self.time.clock.advance(1)
        other = await self.token(PUSH, "repository:team/third:pull")
        self.assert_begun(await self.mount(other))

    async def test_unknown_token(self) -> None:
        """A token of another machine's is told once, too."""
        token = BOTH[0].partition(" ")[0].encode().hex()
        self.assert_told(await self.mount(token))
        self.assert_begun(await self.mount(token))

    async def test_may_not_push(self) -> None:
        """Without the right to push it is 401, however often."""
        token = await self.token(PULL)
        for _ in range(3):
            self.assert_told(await self.mount(token))


class NarrowChallengeTests(UpstreamMountTests):
    """A registry that speaks of the repository alone that is pushed to."""

    wanted = BOTH[0].partition(" ")[0]


class LocalMountTests(MountTestCase):
    """Accounts, rights and tokens are regbroker's own."""

    more = "accounts = staff"

    def ini(self) -> str:
        path = Path(self.mktemp()).absolute()
        # "w", as bcrypt has it at its cheapest.
        password = "$2b$04$hL6F/4p.TTFcVqtH2pMwgun/I24IUYwTg.3RgOxxh9nIjKoY4V82m"
        path.write_text(f"alice:{password}\nbob:{password}\n")
        return (
            f"{super().ini()}\n[accounts staff]\nhtpasswd = {path}\n"
            "[access staff]\nalice = team/**: pull, push\nbob = team/app: pull, push\n"
            "anonymous = team/app: pull, push\n"
        )

    async def set_up(self) -> None:
        await super().set_up()
        self.upstream.handler = lambda call: MADE if "mount" in call.target else BEGUN

    async def test_widens(self) -> None:
        """The first 401 is ours."""
        await self.assert_widens()
        for call in self.upstream.calls:
            self.assertNotIn(
                call.target, (MOUNT, MOUNT.replace("team/app", "acme_team/app"))
            )

    async def test_password(self) -> None:
        """Who shows a password has all the rights there are."""
        for user, check in (("alice", self.assert_mounted), ("bob", self.assert_begun)):
            check(await self.mount("", *self.as_user(user)))

    async def test_nobody(self) -> None:
        """Who has nothing to show is asked for nothing, where that will do."""
        self.assert_begun(await self.mount(""))
        wide = await self.token(PUSH, PULL, user="")
        self.assert_begun(await self.mount(wide))

    async def test_may_not_push(self) -> None:
        """Without the right to push it is 401, however often."""
        token = await self.token(PULL)
        for _ in range(3):
            self.assert_told(await self.mount(token))


class OurAccountTests(MountTestCase):
    """regbroker's own account may not pull there."""

    more = "accounts = staff"
    tokens = True
    upstream_options = "username = robot\npassword-file = password"

    def ini(self) -> str:
        path = Path(self.mktemp()).absolute()
        path.touch()
        return (
            f"{super().ini()}\n[accounts staff]\nhtpasswd = {path}\n"
            "[access staff]\nanonymous = team/**: pull, push\n"
        )

    async def serve(self, learnt: bool = True) -> RegbrokerService:
        service = await super().serve(learnt)
        (self.directory / "password").write_text("r0bot")
        return service

    async def test_lacking(self) -> None:
        """For the client it is an ordinary upload; it has done nothing wrong."""
        for refusal in (
            response(401, 'WWW-Authenticate: Bearer error="insufficient_scope"'),
            response(403),
        ):

            def handle(call: Call, refusal: bytes = refusal) -> bytes:
                if call.target.startswith("/token"):
                    return response(200, body=b'{"token": "t"}')
                return refusal if "mount" in call.target else BEGUN

            self.upstream.handler = handle
            self.assert_begun(await self.mount(""))

    async def test_no_token(self) -> None:
        """Nor when the token service refuses such a token at all."""

        def handle(call: Call) -> bytes:
            if call.target.startswith("/token"):
                refused = "other" in call.target
                return response(403 if refused else 200, body=b'{"token": "t"}')
            return BEGUN

        self.upstream.handler = handle
        self.assert_begun(await self.mount(""))


class SharedMountTests(UpstreamMountTests):
    """Our account is shared with clients without a token; alice and bob bring one."""

    more = "anonymous = shared: pull, push"
    upstream_options = "username = alice\npassword-file = password"

    async def serve(self, learnt: bool = True) -> RegbrokerService:
        service = await super().serve(learnt)
        (self.directory / "password").write_text("w")
        return service

    async def test_lent(self) -> None:
        """With our account a mount needs no second request; nor does a lent token."""
        self.assert_mounted(await self.mount(""))
        self.assert_told(await self.mount(await self.token(PUSH, user="")))
        wide = await self.token(PUSH, PULL, user="")
        self.assert_mounted(await self.mount(wide))


class CompositeMountTests(SeveralTestCase, MountTestCase):
    """Several upstreams, and a composite token."""

    async def token(self, *scopes: str, **more: str) -> str:
        return await MountTestCase.token(self, *scopes, **more)

    def grant(self, name: str, call: Call) -> bytes:
        asked = [value for key, value in call.query if key == "scope"]
        is_alice = (call.header(b"Authorization") or b"").endswith(b"YWxpY2U6dw==")
        return token_of(asked if is_alice else asked[:1])

    async def test_widens(self) -> None:
        """It is the same."""

        def handle(call: Call) -> bytes:
            if call.target.startswith("/token"):
                return self.grant("one", call)
            token = (call.header(b"Authorization") or b" ").split()[-1].decode()
            if "mount" in call.target and "acme_team/other" not in scopes_of(token):
                challenge = f'Bearer realm="https://x/t",scope="{BOTH[0]}"'
                return response(401, f"WWW-Authenticate: {challenge}")
            return MADE if "mount" in call.target else BEGUN

        self.upstream.handler = handle
        self.answer(self.other, response(500))
        await self.assert_widens()


class BodyMountTests(MountTestCase):
    """A mount that brings the blob, which can be sent once."""

    async def assert_passes(self, status: int) -> None:
        """The refusal of such a mount is the client's, and nothing breaks off."""
        self.upstream.handler = lambda call: (
            response(status) if "mount" in call.target else BEGUN
        )
        reply = await self.client.ask(
            "POST", MOUNT, *self.as_user("alice"), body=b"blob"
        )
        self.assertEqual(reply.status, status)
        self.assertEqual(len(self.upstream.calls), 1)
        self.upstream.calls.clear()

    async def test_refused(self) -> None:
        """It is an upload only where the body is here still."""
        for status in (400, 403, 404):
            await self.assert_passes(status)

    async def test_not_sent_yet(self) -> None:
        """A client that waits for 100 Continue has its body still."""
        self.upstream.handler = lambda call: (
            response(403) if "mount" in call.target else BEGUN
        )
        self.client.request(
            "POST",
            MOUNT,
            *self.as_user("alice"),
            "Content-Length: 4",
            "Expect: 100-continue",
        )
        self.assert_begun(await self.client.reply())
