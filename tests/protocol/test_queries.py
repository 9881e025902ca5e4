"""Queries: read, and changed only where they must be."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import BadRequest
from regbroker.protocol.queries import (
    MAX_PIECES,
    Query,
    join_target,
    parameters,
    parse_query,
    replaced,
    resolved_target,
    split_target,
    values,
)
from tests.grammar import EXAMPLES, hostile, names

# distribution's state: HMAC and JSON in URL-safe base64, the upstream name within.
STATE = (
    "_state=4xQ2bKpvRyKy0kgmN2kvGkGHcsA7kXnX_S7ao7-f3XZ7Ik5hbWUiOiJhY21lX3RlYW0vYXBw"
    "IiwiVVVJRCI6IjZiM2M5YTkzLWFmNWQifQ%3D%3D"
)

#: Written as nobody would, and still somebody's own.
ODD = (
    STATE,
    "_state=a%3d%3D+b%20c==",
    "",
    "a",
    "a=",
    "=a",
    "=",
    "&",
    "a&&b=1&",
    "%5Fstate=x",
    "a=b=c",
    "a=%zz",
    "a=\xe9",
    "a;b=c",
    "a?b",
)


class TargetTests(SynchronousTestCase):
    def test_split(self) -> None:
        """The first question mark parts path and query."""
        for target, parts in (
            ("/v2/", ("/v2/", "")),
            ("/a?b=c", ("/a", "b=c")),
            ("/a?b?c", ("/a", "b?c")),
            ("?a", ("", "a")),
        ):
            self.assertEqual(split_target(target), parts)
            self.assertEqual(join_target(*parts), target)

    def test_resolved(self) -> None:
        """What a reference without a host leads to (RFC 3986, 5.4)."""
        for reference, target in (
            ("/x?y", "/x?y"),
            ("//x", "//x"),
            ("", "/b/c/d;p?q"),
            ("?y", "/b/c/d;p?y"),
            ("g", "/b/c/g"),
            ("./g?y", "/b/c/g?y"),
            ("..", "/b/"),
            ("../../../g", "/g"),
        ):
            self.assertEqual(resolved_target("/b/c/d;p?q", reference), target)

    @EXAMPLES
    @given(hostile)
    def test_round_trip(self, text: str) -> None:
        """A target goes together again, but for a lonely question mark."""
        self.assertEqual(
            join_target(*split_target(text)),
            text.removesuffix("?") if text.count("?") == 1 else text,
        )


class ReadTests(SynchronousTestCase):
    def test_parameters(self) -> None:
        """Names and values are decoded; repeated ones are all there."""
        self.assertEqual(
            parameters(
                "scope=repository%3Aa:pull+b%20c&scope=d&%73ervice=x&e&=f&g=h=i"
            ),
            [
                ("scope", "repository:a:pull b c"),
                ("scope", "d"),
                ("service", "x"),
                ("e", ""),
                ("", "f"),
                ("g", "h=i"),
            ],
        )
        self.assertEqual(parameters(""), [])
        self.assertEqual(parameters("&&a=1&"), [("a", "1")])

    def test_values(self) -> None:
        """All values of one parameter, in order."""
        query = "tag=b&digest=x&tag=a&%74ag=c&Tag=d"
        self.assertEqual(values(query, "tag"), ["b", "a", "c"])
        self.assertEqual(values(query, "from"), [])

    def test_other_encodings(self) -> None:
        """No byte of a value is lost, whatever its encoding."""
        (value,) = values("password=%e9%C3%A9%ff", "password")
        self.assertEqual(value.encode("utf-8", "surrogateescape"), b"\xe9\xc3\xa9\xff")


class ParseTests(SynchronousTestCase):
    def test_once(self) -> None:
        """A query is taken apart once, and what is made of it not at all."""
        query = parse_query("ns=x&n=1&last=a%2Fb&n=2")
        self.assertIs(query.pieces, query.pieces)
        self.assertIs(parse_query(query), query)
        self.assertIs(query.without("other"), query)
        changed = query.without("ns").replaced("n", lambda value: value + "0")
        self.assertEqual(str(changed), "n=10&last=a%2Fb&n=20")
        self.assertIn("pieces", vars(changed))
        self.assertEqual(changed.pieces, Query(str(changed)).pieces)

    def test_too_many(self) -> None:
        """More pieces than anybody needs are refused before any is looked at."""
        for text in ("&" * 62_000, "a=1&" * MAX_PIECES, "&" * MAX_PIECES):
            error = self.assertRaises(BadRequest, parse_query, text)
            self.assertIn("at most 256 parameters", error.message)
            self.assertIn(f"this one has {text.count('&') + 1};", error.message)
            self.assertIn("in several requests", error.message)
        for text in ("&" * (MAX_PIECES - 1), "a=1&" * (MAX_PIECES - 1), ""):
            self.assertEqual(str(parse_query(text)), text)

    def test_empty(self) -> None:
        """One without a character is false."""
        self.assertFalse(Query(""))
        self.assertTrue(Query("&"))

    def test_values_are_not_shown(self) -> None:
        """A query may be a form with a password."""
        self.assertNotIn("secret", repr(Query("password=secret")))

    @EXAMPLES
    @given(st.lists(hostile, max_size=4).map("&".join))
    def test_untouched(self, text: str) -> None:
        """Whatever a query holds, it is written back byte for byte."""
        query = Query(text)
        self.assertEqual(str(Query.of_pieces(query.pieces)), text)
        self.assertEqual(query.parameters(), parameters(text))


class ChangeTests(SynchronousTestCase):
    def test_untouched(self) -> None:
        """What nobody changes comes back byte for byte."""
        for query in ODD:
            self.assertEqual(str(Query(query).without("ns")), query)
            self.assertEqual(replaced(query, "from", lambda _: "changed"), query)

    def test_without(self) -> None:
        """Parameters go, however they are written; the rest stays."""
        for query, names_given, rest in (
            (f"ns=docker.io&{STATE}", ("ns",), STATE),
            (f"{STATE}&ns=docker.io", ("ns",), STATE),
            ("a=1&ns=x&b=2&ns=y", ("ns",), "a=1&b=2"),
            ("%6es=x&a=1", ("ns",), "a=1"),
            ("ns", ("ns",), ""),
            ("nsx=1&xns=2&NS=3", ("ns",), "nsx=1&xns=2&NS=3"),
            ("mount=sha256:a&from=team/app&digest=x", ("mount", "from"), "digest=x"),
        ):
            self.assertEqual(str(Query(query).without(*names_given)), rest)

    def test_mount_from(self) -> None:
        """A mount's ``from`` gets its upstream name, all else stays."""
        for query, expected in (
            ("mount=sha256:ab&from=team/app", "mount=sha256:ab&from=acme_team/app"),
            (
                "from=team%2Fapp&mount=sha256%3aab",
                "from=acme_team/app&mount=sha256%3aab",
            ),
            (f"{STATE}&%66rom=a", f"{STATE}&%66rom=acme_a"),
            ("from=a&from=b", "from=acme_a&from=acme_b"),
        ):
            self.assertEqual(
                replaced(query, "from", lambda name: f"acme_{name}"), expected
            )

    def test_quoted(self) -> None:
        """What is put in cannot become another parameter."""
        for value in ("a&b=c", "a b", "a+b", "a#b", "a%b", "é", "\udce9", "a=b", "a?"):
            query = replaced("x=1&last=a&y=2", "last", lambda _, v=value: v)  # type: ignore[misc]
            self.assertEqual(
                parameters(query), [("x", "1"), ("last", value), ("y", "2")]
            )

    @EXAMPLES
    @given(st.lists(hostile, max_size=4).map("&".join), names)
    def test_anything(self, query: str, name: str) -> None:
        """Whatever a query holds, a change is about one parameter only."""
        self.assertEqual(str(Query(query).without("ns-x")), query)
        mapped = f"{query}&from={name}"
        changed = replaced(mapped, "from", lambda v: f"x_{v}" if v == name else v)
        self.assertEqual(changed, f"{query}&from=x_{name}")
