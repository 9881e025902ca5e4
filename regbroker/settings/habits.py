"""
What people write who know other files: quotation marks, variables, comments at the end.

Each hint is for a value that is wrong anyway, and says what to change. None repeats the
value, in which there may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from regbroker.protocol.origins import parse_origin

#: A line such as ``admin-listen = tcp:9000``, or the first one of a list.
_OPTION = re.compile(r"([A-Za-z][A-Za-z_-]*)\s*[=:]\s*(\S?)")

#: A comment as other files have it.
_COMMENT = re.compile(r"(?:^|\s)#|\s//")


def hint(text: str, options: Iterable[str] = ()) -> str:
    """
    Return ``; `` and what to change in a wrong value, or an empty text.

    `options` are the names that its section knows.
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        return "; take the quotation marks away"
    if re.search(r"(?:^|/)\$[A-Za-z_]|\$[{(]", text):
        return "; variables have no meaning here, write the value itself"
    if has_comment(text):
        return "; a comment stands on a line of its own"
    if text.endswith(";"):
        return "; take the ; at its end away"
    if re.fullmatch(r"\[\s*[\"'].*\]", text, re.DOTALL):
        return "; a list has no brackets and quotation marks, write one value a line"
    known = set(options)
    for number, line in enumerate(text.splitlines()):
        match = _OPTION.match(line.strip())
        # Such a line alone may be a value that is cut off: "upstream:".
        if match and match[1].lower() in known and (number or match[2]):
            return (
                f"; a line with blanks at its beginning belongs to the option above; "
                f"if {match[1]} is an option here, take them away"
            )
    return ""


def has_comment(text: str) -> bool:
    """Tell whether a value seems to end with a comment."""
    return _COMMENT.search(text) is not None


def host_hint(text: str) -> str:
    """Return the title of a section that may be meant by a host that is none, or ''."""
    whole = text
    text = text.strip("\"'`").lower()
    bare = re.sub(r"^[a-z]+://", "", text).partition("/")[0]
    if bare.startswith("*."):
        return f"[registry *] and 'hosts = {bare}' in it"
    origin = parse_origin("https", bare)
    if origin is None or origin.bare_netloc == whole:
        return ""
    return f"[registry {origin.bare_netloc}]"
