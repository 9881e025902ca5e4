"""Tokens with something beside them, or in the wrong place: nobody learns them."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode

from jwt import PyJWS

from regbroker.accounts.htpasswd import HtpasswdAccounts
from regbroker.accounts.principals import Account
from tests.issuers import AUDIENCE, claims, ec_key
from tests.scenarios.test_identities import (
    HOST,
    JWT_TYPE,
    IdentityTestCase,
    basic,
)


def signed(payload: bytes) -> str:
    """A JWT of the issuer with this payload, whatever it is."""
    return PyJWS().encode(payload, ec_key(), "ES256", {"kid": "k1", "typ": "JWT"})


class StrayTokenTests(IdentityTestCase):
    def ini(self) -> str:
        up = "[registry up.test]\nupstream = up\nnamespaces = * = *\n"
        plain = (
            f"{up.replace('up.test', 'plain.test')}accounts = staff\naccess = plain\n"
        )
        return (
            f"{super().ini()}{up}{plain}[access plain]\nanonymous = acme/open: pull\n"
        )

    async def set_up(self) -> None:
        await super().set_up()
        #: What those have seen who know passwords.
        self.asked: list[tuple[str, str]] = []

        async def authenticate(_: Any, user: str, password: str) -> Account | None:
            self.asked.append((user, password))
            return None

        self.patch(HtpasswdAccounts, "authenticate", authenticate)

    async def login(self, user: str, password: str) -> int:
        """Log in by GET and by POST, and on the API; returns the status."""
        authorization = basic(password, user)
        statuses = {
            (await self.ask(f"/auth?service={HOST}", authorization)).status,
            (await self.ask("/v2/", authorization)).status,
        }
        fields = {"grant_type": "password", "username": user, "password": password}
        form = urlencode(fields).encode()
        self.client.send(
            f"POST /auth HTTP/1.1\r\nHost: {HOST}\r\n"
            f"Content-Length: {len(form)}\r\n\r\n".encode()
            + form
        )
        statuses.add((await self.client.reply("POST")).status)
        (status,) = statuses
        return status

    async def test_nobody_learns_them(self) -> None:
        """They are no passwords, count as none, and are in no log."""
        jwt = self.jwt()
        wrong_password = await self.ask("/v2/", basic("x", "bob"))
        self.assertEqual(wrong_password.status, 401)
        self.assertEqual(self.asked, [("bob", "x")])
        ours = (await self.ask(f"/auth?service={HOST}", basic(jwt))).json()["token"]
        self.audited.clear()
        stray = (
            ("alice", f"{jwt}\n"),
            ("alice", f" {jwt}"),
            ("alice", f"Bearer {jwt}"),
            ("ci:acme/app", jwt),
            ("alice", ours),
            ("alice", f"{ours}\n"),
            ("alice", f"\nrbrobot_{ours}"),
            (jwt, "x"),
            (jwt, jwt),
            (ours, "x"),
            (f"rbrobot_{ours}", "x"),
        )
        for user, password in stray:
            if ":" not in user:
                self.assertEqual(await self.login(user, password), 401)
            else:
                reply = await self.ask("/v2/", basic(password, user))
                self.assertEqual(reply.status, 401)
        self.assertEqual(self.asked, [("bob", "x")])
        for each in self.audited:
            self.assertEqual((each["action"], each["outcome"]), ("login", "refused"))
            self.assertIn("the password is not a token alone", each["reason"])
        self.assertEqual(len(self.audited), 3 * len(stray) - 2)
        for text in (*self.logs, *(repr(call.head) for call in self.upstream.calls)):
            for token in (jwt, ours):
                self.assertNotIn(token.rpartition(".")[2], text)

    async def test_what_is_no_jwt(self) -> None:
        """One that nobody can read as it is written is no password either."""
        now = time.time()
        plain = json.dumps(claims(now))
        for text in (
            f'{plain[:-1]}, "repository": "a/b", "repository": "acme/app"}}',
            plain.replace(f'"{AUDIENCE}"', "[" * 900 + "]" * 900),
            plain.replace(f'"{AUDIENCE}"', "[" * 9000 + "]" * 9000),
            plain.replace(f'"{AUDIENCE}"', "9" * 5000),
        ):
            jwt = signed(text.encode())
            for user in ("alice", "bob", "x"):
                self.assertEqual(await self.login(user, jwt), 401)
            reply = await self.ask("/v2/", f"Bearer {jwt}")
            self.assertEqual(reply.status, 401)
            reply = await self.exchange_of(
                subject_token=jwt, subject_token_type=JWT_TYPE
            )
            self.assertEqual(reply.status, 400)
        self.assertEqual(self.asked, [])

    async def test_without_identities(self) -> None:
        """Where no issuer is known, a JWT is no password either, and no guess."""
        jwt = self.jwt()
        for password in (jwt, f"{jwt}\n"):
            for _ in range(40):
                reply = await self.ask(
                    "/auth", basic(password, "bob"), host="plain.test"
                )
                self.assertEqual(reply.status, 401)
        self.assertEqual(self.asked, [])
        self.assertIn("login", {each["action"] for each in self.audited})
        reply = await self.ask("/v2/", f"Bearer {jwt}", host="plain.test")
        self.assertEqual(reply.status, 401)
        # A password is one as before.
        await self.ask("/auth", basic("x", "bob"), host="plain.test")
        self.assertEqual(self.asked, [("bob", "x")])

    async def test_upstreams_accounts(self) -> None:
        """Where the upstream knows the passwords, the log has no token either."""
        await self.ask("/v2/acme/x/tags/list", basic("x", self.jwt()), host="up.test")
        for text in self.logs:
            self.assertNotIn("eyJ", text)

    async def test_robot_tokens_stay_here(self) -> None:
        """No upstream learns a robot token, wherever it is shown."""
        robot = f"rbrobot_{self.jwt()}"
        self.upstream.calls.clear()
        for user, password in (("deploy", robot), ("deploy", f" {robot}"), (robot, "")):
            for path in ("/v2/acme/x/manifests/1", "/v2/", "/auth?service=up.test"):
                self.audited.clear()
                reply = await self.ask(path, basic(password, user), host="up.test")
                self.assertEqual(reply.status, 401, path)
                (audited,) = self.audited
                self.assertIn("goes to no upstream", audited["reason"])
        for path in ("/v2/acme/x/manifests/1", "/v2/"):
            reply = await self.ask(path, f"Bearer {robot}", host="up.test")
            self.assertEqual(reply.status, 401)
        for fields in (
            {"grant_type": "password", "username": "x", "password": robot},
            {"grant_type": "refresh_token", "refresh_token": robot},
        ):
            form = urlencode(fields).encode()
            self.client.send(
                f"POST /auth HTTP/1.1\r\nHost: up.test\r\n"
                f"Content-Length: {len(form)}\r\n\r\n".encode()
                + form
            )
            self.assertEqual((await self.client.reply("POST")).status, 401)
        self.assertEqual(self.upstream.calls, [])
        for text in self.logs:
            self.assertNotIn("eyJ", text)
