"""Header fields as such: which occur once, and what a value may hold."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.fields import (
    SINGLETONS,
    is_sound,
    problem_with_request,
    repeated_singleton,
    shown,
)
from tests.malformed import REPEATED

#: Of RFC 9110: fields of requests that are lists, which may stand in several lines.
LISTS = (
    "Accept Accept-Charset Accept-Encoding Accept-Language Allow Cache-Control"
    " Connection Content-Encoding Content-Language Cookie Forwarded Pragma TE Trailer"
    " Upgrade Via Warning X-Forwarded-For Access-Control-Request-Headers Content-Digest"
)


class SingletonTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Names are as they are looked up, each has its reason."""
        for name, reason in SINGLETONS.items():
            self.assertRegex(name.decode(), r"^[a-z]+(-[a-z]+)*$")
            self.assertRegex(reason, r"^RFC 911\d, [\d.]+: \S")

    def test_each_is_tried(self) -> None:
        """What the table has is what is sent to a real site in other tests."""
        tried = {name.partition(",")[0].lower().encode() for name in REPEATED}
        framing = {b"content-length", b"transfer-encoding"}
        self.assertEqual(tried | framing, set(SINGLETONS))

    def test_once(self) -> None:
        """Each may stand there once, all of them together."""
        fields = [(name.title(), b"x") for name in SINGLETONS]
        self.assertIsNone(repeated_singleton(fields))
        for name in SINGLETONS:
            self.assertEqual(repeated_singleton([*fields, (name, b"")]), name)

    def test_lists(self) -> None:
        """Lists may go on in the next line, and nobody knows what others are."""
        for name in (*LISTS.split(), "X-Own", "Docker-Upload-UUID"):
            fields = [(name.encode(), b"a"), (name.encode(), b"b")]
            self.assertIsNone(repeated_singleton(fields), name)

    def test_other_spellings(self) -> None:
        """Case is no difference, and an underscore is none behind CGI."""
        for one, other in (
            (b"Range", b"rANGE"),
            (b"If-Match", b"If_Match"),
            (b"Content_Type", b"CONTENT_TYPE"),
        ):
            self.assertEqual(repeated_singleton([(one, b"a"), (other, b"b")]), other)


class ValueTests(SynchronousTestCase):
    def test_controls(self) -> None:
        """Of all bytes, 32 control characters and no others are refused."""
        refused = [c for c in range(256) if not is_sound(b"a" + bytes([c]) + b"b")]
        self.assertEqual(refused, [*range(9), *range(10, 32), 127])

    def test_wherever(self) -> None:
        """It does not matter where in a value one stands."""
        for value in (b"\x01", b"\x01a", b"a\x01", b"\n", b"a\n", b"\r\nb"):
            self.assertFalse(is_sound(value), value)
        self.assertTrue(is_sound(b""))


class ProblemTests(SynchronousTestCase):
    def test_none(self) -> None:
        """An ordinary request has none."""
        fields = [(b"Host", b"a"), (b"Accept", b"b"), (b"Accept", b"\xe9\t")]
        self.assertIsNone(problem_with_request(iter(fields)))

    def test_said(self) -> None:
        """What is wrong is said with the name, and never with the value."""
        for fields, problem in (
            (
                [(b"Cookie", b"secret\x01")],
                "the header Cookie has a control character in its value",
            ),
            (
                [(b"Range", b"a"), (b"range", b"b")],
                "the header range may occur only once in a request",
            ),
        ):
            self.assertEqual(problem_with_request(iter(fields)), problem)

    def test_shown(self) -> None:
        """A name that is none stays harmless in a sentence and in a log."""
        for name, text in (
            (b"X-A", "X-A"),
            (b'a b=c"\x1b\xe9', "a?b?c???"),
            (b"a" * 100, "a" * 60),
        ):
            self.assertEqual(shown(name), text)
