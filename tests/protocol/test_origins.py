"""Servers by their address: what is one, and how it is written."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.origins import (
    MAX_REMEMBERED_LENGTH,
    Origin,
    parse_authority,
    parse_origin,
)


class ParseTests(SynchronousTestCase):
    def test_good(self) -> None:
        """A host and a port; that of the scheme where none is written."""
        for scheme, authority, expected in (
            ("https", "a.test", Origin("https", "a.test", 443)),
            ("http", "a.test", Origin("http", "a.test", 80)),
            ("HTTPS", "A.Test:5000", Origin("https", "a.test", 5000)),
            ("https", "a_b.test:443", Origin("https", "a_b.test", 443)),
            ("http", "192.0.2.1:8080", Origin("http", "192.0.2.1", 8080)),
            ("https", "[2001:DB8::1]", Origin("https", "2001:db8::1", 443)),
            ("https", "[::1]:65535", Origin("https", "::1", 65535)),
        ):
            self.assertEqual(parse_origin(scheme, authority), expected)

    def test_bad(self) -> None:
        """Another scheme, a user, a port that there is not, and what is no host."""
        for scheme, authority in (
            ("ftp", "a.test"),
            ("", "a.test"),
            ("https", ""),
            ("https", "alice@a.test"),
            ("https", "a.test:"),
            ("https", "a.test:0"),
            ("https", "a.test:65536"),
            ("https", "a.test:100000"),
            ("https", "a.test:80:80"),
            ("https", "::1"),
            ("https", "[::1"),
            ("https", "[a.test]"),
            ("https", "a.test/path"),
            ("https", "a test"),
            ("https", "a.test\n"),
            ("https", "ä.test"),
        ):
            self.assertIsNone(parse_origin(scheme, authority), (scheme, authority))

    def test_authority(self) -> None:
        """Host and port of any scheme; digits are those of ASCII."""
        for authority, place in (
            ("A.test", ("a.test", 636)),
            ("a.test:1", ("a.test", 1)),
            ("[FE80::1]:65535", ("fe80::1", 65535)),
            ("a.test:0", None),
            ("a.test:\uff11", None),
            ("alice@a.test", None),
        ):
            self.assertEqual(parse_authority(authority, 636), place)

    def test_again(self) -> None:
        """What was parsed before is the same, and so is what is not remembered."""
        for host in ("a.test", "a." * 200 + "test"):
            first, again = (parse_origin("https", host) for _ in range(2))
            self.assertEqual(first, Origin("https", host, 443))
            self.assertEqual(first, again)
            self.assertEqual(first is again, len(host) <= MAX_REMEMBERED_LENGTH)
            self.assertEqual(parse_origin("http", host), Origin("http", host, 80))


class WrittenTests(SynchronousTestCase):
    def test_written(self) -> None:
        """The port of the scheme is left out, and IPv6 stands in brackets."""
        for origin, text, bare in (
            (Origin("https", "a.test", 443), "https://a.test", "a.test"),
            (Origin("https", "a.test", 80), "https://a.test:80", "a.test"),
            (Origin("http", "a.test", 443), "http://a.test:443", "a.test"),
            (Origin("http", "::1", 80), "http://[::1]", "[::1]"),
            (Origin("http", "::1", 5000), "http://[::1]:5000", "[::1]"),
        ):
            self.assertEqual(str(origin), text)
            self.assertEqual(origin.bare_netloc, bare)

    @given(
        st.builds(
            Origin,
            st.sampled_from(["http", "https"]),
            st.sampled_from(["a.test", "a-b_c", "192.0.2.1", "::1", "2001:db8::2"]),
            st.integers(1, 65535),
        )
    )
    def test_round_trip(self, origin: Origin) -> None:
        """What is written is what was read."""
        self.assertEqual(parse_origin(origin.scheme, origin.netloc), origin)
