"""
Chunked bodies whose trailers are read as strictly as headers.

Twisted keeps the lines after the last chunk as they come, and nobody looks at them.
They go no further here, but a body that ends in what is no HTTP is no whole body: the
next hop may see its end elsewhere. `tests/transport/test_chunks.py` holds what is
relied upon.
"""

from __future__ import annotations

import re

from twisted.web.http import _ChunkedTransferDecoder, _MalformedChunkedDataError

from regbroker.protocol.fields import is_sound

#: RFC 9110, 5.1 and 5.6.2: a name is a token, with nothing between it and the colon.
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:(.*)", re.DOTALL)


class StrictChunks(_ChunkedTransferDecoder):
    """Decodes a chunked body; a malformed trailer makes it a malformed body."""

    def _dataReceived_TRAILER(self) -> bool:
        more = super()._dataReceived_TRAILER()
        while self._trailerHeaders:
            field = _FIELD.fullmatch(self._trailerHeaders.pop())
            if field is None or not is_sound(field[1]):
                raise _MalformedChunkedDataError("a trailer is no header")
        return more
