"""The broker: public names on one side, upstream names on the other."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regbroker.broker.upstream_broker import REUSE_SECONDS, Broker
from regbroker.errors import (
    NameUnknown,
    RedirectRefused,
    UpstreamMalformed,
    UpstreamRefused,
)
from regbroker.naming.mapping import NameMapping
from regbroker.naming.rules import parse_rule
from regbroker.protocol.scopes import Scope, parse_scopes
from regbroker.protocol.token_replies import IssuedToken
from regbroker.protocol.token_requests import TokenRequest, parse_get, parse_post
from regbroker.upstream.policy import Policy
from tests.brokercase import ALICE, BOB, HOST, PULL, BrokerTestCase, granted
from tests.scripted import response


class ScopeTests(BrokerTestCase):
    async def scopes(self, query: str, user: str | None = ALICE) -> list[str]:
        """The scopes that the upstream is asked for, at whatever time."""
        self.now += REUSE_SECONDS + 301
        asking = self.get(query, user)
        call = await self.upstream.call()
        call.answer(granted())
        await asking
        return [value for name, value in call.query if name == "scope"]

    async def test_mapped(self) -> None:
        """Repeated and in one value, mapped by whatever rule."""
        self.assertEqual(
            await self.scopes(
                "scope=repository:team/app:pull,push+repository:hub/x:pull"
                "&scope=repository:team/b:delete"
            ),
            [
                "repository:acme_team/app:pull,push",
                "repository:hub_x:pull",
                "repository:acme_team/b:delete",
            ],
        )

    async def test_login(self) -> None:
        """No scope is a login, and goes up without one."""
        self.assertEqual(await self.scopes("service=x&account=alice"), [])

    async def test_not_about_repositories(self) -> None:
        """The catalog's scope, and what does not parse, go up as they are."""
        self.assertEqual(
            await self.scopes("scope=registry:catalog:*&scope=aws"),
            ["registry:catalog:*", "aws"],
        )

    async def test_opaque(self) -> None:
        """What names a repository and does not parse is no way around the rules."""
        for scope in (
            "repository:acme_secret/app",
            "Repository:acme_secret/app:pull",
            "REPOSITORY:acme_secret/app:pull",
            "repository(Plugin):acme_secret/app:pull",
            "repository%253Aacme_secret%252Fapp%253Apull",
            "repository",
            ":repository:acme_secret/app:pull",
            "aws,repository:acme_secret/app:pull/x",
        ):
            for user in (ALICE, None):
                self.assertEqual(
                    await self.scopes(f"scope={scope}&{PULL}", user),
                    ["repository:acme_team/app:pull"],
                )
        asking = self.post(scope="Repository:acme_secret/app:pull")
        call = await self.upstream.call()
        self.assertNotIn("secret", (await call.body()).decode())
        call.answer(granted())
        await asking

    async def test_nothing_clear(self) -> None:
        """A login is none the worse for what some upstream has told to ask for."""
        for scope in ("repository::pull", "repository:UPPER:pull"):
            self.assertEqual(await self.scopes(f"scope={scope}"), [])

    async def test_unmapped(self) -> None:
        """What is not served here is left out, not refused, beside credentials."""
        self.assertEqual(
            await self.scopes(f"scope=repository:other/app:pull&{PULL}"),
            ["repository:acme_team/app:pull"],
        )
        self.assertEqual(await self.scopes("scope=repository:other/app:pull"), [])

    async def test_unmapped_and_anonymous(self) -> None:
        """Who asks for nothing else, and is nobody, is told at once."""
        asking = self.get("scope=repository:other/app:pull", None)
        await self.assertFailure(asking, NameUnknown)
        self.assertEqual(self.upstream.calls, [])

    async def test_asked_again(self) -> None:
        """What was asked for before leads to the same, for whoever may ask for it."""
        beside = f"scope=repository:other/app:pull&{PULL}"
        request = parse_get(beside, ALICE)
        wanted = self.broker.wanted(request, HOST)
        self.assertIs(self.broker.wanted(parse_get(beside, BOB), HOST), wanted)
        # A scope may name the host, which is another one here.
        query = f"scope=repository:{HOST}/team/app:pull"
        for host, names in ((HOST, ["acme_team/app"]), ("b.test", [])):
            for _ in range(2):
                found = self.broker.wanted(parse_get(query, ALICE), host)
                self.assertEqual([scope.name for scope in found.scopes], names)
        # Somebody with credentials has asked for it before.
        query = "scope=repository:other/app:pull"
        self.assertEqual(self.broker.wanted(parse_get(query, ALICE), HOST).scopes, ())
        with self.assertRaises(NameUnknown):
            self.broker.wanted(parse_get(query, None), HOST)

    async def test_asked_at_length(self) -> None:
        """What is long, or many things, is not remembered."""
        long_name = "a" * 230
        for names, is_remembered in (
            ([f"team/app{number}" for number in range(8)], True),
            ([f"team/app{number}" for number in range(9)], False),
            ([f"team/{long_name}"], True),
            ([f"team/{long_name}{number}" for number in range(2)], False),
        ):
            query = "&".join(f"scope=repository:{name}:pull" for name in names)
            request = parse_get(query, ALICE)
            wanted = self.broker.wanted(request, HOST)
            self.assertEqual(len(wanted.scopes), len(names))
            again = self.broker.wanted(request, HOST)
            self.assertEqual(again, wanted)
            self.assertIs(again is wanted, is_remembered, names)

    async def test_no_name(self) -> None:
        """A scope whose name is none is left out."""
        for name in ("UPPER", "..", "team//app", "team/../x"):
            scopes = await self.scopes(f"scope=repository:{name}:pull&{PULL}")
            self.assertEqual(scopes, ["repository:acme_team/app:pull"])

    async def test_with_host(self) -> None:
        """A scope may name the registry before the repository."""
        self.assertEqual(
            await self.scopes(f"scope=repository:{HOST}/team/app:pull"),
            ["repository:acme_team/app:pull"],
        )

    async def test_class(self) -> None:
        """A scope's class stays."""
        self.assertEqual(
            await self.scopes("scope=repository(plugin):team/app:pull"),
            ["repository(plugin):acme_team/app:pull"],
        )


class GetTests(BrokerTestCase):
    async def test_on_the_wire(self) -> None:
        """The upstream's service, the user's credentials and account."""
        asking = self.get(
            f"service=whatever&{PULL}&client_id=docker&offline_token=true"
        )
        call = await self.upstream.call()
        self.assertEqual(call.method, "GET")
        self.assertEqual(
            call.query,
            [
                ("service", "registry.upstream.test"),
                ("scope", "repository:acme_team/app:pull"),
                ("account", "alice"),
                ("client_id", "docker"),
                ("offline_token", "true"),
            ],
        )
        self.assertEqual(call.header(b"Authorization"), ALICE.encode())
        self.assertTrue((call.header(b"User-Agent") or b"").startswith(b"regbroker/"))
        call.answer(granted(refresh_token="r", expires_in=300))
        reply = json.loads(await asking)
        self.assertEqual(reply["token"], "t0ken")
        self.assertEqual(reply["access_token"], "t0ken")
        self.assertEqual(reply["refresh_token"], "r")
        self.assertEqual(reply["expires_in"], 300)
        self.assertEqual(reply["issued_at"], "1970-01-12T13:46:40Z")

    async def test_anonymous(self) -> None:
        """Without credentials none go up."""
        asking = self.get(PULL, None)
        call = await self.upstream.call()
        self.assertIsNone(call.header(b"Authorization"))
        self.assertNotIn("account", dict(call.query))
        call.answer(granted())
        await asking

    async def test_scope_in_reply(self) -> None:
        """What was granted is told by public names."""
        asking = self.get(PULL + ",push")
        scope = "repository:acme_team/app:pull repository:other/x:pull"
        (await self.upstream.call()).answer(granted(scope=scope))
        self.assertEqual(json.loads(await asking)["scope"], "repository:team/app:pull")

    async def test_scope_again(self) -> None:
        """Each client reads the name that it has written, also with a token at hand."""
        scope = "repository:acme_team/app:pull"
        self.upstream.handler = lambda call: granted(scope=scope, expires_in=300)
        for _ in range(2):
            for name in ("team/app", "acme_team/app"):
                reply = json.loads(await self.get(f"scope=repository:{name}:pull"))
                self.assertEqual(reply["scope"], f"repository:{name}:pull")
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_at_hand(self) -> None:
        """What is at hand for somebody is there for them alone, by public names."""
        scope = "repository:acme_team/app:pull"
        self.upstream.handler = lambda call: granted(scope=scope, expires_in=300)

        def at_hand(user: str) -> IssuedToken | None:
            request = parse_get(PULL, user)
            wanted = self.broker.wanted(request, HOST)
            return self.broker.token_at_hand(request, wanted, HOST)

        self.assertIsNone(at_hand(ALICE))
        await self.get(PULL)
        token = at_hand(ALICE)
        assert token is not None
        self.assertEqual(token.scope, "repository:team/app:pull")
        self.assertIsNone(at_hand(BOB))
        self.now += REUSE_SECONDS + 1
        self.assertIsNone(at_hand(ALICE))
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_many_scopes_in_reply(self) -> None:
        """An upstream may grant more than anybody may ask for."""
        asking = self.get(PULL)
        scope = " ".join(f"repository:acme_team/a{n}:pull" for n in range(200))
        (await self.upstream.call()).answer(granted(scope=scope))
        self.assertEqual(
            json.loads(await asking)["scope"], scope.replace("acme_team", "team")
        )

    async def test_by_upstream_name(self) -> None:
        """Who asks by the upstream's name is answered by it."""
        asking = self.get("scope=repository:acme_team/app:pull")
        call = await self.upstream.call()
        self.assertEqual(dict(call.query)["scope"], "repository:acme_team/app:pull")
        call.answer(granted(scope="repository:acme_team/app:pull"))
        self.assertEqual(
            json.loads(await asking)["scope"], "repository:acme_team/app:pull"
        )


class NoServiceTests(BrokerTestCase):
    service = None

    async def test_clients_service(self) -> None:
        """An upstream that names no service is told the client's."""
        asking = self.get("service=mine")
        call = await self.upstream.call()
        self.assertEqual(dict(call.query)["service"], "mine")
        call.answer(granted())
        await asking


class PostTests(BrokerTestCase):
    async def test_on_the_wire(self) -> None:
        """A form is a form upstream, with upstream names and service."""
        asking = self.post(
            service="x",
            client_id="c",
            access_type="offline",
            scope="repository:team/app:pull+repository:team/b:push",
        )
        call = await self.upstream.call()
        self.assertEqual((call.method, call.target), ("POST", "/token"))
        self.assertEqual(
            call.header(b"Content-Type"), b"application/x-www-form-urlencoded"
        )
        self.assertIsNone(call.header(b"Authorization"))
        fields = dict(parse_qsl((await call.body()).decode()))
        self.assertEqual(
            fields,
            {
                "grant_type": "password",
                "service": "registry.upstream.test",
                "client_id": "c",
                "access_type": "offline",
                "scope": "repository:acme_team/app:pull repository:acme_team/b:push",
                "username": "alice",
                "password": "w",
            },
        )
        call.answer(granted(access_token="a"))
        reply = json.loads(await asking)
        self.assertEqual(
            reply["scope"], "repository:team/app:pull repository:team/b:push"
        )

    async def test_refresh_token(self) -> None:
        """A refresh token goes to who issued it, and comes back."""
        asking = self.grant(
            parse_post(b"grant_type=refresh_token&refresh_token=r%2F1&" + PULL.encode())
        )
        call = await self.upstream.call()
        fields = dict(parse_qsl((await call.body()).decode()))
        self.assertEqual(fields["grant_type"], "refresh_token")
        self.assertEqual(fields["refresh_token"], "r/1")
        call.answer(granted(refresh_token="r2"))
        self.assertEqual(json.loads(await asking)["refresh_token"], "r2")

    async def test_refused_as_post(self) -> None:
        """Registries that take no POST get a GET with Basic."""
        for status in (400, 401, 404, 405):
            asking = self.post(scope="repository:team/app:pull", client_id=str(status))
            call = await self.upstream.call()
            await call.body()
            call.answer(response(status, body=b"no"))
            call = await self.upstream.call()
            self.assertEqual(call.method, "GET")
            self.assertEqual(call.header(b"Authorization"), b"Basic YWxpY2U6dw==")
            self.assertEqual(dict(call.query)["scope"], "repository:acme_team/app:pull")
            call.answer(granted())
            reply = json.loads(await asking)
            self.assertEqual(reply["scope"], "repository:team/app:pull")
            self.now += 10000

    async def test_refused_altogether(self) -> None:
        """When GET is refused as well, that is the answer."""
        asking = self.post(scope="repository:team/app:pull")
        for _ in range(2):
            call = await self.upstream.call()
            await call.body()
            call.answer(response(401, body=b'{"details":"incorrect"}'))
        error: Any = await self.assertFailure(asking, UpstreamRefused)
        self.assertEqual(error.status, 401)
        self.assertIn(b"incorrect", error.body())

    async def test_refresh_token_has_no_get(self) -> None:
        """A refresh token cannot be put into a GET."""
        asking = self.grant(parse_post(b"grant_type=refresh_token&refresh_token=r"))
        call = await self.upstream.call()
        await call.body()
        call.answer(response(401))
        await self.assertFailure(asking, UpstreamRefused)
        self.assertEqual(len(self.upstream.calls), 1)


class RefusalTests(BrokerTestCase):
    async def refused(self, *headers: str, status: int = 403, body: bytes = b"") -> Any:
        """What becomes of a refusal."""
        asking = self.get(PULL)
        (await self.upstream.call()).reply(status, *headers, body=body)
        return await self.assertFailure(asking, UpstreamRefused)

    async def test_names(self) -> None:
        """Status and message are the upstream's; names are public."""
        error = await self.refused(
            body=b'{"errors":[{"code":"DENIED","message":"no acme_team/app for you",'
            b'"detail":[{"Name":"acme_team/app"}]}]}'
        )
        (told,) = json.loads(error.body())["errors"]
        self.assertEqual(error.status, 403)
        self.assertEqual(told["message"], "no team/app for you")
        self.assertEqual(told["detail"], [{"Name": "team/app"}])

    async def test_no_document(self) -> None:
        """HTML and OAuth2 errors become OCI documents."""
        for body, message in (
            (b"<h1>no</h1>", "the upstream's token service answered with status 403"),
            (b'{"error":"invalid_grant"}', "invalid_grant"),
            (b'{"details":"incorrect username or password"}', "incorrect"),
        ):
            error = await self.refused(body=body)
            (told,) = json.loads(error.body())["errors"]
            self.assertEqual(told["code"], "DENIED")
            self.assertIn(message, told["message"])

    async def test_retry_after(self) -> None:
        """When to come again is told; nothing else of the upstream's headers."""
        error = await self.refused("Retry-After: 30", "Set-Cookie: a=b", status=429)
        self.assertEqual(
            (error.status, error.headers), (429, ((b"Retry-After", b"30"),))
        )

    async def test_limits(self) -> None:
        """What the token service says of its limits stays, and nothing else."""
        error = await self.refused(
            "RateLimit-Limit: 9",
            "Docker-RateLimit-Source: 192.0.2.1",
            "X: 1",
            status=429,
        )
        self.assertEqual(
            dict(error.headers),
            {
                b"Ratelimit-Limit": b"9",
                b"Docker-Ratelimit-Source": b"192.0.2.1",
            },
        )

    async def test_wrong_password(self) -> None:
        """401 asks for Basic credentials at our own host."""
        error = await self.refused('WWW-Authenticate: Basic realm="up"', status=401)
        self.assertEqual(
            error.headers, ((b"WWW-Authenticate", b'Basic realm="registry.test"'),)
        )

    async def test_outages(self) -> None:
        """Server errors are told as such."""
        error = await self.refused(status=503, body=b"<h1>")
        self.assertEqual(error.status, 503)

    async def test_not_kept(self) -> None:
        """A denial is not kept: the next request is asked again."""
        await self.refused()
        self.count()
        self.assertEqual(await self.token(PULL), "t2")

    async def test_redirects(self) -> None:
        """Credentials follow nobody's redirect to elsewhere."""
        asking = self.get(PULL)
        (await self.upstream.call()).reply(302, "Location: https://trap.test/token")
        await self.assertFailure(asking, RedirectRefused)
        self.assertEqual(len(self.upstream.calls), 1)

    async def test_malformed(self) -> None:
        """What holds no token is none."""
        for body in (b"", b"<h1>", b"[]", b"{}", b'{"token": 5}', b'{"token": ""}'):
            asking = self.get(PULL)
            (await self.upstream.call()).reply(200, body=body)
            await self.assertFailure(asking, UpstreamMalformed)


class UserTests(BrokerTestCase):
    async def test_known(self) -> None:
        """Whose token it is is known, for the log."""
        self.count()
        token = await self.token(PULL)
        self.assertEqual(self.broker.users.find(token), "alice")
        self.assertIsNone(self.broker.users.find("made up"))
        self.assertIsNone(self.broker.users.find(""))

    async def test_known_again(self) -> None:
        """A token that is given out again is noted again after a while."""
        asking = self.get(PULL, None)
        (await self.upstream.call()).answer(granted("t1", expires_in=3600))
        await asking
        self.broker.users.remember("t1", "somebody else")
        await self.get(PULL, None)
        self.assertEqual(self.broker.users.find("t1"), "somebody else")
        self.now += REUSE_SECONDS
        await self.get(PULL, None)
        self.assertEqual(self.broker.users.find("t1"), "")

    async def test_nobody(self) -> None:
        """Who anybody says to be is not whose token it is."""
        self.count()
        for account in ("alice", "bob"):
            token = await self.token(f"{PULL}&account={account}", None)
            self.assertEqual(self.broker.users.find(token), "")


class _Account:
    """Our own account, whose token service sends a refresh token unasked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Scope, ...]] = []
        #: What its token service says of scopes.
        self.scope: str | None = None

    async def grant(self, scopes: tuple[Scope, ...]) -> IssuedToken:
        self.asked.append(scopes)
        return IssuedToken("lent", 2000.0, self.scope, "our-identity")


class _CountedMapping(NameMapping):
    """Counts how often a public name is looked for."""

    looked = 0

    def to_public(self, upstream_name: str, upstream: str = "") -> str | None:
        self.looked += 1
        return super().to_public(upstream_name, upstream)


class _Own:
    """The tokens that clients get for what they bring themselves."""

    at_hand: IssuedToken | None = None

    def cached(self, *_: object) -> IssuedToken | None:
        """Return what is at hand: nothing, mostly."""
        return self.at_hand

    async def get(self, *_: object) -> IssuedToken:
        return IssuedToken("own", 2000.0)


class SharedAccountTests(SynchronousTestCase):
    """Our own account, shared with a client that brings nothing."""

    def setUp(self) -> None:
        self.account = _Account()
        account: Any = self.account
        self.mapping = _CountedMapping([parse_rule("team = acme_team")], ["up"])
        self.own = _Own()
        own: Any = self.own
        policy = Policy(clients=True, shared=frozenset({"pull"}))
        self.broker = Broker("up", own, self.mapping, lambda: 1000.0, account, policy)

    def granted(self, scope: str, user: str = "") -> bytes:
        """Return the reply to a request, by default an anonymous one."""
        request = TokenRequest("GET", scopes=parse_scopes([scope]), username=user)
        wanted = self.broker.wanted(request, "localhost")
        granting = self.broker.grant(request, wanted, "localhost")
        return self.successResultOf(Deferred.fromCoroutine(granting))

    def test_identity_stays_here(self) -> None:
        """What could be used as our account never leaves."""
        reply = self.granted("repository:team/app:pull,push")
        self.assertIn(b"lent", reply)
        self.assertNotIn(b"our-identity", reply)
        ((scope,),) = self.account.asked
        self.assertEqual(str(scope), "repository:acme_team/app:pull")

    def test_scopes_of_new_tokens(self) -> None:
        """What was granted is translated once, though each token is another one."""
        asked = "repository:team/app:pull"
        self.account.scope = "repository:acme_team/app:pull repository:other:pull"
        for _ in range(3):
            self.assertEqual(json.loads(self.granted(asked))["scope"], asked)
        self.assertEqual(len(self.account.asked), 3)
        self.assertEqual(self.mapping.looked, 1)
        # Another answer to the same question.
        self.account.scope = "repository:other:pull"
        self.assertEqual(json.loads(self.granted(asked))["scope"], "")
        self.assertEqual(self.mapping.looked, 2)

    def test_not_shared(self) -> None:
        """Who brings credentials, or wants what is not shared, is not given it."""
        for scope, user in (
            ("repository:team/app:pull", "alice"),
            ("repository:team/app:push", ""),
        ):
            self.assertIn(b'"own"', self.granted(scope, user))
            self.assertEqual(self.account.asked, [])

    def test_not_at_hand(self) -> None:
        """Our account's token is no client's own that is at hand."""
        request = TokenRequest("GET", scopes=parse_scopes(["repository:team/app:pull"]))
        wanted = self.broker.wanted(request, "localhost")
        self.own.at_hand = IssuedToken("own", 2000.0)
        self.assertIsNone(self.broker.token_at_hand(request, wanted, "localhost"))
        request = request._replace(username="alice")
        token = self.broker.token_at_hand(request, wanted, "localhost")
        self.assertIs(token, self.own.at_hand)
