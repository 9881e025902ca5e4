"""
Redirects that are followed here: from which place to which.

A redirect is untrusted input. What the upstream alone may see stays behind when its
origin is left (`regbroker.protocol.header_table`).
"""

from __future__ import annotations

import re
from urllib.parse import quote

from regbroker.errors import ClientError, RedirectRefused
from regbroker.protocol.names import parse_path
from regbroker.protocol.origins import Origin
from regbroker.protocol.own_address import OwnAddress, checked_server_of, without_dot
from regbroker.protocol.queries import resolved_target
from regbroker.protocol.urls import Url

#: Statuses that say where else to ask. 300 leaves the choice to people.
REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: Object storage takes one; more than a few go round in a circle.
MAX_HOPS = 5

#: RFC 3986, 3, without the fragment: every text is one, whatever it means.
_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/?]*))?(?P<rest>.*)",
    re.DOTALL,
)

#: No URL has these, and what reads URLs does not agree on what they mean there.
_IN_NO_URL = re.compile(r"[\x00-\x20\x7f]")

#: What in a target stays as it is: every printable character of ASCII.
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def next_url(here: Url, location: str, own: OwnAddress) -> Url:
    """
    Return where a Location leads from `here`.

    A registry that calls itself by its public host means itself. The query keeps
    every byte: it is signed. Raises `RedirectRefused` for what is no URL of HTTP,
    and for one that would give up https.
    """
    if _IN_NO_URL.search(location):
        raise RedirectRefused("its Location has characters that no URL has")
    match = _URL.fullmatch(location.partition("#")[0])
    assert match is not None
    scheme, authority, rest = match["scheme"], match["authority"], match["rest"]
    if authority is None:
        if scheme is not None:
            raise RedirectRefused("its Location is no http or https URL")
        origin, target = here.origin, resolved_target(here.target, rest)
    else:
        origin = _origin(scheme or here.origin.scheme, authority, own)
        target = rest if rest.startswith("/") else "/" + rest
    if here.origin.scheme == "https" and origin.scheme != "https":
        raise RedirectRefused(f"it leads from https to {origin}")
    if not target.startswith("/"):
        raise RedirectRefused("its Location leads to no path")
    return Url(origin, quote(target, safe=_PRINTABLE, encoding="latin-1"))


def _origin(scheme: str, authority: str, own: OwnAddress) -> Origin:
    there = checked_server_of(scheme, authority)
    is_own = own.is_public(there) or without_dot(there) == without_dot(own.origin)
    return own.origin if is_own else there


def check_wants_no_login(url: Url, status: int, challenge: bytes | None) -> None:
    """
    Raise `RedirectRefused` where another server is a registry that wants a login.

    `cr.l5d.io` and `lscr.io` redirect to one with tokens of its own. What is a
    storage has its access in the URL.
    """
    path = url.path
    if not path.startswith("/v2/") or not (
        status == 401 or (status == 403 and challenge)
    ):
        return
    try:
        name = parse_path(path).name
    except ClientError:
        name = None
    raise RedirectRefused(
        f"it leads to another registry, {url.origin}, which wants a login of its "
        "own"
        + (f" for {name}" if name else "")
        + f"; write an [upstream] with 'url = {url.origin}', and a namespace rule "
        "that leads there instead",
        "the upstream redirects to another registry, which wants a login of its own; "
        "it has to be configured as an [upstream] instead",
    )
