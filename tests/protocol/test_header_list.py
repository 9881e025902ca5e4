"""Headers as a list of pairs, looked up by name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.header_list import HeaderList, ReceivedHeaders


class HeaderListTests(SynchronousTestCase):
    HEADERS = HeaderList([(b"ETag", b"1"), (b"Link", b"a"), (b"lInK", b"b")])

    def test_first(self) -> None:
        """Names are compared whatever their case; the first value counts."""
        self.assertEqual(self.HEADERS.first(b"etag"), b"1")
        self.assertEqual(self.HEADERS.first(b"link"), b"a")
        self.assertIsNone(self.HEADERS.first(b"date"))

    def test_text(self) -> None:
        """Any byte is a character; what is UTF-8 is not looked for."""
        self.assertEqual(self.HEADERS.text(b"link"), "a")
        self.assertIsNone(self.HEADERS.text(b"date"))
        odd = HeaderList([(b"Range", b"\xff"), (b"Date", b"\xc3\xa9")])
        self.assertEqual((odd.text(b"range"), odd.text(b"date")), ("\xff", "\xc3\xa9"))

    def test_all(self) -> None:
        """All values come in their order."""
        self.assertEqual(self.HEADERS.all(b"link"), [b"a", b"b"])
        self.assertEqual(self.HEADERS.all(b"date"), [])

    def test_without(self) -> None:
        """The others stay as they were written, and the list itself as it was."""
        rest = self.HEADERS.without(b"link")
        self.assertEqual(rest, [(b"ETag", b"1")])
        self.assertIsInstance(rest, HeaderList)
        self.assertEqual(len(self.HEADERS), 3)


class ReceivedHeadersTests(SynchronousTestCase):
    def test_by_name(self) -> None:
        """Names are in lower case, and of several values the last one counts."""
        headers = ReceivedHeaders(HeaderListTests.HEADERS)
        self.assertEqual(headers, HeaderListTests.HEADERS)
        self.assertEqual(headers.by_name, {b"etag": b"1", b"link": b"b"})
        self.assertEqual(headers.by_name.keys(), {b"etag", b"link"})
        self.assertEqual(ReceivedHeaders().by_name, {})

    def test_all(self) -> None:
        """All values of a name come in order, whether or not others are repeated."""
        once = HeaderListTests.HEADERS[:2]
        for headers, links in ((HeaderListTests.HEADERS, [b"a", b"b"]), (once, [b"a"])):
            received = ReceivedHeaders(headers)
            self.assertEqual(received.all(b"link"), links)
            self.assertEqual(received.all(b"etag"), [b"1"])
            self.assertEqual(received.all(b"date"), [])

    def test_stay(self) -> None:
        """Nothing changes them: requests with the same head share one list."""
        header = (b"Via", b"x")
        for change in (
            lambda headers: headers.append(header),
            lambda headers: headers.extend([header]),
            lambda headers: headers.insert(0, header),
            lambda headers: headers.__setitem__(0, header),
            lambda headers: headers.__delitem__(0),
            lambda headers: headers.__iadd__([header]),
            lambda headers: headers.__imul__(2),
            lambda headers: headers.pop(),
            lambda headers: headers.remove(headers[0]),
            lambda headers: headers.clear(),
            lambda headers: headers.sort(key=bytes),
            lambda headers: headers.reverse(),
        ):
            received = ReceivedHeaders(HeaderListTests.HEADERS)
            self.assertRaises(TypeError, change, received)
            self.assertEqual(received, HeaderListTests.HEADERS)
        mine = HeaderList(received)
        mine.append(header)
        self.assertEqual(mine[-1], header)
        self.assertEqual(received, HeaderListTests.HEADERS)
