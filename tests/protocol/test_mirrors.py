"""Sources: what ``ns`` names, and where it is said again."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import NameUnknown
from regbroker.protocol.mirrors import mirrored_registry, path_with_ns, with_ns
from regbroker.protocol.queries import Query, split_target, values
from tests.grammar import EXAMPLES, hostile

KNOWN = ("docker.io", "localhost:5000", "[2001:db8::1]:5000")
OWN = ("Mirror.example:8443", "mirror.example")


class NamedSourceTests(SynchronousTestCase):
    def test_known(self) -> None:
        """A source of the table, in whatever case and however written."""
        for query, source in (
            ("ns=docker.io", "docker.io"),
            ("ns=Docker.IO", "docker.io"),
            ("a=1&ns=docker%2eio&b=2", "docker.io"),
            ("%6es=docker.io", "docker.io"),
            ("ns=localhost:5000", "localhost:5000"),
            ("ns=localhost%3A5000", "localhost:5000"),
            ("ns=[2001:DB8::1]:5000", "[2001:db8::1]:5000"),
            # Some clients add it to what has it already.
            ("ns=docker.io&ns=docker.io", "docker.io"),
            ("ns=docker.io&x&ns=DOCKER.io", "docker.io"),
        ):
            self.assertEqual(mirrored_registry(query, KNOWN, OWN), source)

    def test_own(self) -> None:
        """What the registry is called itself is that registry."""
        for query, source in (
            ("ns=mirror.example", "mirror.example"),
            ("ns=MIRROR.example:8443", "mirror.example:8443"),
        ):
            self.assertEqual(mirrored_registry(query, KNOWN, OWN), source)
            self.assertRaises(NameUnknown, mirrored_registry, query, KNOWN, ())

    def test_none(self) -> None:
        """A query that names no source."""
        for query in ("", "a=1", "NS=docker.io", "nsx=docker.io", "a=ns=x"):
            self.assertIsNone(mirrored_registry(query, KNOWN, OWN))

    def test_no_table(self) -> None:
        """Where there is no table, only the registry itself is known."""
        for query in ("ns=docker.io", "ns=", "ns=a&ns=b"):
            self.assertRaises(NameUnknown, mirrored_registry, query, (), OWN)
        self.assertEqual(
            mirrored_registry("ns=mirror.example", (), OWN), "mirror.example"
        )

    def test_unknown(self) -> None:
        """Whatever else: it is told what is known, and not what it has said."""
        for query in (
            "ns=quay.io",
            "ns=",
            "ns",
            "ns=docker.io&ns=",
            "ns=docker.io&ns=localhost:5000",
            "ns=docker.io&ns=mirror.example",
            "ns=docker.io.",
            "ns=docker.io:443",
            "ns=https://docker.io",
            "ns=docker.io/",
            "ns=+docker.io",
            "ns=docker.io%0d%0ax",
            "ns=%ff",
            "ns=*",
            "ns=mirror.example:1",
        ):
            error = self.assertRaises(NameUnknown, mirrored_registry, query, KNOWN, OWN)
            self.assertEqual((error.status, error.code), (404, "NAME_UNKNOWN"))
            self.assertIn("docker.io, localhost:5000", error.message)
            self.assertNotIn(b"quay", error.body())

    @EXAMPLES
    @given(hostile)
    def test_anything(self, text: str) -> None:
        """What is named is in the table, one of our own names, or refused."""
        try:
            source = mirrored_registry(f"ns={text}", KNOWN, OWN)
        except NameUnknown:
            return
        self.assertIn(source, {*KNOWN, *(name.lower() for name in OWN)})


class WithSourceTests(SynchronousTestCase):
    def test_with(self) -> None:
        """At the end of the query; without one there is nothing to say."""
        for target, expected in (
            ("/v2/a/blobs/uploads/1", "/v2/a/blobs/uploads/1?ns=docker.io"),
            ("/v2/x?_state=a%2f=&&", "/v2/x?_state=a%2f=&&&ns=docker.io"),
            ("/v2/x?", "/v2/x?ns=docker.io"),
        ):
            self.assertEqual(with_ns(target, "docker.io"), expected)
            self.assertEqual(with_ns(target, ""), target)

    def test_there_and_back(self) -> None:
        """What is said is read the same, and taken out again it leaves no trace."""
        for source in KNOWN:
            for query in ("_state=a%2f+=&x", "a=", "a"):
                _, changed = split_target(with_ns(f"/v2/?{query}", source))
                self.assertEqual(values(changed, "ns"), [source])
                self.assertEqual(mirrored_registry(changed, KNOWN, ()), source)
                self.assertEqual(str(Query(changed).without("ns")), query)

    @EXAMPLES
    @given(hostile, st.sampled_from(KNOWN))
    def test_anything(self, target: str, source: str) -> None:
        """Nothing that was there is changed."""
        changed = with_ns(target, source)
        self.assertTrue(changed.startswith(target.removesuffix("?")))


class PathTests(SynchronousTestCase):
    def test_path(self) -> None:
        """The path of the token service ends with the source."""
        for source, path in (
            ("", "/auth"),
            ("docker.io", "/auth/docker.io"),
            ("localhost:5000", "/auth/localhost:5000"),
            ("[::1]", "/auth/%5B::1%5D"),
        ):
            self.assertEqual(path_with_ns("/auth", source), path)
