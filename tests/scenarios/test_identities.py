"""JWTs in the place of passwords: what they open, and that they go nowhere else."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import jwt as jwt_library
from twisted.logger import globalLogPublisher

from regbroker.protocol.token_requests import EXCHANGE
from tests.issuers import claims, ec_key, jwk, jwks, raw_token, token
from tests.proxycase import ProxyTestCase
from tests.scripted import response
from tests.wire import Message

JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
HOST = "registry.test"

CONFIG = """
[regbroker]
listen = tcp:0:interface=127.0.0.1
state-directory = state
audit-log = -
[registry registry.test]
upstream = up
accounts = staff, ci
access = rights
namespaces =
    acme = acme
[registry other.test]
upstream = up
accounts = other
namespaces =
    * = *
[upstream up]
url = {url}
[accounts staff]
htpasswd = htpasswd
[identity ci]
issuer = https://issuer.test
audience = registry.test
jwks = keys.json
user = ci:${{repository}}
[identity other]
issuer = https://issuer.test
audience = other.test
jwks = keys.json
[access rights]
alice = acme/**: pull
authenticated = acme/staff: pull
anonymous = acme/open: pull
ci[repository_owner=acme, ref=refs/heads/main] = acme/${{repository}}/**: pull, push
ci[repository_owner=acme] =
    acme/base/**: pull, catalog
[access other]
other[] = **: pull
"""


class IdentityTestCase(ProxyTestCase):
    """A registry with passwords and an issuer, and another one with that issuer."""

    autostart = False

    def ini(self) -> str:
        (self.directory / "keys.json").write_bytes(jwks(jwk(ec_key())))
        # "wonderland"
        line = "alice:{SHA}" + "YWxpY2U=" + "\n"
        (self.directory / "htpasswd").write_text(line)
        return CONFIG.format(url=self.upstream.url)

    async def set_up(self) -> None:
        await super().set_up()
        await self.serve(learnt=False)
        self.client = await self.connect()
        self.upstream.handler = lambda call: response(200, body=b"x")
        self.logs: list[str] = []
        self.audited: list[dict[str, Any]] = []
        observe: Any = self.note
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def note(self, event: dict[str, Any]) -> None:
        if event.get("log_namespace") == "regbroker.audit":
            self.audited.append(event)
        self.logs.append(repr(event))

    def jwt(self, **changed: Any) -> str:
        """A token of a job on the main branch of acme/app."""
        content: dict[str, Any] = {
            "repository": "acme/app",
            "repository_owner": "acme",
            "ref": "refs/heads/main",
            "secret": "never-shown",
            **changed,
        }
        return token(claims(time.time(), **content))

    async def ask(
        self, path: str, authorization: str = "", method: str = "GET", host: str = HOST
    ) -> Message:
        """Ask one of the registries."""
        lines = [f"Host: {host}"]
        if authorization:
            lines.append(f"Authorization: {authorization}")
        if method != "GET":
            lines.append("Content-Length: 0")
        return await self.client.ask(method, path, *lines)

    async def exchange_of(self, host: str = HOST, **fields: str) -> Message:
        """Ask for a token by token exchange."""
        form = urlencode({"grant_type": EXCHANGE, **fields}).encode()
        self.client.send(
            f"POST /auth HTTP/1.1\r\nHost: {host}\r\n"
            f"Content-Length: {len(form)}\r\n\r\n".encode()
            + form
        )
        return await self.client.reply("POST")


def basic(password: str, user: str = "oidc") -> str:
    """Credentials with a token as the password."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


SCOPE = "repository:acme/acme/app/x:pull,push"


class LoginTests(IdentityTestCase):
    def assert_secret(self, jwt: str) -> None:
        """Nobody but the one process has seen the token."""
        signature = jwt.rpartition(".")[2]
        for text in (
            *self.logs,
            *(repr(call.head) for call in self.upstream.calls),
        ):
            self.assertNotIn(signature, text)
            self.assertNotIn("never-shown", text)

    async def test_password(self) -> None:
        """As a password at the token service it gives our token, which ends with it."""
        end = int(time.time()) + 100
        jwt = self.jwt(exp=end)
        reply = await self.ask(f"/auth?service={HOST}&scope={SCOPE}", basic(jwt))
        self.assertEqual(reply.status, 200)
        ours = reply.json()["token"]
        self.assertLessEqual(reply.json()["expires_in"], 100)
        self.assertLessEqual(self.payload(ours)["exp"], end)
        self.assertEqual(self.payload(ours)["sub"], "ci:acme/app")
        for method, path in (
            ("GET", "/v2/"),
            ("GET", "/v2/acme/acme/app/x/manifests/1"),
            ("PUT", "/v2/acme/acme/app/x/manifests/1"),
        ):
            status = (await self.ask(path, f"Bearer {ours}", method)).status
            self.assertEqual(status, 200, path)
        reply = await self.ask("/v2/acme/base/x/manifests/1", f"Bearer {ours}")
        self.assertEqual(reply.status, 401)
        login, push, _ = self.audited
        self.assertEqual((login["action"], push["action"]), ("login", "push"))
        for entry in (login, push):
            self.assertEqual(entry["user"], "ci:acme/app")
            self.assertEqual(entry["identity"], "ci")
            self.assertEqual(entry["issuer"], "https://issuer.test")
            self.assertEqual(entry["subject"], "repo:acme/app")
            self.assertEqual(
                json.loads(entry["claims"]),
                {
                    "ref": "refs/heads/main",
                    "repository": "acme/app",
                    "repository_owner": "acme",
                },
            )
        self.assert_secret(jwt)

    def payload(self, text: str) -> Any:
        """What a token says."""
        return jwt_library.decode(text, options={"verify_signature": False})

    async def test_on_the_api(self) -> None:
        """On the API it counts as Basic and as Bearer."""
        jwt = self.jwt()
        for authorization in (basic(jwt), basic(jwt, "x"), f"Bearer {jwt}"):
            self.assertEqual((await self.ask("/v2/", authorization)).status, 200)
            for path, status in (
                ("/v2/acme/acme/app/x/manifests/1", 200),
                ("/v2/acme/base/x/manifests/1", 200),
                ("/v2/acme/open/manifests/1", 200),
                # Those are for staff.
                ("/v2/acme/staff/manifests/1", 403),
                ("/v2/acme/other/manifests/1", 403),
            ):
                reply = await self.ask(path, authorization)
                self.assertEqual(reply.status, status, path)
        for call in self.upstream.calls:
            self.assertIsNone(call.header(b"Authorization"))
        self.assert_secret(jwt)

    async def test_exchange(self) -> None:
        """By token exchange it gives our token, as RFC 8693 has it."""
        reply = await self.exchange_of(
            subject_token=self.jwt(exp=int(time.time()) + 30),
            subject_token_type=JWT_TYPE,
            scope=f"{SCOPE} repository:acme/none:pull",
        )
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.header(b"Cache-Control"), b"no-store")
        document = reply.json()
        self.assertEqual(
            document["issued_token_type"],
            "urn:ietf:params:oauth:token-type:access_token",
        )
        self.assertEqual(document["token_type"], "Bearer")
        self.assertEqual(document["scope"], SCOPE)
        self.assertLessEqual(document["expires_in"], 30)
        self.assertNotIn("refresh_token", document)
        (login,) = self.audited
        self.assertEqual(login["outcome"], "accepted")
        self.assertEqual(
            (login["identity"], login["issuer"], login["subject"]),
            ("ci", "https://issuer.test", claims()["sub"]),
        )
        self.assertIn('"repository_owner": "acme"', login["claims"])
        path = "/v2/acme/acme/app/x/manifests/1"
        reply = await self.ask(path, f"Bearer {document['access_token']}")
        self.assertEqual(reply.status, 200)

    async def test_exchange_refused(self) -> None:
        """Errors of an exchange are those of OAuth (RFC 6749, 5.2)."""
        good = {"subject_token": self.jwt(), "subject_token_type": JWT_TYPE}
        for fields, error in (
            ({"subject_token": self.jwt(aud="other.test")}, "invalid_request"),
            ({"subject_token": "secret"}, "invalid_request"),
            ({"subject_token": ""}, "invalid_request"),
            ({"subject_token_type": "urn:x"}, "invalid_request"),
            ({"requested_token_type": "urn:x"}, "invalid_request"),
            ({"actor_token": "x"}, "invalid_request"),
            ({"audience": "elsewhere.test"}, "invalid_target"),
        ):
            reply = await self.exchange_of(**{**good, **fields})
            self.assertEqual(
                (reply.status, reply.json()["error"]), (400, error), fields
            )
            self.assertNotIn("aud", reply.json()["error_description"].split())
        reply = await self.exchange_of(**good, audience=HOST)
        self.assertEqual(reply.status, 200)

    async def test_refused(self) -> None:
        """The log says which claim was wrong, the client only that it was refused."""
        for jwt, reason in (
            (self.jwt(aud="other.test"), "aud is"),
            (self.jwt(iss="https://issuer.test/"), "iss is"),
            (self.jwt(exp=int(time.time()) - 100), "exp: it has expired"),
            (self.jwt(repository=["acme/app"]), "repository is no text"),
            (token(claims(time.time()), ec_key("stranger")), "signature is wrong"),
            (raw_token({"alg": "none"}, claims(time.time()), b""), "alg is"),
        ):
            self.logs.clear()
            for authorization in (basic(jwt), f"Bearer {jwt}"):
                reply = await self.ask("/v2/", authorization)
                self.assertEqual(reply.status, 401)
                self.assertNotIn(reason.split()[0], reply.message.split())
            reply = await self.ask("/auth", basic(jwt))
            self.assertEqual(reply.status, 401)
            refusals = [text for text in self.logs if reason in text]
            self.assertGreaterEqual(len(refusals), 3, reason)
            self.assertEqual(self.audited[-1]["outcome"], "refused")
            self.assertIn(reason, self.audited[-1]["reason"])

    async def test_no_wrong_password(self) -> None:
        """However many are wrong, no user is slowed down."""
        jwt = self.jwt(aud="other.test")
        for _ in range(40):
            reply = await self.ask("/auth", basic(jwt, "alice"))
            self.assertEqual(reply.status, 401)

    async def test_other_registry(self) -> None:
        """A token for one registry opens no other, and what it gave does neither."""
        jwt = self.jwt()
        reply = await self.ask("/v2/x/manifests/1", basic(jwt), host="other.test")
        self.assertEqual(reply.status, 401)
        ours = (await self.ask(f"/auth?scope={SCOPE}", basic(jwt))).json()["token"]
        path = "/v2/acme/acme/app/x/manifests/1"
        reply = await self.ask(path, f"Bearer {ours}", host="other.test")
        self.assertEqual(reply.status, 401)
        other = self.jwt(aud="other.test")
        reply = await self.ask("/v2/x/manifests/1", basic(other), host="other.test")
        self.assertEqual(reply.status, 200)
        # With passwords for nobody, none is good.
        reply = await self.ask("/auth", basic("secret", "alice"), host="other.test")
        self.assertEqual(reply.status, 401)

    async def test_catalog(self) -> None:
        """The catalog shows what the token's claims give, also by our token."""
        names = json.dumps({"repositories": ["acme/base/a", "acme/acme/app/x"]})
        kind = "Content-Type: application/json"
        self.upstream.handler = lambda call: response(200, kind, body=names.encode())
        jwt = self.jwt()
        scope = "registry:catalog:*"
        ours = (await self.ask(f"/auth?scope={scope}", basic(jwt))).json()["token"]
        for authorization in (basic(jwt), f"Bearer {ours}"):
            reply = await self.ask("/v2/_catalog", authorization)
            self.assertEqual(reply.json(), {"repositories": ["acme/base/a"]})

    async def test_odd_claims(self) -> None:
        """A claim that is no part of a name opens nothing, and nobody else's."""
        for repository in ("../acme", "acme/..", "acme:app", "*", "acme/app\n", "A/b"):
            jwt = self.jwt(repository=repository)
            for path in ("/v2/acme/acme/app/x/manifests/1", "/v2/acme/x/manifests/1"):
                reply = await self.ask(path, basic(jwt))
                self.assertEqual(reply.status, 403, repository)

    async def test_long(self) -> None:
        """A claim of 1 MiB is refused by the bounds of headers and forms."""
        jwt = self.jwt(x="x" * 1_048_576)
        reply = await self.exchange_of(subject_token=jwt, subject_token_type=JWT_TYPE)
        self.assertEqual(reply.status, 413)
        self.client = await self.connect()
        reply = await self.ask("/v2/", basic(jwt))
        self.assertEqual(reply.status, 431)


class KeyTests(IdentityTestCase):
    async def test_rotation(self) -> None:
        """A key that is added to the file counts at once."""
        both = jwks(jwk(ec_key()), jwk(ec_key("b"), "b"))
        (self.directory / "keys.json").write_bytes(both)
        content = {"repository": "acme/app", "repository_owner": "acme"}
        jwt = token(claims(time.time(), **content), ec_key("b"), kid="b")
        self.assertEqual((await self.ask("/v2/", basic(jwt))).status, 200)
