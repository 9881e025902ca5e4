"""Links to the next page, as registries write them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.next_links import (
    MAX_QUERY_LENGTH,
    LinkRefused,
    leads_back,
    next_query,
    pages_by_name,
)

CATALOG = "/v2/_catalog"


class NextQueryTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """All of these mean the same place, and the query is kept byte for byte."""
        query = "next_page=gAAA%3d%2Bx==&n=50"
        for link in (
            f'</v2/_catalog?{query}>; rel="next"',
            f"</v2/_catalog?{query}>; rel=next",
            f"</v2/_catalog?{query}>;rel=next",
            f'<{CATALOG}?{query}>; title="x"; REL="next"',
            f'<?{query}>; rel="next"',
            f'<_catalog?{query}>; rel="next"',
            f'</v2/_catalog?{query}>; rel="prev next"',
            f'/v2/_catalog?{query}; rel="next"',
            f'https://internal.test:8443/v2/_catalog?{query}; rel="next"',
            f'<https://internal.test/v2/_catalog?{query}>; rel="next"',
            f'<//internal.test/v2/_catalog?{query}>; rel="next"',
            f'</nexus/v2/_catalog?{query}>; rel="next"',
            f'</v2/_catalog?n=1>; rel="first", </v2/_catalog?{query}>; rel="next"',
            f', ,</v2/_catalog?{query}>; rel="next",',
            f'</v2/_catalog?{query}>; title="a, b"; rel="next"',
            f'</v2/_catalog?{query}>; rel="next"; title="a; b, c"',
            f"</v2/_catalog?{query}>",
        ):
            self.assertEqual(next_query([link], f"{CATALOG}?n=1000"), query, link)

    def test_none(self) -> None:
        """What is no link to a next page leads nowhere."""
        for links in (
            [],
            [""],
            ['</v2/_catalog?n=1>; rel="prev"'],
            ['</v2/_catalog?n=1>; rel="nextish"'],
        ):
            self.assertIsNone(next_query(links, CATALOG))

    def test_bare_with_signs(self) -> None:
        """Without ``< >`` a query may have what stands between links elsewhere."""
        for query in ("next_page=a;b", "next_page=a,b"):
            link = f'/v2/_catalog?{query}; rel="next"'
            self.assertEqual(next_query([link], CATALOG), query)

    def test_several_bare(self) -> None:
        """Nor need the first one be the one that leads on."""
        link = '/v2/_catalog?n=1; rel="first", /v2/_catalog?n=2; rel="next"'
        self.assertEqual(next_query([link], CATALOG), "n=2")

    def test_long(self) -> None:
        """However long a value without sense is, it is read once."""
        for pieces in (
            *('<a>;{}"', ' <a>;{}"', "<{}", "a{}<", "a;rel=x{}", '<a>;x="{}'),
            *('a;rel=x{}"', "<a>; rel{}", "<a>{}x", "{}<a", "{}a;", ",{}<"),
        ):
            for piece in (";", " ", ",", "a", ';"";', ";rel=", ", a;rel=", "<", '"'):
                value = pieces.format(piece * (60_000 // len(piece)))
                self.assertFalse(leads_back(value, f"{CATALOG}?last=x"), value[:20])

    def test_refused(self) -> None:
        """What leads elsewhere, or is no query, is said and not followed."""
        for target in (
            "/v2/other/tags/list?last=x",
            "/v2/_catalog/x?last=x",
            "https://evil.test/?last=x",
            "/v2/_catalog?last=\xe9",
            f"/v2/_catalog?last={'x' * MAX_QUERY_LENGTH}",
        ):
            self.assertRaises(
                LinkRefused, next_query, [f'<{target}>; rel="next"'], CATALOG
            )

    def test_by_name(self) -> None:
        """The last name of a page says where the next begins, or a token does."""
        self.assertTrue(pages_by_name("n=2&last=a%2Fb", ("x", "a/b")))
        for query in ("last=dG9rZW4=", "next_page=b", "last=x"):
            self.assertFalse(pages_by_name(query, ("x", "a/b")))
        self.assertFalse(pages_by_name("last=b", ()))

    def test_leads_back(self) -> None:
        """A link to the page that it stands on would be followed for ever."""
        asked = f"{CATALOG}?last=b"
        for target, back in (
            (asked, True),
            (f"{CATALOG}?last=c", False),
            ("https://evil.test/?last=b", False),
        ):
            self.assertIs(leads_back(f'<{target}>; rel="next"', asked), back, target)
