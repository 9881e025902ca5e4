"""Where records end, and what a BIO is given of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.record_ends import SEALED_BYTES, RecordEnds


def record(size: int, begins: bytes = b"\x17\x03\x03") -> bytes:
    """A record with so many bytes behind its header."""
    return begins + size.to_bytes(2, "big") + bytes(size)


FULL = record(SEALED_BYTES - 5)


class RecordEndsTests(SynchronousTestCase):
    def cut(
        self, ends: RecordEnds, data: bytes, at_once: int = 1
    ) -> list[tuple[bytes, int]]:
        """All pieces of some bytes, each with its reads."""
        return [(bytes(piece), reads) for piece, reads in ends.cut(data, at_once)]

    def test_whole(self) -> None:
        """A record that is here whole is read once, and is not copied."""
        ends = RecordEnds()
        for data in (record(1), record(300), FULL, record(0)):
            self.assertEqual(self.cut(ends, data), [(data, 1)])
            self.assertIs(ends.cut(data, 1)[0][0], data)

    def test_several(self) -> None:
        """Small records go into the BIO together; each of them is read."""
        ends = RecordEnds()
        data = record(7) + record(0) + record(2000)
        self.assertEqual(self.cut(ends, data), [(data, 3)])

    def test_parts(self) -> None:
        """A record that comes in parts is read when the last one is here."""
        ends = RecordEnds()
        data = record(20) + record(30)
        for at in range(len(data)):
            reads = {24: 1, 59: 1}.get(at, 0)
            self.assertEqual(
                self.cut(ends, data[at : at + 1]), [(data[at : at + 1], reads)]
            )
        for size in range(1, len(data)):
            got = self.cut(ends, data[:size]) + self.cut(ends, data[size:])
            self.assertEqual(
                [reads for _, reads in got], [int(size >= 25), 1 + int(size < 25)]
            )

    def test_large(self) -> None:
        """The BIO has so many records at most, and pieces end where records do."""
        data = FULL * 7
        for at_once, reads in ((1, [1] * 7), (3, [3, 3, 1]), (7, [7])):
            got = self.cut(RecordEnds(), data, at_once)
            self.assertEqual([count for _, count in got], reads)
            self.assertEqual(b"".join(piece for piece, _ in got), data)

    def test_what_is_held(self) -> None:
        """The part of a record that the BIO has counts."""
        ends = RecordEnds()
        data = FULL * 5
        first = SEALED_BYTES * 2 + 100
        got = self.cut(ends, data[:first], 3)
        self.assertEqual([(len(piece), reads) for piece, reads in got], [(first, 2)])
        got = self.cut(ends, data[first:], 3)
        self.assertEqual(
            [(len(piece), reads) for piece, reads in got], [(len(data) - first, 3)]
        )
        got = self.cut(ends, data[:first], 1)
        self.assertEqual(
            [(len(piece), reads) for piece, reads in got],
            [(SEALED_BYTES, 1), (SEALED_BYTES, 1), (100, 0)],
        )

    def test_odd(self) -> None:
        """Who begins a record as none with data does is not waited for."""
        for odd in (
            b"GET / HTTP/1.1",
            b"\x15\x03\x03\x00\x02\x01",
            b"\x17\x03\x01\x00\x20",
            b"\x17\x03\x03\xff\xff",
        ):
            ends = RecordEnds()
            self.assertEqual(self.cut(ends, odd[:4]), [(odd[:4], 0)])
            self.assertEqual(self.cut(ends, odd[4:]), [(odd[4:], 1)])
            data = record(5) + odd
            self.assertEqual(self.cut(RecordEnds(), data), [(data, 2)])
            self.assertEqual(self.cut(RecordEnds(), FULL + odd), [(FULL, 1), (odd, 1)])

    @given(
        st.lists(st.integers(0, SEALED_BYTES - 5), min_size=1, max_size=8),
        st.lists(st.integers(1, 3 * SEALED_BYTES), min_size=1, max_size=8),
        st.integers(1, 3),
    )
    def test_any_split(
        self, records: list[int], sizes: list[int], at_once: int
    ) -> None:
        """However bytes come, each record is read once, when it is here, not before."""
        wire = b"".join(record(size) for size in records)
        ends = RecordEnds()
        given_, held, read = b"", 0, 0
        whole = 0
        for size in [*sizes, len(wire)]:
            for piece, reads in ends.cut(
                wire[len(given_) : len(given_) + size], at_once
            ):
                given_ += piece
                held += len(piece)
                self.assertLessEqual(held, at_once * SEALED_BYTES)
                read += reads
                left, whole = given_, 0
                for each in records:
                    if len(left) < each + 5:
                        break
                    left = left[each + 5 :]
                    whole += 1
                self.assertEqual(read, whole)
                held = len(left)
        self.assertEqual((given_, whole), (wire, len(records)))
