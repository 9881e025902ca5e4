"""
What people write who know other files: quotation marks, variables, comments at the end.

Each hint is for a value that is wrong anyway, and says what to change. None repeats the
value, in which there may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from regbroker.protocol.origins import parse_origin

#: A line such as ``admin-listen = tcp:9000``, or the first one of a list; no URL.
_OPTION = re.compile(r"([A-Za-z][A-Za-z_-]*)\s*[=:](?!//)\s*(\S?)")

#: Quotation marks, those of word processors too.
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"

#: Variables, as shells have them.
_VARIABLE = re.compile(r"(?:^|/)\$[A-Za-z_]|\$[{(]")

#: An IPv6 address in a URL, or alone, without brackets.
_BARE_IPV6 = re.compile(r"(?:[a-z]+://)?[0-9A-Fa-f]*(?::[0-9A-Fa-f]*){2,}(?:/.*)?")

#: A comment as other files have it.
_COMMENT = re.compile(r"(?:^|\s)#|\s//")


def hint(text: str, options: Iterable[str] = ()) -> str:
    """
    Return ``; `` and what to change in a wrong value, or an empty text.

    `options` are the names that its section knows.
    """
    text = text.strip()
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        return "; take the quotation marks away"
    if _VARIABLE.search(text):
        return "; variables have no meaning here, write the value itself"
    if _BARE_IPV6.fullmatch(text):
        return "; an IPv6 address stands in brackets, as in https://[::1]:5000"
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


def path_hint(path: str) -> str:
    """Return what is odd in a path that is right, and what to change, or ''."""
    if has_comment(path):
        return "with what stands behind the #; a comment stands on a line of its own"
    if any(part[:1] in tuple(_QUOTES) for part in path.split("/")):
        return "with its quotation marks; take them away"
    if _VARIABLE.search(path):
        return "and variables have no meaning here; write the value itself"
    return ""


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
