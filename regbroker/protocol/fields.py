"""
What HTTP says of header fields as such: which occur only once, what a value may hold.

RFC 9110, 5.3 and 5.5. A request with two values where one is meant is read in one
way here and in another behind us, so it goes no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from regbroker.protocol.by_name import ByName
from regbroker.protocol.headers import Header

#: What a name may have at most in a sentence about it.
_MAX_NAME = 60

#: RFC 9110, 5.5: every control character but HTAB. Bytes above 0x7f are opaque.
_CONTROLS = bytes([*range(9), *range(10, 32), 127])
_CONTROLS_MARKED = bytes.maketrans(_CONTROLS, b"?" * len(_CONTROLS))

#: What no name has (RFC 9110, 5.6.2).
_NO_TOKEN = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")

#: The fields of a request that may occur only once, in lower case, with the reason.
#: RFC 9110 calls most of them singleton fields; four rows are lists in its grammar
#: of which no client sends two members, and which servers read from one line alone.
SINGLETONS: Mapping[bytes, str] = {
    b"authorization": "RFC 9110, 11.6.2: one set of credentials",
    b"content-length": "RFC 9110, 8.6: two are two ends of one body",
    b"content-location": "RFC 9110, 8.7: one URL",
    b"content-range": "RFC 9110, 14.4: one place in an upload",
    b"content-type": "RFC 9110, 8.3: one media type",
    b"date": "RFC 9110, 6.6.1: one date",
    b"etag": "RFC 9110, 8.8.3: one validator",
    b"expect": "RFC 9110, 10.1.1: a list of which 100-continue is all there is",
    b"from": "RFC 9110, 10.1.2: one mailbox",
    b"host": "RFC 9112, 3.2: more than one is 400",
    b"if-match": "RFC 9110, 13.1.1: a list, written into one line",
    b"if-modified-since": "RFC 9110, 13.1.3: one date",
    b"if-none-match": "RFC 9110, 13.1.2: a list, written into one line",
    b"if-range": "RFC 9110, 13.1.5: one validator",
    b"if-unmodified-since": "RFC 9110, 13.1.4: one date",
    b"last-modified": "RFC 9110, 8.8.2: one date",
    b"max-forwards": "RFC 9110, 7.6.2: one number",
    b"proxy-authorization": "RFC 9110, 11.7.2: one set of credentials",
    b"range": "RFC 9110, 14.2: one set of ranges",
    b"referer": "RFC 9110, 10.1.3: one URL",
    b"transfer-encoding": "RFC 9112, 6.1: chunked is applied once, and is all we know",
    b"user-agent": "RFC 9110, 10.1.5: one client",
}


def _singleton(name: bytes) -> bytes | None:
    # Behind CGI and its kin, ``Content_Type`` is ``Content-Type``: it is here, too.
    same = name.lower().replace(b"_", b"-")
    return same if same in SINGLETONS else None


#: What a field that occurs once is called in `SINGLETONS`, by its name in whatever
#: case; None for others.
ONCE = ByName(_singleton)


def repeated_singleton(fields: Iterable[Header]) -> bytes | None:
    """Return the name of the first singleton that occurs again, or None."""
    seen = set()
    for name, _ in fields:
        once = ONCE[name]
        if once is not None:
            if once in seen:
                return name
            seen.add(once)
    return None


def is_sound(text: bytes) -> bool:
    """Tell whether a field's value, or all of them, has no control but HTAB."""
    # Many times as fast as a regular expression, and tokens are long. Python returns
    # the text itself where nothing of it changes.
    return text.translate(_CONTROLS_MARKED) == text


def unsound_field(fields: Iterable[Header]) -> bytes | None:
    """Return the name of the first field whose value is not sound, or None."""
    return next((name for name, value in fields if not is_sound(value)), None)


def problem_with_request(fields: Iterable[Header]) -> str | None:
    """Say what is wrong with the fields of a request, for people; None for nothing."""
    fields = tuple(fields)
    name = unsound_field(fields)
    if name is not None:
        return f"the header {shown(name)} has a control character in its value"
    name = repeated_singleton(fields)
    return None if name is None else problem_with_repeated(name)


def problem_with_repeated(name: bytes) -> str:
    """Say for people that a singleton occurs again."""
    return f"the header {shown(name)} may occur only once in a request"


def shown(name: bytes) -> str:
    """Return a field's name for a sentence about it: short, and nothing but a token."""
    return _NO_TOKEN.sub(b"?", name[:_MAX_NAME]).decode("ascii")
