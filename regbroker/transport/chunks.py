"""
Chunked bodies whose trailers are read as strictly as headers.

Twisted keeps the lines after the last chunk as they come, and nobody looks at them.
They go no further here, but a body that ends in what is no HTTP is no whole body: the
next hop may see its end elsewhere.
"""

from __future__ import annotations

import re

from regbroker.protocol.fields import is_sound
from regbroker.transport.twisted_private import ChunkedDecoder, MalformedChunks

#: RFC 9110, 5.1 and 5.6.2: a name is a token, with nothing between it and the colon.
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:(.*)", re.DOTALL)


class StrictChunks(ChunkedDecoder):
    """Decodes a chunked body; a malformed trailer makes it a malformed body."""

    def trailer_received(self, line: bytes) -> None:
        """Check one trailer, and drop it."""
        field = _FIELD.fullmatch(line)
        if field is None or not is_sound(field[1]):
            raise MalformedChunks("a trailer is no header")
