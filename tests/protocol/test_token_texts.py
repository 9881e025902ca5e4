"""Tokens in the place of names and passwords."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.token_texts import jwt_in, user_for_log
from tests.issuers import claims, encoded, raw_token, token


class TokenTextTests(SynchronousTestCase):
    def test_jwts(self) -> None:
        """A JWT is found whatever stands beside it."""
        jwts = [token(claims()), raw_token({"alg": "none"}, claims(), b"")]
        for spaces in (" ", "\n", "\r\n", "\t"):
            header = f"{{{spaces}{json.dumps({'alg': 'ES256'})[1:]}".encode()
            jwts.append(f"{encoded(header)}.{encoded(json.dumps(claims()).encode())}.x")
        for jwt in jwts:
            for text in (
                jwt,
                f"{jwt}\n",
                f" {jwt}\r\n",
                f"Bearer {jwt}",
                f'"{jwt}"',
                f"acme/app:{jwt}",
                f"rbrobot_{jwt}",
                f"{jwt}==",
                f"\ufeff{jwt}",
            ):
                self.assertEqual(jwt_in(text), jwt, text)
                self.assertEqual(user_for_log(text), "-")

    def test_others(self) -> None:
        """Passwords and names are none, also those with dots and many letters."""
        for text in (
            "",
            "alice",
            "eye.to.eye",
            "eyJ.e.x",
            "eyJhbGciOi.txt",
            "first.last@example.com",
            "dckr_pat_eyJhbGciOi",
            "e" * 50_000,
            "eyJ" * 20_000,
            "_eyJhbGciOiJFUzI1NiJ9" * 2000 + ".x",
            "eyJhbGciOiJFUzI1NiJ9.f" * 2000,
            "x-eyJhbGciOiJFUzI1NiJ9.e" * 2000,
        ):
            self.assertEqual(jwt_in(text), "", text[:80])
            self.assertEqual(user_for_log(text), text)

    def test_robot_tokens(self) -> None:
        """What begins as one is none of the users' names."""
        self.assertEqual(user_for_log("rbrobot_x"), "-")
