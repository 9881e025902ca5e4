"""One token for several upstreams: which services are asked, what upstreams get."""

from __future__ import annotations

import base64
import json

from regbroker.assembly import registries, upstreams
from regbroker.settings.config import DEFAULT_ANSWER_TIMEOUT
from tests.scripted import Call, response
from tests.severalcase import ALICE, SeveralTestCase
from tests.wire import Message

FINE = response(200, body=b"{}")
PULL_HUB = "repository:hub/a:pull"
PULL_QUAY = "repository:quay/b:pull"


def of(calls: list[Call], path: str) -> list[Call]:
    """The calls for one path."""
    return [call for call in calls if call.target.partition("?")[0] == path]


class Wall:
    """The clock on the wall, in the place of the module `time`."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        """Return seconds since 1970."""
        return self.now


class SplitTestCase(SeveralTestCase):
    listed = ""
    registry = "hub/* = one:*\nquay/* = two:*"

    def scopes(self, name: str) -> list[list[str]]:
        """The scopes that a token service was asked for, by request."""
        upstream = self.upstream if name == "one" else self.other
        return [
            [value for key, value in call.query if key == "scope"]
            for call in of(upstream.calls, "/token")
        ]

    async def get(self, target: str, authorization: str) -> Call:
        """Send a request, and return it as its upstream saw it."""
        one = self.answer(self.upstream, FINE)
        two = self.answer(self.other, FINE)
        reply = await self.client.ask("GET", target, f"Authorization: {authorization}")
        self.assertEqual(reply.status, 200, reply.body)
        (call,) = [*one, *two]
        return call


class TrustedTests(SplitTestCase):
    """Clients have accounts at both."""

    more = "accounts = upstream: one, two"

    async def set_up(self) -> None:
        await super().set_up()
        self.answer(self.upstream, FINE)
        self.answer(self.other, FINE)

    async def test_spanning(self) -> None:
        """A request for both is two, each for its own; one token opens both."""
        token = await self.token(PULL_HUB, PULL_QUAY)
        self.assertEqual(self.scopes("one"), [["repository:a:pull"]])
        self.assertEqual(self.scopes("two"), [["repository:b:pull"]])
        for upstream, service in ((self.upstream, "one"), (self.other, "two")):
            (call,) = of(upstream.calls, "/token")
            self.assertEqual(dict(call.query)["service"], service)
            self.assertEqual(call.header(b"Authorization"), ALICE.encode())
        hub = await self.get("/v2/hub/a/manifests/1", f"Bearer {token}")
        self.assertEqual(hub.header(b"Authorization"), b"Bearer one-token")
        quay = await self.get("/v2/quay/b/manifests/1", f"Bearer {token}")
        self.assertEqual(quay.header(b"Authorization"), b"Bearer two-token")

    async def test_one(self) -> None:
        """A request for one is for that one."""
        token = await self.token(PULL_QUAY)
        self.assertEqual((self.scopes("one"), len(self.scopes("two"))), ([], 1))
        hub = await self.get("/v2/hub/a/manifests/1", f"Bearer {token}")
        self.assertIsNone(hub.header(b"Authorization"))

    async def test_login(self) -> None:
        """Without a scope the first looks at the password."""
        await self.token()
        self.assertEqual((self.scopes("one"), self.scopes("two")), ([[]], []))

    async def test_user_in_the_log(self) -> None:
        """The log tells whose token it is, and both upstreams."""
        event = self.event()
        token = await self.token(PULL_HUB, PULL_QUAY)
        self.assertIn("upstream=one,two upstream_name=a,b", (await event)["line"])
        event = self.event()
        await self.get("/v2/hub/a/manifests/1", f"Bearer {token}")
        self.assertIn("user=alice", (await event)["line"])

    async def test_scope_in_reply(self) -> None:
        """The scopes of both come back, with public names."""
        for upstream, name in ((self.upstream, "a"), (self.other, "b")):
            body = {"token": "t", "scope": f"repository:{name}:pull"}
            upstream.handler = lambda call, body=body: response(
                200, body=json.dumps(body).encode()
            )
        reply = await self.asked_token(PULL_HUB, PULL_QUAY)
        self.assertEqual(reply.json()["scope"], f"{PULL_HUB} {PULL_QUAY}")

    async def test_life(self) -> None:
        """It lives as long as the first of its tokens to end."""
        for upstream, life in ((self.upstream, 900), (self.other, 300)):
            body = {"token": "t", "expires_in": life}
            upstream.handler = lambda call, body=body: response(
                200, body=json.dumps(body).encode()
            )
        reply = await self.asked_token(PULL_HUB, PULL_QUAY)
        self.assertIn(reply.json()["expires_in"], (299, 300))

    async def test_refused_by_one(self) -> None:
        """One that refuses leaves the other's; if all do, the client hears it."""
        self.upstream.handler = lambda call: response(401)
        token = await self.token(PULL_HUB, PULL_QUAY)
        quay = await self.get("/v2/quay/b/manifests/1", f"Bearer {token}")
        self.assertEqual(quay.header(b"Authorization"), b"Bearer two-token")
        self.upstream.handler = self.other.handler = lambda call: response(401)
        bob = "Basic Ym9iOmI="
        reply = await self.asked_token(PULL_HUB, PULL_QUAY, authorization=bob)
        self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))

    async def test_refresh_token(self) -> None:
        """Refresh tokens are the first one's, and go nowhere else."""
        body = {"token": "t", "refresh_token": "r3fresh"}
        self.upstream.handler = lambda call: response(
            200, body=json.dumps(body).encode()
        )
        reply = await self.client.ask(
            "GET",
            f"/auth?offline_token=true&scope={PULL_HUB}&scope={PULL_QUAY}",
            f"Authorization: {ALICE}",
        )
        self.assertEqual(reply.json()["refresh_token"], "r3fresh")
        (call,) = of(self.other.calls, "/token")
        self.assertNotIn("offline_token", dict(call.query))
        form = f"grant_type=refresh_token&refresh_token=r3fresh&scope={PULL_QUAY}"
        reply = await self.client.ask(
            "POST",
            "/auth",
            "Content-Type: application/x-www-form-urlencoded",
            body=form.encode(),
        )
        self.assertEqual(reply.status, 200, reply.body)
        for call in self.other.calls:
            self.assertNotIn("r3fresh", bytes(call.wire.seen).decode())

    async def test_foreign_token(self) -> None:
        """A token that was not given here says nothing to any of them."""
        call = await self.get("/v2/hub/a/manifests/1", "Bearer t0ken")
        self.assertIsNone(call.header(b"Authorization"))

    async def test_password(self) -> None:
        """A password at the registry itself goes where clients have accounts."""
        call = await self.get("/v2/quay/b/manifests/1", ALICE)
        self.assertEqual(call.header(b"Authorization"), ALICE.encode())

    async def test_challenge(self) -> None:
        """A 401 names our realm, its upstream's service and the public name."""
        challenge = (
            'Bearer realm="https://x.test",service="two",scope="repository:b:pull"'
        )
        self.answer(self.other, response(401, f"WWW-Authenticate: {challenge}"))
        reply = await self.client.ask("GET", "/v2/quay/b/manifests/1")
        self.assertEqual(
            reply.header(b"WWW-Authenticate"),
            b'Bearer realm="http://registry.test/auth",service="two",'
            b'scope="repository:quay/b:pull"',
        )


class FirstAloneTests(SplitTestCase):
    """Clients have accounts at the first, which is what they have by default."""

    async def set_up(self) -> None:
        await super().set_up()
        self.answer(self.upstream, FINE)
        self.answer(self.other, FINE)

    async def test_password_stays(self) -> None:
        """Neither password nor token of the first ever reaches the second."""
        token = await self.token(PULL_HUB, PULL_QUAY)
        self.assertEqual(self.scopes("two"), [])
        for authorization in (ALICE, f"Bearer {token}"):
            quay = await self.get("/v2/quay/b/manifests/1", authorization)
            self.assertEqual(quay.header(b"Authorization"), b"Bearer two-token")
        (asked,) = of(self.other.calls, "/token")
        self.assertIsNone(asked.header(b"Authorization"))
        secret = ALICE.removeprefix("Basic ").encode()
        for wire in self.other.wires:
            self.assertNotIn(secret, wire.seen)
            self.assertNotIn(b"one-token", wire.seen)

    async def test_token_without_tokens(self) -> None:
        """Who asks for the second's names alone gets a token that is good for them."""
        token = await self.token(PULL_QUAY, authorization="")
        self.assertEqual((self.scopes("one"), self.scopes("two")), ([], []))
        quay = await self.get("/v2/quay/b/manifests/1", f"Bearer {token}")
        self.assertEqual(quay.header(b"Authorization"), b"Bearer two-token")


class LentTests(SplitTestCase):
    """Our own account at the second is shared, for pulls."""

    more = "anonymous = shared"
    other_options = "username = robot\npassword-file = password"

    async def set_up(self) -> None:
        self.autostart = False
        await super().set_up()
        self.answer(self.upstream, FINE)
        self.answer(self.other, FINE)

    async def begin(self) -> None:
        """Start with a password in its file."""
        await self.serve()
        (self.directory / "password").write_text("r0bot\n")
        self.client = await self.connect()

    async def test_pull(self) -> None:
        """A pull is made with our account, whatever the client has."""
        await self.begin()
        for authorization in (ALICE, f"Bearer {await self.token(PULL_QUAY)}"):
            await self.get("/v2/quay/b/manifests/1", authorization)
        (asked,) = of(self.other.calls, "/token")
        robot = base64.b64encode(b"robot:r0bot")
        self.assertEqual(asked.header(b"Authorization"), b"Basic " + robot)

    async def test_push(self) -> None:
        """A push is not: nobody's."""
        await self.begin()
        await self.client.ask(
            "PUT",
            "/v2/quay/b/manifests/1",
            f"Authorization: {ALICE}",
            body=b"{}",
        )
        (asked,) = of(self.other.calls, "/token")
        self.assertIsNone(asked.header(b"Authorization"))


class FallbackTests(SeveralTestCase):
    """Both have the same names; the first is where clients have accounts."""

    MANIFEST = "/v2/team/app/manifests/1"
    PULL = "repository:team/app:pull"

    async def set_up(self) -> None:
        self.wall = Wall()
        self.patch(registries, "time", self.wall)
        self.patch(upstreams, "time", self.wall)
        await super().set_up()
        self.one = self.answer(self.upstream, FINE)
        self.two = self.answer(self.other, FINE)

    async def test_own_tokens(self) -> None:
        """Each upstream sees its own token and its own name."""
        token = await self.token(self.PULL)
        bearer = f"Authorization: Bearer {token}"
        await self.client.ask("GET", self.MANIFEST, bearer)
        self.assertEqual(self.one[0].header(b"Authorization"), b"Bearer one-token")
        self.answer(self.upstream, response(503))
        await self.client.ask("GET", self.MANIFEST, bearer)
        self.assertEqual(self.two[0].header(b"Authorization"), b"Bearer two-token")
        self.assertEqual(self.two[0].target, "/v2/cache/team/app/manifests/1")
        asked = [
            dict(call.query)["scope"]
            for upstream in (self.upstream, self.other)
            for call in of(upstream.calls, "/token")
        ]
        self.assertEqual(
            asked, ["repository:acme_team/app:pull", "repository:cache/team/app:pull"]
        )

    async def test_own_limit(self) -> None:
        """Who has met a limit goes to the second; whoever has not, does not."""
        alice = f"Authorization: Bearer {await self.token(self.PULL)}"
        self.upstream.handler = lambda call: self.grant("bob", call)
        bob_token = await self.token(self.PULL, authorization="Basic Ym9iOmI=")
        bob = f"Authorization: Bearer {bob_token}"

        def limit(call: Call) -> bytes:
            if call.header(b"Authorization") == b"Bearer bob-token":
                return FINE
            return response(429, "Retry-After: 600")

        self.upstream.handler = limit
        self.upstream.calls.clear()
        for authorization in (alice, bob, alice, bob):
            await self.client.ask("GET", self.MANIFEST, authorization)
        given = [call.header(b"Authorization") for call in self.upstream.calls]
        self.assertEqual(
            given, [b"Bearer one-token", b"Bearer bob-token", b"Bearer bob-token"]
        )
        self.assertEqual(len(self.two), 2)

    async def test_token_service_fails(self) -> None:
        """Without it the client gets a token still, and the second is asked."""
        for status in (429, 500 + 3):
            self.upstream.handler = lambda call, s=status: response(s)
            token = await self.token(self.PULL)
            reply = await self.client.ask(
                "GET", self.MANIFEST, f"Authorization: Bearer {token}"
            )
            self.assertEqual(reply.status, 200, reply.body)
            self.time.clock.advance(61)
            self.client = await self.connect()
        # The first was not asked for what it had given no token for.
        self.assertEqual(of(self.upstream.calls, "/v2/acme_team/app/manifests/1"), [])
        self.assertEqual(len(self.two), 2)

    async def test_token_service_silent(self) -> None:
        """One that does not answer is waited for a little, and then not at all."""
        self.upstream.handler = None
        self.client.request(
            "GET", f"/auth?scope={self.PULL}", f"Authorization: {ALICE}"
        )
        await self.upstream.call()
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT)
        reply = await self.client.reply()
        self.assertEqual((reply.status, reply.json()["expires_in"]), (200, 60))
        await self.token(self.PULL)
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_back_again(self) -> None:
        """When the second has it not, the first is asked after all, and challenges."""
        self.upstream.handler = lambda call: response(503)
        token = await self.token(self.PULL)
        bearer = f"Authorization: Bearer {token}"
        challenge = 'Bearer realm="https://x.test/t",service="one"'
        one = self.answer(
            self.upstream, response(401, f"WWW-Authenticate: {challenge}")
        )
        self.answer(self.other, response(404))
        reply = await self.client.ask("GET", self.MANIFEST, bearer)
        # A login would not help before the token service is back.
        self.assertEqual((reply.status, reply.code), (503, "UNAVAILABLE"))
        self.assertEqual(reply.header(b"Retry-After"), b"1")
        self.time.clock.advance(1)
        self.wall.now += 1
        reply = await self.client.ask("GET", self.MANIFEST, bearer)
        self.assertEqual(reply.status, 401)
        self.assertIsNone(one[0].header(b"Authorization"))
        self.assertIn(b"/auth", reply.header(b"WWW-Authenticate") or b"")

    async def test_login(self) -> None:
        """A login is not the second's affair: what the first says counts."""
        self.upstream.handler = lambda call: response(503)
        self.assertEqual((await self.asked_token()).status, 503)
        self.upstream.handler = lambda call: response(401)
        self.assertEqual((await self.asked_token()).status, 401)

    async def test_wrong_password(self) -> None:
        """Nor is a wrong password a failure."""
        self.upstream.handler = lambda call: response(401)
        self.assertEqual((await self.asked_token(self.PULL)).status, 401)

    async def test_ping(self) -> None:
        """The ping's challenge is the first's, with our realm."""
        reply = await self.client.ask("GET", "/v2/")
        self.assertEqual(
            reply.header(b"WWW-Authenticate"),
            b'Bearer realm="http://registry.test/auth",service="one"',
        )


class UnknownFirstTests(SeveralTestCase):
    """The first is down when regbroker starts."""

    autostart = False
    PULL = FallbackTests.PULL

    async def asked(self, target: str, *headers: str) -> Message:
        """Ask, and let time go by until there is a reply."""
        before = len(self.client.seen)
        self.client.request("GET", target, *headers)
        while len(self.client.seen) == before:
            self.time.clock.advance(0.5)
            await self.turn()
        return await self.client.reply()

    async def test_ping(self) -> None:
        """The second, that lets everybody in, does not open the ping."""
        self.upstream.ping = b"never"
        self.wants_tokens = ()
        await self.serve(learnt=False)
        self.client = await self.connect()
        self.answer(self.other, FINE)
        reply = await self.asked("/v2/")
        self.assertEqual(reply.status, 401)
        self.assertEqual(
            reply.header(b"WWW-Authenticate"),
            b'Bearer realm="http://registry.test/auth",service="registry.test"',
        )
        reply = await self.asked(f"/auth?scope={self.PULL}", f"Authorization: {ALICE}")
        token = reply.json()["token"]
        reply = await self.client.ask(
            "GET", FallbackTests.MANIFEST, f"Authorization: Bearer {token}"
        )
        self.assertEqual(reply.status, 200)


class BasicFirstTests(SeveralTestCase):
    """The first has no token service: passwords go to the registry itself."""

    wants_tokens = ("two",)

    async def test_password(self) -> None:
        """While it fails nobody else says that a password is good."""
        self.answer(self.upstream, response(503))
        two = self.answer(self.other, FINE)
        reply = await self.client.ask("GET", "/v2/", f"Authorization: {ALICE}")
        self.assertEqual(reply.status, 503)
        self.assertEqual(two, [])


class OwnLimitTests(SeveralTestCase):
    """A limit is theirs who have met it, whatever they send."""

    PULL = FallbackTests.PULL
    MANIFEST = FallbackTests.MANIFEST

    async def set_up(self) -> None:
        await super().set_up()
        self.answer(self.upstream, FINE)
        self.answer(self.other, FINE)

    async def test_rewritten_token(self) -> None:
        """Nobody becomes everybody by writing a composite token anew."""
        token = await self.token(self.PULL)
        encoded = token.removeprefix("rb1.")
        text = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        forged = "rb1." + base64.urlsafe_b64encode(b" " + text).decode()
        self.answer(self.upstream, response(429, "Retry-After: 600"))
        bearer = f"Authorization: Bearer {forged}"
        self.assertEqual(
            (await self.client.ask("GET", self.MANIFEST, bearer)).status, 200
        )
        one = self.answer(self.upstream, FINE)
        await self.client.ask("GET", self.MANIFEST)
        self.assertEqual(len(one), 1)
        await self.client.ask("GET", self.MANIFEST, bearer)
        self.assertEqual(len(one), 1)

    async def test_slow_login(self) -> None:
        """A token service that is slow for one is asked for the others."""
        self.upstream.handler = None
        query = f"/auth?scope={self.PULL}"
        self.client.request("GET", query, "Authorization: Basic bTp3cm9uZw==")
        await self.upstream.call()
        self.time.clock.advance(DEFAULT_ANSWER_TIMEOUT)
        await self.client.reply()
        one = self.answer(self.upstream, FINE)
        token = await self.token(self.PULL)
        bearer = f"Authorization: Bearer {token}"
        await self.client.ask("GET", self.MANIFEST, bearer)
        self.assertEqual(one[0].header(b"Authorization"), b"Bearer one-token")


class OpenFirstTests(SeveralTestCase):
    """The first wants no credentials, and has no token service."""

    wants_tokens = ("two",)

    async def test_pull(self) -> None:
        """It is asked without; the second with its own."""
        one = self.answer(self.upstream, FINE)
        self.answer(self.other, FINE)
        token = await self.token("repository:a:pull")
        for headers in ([], [f"Authorization: Bearer {token}"]):
            reply = await self.client.ask("GET", "/v2/a/manifests/1", *headers)
            self.assertEqual(reply.status, 200)
        # Before the token, it was asked at the repository whether it has any.
        self.assertEqual(
            [call.target for call in one],
            [f"/v2/acme_a/{end}" for end in ("tags/list?n=1", *["manifests/1"] * 2)],
        )
        self.assertEqual(self.other.calls, [])
        await self.token("repository:a:pull")
        self.assertEqual(len(one), 3)
