"""Chunked bodies, and what may stand behind them."""

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import _MalformedChunkedDataError

from regbroker.transport.chunks import StrictChunks


class ChunksTests(SynchronousTestCase):
    def decoded(self, raw: bytes, size: int) -> tuple[bytes, bytes | None]:
        """Body and rest of what comes in pieces of `size` bytes."""
        body: list[bytes] = []
        rest: list[bytes] = []
        decoder = StrictChunks(body.append, rest.append)
        for at in range(0, len(raw), size):
            decoder.dataReceived(raw[at : at + size])
            if rest:
                return b"".join(body), rest[0] + raw[at + size :]
        return b"".join(body), None

    def test_good(self) -> None:
        """Trailers are read and dropped; what is behind them is not touched."""
        for trailers in (
            b"",
            b"A: b\r\n",
            b"A:\r\nB: \t c d\xe9\t\r\n",
            b"Digest: sha-256=:abc=:\r\n" * 50,
        ):
            raw = b"3\r\nabc\r\n2\r\nde\r\n0\r\n" + trailers + b"\r\nGET /"
            for size in (1, 2, 7, len(raw)):
                self.assertEqual(self.decoded(raw, size), (b"abcde", b"GET /"))

    def test_bad(self) -> None:
        """What is no header is no trailer, however it comes."""
        for line in (b"A", b" A: b", b"\tb", b"A : b", b": b", b"A: \x00", b"A: b\rc"):
            raw = b"1\r\na\r\n0\r\nGood: yes\r\n" + line + b"\r\n\r\n"
            for size in (1, len(raw)):
                with self.assertRaises(_MalformedChunkedDataError):
                    self.decoded(raw, size)

    def test_without_end(self) -> None:
        """Trailers are not read without end, and not kept either."""
        decoder = StrictChunks(lambda data: None, lambda rest: None)
        decoder.dataReceived(b"0\r\n")
        with self.assertRaises(_MalformedChunkedDataError):
            for _ in range(20_000):
                decoder.dataReceived(b"A: bcdef\r\n")
                self.assertEqual(decoder._trailerHeaders, [])
