"""
``Location`` and ``Link``: upstream URLs turned into ours.

Only the repository name in the path (and ``last`` in a catalog's query)
changes; the rest of an upload's Location is the registry's own signed state.
What becomes ours is relative, so that clients keep host, scheme and
credentials, whatever stands in front of regbroker.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from regbroker.errors import ClientError, RedirectRefused, UpstreamMalformed
from regbroker.protocol.mirrors import with_ns
from regbroker.protocol.names import Endpoint, Target, ToPublic, parse_path
from regbroker.protocol.own_address import OwnAddress, checked_server_of, server_of
from regbroker.protocol.queries import (
    join_target,
    replaced,
    resolved_target,
    split_target,
    values,
)

#: Carries a target outside the API in one of ours; see `regbroker.web.carried_uploads`.
Carry = Callable[[str], str]

_URL = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//(?P<host>[^/?#]*)")

#: Not across another "<": a header full of them would be read again for each.
LINK = re.compile(r"<([^<>]*)>")

#: As old Quays write them.
_BARE_LINK = re.compile(r"^\s*([^<>;,\s]+)(?=\s*;)")

#: The parameters of one link, up to the next one, without space around them. A target
#: without ``< >`` is none, and no parameter leads anywhere: both would show where the
#: upstream is.
_PARAMETERS = re.compile(
    r"(?:;(?!\s*anchor\b)(?:[^,;:\"<>]|\"[^\":]*\")*)*,?", re.IGNORECASE
)

#: What in a path may be read a second time, or as something else.
_AMBIGUOUS = re.compile(r"[%\\\x00-\x20\x7f]")


def upload_location(
    location: str,
    own: OwnAddress,
    to_public: ToPublic,
    here: str = "",
    carry: Carry | None = None,
) -> str:
    """
    Return the Location of a 201, 202 or 204 as ours, relative.

    One that is relative to the path is relative to `here`, the target that was
    asked for. One of the upstream's own host outside the API is given to `carry`.
    Raises `UpstreamMalformed` when it cannot be ours: passing it on would send the
    client, with its credentials, past regbroker.
    """
    scheme, host, target = split_url(resolved(location, own, here))
    mapped = _public_target(target, own, to_public)
    if mapped is not None:
        return mapped
    if (
        carry is not None
        and target.startswith("/")
        and (host is None or _is_own(scheme, host, own))
        and is_plainly_outside(target, own)
    ):
        inner = inner_target(target.partition("#")[0], own)
        return with_ns(carry(inner), own.source)
    raise UpstreamMalformed(
        "the upstream answered with a Location that is no path of its "
        "distribution API, which regbroker cannot carry"
    )


def redirect_location(
    location: str,
    own: OwnAddress,
    to_public: ToPublic,
    here: str = "",
    may_follow: bool = True,
) -> str:
    """
    Return the Location of a 3xx: mapped on the registry's own host, else as is.

    A path without a host outside the distribution API (GAR's downloads) becomes
    absolute, so that the client asks the registry itself; raises `RedirectRefused`
    where clients are not to be told where that is. Behind the public host
    it stays what it is: whoever wrote that does not say where the registry is.
    `may_follow` tells whether ``redirects = follow`` would help with this request.
    Raises `RedirectRefused`, too, for what is no server of HTTP.
    """
    scheme, host, target = split_url(resolved(location, own, here))
    there = None
    if host is not None:
        there = checked_server_of(scheme or own.origin.scheme, host)
        if not own.owns(there):
            return location
    mapped = _public_target(target, own, to_public)
    if mapped is not None:
        return mapped
    if is_api(target, own):
        raise UpstreamMalformed(
            "the upstream redirects to a repository that is not served here"
        )
    if host is None and not target.startswith("/"):
        raise UpstreamMalformed("the upstream redirects to what is no URL and no path")
    if there is not None and own.is_public(there):
        return location
    if not own.is_shown:
        begins = target.split("/")[1].partition("?")[0]
        otherwise = (
            f"else 'redirects = follow' with 'redirect-paths = /{begins}/'"
            if may_follow
            else "pushes and deletes are not followed"
        )
        raise RedirectRefused(
            "it leads to a path of the upstream's own host outside /v2, and clients "
            f"are not told where that is ({own.origin}); if they can reach it, write "
            f"'show-address = yes'; {otherwise}",
            "the upstream redirects to a path of its own host that clients of this "
            "registry are not led to",
        )
    return f"{own.origin}{target}" if host is None else location


def link(
    value: str, own: OwnAddress, to_public: ToPublic, here: str = ""
) -> str | None:
    """
    Return a ``Link`` header's value as ours, or None when it cannot be.

    It may hold several links; none is passed on unless all can be. `here` is the
    target that was asked for, without the base path: links may be relative to it.
    """
    start, *links = LINK.split(_BARE_LINK.sub(r"<\1>", value))
    written = ""
    for url, parameters in zip(links[::2], links[1::2], strict=True):
        url = resolved(url, own, here)
        target = _public_target(split_url(url).target, own, to_public)
        if target is None or not _PARAMETERS.fullmatch(parameters.strip()):
            return None
        written += f"<{target}>{parameters}"
    return written if written and not start.strip() else None


class SplitUrl(NamedTuple):
    """The parts of a URL, not looked at: `scheme` empty, `host` None without one."""

    scheme: str
    host: str | None
    target: str


def split_url(url: str) -> SplitUrl:
    """Return a URL's scheme, its ``host[:port]``, and what follows."""
    match = _URL.match(url)
    if match is None:
        return SplitUrl("", None, url)
    rest = url[match.end() :]
    target = rest if rest.startswith("/") else f"/{rest}"
    return SplitUrl(match["scheme"] or "", match["host"], target)


def _is_own(scheme: str, host: str, own: OwnAddress) -> bool:
    there = server_of(scheme or own.origin.scheme, host)
    return there is not None and own.owns(there)


def resolved(reference: str, own: OwnAddress, here: str) -> str:
    """
    Return a Location that is relative to a path as one that is not.

    `here` is the target that was asked for, without the base path; without it, or
    with what is no relative path, the Location stays as it is.
    """
    if not here or reference.startswith("/") or re.match("[^/?]*:", reference):
        return reference
    return resolved_target(own.base_path + here, reference)


def is_api(target: str, own: OwnAddress) -> bool:
    """Tell whether a target is below ``/v2/``, with the base path or without."""
    return any(each.startswith("/v2/") for each in _inner_targets(target, own))


def inner_target(target: str, own: OwnAddress) -> str:
    """
    Return a target of the upstream's own host without the base path.

    With the base path or without, it means the same.
    """
    inner = list(_inner_targets(target, own))
    return next((each for each in inner if each.startswith("/v2/")), inner[0])


def is_plainly_outside(target: str, own: OwnAddress) -> bool:
    """
    Tell whether a target is a plain path, and none of the API in any writing.

    Servers take ``/V2/``, ``/v2;a/``, ``/%2576%32/`` or ``/x/../v2/`` for ``/v2/``,
    each in its way.
    """
    path = plain_path(target)
    return path is not None and not any(
        re.match(r"/v2(?:[/;]|\Z)", each, re.IGNORECASE)
        for each in _inner_targets(path, own)
    )


def plain_path(target: str) -> str | None:
    """
    Return a target's path decoded, None for one that servers may read differently.

    That is one with dot segments, empty segments, backslashes, or an encoded slash
    or percent sign.
    """
    path, _ = split_target(target.partition("#")[0])
    decoded = unquote(path, "latin-1")
    if decoded.count("/") != path.count("/") or _AMBIGUOUS.search(decoded):
        return None
    start, *segments = decoded.split("/")
    if start or not segments or "" in segments[:-1]:
        return None
    names = [segment.partition(";")[0] for segment in segments]
    return None if {".", ".."} & set(names) else decoded


def parsed_target(target: str, own: OwnAddress) -> tuple[Target, str] | None:
    """Return what a target is in the API, and its query; None for what is not."""
    for inner in _inner_targets(target, own):
        path, query = split_target(inner)
        try:
            return parse_path(path, extensions=True), query
        except ClientError:
            continue
    return None


def _inner_targets(target: str, own: OwnAddress) -> Iterator[str]:
    base = own.base_path
    if base and target.startswith(f"{base}/"):
        yield target[len(base) :]
    yield target


def _public_target(target: str, own: OwnAddress, to_public: ToPublic) -> str | None:
    in_api = parsed_target(target, own)
    if in_api is None:
        return None
    parsed, query = in_api
    path = parsed.path
    if parsed.endpoint is Endpoint.CATALOG:
        if None in [to_public(last) for last in values(query, "last")]:
            return None
        query = replaced(query, "last", lambda last: to_public(last) or last)
    elif parsed.name is not None:
        public = to_public(parsed.name)
        if public is None:
            return None
        path = parsed.path_for(public)
    return with_ns(join_target(path, query), own.source)
