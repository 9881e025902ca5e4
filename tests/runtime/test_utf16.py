"""Text in UTF-16 is known as such."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.utf16 import is_utf16, refuse_utf16


class Utf16Tests(SynchronousTestCase):
    def test_known(self) -> None:
        """By the mark at its beginning, in both orders."""
        for encoding in ("utf-16-le", "utf-16-be"):
            data = "\ufeffalice".encode(encoding)
            self.assertTrue(is_utf16(data))
            with self.assertRaisesRegex(ValueError, "^UTF-16 text; save it as UTF-8$"):
                refuse_utf16(data)

    def test_others(self) -> None:
        """UTF-8, with its own mark and without, is no UTF-16."""
        for data in (b"", b"alice", "\ufeffalice".encode(), b"\xffalice"):
            self.assertFalse(is_utf16(data))
            refuse_utf16(data)
