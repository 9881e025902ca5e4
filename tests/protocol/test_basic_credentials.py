"""User and password, as they are written on the wire."""

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import BadRequest
from regbroker.protocol.basic_credentials import format_basic, parse_basic
from tests.grammar import EXAMPLES


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
        self.assertEqual(format_basic(*found), basic(b"\xe9lodie:p\xe4ss\xff").encode())

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
        self.assertEqual(
            parse_basic(format_basic(username, password).decode()), (username, password)
        )
