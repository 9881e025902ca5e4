"""URLs taken apart, and put together again."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.origins import Origin
from regbroker.protocol.urls import Url, parse_url

A = Origin("https", "a.test", 443)


class UrlTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Server, and target; the path is never empty."""
        for text, expected in (
            ("https://a.test", Url(A, "/")),
            ("HTTPS://A.test:443/", Url(A, "/")),
            ("https://a.test?x=1", Url(A, "/?x=1")),
            ("https://a.test/b/c?x=/&y", Url(A, "/b/c?x=/&y")),
            ("https://a.test//b", Url(A, "//b")),
            ("http://[::1]:8080/b", Url(Origin("http", "::1", 8080), "/b")),
        ):
            self.assertEqual(parse_url(text), expected, text)

    def test_bad(self) -> None:
        """Other schemes, credentials, fragments, spaces and what is relative."""
        for text in (
            "",
            "a.test/b",
            "/b",
            "//a.test/b",
            "ftp://a.test/",
            "https://",
            "https:///b",
            "https://u:p@a.test/",
            "https://a.test/#b",
            "https://a.test/a b",
            "https://a.test/\u00e9",
            "https://a.test/\n",
            "https://a.test:0/",
            "https://a.test:99999/",
        ):
            self.assertIsNone(parse_url(text), text)

    def test_path(self) -> None:
        """The path ends before the query."""
        self.assertEqual(Url(A, "/b?c?d").path, "/b")
        self.assertEqual(Url(A, "/b").path, "/b")

    @given(st.text(st.characters(codec="ascii"), max_size=40))
    def test_round_trip(self, rest: str) -> None:
        """What is parsed is written as it is read."""
        url = parse_url(f"https://a.test/{rest}")
        if url is not None:
            self.assertEqual(str(url), f"https://a.test/{rest}")
            self.assertEqual(parse_url(str(url)), url)
