"""Problems of values, and of all values of a list."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.addresses import (
    cors_origins,
    hosts,
    mirrors,
    networks,
    path_prefixes,
    public_hosts,
)
from regbroker.settings.endpoints import admin_listeners, listeners
from regbroker.settings.identities import (
    algorithms,
    conditions,
    groups,
    keys,
    required_claims,
)
from regbroker.settings.invalid import InvalidValue, parse_each
from regbroker.settings.references import mapping, some_sections
from regbroker.settings.values import extensions, paths, pattern, robots


class InvalidValueTests(SynchronousTestCase):
    def test_each(self) -> None:
        """All values in their order, or the problems of all that are wrong."""

        def even(number: int) -> int:
            if number % 2:
                raise InvalidValue(f"{number} is odd")
            return number // 2

        self.assertEqual(parse_each([2, 4], even), (1, 2))
        self.assertEqual(parse_each([], even), ())
        with self.assertRaises(InvalidValue) as caught:
            parse_each([1, 2, 3], even)
        self.assertEqual(caught.exception.problems, ("1 is odd", "3 is odd"))
        self.assertEqual(str(caught.exception), "1 is odd; 3 is odd")

    def test_named(self) -> None:
        """Of several users, the one that is wrong is named."""
        with self.assertRaises(InvalidValue) as caught:
            robots("deploy\na:b\nc d")
        one, other = caught.exception.problems
        self.assertTrue(one.startswith("'a:b': a user name has no colon"), one)
        self.assertTrue(other.startswith("'c d': "), other)

    def test_no_password(self) -> None:
        """A password in a URL that was pasted is not shown."""
        url = "https://robot:s3cret@a.test/x"
        for parse in (cors_origins, hosts, public_hosts, keys):
            with self.assertRaises(InvalidValue) as caught:
                parse(f"{url}#f")
            said = str(caught.exception)
            self.assertIn("https://...@a.test/x", said)
            self.assertNotIn("s3cret", said)

    def test_lists(self) -> None:
        """Each option that is a list tells all that is wrong in it."""
        for parse, text in (
            (listeners, "foo\ntcp:0\n443"),
            (admin_listeners, "foo\ntls:1"),
            (networks, "a, ::1, b"),
            (cors_origins, "a https://b.test c"),
            (mirrors, "a\nb.test = c\nd"),
            (hosts, "https://a, b.test, c:1"),
            (public_hosts, "https://a, *.b.test, c:1"),
            (path_prefixes, "a, /b/, c"),
            (algorithms, "HS256, ES256, none"),
            (required_claims, "a, b=c, d"),
            (groups, "a\nb:${c}\nd"),
            (conditions, "a\nb = true\nc"),
            (extensions, "a, _b, c"),
            (pattern, "(\na\n["),
            (robots, "a b\nc\nd:e"),
            (paths, "~/a\n/b\n~/c"),
            (some_sections("upstream", ["b"]), "a, b, c"),
            (lambda text: mapping(text, ["u"], ["u"], {}), "A = b\nc = d\ne"),
        ):
            with self.assertRaises(InvalidValue, msg=text) as caught:
                parse(text)
            self.assertEqual(len(caught.exception.problems), 2, text)
