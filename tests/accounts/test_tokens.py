"""What tokens say, and when they are good."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.token_parsing import parse_token
from regbroker.accounts.tokens import (
    LEEWAY,
    AccessToken,
    IdentityToken,
    InvalidToken,
    Robot,
    RobotToken,
    Vouched,
)
from regbroker.protocol.scopes import Scope, parse_scope, parse_scopes

COMMON: dict[str, Any] = {
    "issuer": "regbroker",
    "audience": "registry.example.com",
    "user": "alice",
    "issued": 1000,
    "expires": 1300,
    "id": "x1",
}
ACCESS = AccessToken(
    **COMMON,
    access=parse_scopes(
        ["repository:team/app:pull,push", "repository(plugin):p:*", "registry:c:*"]
    ),
)
IDENTITY = IdentityToken(**COMMON, password_version="s1", client_id="docker")
ROBOT = RobotToken(**COMMON, rights=("team/**: pull",))

SCOPES = st.builds(
    lambda type, kind, name, actions: Scope(
        "", type, kind, name, tuple(actions)
    ).with_name(name),
    st.from_regex(r"[a-z0-9]+", fullmatch=True),
    st.from_regex(r"[a-z0-9]*", fullmatch=True),
    st.text(min_size=1),
    st.lists(st.sampled_from(["pull", "push", "delete", "*"])),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


class ClaimsTests(SynchronousTestCase):
    def test_specification(self) -> None:
        """The claims are those of the token specification, by its names."""
        self.assertEqual(
            ACCESS.claims(),
            {
                "iss": "regbroker",
                "sub": "alice",
                "aud": "registry.example.com",
                "exp": 1300,
                "nbf": 1000,
                "iat": 1000,
                "jti": "x1",
                "access": [
                    {
                        "type": "repository",
                        "name": "team/app",
                        "actions": ["pull", "push"],
                    },
                    {
                        "type": "repository",
                        "class": "plugin",
                        "name": "p",
                        "actions": ["*"],
                    },
                    {"type": "registry", "name": "c", "actions": ["*"]},
                ],
            },
        )

    def test_opaque_scopes_grant_nothing(self) -> None:
        """A scope that does not parse has no place in a token."""
        token = replace(ACCESS, access=(parse_scope("aws"),))
        self.assertEqual(token.claims()["access"], [])

    @given(user=st.text(), access=st.lists(SCOPES, max_size=4))
    def test_access_round_trip(self, user: str, access: list[Scope]) -> None:
        """What an access token says is read as it was meant, through JSON."""
        token = replace(ACCESS, user=user, access=tuple(access))
        claims = json.loads(json.dumps(token.claims()))
        self.assertEqual(parse_token("JWT", claims), token)

    @given(user=st.text(), password_version=st.text(), client_id=st.text())
    def test_identity_round_trip(
        self, user: str, password_version: str, client_id: str
    ) -> None:
        """What an identity token says is read as it was meant, through JSON."""
        token = replace(
            IDENTITY, user=user, password_version=password_version, client_id=client_id
        )
        claims = json.loads(json.dumps(token.claims()))
        self.assertEqual(parse_token("identity+jwt", claims), token)

    def test_refused_round_trip(self) -> None:
        """What was refused is in the claims, and only where there is something."""
        token = replace(ACCESS, refused_pulls=("team/a", "team/b"))
        claims = json.loads(json.dumps(token.claims()))
        self.assertEqual(parse_token("JWT", claims), token)
        self.assertTrue(token.refuses_pull("team/b"))
        self.assertNotIn("refused_pulls", ACCESS.claims())
        wrongs: tuple[object, ...] = (None, "team/a", {}, [1], [["team/a"]])
        for wrong in wrongs:
            with self.assertRaises(InvalidToken):
                parse_token("JWT", {**claims, "refused_pulls": wrong})


class CheckTests(SynchronousTestCase):
    def refused(
        self,
        now: float = 1000,
        issuer: str = "regbroker",
        audience: str = "registry.example.com",
    ) -> str | None:
        """Why a token is no good; None if it is."""
        try:
            ACCESS.check(issuer, audience, now)
        except InvalidToken as error:
            return str(error)
        return None

    def test_times(self) -> None:
        """A token is good from its beginning to its end, and a little around."""
        self.assertIsNone(self.refused(1000 - LEEWAY))
        self.assertIsNone(self.refused(1299.9 + LEEWAY))
        self.assertEqual(self.refused(1000 - LEEWAY - 1), "the token is not good yet")
        self.assertEqual(self.refused(1300 + LEEWAY), "the token has expired")

    def test_vouched(self) -> None:
        """What an issuer has vouched for ends to the second, as the JWT does."""
        for end in (1300, 1304.5):
            token = replace(ACCESS, vouched=Vouched("ci", expires=end))
            self.assertEqual(parse_token("JWT", token.claims()), token)
            for now in (1000 - LEEWAY, end - 0.25):
                token.check("regbroker", "registry.example.com", now)
            for now in (end, 1299 + LEEWAY):
                with self.assertRaises(InvalidToken) as caught:
                    token.check("regbroker", "registry.example.com", now)
                self.assertEqual(str(caught.exception), "the token has expired")

    def test_vouched_for_longer(self) -> None:
        """Where the JWT lives on, a token has its end as any other."""
        for end in (5000.0, None):
            token = replace(ACCESS, vouched=Vouched("ci", expires=end))
            token.check("regbroker", "registry.example.com", 1299.9 + LEEWAY)
            with self.assertRaises(InvalidToken):
                token.check("regbroker", "registry.example.com", 1300 + LEEWAY)

    def test_whose(self) -> None:
        """A token is good with its issuer, at its audience."""
        self.assertEqual(
            self.refused(issuer="regbroker2"), "the token is somebody else's"
        )
        for audience in ("", "registry.example.com.", "other.example.com"):
            self.assertEqual(
                self.refused(audience=audience), "the token is for another service"
            )

    def test_the_later_beginning(self) -> None:
        """Of nbf and iat, the later one counts."""
        for later in ("nbf", "iat"):
            token = parse_token("JWT", {**ACCESS.claims(), later: 1100})
            self.assertEqual(token.issued, 1100)

    def test_allows(self) -> None:
        """A token allows what it names, and with an asterisk everything."""
        for type, name, action, allowed in (
            ("repository", "team/app", "pull", True),
            ("repository", "team/app", "push", True),
            ("repository", "team/app", "delete", False),
            ("repository", "team", "pull", False),
            ("repository", "p", "delete", True),
            ("registry", "team/app", "pull", False),
            ("registry", "c", "*", True),
        ):
            self.assertEqual(ACCESS.allows(type, name, action), allowed)


class RobotTests(SynchronousTestCase):
    """What a robot token says, and an access token that was issued for one."""

    def test_claims(self) -> None:
        """The rights are lines, beside the claims that all tokens have."""
        claims = ROBOT.claims()
        self.assertEqual(claims["rights"], ["team/**: pull"])
        self.assertEqual(claims["sub"], "alice")
        self.assertEqual(parse_token("robot+jwt", claims), ROBOT)

    def test_apart(self) -> None:
        """The claims of one kind make no token of another kind."""
        for type, claims in (
            ("JWT", ROBOT.claims()),
            ("identity+jwt", ROBOT.claims()),
            ("robot+jwt", ACCESS.claims()),
            ("robot+jwt", IDENTITY.claims()),
            ("Robot+JWT", ROBOT.claims()),
            ("robot+jwt", {**ROBOT.claims(), "rights": "team/**: pull"}),
            ("robot+jwt", {**ROBOT.claims(), "rights": [1]}),
        ):
            self.assertRaises(InvalidToken, parse_token, type, claims)

    def test_registry(self) -> None:
        """It is good for one registry, and says which."""
        ROBOT.check("regbroker", "registry.example.com", 1000.0)
        with self.assertRaises(InvalidToken) as caught:
            ROBOT.check("regbroker", "other.example.com", 1000.0)
        self.assertEqual(
            str(caught.exception), "it is for [registry registry.example.com]"
        )

    def test_access_token(self) -> None:
        """An access token remembers the robot token that it is for."""
        token = replace(ACCESS, robot=Robot("r1", ("team/**: pull",)))
        self.assertEqual(parse_token("JWT", token.claims()), token)
        for wrong in (None, "r1", {"jti": "r1"}, {"jti": 1, "rights": []}):
            self.assertRaises(
                InvalidToken, parse_token, "JWT", {**token.claims(), "robot": wrong}
            )
