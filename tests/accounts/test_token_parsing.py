"""What is read as a token of ours, and what is not."""

import contextlib
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.token_parsing import parse_token
from regbroker.accounts.tokens import (
    AccessToken,
    IdentityToken,
    InvalidToken,
    Robot,
    Vouched,
)
from regbroker.protocol.scopes import parse_scope
from tests.accounts.test_tokens import ACCESS, IDENTITY, JSON, ROBOT


class ParseTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Each kind is read as it was written, whatever else stands in it."""
        vouched = replace(ACCESS, vouched=Vouched("ci", expires=1200.5))
        robot = replace(ACCESS, robot=Robot("r1", ("a: pull",)), refused_pulls=("b",))
        for token in (ACCESS, IDENTITY, ROBOT, vouched, robot):
            claims = {**token.claims(), "more": 1}
            self.assertEqual(parse_token(token.TYPE, claims), token)

    def test_access(self) -> None:
        """An entry of access may leave out its class."""
        entry = {"type": "repository", "name": "a", "actions": ["pull", "push"]}
        token = parse_token("JWT", {**ACCESS.claims(), "access": [entry]})
        assert isinstance(token, AccessToken)
        self.assertEqual(token.access, (parse_scope("repository:a:pull,push"),))

    def test_kinds_are_apart(self) -> None:
        """The claims of one kind under the type of the other are no token."""
        for type, claims in (
            (AccessToken.TYPE, IDENTITY.claims()),
            (IdentityToken.TYPE, ACCESS.claims()),
            ("jwt", ACCESS.claims()),
            ("", ACCESS.claims()),
            (None, ACCESS.claims()),
            (["JWT"], ACCESS.claims()),
        ):
            self.assertRaises(InvalidToken, parse_token, type, claims)

    def test_missing_or_wrong(self) -> None:
        """Every claim has to be there, and to be of its type."""
        for token in (ACCESS, IDENTITY):
            for claim in token.claims():
                claims = token.claims()
                del claims[claim]
                self.assertRaises(InvalidToken, parse_token, token.TYPE, claims)
                for wrong in (None, True, {"a": "b"}):
                    claims[claim] = wrong
                    self.assertRaises(InvalidToken, parse_token, token.TYPE, claims)

    def test_wrong_access(self) -> None:
        """One wrong entry spoils the token; it is not read as less access."""
        good = {"type": "repository", "name": "a", "actions": ["pull"]}
        for wrong in (
            "repository:a:pull",
            {},
            {**good, "type": 1},
            {**good, "name": None},
            {**good, "class": None},
            {**good, "actions": "pull"},
            {**good, "actions": [1]},
        ):
            claims = {**ACCESS.claims(), "access": [good, wrong]}
            self.assertRaises(InvalidToken, parse_token, "JWT", claims)

    def test_wrong_end(self) -> None:
        """The end of what an issuer has vouched for is a time, if there is one."""
        token = replace(ACCESS, vouched=Vouched("ci", expires=1200.5))
        claims = token.claims()
        wrongs: tuple[object, ...] = ("1200", True, [1200], {})
        for wrong in wrongs:
            entry = {**claims["vouched"], "exp": wrong}
            with self.assertRaises(InvalidToken):
                parse_token("JWT", {**claims, "vouched": entry})

    @given(
        st.sampled_from(["JWT", "identity+jwt", "robot+jwt"]),
        st.dictionaries(st.sampled_from([*ACCESS.claims(), "stamp"]), JSON),
    )
    def test_anything(self, type: str, claims: dict[str, Any]) -> None:
        """Whatever a token says, it is a token or `InvalidToken`."""
        for base in ({}, ACCESS.claims(), IDENTITY.claims()):
            with contextlib.suppress(InvalidToken):
                parse_token(type, {**base, **claims})
