"""Answers of HTTP servers, out of bytes that may be anything."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.cli.doctor.answers import is_complete, parse_answer

PLAIN = (
    b'HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\nA: b\r\nA: c\r\n\r\n{"errors":1}'
)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
)


class AnswersTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Status, headers in any case, the body."""
        answer = parse_answer(PLAIN)
        assert answer is not None
        self.assertEqual((answer.status, answer.body), (404, b'{"errors":1}'))
        self.assertEqual(answer.all("a"), ["b", "c"])
        self.assertEqual((answer.header("a"), answer.header("x")), ("b", None))
        self.assertEqual(answer.document, {"errors": 1})
        self.assertEqual(answer.error_code, "")

    def test_chunked(self) -> None:
        """A body without the sizes of its chunks."""
        answer = parse_answer(CHUNKED)
        assert answer is not None
        self.assertEqual(answer.body, b"abcde")

    def test_complete(self) -> None:
        """Every beginning is too little, until all is there, or enough of it."""
        for data in (PLAIN, CHUNKED):
            for end in range(len(data)):
                self.assertFalse(is_complete(data[:end], 1000), data[:end])
            self.assertTrue(is_complete(data, 1000))
        self.assertTrue(is_complete(PLAIN[:-4], 5))
        self.assertTrue(is_complete(PLAIN[:-12], 1000, has_body=False))

    def test_codes_and_pages(self) -> None:
        """The code of the first error, and web pages by type or by beginning."""
        for body, code in (
            (b'{"errors":[{"code":"DENIED"}]}', "DENIED"),
            (b'{"errors":[{"code":1}]}', ""),
            (b'{"errors":["x"]}', ""),
            (b"[]", ""),
            (b"[" * 100_000, ""),
        ):
            answer = parse_answer(b"HTTP/1.1 403 No\r\n\r\n" + body)
            assert answer is not None
            self.assertEqual(answer.error_code, code)
        for data, page in (
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", True),
            (b"HTTP/1.1 200 OK\r\n\r\n  <!DOCTYPE html>", True),
            (b"HTTP/1.1 200 OK\r\n\r\n{}", False),
        ):
            answer = parse_answer(data)
            assert answer is not None
            self.assertIs(answer.is_page, page)

    @given(st.binary(max_size=80), st.sampled_from([b"", CHUNKED[:47], PLAIN[:30]]))
    def test_anything(self, data: bytes, before: bytes) -> None:
        """Whatever the bytes, there is an answer or none."""
        answer = parse_answer(before + data)
        is_complete(before + data, 10)
        if answer is not None:
            self.assertIn(answer.status, range(100, 600))
            self.assertIsInstance(answer.document, dict)
