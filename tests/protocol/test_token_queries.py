"""What goes to an upstream's token service."""

import base64
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.scopes import format_scopes, parse_scopes
from regbroker.protocol.token_queries import (
    get_query,
    post_form,
)
from regbroker.protocol.token_requests import TokenRequest, parse_get, parse_post
from tests.grammar import EXAMPLES, hostile


def basic(credentials: bytes | str) -> str:
    """An Authorization header with these credentials."""
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return "Basic " + base64.b64encode(raw).decode()


class AskTests(SynchronousTestCase):
    SCOPES = parse_scopes(["repository:acme_team/app:pull,push registry:catalog:*"])
    REQUEST = TokenRequest(
        "POST",
        service="ours",
        client_id="docker",
        username="älice",
        password="s&=+",
        offline=True,
    )

    def test_get(self) -> None:
        """The upstream's service, each scope by itself, and no password."""
        self.assertEqual(
            parse_qsl(get_query(self.REQUEST, "up", self.SCOPES)),
            [
                ("service", "up"),
                ("scope", "repository:acme_team/app:pull,push"),
                ("scope", "registry:catalog:*"),
                ("account", "älice"),
                ("client_id", "docker"),
                ("offline_token", "true"),
            ],
        )
        self.assertEqual(get_query(TokenRequest("GET"), "", ()), "")

    def test_get_other_encodings(self) -> None:
        """A user name in Latin-1 goes on byte for byte."""
        request = parse_get("", basic(b"\xe9lodie:x"))
        self.assertEqual(get_query(request, "", ()), "account=%E9lodie")

    def test_post_password(self) -> None:
        """All scopes in one value, as the specification has it."""
        self.assertEqual(
            dict(parse_qsl(post_form(self.REQUEST, "up", self.SCOPES))),
            {
                "service": "up",
                "client_id": "docker",
                "grant_type": "password",
                "username": "älice",
                "password": "s&=+",
                "scope": format_scopes(self.SCOPES),
                "access_type": "offline",
            },
        )

    def test_post_refresh_token(self) -> None:
        """A refresh token goes without user and password."""
        form = post_form(TokenRequest("POST", refresh_token="a+b="), "up", ())
        self.assertEqual(
            dict(parse_qsl(form)),
            {
                "service": "up",
                "client_id": "regbroker",
                "grant_type": "refresh_token",
                "refresh_token": "a+b=",
            },
        )

    @EXAMPLES
    @given(st.lists(hostile, max_size=3), hostile.filter(bool), hostile, hostile)
    def test_round_trip(
        self, scopes: list[str], username: str, password: str, client_id: str
    ) -> None:
        """What we write is what a token service reads."""
        request = TokenRequest(
            "POST",
            service="up",
            scopes=parse_scopes(scopes),
            client_id=client_id or "regbroker",
            username=username,
            password=password,
        )
        form = post_form(request, "up", request.scopes)
        self.assertEqual(parse_post(form.encode("ascii")), request)
        self.assertEqual(
            parse_get(get_query(request, "up", request.scopes), None),
            request._replace(method="GET", account=username, username="", password=""),
        )


class SubjectTokenTests(SynchronousTestCase):
    def test_kept_here(self) -> None:
        """A token that is to be exchanged here is no part of what goes up."""
        request = TokenRequest("POST", subject_token="eyJ.secret.x")
        self.assertNotIn("secret", get_query(request, "up", ()))
        self.assertNotIn("secret", post_form(request, "up", ()))
