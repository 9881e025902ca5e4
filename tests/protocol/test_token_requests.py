"""Token requests, as clients write them."""

import base64
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import BadRequest, ExchangeRefused, HTTPError
from regbroker.protocol.basic_credentials import format_basic
from regbroker.protocol.scopes import MAX_SCOPES, parse_scopes
from regbroker.protocol.token_queries import (
    get_query,
    post_form,
)
from regbroker.protocol.token_replies import (
    IssuedToken,
)
from regbroker.protocol.token_requests import (
    ACCESS_TOKEN_TYPE,
    EXCHANGE,
    TokenRequest,
    parse_get,
    parse_post,
)
from tests.grammar import EXAMPLES, hostile

#: 2026-08-01T12:00:00Z
NOW = 1785585600.0


def basic(credentials: bytes | str) -> str:
    """An Authorization header with these credentials."""
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return "Basic " + base64.b64encode(raw).decode()


class GetTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """Everything that clients send: scopes repeated and joined, Basic."""
        request = parse_get(
            "service=up&scope=repository%3Ateam%2Fapp%3Apull&scope=aws%20registry:catalog:*"
            "&account=alice&client_id=docker&offline_token=true&unknown=x",
            basic("alice:secret"),
        )
        self.assertEqual(
            request,
            TokenRequest(
                method="GET",
                service="up",
                scopes=parse_scopes(
                    ["repository:team/app:pull aws registry:catalog:*"]
                ),
                client_id="docker",
                account="alice",
                offline=True,
                username="alice",
                password="secret",
            ),
        )
        self.assertFalse(request.is_anonymous)
        self.assertEqual(request.user, "alice")

    def test_login(self) -> None:
        """No scope at all is a login."""
        request = parse_get("account=alice", basic("alice:secret"))
        self.assertEqual((request.scopes, request.offline), ((), False))

    def test_anonymous(self) -> None:
        """Without credentials; an account alone is none."""
        for authorization in (None, "", basic(":")):
            request = parse_get("scope=repository:a:pull&account=bob", authorization)
            self.assertTrue(request.is_anonymous)
            # Who anybody can say to be, nobody is shown to be.
            self.assertEqual(request.user, "")
        self.assertEqual(parse_get("", None), TokenRequest("GET"))

    def test_first_counts(self) -> None:
        """Of a parameter that may stand only once, the first counts."""
        request = parse_get("service=a&service=b&account=c&account=d", None)
        self.assertEqual((request.service, request.account), ("a", "c"))

    def test_most(self) -> None:
        """As many scopes as there may be, with all that docker writes beside them."""
        beside = "account=a&client_id=docker&offline_token=true&service=s"
        scopes = [f"repository:team/a{number}:pull" for number in range(MAX_SCOPES)]
        query = "&".join([beside, *(f"scope={scope}" for scope in scopes)])
        request = parse_get(query, None)
        self.assertEqual([str(scope) for scope in request.scopes], scopes)

    def test_refused(self) -> None:
        """Other credentials, broken ones, and too much."""
        self.assertRaises(BadRequest, parse_get, "", "Bearer abc")
        self.assertRaises(BadRequest, parse_get, "", "Basic abc!")
        many = "&".join(f"scope=a:{i}:x" for i in range(MAX_SCOPES + 1))
        self.assertRaises(BadRequest, parse_get, many, None)

    @EXAMPLES
    @given(hostile, st.one_of(st.none(), hostile))
    def test_anything(self, query: str, authorization: str | None) -> None:
        """Any query is read, or refused as the client's fault; and can go on."""
        try:
            request = parse_get(query, authorization)
        except HTTPError as error:
            self.assertEqual(error.status, 400)
            return
        get_query(request, request.service, request.scopes).encode("ascii")


class PostTests(SynchronousTestCase):
    def test_password(self) -> None:
        """containerd's form: scopes repeated, or in one value."""
        for scopes in (
            b"scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apush",
            b"scope=repository:a:pull+repository:b:push",
        ):
            request = parse_post(
                b"grant_type=password&service=up&client_id=containerd-client&"
                b"username=alice&password=s%2Bcr+t&access_type=offline&" + scopes
            )
            self.assertEqual(
                request,
                TokenRequest(
                    method="POST",
                    service="up",
                    scopes=parse_scopes(["repository:a:pull repository:b:push"]),
                    client_id="containerd-client",
                    offline=True,
                    username="alice",
                    password="s+cr t",
                ),
            )

    def test_exchange_says_it_once(self) -> None:
        """What may stand once stands once: who reads the last one reads the same."""
        jwt = "urn:ietf:params:oauth:token-type:jwt"
        form = {
            "grant_type": EXCHANGE,
            "subject_token": "a.b.c",
            "subject_token_type": jwt,
            "requested_token_type": ACCESS_TOKEN_TYPE,
            "service": "up",
            "client_id": "ci",
        }
        fields = [*form.items(), *(2 * [("scope", "repository:a:pull")])]
        fields += [("audience", "x"), ("audience", "y"), ("resource", "z")]
        request = parse_post(urlencode(fields).encode(), exchanges=True)
        self.assertEqual(request.subject_token, "a.b.c")
        self.assertEqual(request.audience, ("x", "y", "z"))
        for name in (*form, "unknown"):
            for more in ([(name, form.get(name, "x"))], [(name, "other")]):
                twice = [("unknown", "x"), *fields, *more]
                with self.assertRaises(ExchangeRefused) as caught:
                    parse_post(urlencode(twice).encode(), exchanges=True)
                self.assertEqual(caught.exception.error, "invalid_request")

    def test_refresh_token(self) -> None:
        """A refresh token stands alone; credentials beside it do not count."""
        request = parse_post(
            b"grant_type=refresh_token&refresh_token=abc%3D&username=x&password=y\r\n"
        )
        self.assertEqual(request, TokenRequest("POST", refresh_token="abc="))
        self.assertFalse(request.is_anonymous)
        self.assertEqual(request.user, "-")

    def test_refused(self) -> None:
        """What is no form, or none that asks for a token with credentials."""
        for body in (
            b"",
            b"{}",
            b"\xff\xfe",
            b"grant_type=password&username=\xc3\xa9",
            b"grant_type=authorization_code&code=x",
            b"username=a&password=b",
            b"grant_type=password",
            b"grant_type=password&password=b",
            b"grant_type=password&refresh_token=b",
            b"grant_type=refresh_token",
            b"grant_type=refresh_token&username=a&password=b",
        ):
            error = self.assertRaises(BadRequest, parse_post, body)
            self.assertEqual(error.status, 400)

    def test_other_encodings(self) -> None:
        """A password in Latin-1 goes on byte for byte, by POST and by GET."""
        request = parse_post(b"grant_type=password&username=a&password=p%e4ss")
        self.assertIn("password=p%E4ss", post_form(request, "", ()))
        self.assertEqual(
            format_basic(request.username, request.password),
            basic(b"a:p\xe4ss").encode(),
        )


class SecretTests(SynchronousTestCase):
    def test_not_shown(self) -> None:
        """What is secret does not show when a request or a grant is printed."""
        request = TokenRequest("POST", username="a", password="S1", refresh_token="S2")
        grant = IssuedToken("S3", NOW, refresh_token="S4")
        for secret in ("S1", "S2", "S3", "S4"):
            self.assertNotIn(secret, repr(request) + repr(grant))
