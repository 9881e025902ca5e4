"""Token replies, as they are written on the wire."""

import json
from datetime import datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import UpstreamMalformed
from regbroker.protocol.token_replies import (
    MAX_REPLY_BYTES,
    MIN_LIFE_SECONDS,
    IssuedToken,
    format_reply,
    parse_reply,
)

#: 2026-08-01T12:00:00Z
NOW = 1785585600.0


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
            # Times in the place of a life, in seconds and in milliseconds.
            (NOW + 300, 60),
            ((NOW + 300) * 1000, 60),
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

    def test_bytes(self) -> None:
        """What is written, byte for byte: JSON, whatever is in a token or a scope."""
        odd = 'a"b\\c\u00e9\ud800'
        for grant, scope, more in (
            (IssuedToken("t0k.en~", NOW + 300), None, {}),
            (IssuedToken('t"\\0', NOW + 300), "", {"scope": ""}),
            (IssuedToken("t\\0", NOW + 300), odd, {"scope": odd}),
            (
                IssuedToken("t", NOW + 300, refresh_token=odd),
                "a",
                {"scope": "a", "refresh_token": odd},
            ),
        ):
            document = {
                "token": grant.token,
                "access_token": grant.token,
                "expires_in": 300,
                "issued_at": "2026-08-01T12:00:00Z",
                **more,
            }
            self.assertEqual(
                format_reply(grant, scope, "GET", NOW),
                json.dumps(document).encode() + b"\n",
            )

    def test_exchange(self) -> None:
        """What RFC 8693 wants stands between the life and the scope."""
        self.assertEqual(
            format_reply(IssuedToken("t", NOW + 5), "a", "POST", NOW, is_exchange=True),
            b'{"token": "t", "access_token": "t", "expires_in": 5, '
            b'"issued_at": "2026-08-01T12:00:00Z", '
            b'"issued_token_type": "urn:ietf:params:oauth:token-type:access_token", '
            b'"token_type": "Bearer", "scope": "a"}\n',
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
