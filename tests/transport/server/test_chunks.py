"""Chunked bodies, and what may stand behind them."""

from itertools import cycle

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import _ChunkedTransferDecoder, _MalformedChunkedDataError

from regbroker.transport.server.chunks import StrictChunks
from regbroker.transport.twisted_private.http import ChunkedDecoder, MalformedChunks

#: Chunks that often repeat, and what is no chunk after some of them.
_PARTS = [
    *(b"2\r\nab\r\n", b"2\r\n\r\n\r\n", b"2\r\n\n2\r\n", b"02\r\nab\r\n"),
    *(b"2;x\r\nab\r\n", b"12\r\n" + 18 * b"c" + b"\r\n"),
    *(b"2\r\na\r\n", b"2\nab\r\n", b"\r\n", b"\n", b"0\r\n\r\n"),
]


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

    def test_joined(self) -> None:
        """What comes at once is given at once, also if the rest is malformed."""
        got: list[bytes] = []
        decoder = StrictChunks(got.append, lambda rest: None)
        for data in (
            b"3\r\nabc\r\n2\r\nde\r\n9\r\nfg",
            b"hijkl",
            b"mn\r\n1;x=y\r\no\r\n",
        ):
            decoder.dataReceived(data)
        self.assertEqual(got, [b"abcdefg", b"hijkl", b"mno"])
        with self.assertRaises(MalformedChunks):
            decoder.dataReceived(b"1\r\np\r\n1\r\nqr\r\n")
        self.assertEqual(got[3:], [b"pq"])

    def test_large_pieces_are_not_copied(self) -> None:
        """The middle of a chunk goes on as the object that came."""
        got: list[bytes] = []
        decoder = StrictChunks(got.append, lambda rest: None)
        decoder.dataReceived(b"20000\r\n")
        middle = bytes(0x10000)
        decoder.dataReceived(middle)
        self.assertIs(got[0], middle)

    def test_what_repeats_is_read_once(self) -> None:
        """Twisted reads what stands between chunks where that is not as before."""
        read: list[bytes] = []
        original = ChunkedDecoder.dataReceived

        def noting(decoder: ChunkedDecoder, data: bytes) -> None:
            read.append(data)
            original(decoder, data)

        self.patch(ChunkedDecoder, "dataReceived", noting)
        got: list[bytes] = []
        ends: list[bytes] = []
        decoder = StrictChunks(got.append, ends.append)
        decoder.dataReceived(b"2\r\nab\r\n2\r\ncd\r\n2\r\nef\r\n2\r\ng")
        decoder.dataReceived(b"h\r\n2\r\nij\r\n3\r\nklm\r\n2\r\nno\r\n")
        decoder.dataReceived(b"2\r\npq\r\n2\r\nrs\r\n0\r\n\r\nGET")
        self.assertEqual(b"".join(got), b"abcdefghijklmnopqrs")
        self.assertEqual(ends, [b"GET"])
        between = [b"2\r\n", b"\r\n2\r\n", b"\r\n3\r\n", b"\r\n2\r\n"]
        in_two_reads = [b"\r\n", b"2\r\n"]
        end = [b"\r\n0\r\n", b"\r\n"]
        self.assertEqual(read, between + in_two_reads + end)

    @given(st.lists(st.sampled_from(_PARTS)), st.lists(st.integers(1, 40), min_size=1))
    def test_repeated_as_twisted_reads_it(
        self, parts: list[bytes], sizes: list[int]
    ) -> None:
        """What repeats means what it means to Twisted, and so does the rest."""
        self.assertEqual(
            _outcome(StrictChunks, b"".join(parts), sizes),
            _outcome(_ChunkedTransferDecoder, b"".join(parts), [1000]),
        )

    @given(st.binary(max_size=80), st.lists(st.integers(1, 40), min_size=1))
    @example(b"1\r\na\r\n-1\r\n", [4])
    def test_as_twisted_reads_it(self, raw: bytes, sizes: list[int]) -> None:
        """However bytes come, they mean what they mean to Twisted's decoder."""
        for data in (raw, b"2\r\nab\r\n" + raw, b"1f\r\n" + raw + b"\r\n0\r\n\r\n"):
            self.assertEqual(
                _outcome(StrictChunks, data, sizes),
                _outcome(_ChunkedTransferDecoder, data, [len(data)]),
            )


def _outcome(
    decoder: type[_ChunkedTransferDecoder], raw: bytes, sizes: list[int]
) -> tuple[bytes, bytes, bool, bool]:
    """What came of some bytes: body, rest, and whether they are whole or malformed."""
    body: list[bytes] = []
    rest: list[bytes] = []
    reading = decoder(body.append, rest.append)
    is_malformed = False
    at = 0
    for size in cycle(sizes):
        if at >= len(raw) or rest or is_malformed:
            break
        try:
            reading.dataReceived(raw[at : at + size])
        except MalformedChunks:
            is_malformed = True
        at += size
    rest.append(raw[at:])
    if is_malformed or len(rest) == 1:
        rest.clear()
    return b"".join(body), b"".join(rest), len(rest) > 0, is_malformed
