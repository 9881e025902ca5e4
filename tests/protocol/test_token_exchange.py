"""Token requests and replies, as they are written on the wire."""

import base64
import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import BadRequest, HTTPError, UpstreamMalformed
from regbroker.protocol.scopes import MAX_SCOPES, format_scopes, parse_scopes
from regbroker.protocol.token_exchange import (
    MAX_REPLY_BYTES,
    MIN_LIFE_SECONDS,
    IssuedToken,
    TokenRequest,
    format_reply,
    parse_basic,
    parse_get,
    parse_post,
    parse_reply,
)
from regbroker.protocol.token_queries import (
    basic_authorization,
    get_query,
    post_form,
)
from tests.grammar import EXAMPLES, hostile

#: 2026-08-01T12:00:00Z
NOW = 1785585600.0


def basic(credentials: bytes | str) -> str:
    """An Authorization header with these credentials."""
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return "Basic " + base64.b64encode(raw).decode()


class BasicTests(SynchronousTestCase):
    def test_good(self) -> None:
        """The first colon parts user and password."""
        for credentials, parts in (
            ("alice:secret", ("alice", "secret")),
            ("alice:a:b:", ("alice", "a:b:")),
            ("alice:", ("alice", "")),
            (":", ("", "")),
            ("CORP\\alice:p w", ("CORP\\alice", "p w")),
            ("_json_key:{}", ("_json_key", "{}")),
            ("älice:sécret", ("älice", "sécret")),
        ):
            self.assertEqual(parse_basic(basic(credentials)), parts)
        self.assertEqual(parse_basic("  bAsIc   " + basic("a:b")[6:] + " "), ("a", "b"))

    def test_other_encodings(self) -> None:
        """A password in Latin-1 reaches the upstream byte for byte."""
        found = parse_basic(basic(b"\xe9lodie:p\xe4ss\xff"))
        assert found is not None
        request = TokenRequest("GET", username=found[0], password=found[1])
        self.assertEqual(
            basic_authorization(request), basic(b"\xe9lodie:p\xe4ss\xff").encode()
        )

    def test_other_schemes(self) -> None:
        """Other schemes are not Basic."""
        for value in ("", "Bearer abc", "Negotiate abc", "Basics abc"):
            self.assertIsNone(parse_basic(value))

    def test_bad(self) -> None:
        """Credentials that are none are refused, and not told back."""
        for value in (
            "Basic",
            "Basic !!!",
            "Basic c2VjcmV0",
            "Basic YT pi",
            "Basic é",
            "Basic YTpi-_",
            # A password that is nobody's.
            "Basic OnNlY3JldA==",
        ):
            error = self.assertRaises(BadRequest, parse_basic, value)
            self.assertNotIn("secret", str(error.message) + str(error.detail))

    @EXAMPLES
    @given(
        st.text(st.characters(exclude_characters=":", codec="utf-8"), min_size=1),
        st.text(alphabet=st.characters(codec="utf-8")),
    )
    def test_round_trip(self, username: str, password: str) -> None:
        """What is written is read again."""
        request = TokenRequest("GET", username=username, password=password)
        self.assertEqual(
            parse_basic(basic_authorization(request).decode()), (username, password)
        )


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
        self.assertEqual(basic_authorization(request), basic(b"a:p\xe4ss").encode())


class SecretTests(SynchronousTestCase):
    def test_not_shown(self) -> None:
        """What is secret does not show when a request or a grant is printed."""
        request = TokenRequest("POST", username="a", password="S1", refresh_token="S2")
        grant = IssuedToken("S3", NOW, refresh_token="S4")
        for secret in ("S1", "S2", "S3", "S4"):
            self.assertNotIn(secret, repr(request) + repr(grant))


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
            replace(request, method="GET", account=username, username="", password=""),
        )


class ReplyTests(SynchronousTestCase):
    def parsed(self, **document: Any) -> IssuedToken:
        return parse_reply(json.dumps({"token": "t", **document}).encode(), NOW)

    def test_token(self) -> None:
        """The token has one name or the other."""
        for document, token in (
            ({"token": "a"}, "a"),
            ({"access_token": "b"}, "b"),
            ({"token": "a", "access_token": "b"}, "a"),
            ({"token": "", "access_token": "b"}, "b"),
            ({"token": None, "access_token": "b"}, "b"),
        ):
            self.assertEqual(
                parse_reply(json.dumps(document).encode(), NOW).token, token
            )

    def test_no_token(self) -> None:
        """Without one, or with one that is no header's value, nothing is granted."""
        for body in (
            b"",
            b"[]",
            b"{}",
            b"<html>",
            b'{"token": ""}',
            b'{"token": "", "access_token": ""}',
            b'{"token": null}',
            b'{"token": 5}',
            b'{"token": {"a": 1}}',
            b'{"token": "a b"}',
            b'{"token": "a\\r\\nX: b"}',
            b'{"token": "\\u00e9"}',
            b'{"token": "\\ud800"}',
        ):
            error = self.assertRaises(UpstreamMalformed, parse_reply, body, NOW)
            self.assertEqual(error.status, 502)

    def test_life(self) -> None:
        """A believable life is believed; the least is a minute."""
        for life, seconds in (
            (300, 300),
            (3600.5, 3600.5),
            (60, 60),
            (59, 60),
            (1, 60),
            (0, 60),
            (-5, 60),
            (True, 60),
            ("300", 60),
            (None, 60),
            ([], 60),
            (1e30, 60),
            (float("inf"), 60),
            (float("nan"), 60),
        ):
            self.assertEqual(self.parsed(expires_in=life).expires, NOW + seconds, life)
        self.assertEqual(self.parsed().expires, NOW + MIN_LIFE_SECONDS)

    def test_issued(self) -> None:
        """The life begins when the token was issued, never in the future."""
        for issued_at, age in (
            ("2026-08-01T12:00:00Z", 0),
            ("2026-08-01T11:59:00Z", 60),
            ("2026-08-01T11:59:00.123456789Z", 60),
            ("2026-08-01T11:59:00.5Z", 60),
            ("2026-08-01T13:59:00+02:00", 60),
            ("2026-08-01T13:59:00.5+02:00", 60),
            ("2026-08-01T04:59:00.000-07:00", 60),
            ("2026-08-01T11:59:00", 60),
            (" 2026-08-01T11:59:00Z ", 60),
            # A clock that is ahead.
            ("2026-08-01T12:05:00Z", 0),
            # Nothing that is a time.
            ("", 0),
            ("yesterday", 0),
            ("2026-13-01T00:00:00Z", 0),
            (".", 0),
            (1785585540, 0),
            (None, 0),
        ):
            grant = self.parsed(expires_in=300, issued_at=issued_at)
            self.assertEqual(grant.expires, NOW + 300 - age, issued_at)

    def test_clock_behind(self) -> None:
        """A token that seems to have expired on arrival lives for a minute."""
        for issued_at in (
            "2026-08-01T11:00:00Z",
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
        ):
            grant = self.parsed(expires_in=300, issued_at=issued_at)
            self.assertEqual(grant.expires, NOW + MIN_LIFE_SECONDS)

    def test_rest(self) -> None:
        """Scope and refresh token, where they are what they should be."""
        grant = self.parsed(scope="repository:acme_team/app:pull", refresh_token="r")
        self.assertEqual(
            (grant.scope, grant.refresh_token), ("repository:acme_team/app:pull", "r")
        )
        grant = self.parsed(scope=["a"], refresh_token=5)
        self.assertEqual((grant.scope, grant.refresh_token), (None, ""))
        self.assertEqual(self.parsed(scope="").scope, "")


class FormatTests(SynchronousTestCase):
    def formatted(
        self, grant: IssuedToken, method: str = "GET", now: float = NOW
    ) -> Any:
        return json.loads(format_reply(grant, "repository:team/app:pull", method, now))

    def test_whole(self) -> None:
        """The token under both names, its life from now, the public scope."""
        self.assertEqual(
            self.formatted(
                IssuedToken("t", NOW + 300, "repository:acme_team/app:pull", "r")
            ),
            {
                "token": "t",
                "access_token": "t",
                "expires_in": 300,
                "issued_at": "2026-08-01T12:00:00Z",
                "scope": "repository:team/app:pull",
                "refresh_token": "r",
            },
        )
        document = json.loads(
            format_reply(IssuedToken("t", NOW + 300), None, "GET", NOW)
        )
        self.assertEqual(
            set(document), {"token", "access_token", "expires_in", "issued_at"}
        )

    def test_cached(self) -> None:
        """A token handed out later has less time; no client believes it longer."""
        grant = IssuedToken("t", NOW + 300.7)
        for later in (0, 0.3, 100, 239.9, 240.5):
            now = NOW + later
            document = self.formatted(grant, now=now)
            self.assertLessEqual(now + document["expires_in"], grant.expires)
            self.assertGreater(now + document["expires_in"], grant.expires - 1.1)
            issued = datetime.fromisoformat(
                document["issued_at"].replace("Z", "+00:00")
            )
            end = issued.timestamp() + document["expires_in"]
            self.assertLessEqual(end, grant.expires)
            self.assertGreater(end, grant.expires - 2)

    def test_never_below_a_minute(self) -> None:
        """Clients take a minute for the least, so less is never said."""
        for left in (60, 59.999, 30, 0, -10):
            self.assertEqual(
                self.formatted(IssuedToken("t", NOW + left))["expires_in"], 60
            )

    def test_size(self) -> None:
        """A large token stands once only, under the name that the method reads."""
        grant = IssuedToken("t" * (MAX_REPLY_BYTES // 2), NOW + 300)
        for method, name, other in (
            ("GET", "token", "access_token"),
            ("POST", "access_token", "token"),
        ):
            body = format_reply(grant, None, method, NOW)
            self.assertLessEqual(len(body), MAX_REPLY_BYTES)
            document = json.loads(body)
            self.assertEqual(document[name], grant.token)
            self.assertNotIn(other, document)
        self.assertRaises(
            UpstreamMalformed,
            format_reply,
            IssuedToken("t" * MAX_REPLY_BYTES, NOW + 300),
            None,
            "GET",
            NOW,
        )
