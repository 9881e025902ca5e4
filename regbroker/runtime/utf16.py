"""
Text in UTF-16, where UTF-8 is wanted: what ``>`` of Windows PowerShell writes.

Read as anything else, it would be lines that nobody understands.
"""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE

#: What is said about such a file.
UTF16 = "UTF-16 text; save it as UTF-8"


def is_utf16(data: bytes) -> bool:
    """Tell whether a file begins as UTF-16 does; no UTF-8 text has such a beginning."""
    return data.startswith((BOM_UTF16_LE, BOM_UTF16_BE))


def refuse_utf16(data: bytes) -> None:
    """Raise `ValueError` for what begins as UTF-16 does."""
    if is_utf16(data):
        raise ValueError(UTF16)
