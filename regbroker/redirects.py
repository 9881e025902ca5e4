"""
``Location`` and ``Link``: upstream URLs turned into ours.

Only the repository name in the path (and ``last`` in a catalog's query)
changes; the rest of an upload's Location is the registry's own signed state.
What becomes ours is relative, so that clients keep host, scheme and
credentials, whatever stands in front of regbroker.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from regbroker.errors import ClientError, UpstreamMalformed
from regbroker.names import Endpoint, parse_path
from regbroker.origins import Origin
from regbroker.queries import join_target, replaced, split_target, values
from regbroker.sources import with_source

ToPublic = Callable[[str], str | None]

_URL = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//(?P<host>[^/?#]*)")

#: Not across another "<": a header full of them would be read again for each.
LINK = re.compile(r"<([^<>]*)>")


@dataclass(frozen=True)
class OwnAddress:
    """
    The addresses at which an upstream may speak of itself.

    Behind its own balancer, or because of our ``X-Forwarded-Host``, a registry
    may name itself by another scheme or by the public host. `base_path` stands
    before ``/v2`` in the upstream's URLs. Where a client has named a `source`,
    what becomes ours names it, too: not every client adds it again.
    """

    origin: Origin
    public_host: str
    base_path: str = ""
    source: str = ""

    def owns(self, host: str) -> bool:
        """Tell whether ``host[:port]`` of a URL is this registry."""
        return host.lower() in (
            self.origin.netloc,
            f"{self.origin.host}:{self.origin.port}",
            self.public_host.lower(),
        )


def upload_location(location: str, own: OwnAddress, to_public: ToPublic) -> str:
    """
    Return the Location of a 201, 202 or 204 as ours, relative.

    Raises `UpstreamMalformed` when it cannot be: passing it on would send the
    client, with its credentials, past regbroker.
    """
    target = _public_target(_strip_host(location)[1], own, to_public)
    if target is None:
        raise UpstreamMalformed(
            "the upstream answered with a Location that is no path of its "
            "distribution API, which regbroker cannot carry"
        )
    return target


def redirect_location(location: str, own: OwnAddress, to_public: ToPublic) -> str:
    """
    Return the Location of a 3xx: mapped on the registry's own host, else as is.

    A path without a host outside the distribution API (GAR's downloads) becomes
    absolute, so that the client asks the registry itself. Behind the public host
    it stays what it is: whoever wrote that does not say where the registry is.
    """
    host, target = _strip_host(location)
    if host is not None and not own.owns(host):
        return location
    mapped = _public_target(target, own, to_public)
    if mapped is not None:
        return mapped
    if _is_api(target, own):
        raise UpstreamMalformed(
            "the upstream redirects to a repository that is not served here"
        )
    if host is None and not target.startswith("/"):
        raise UpstreamMalformed("the upstream redirects to what is no URL and no path")
    if host is None:
        return f"{own.origin}{target}"
    return location


def is_served(target: str, own: OwnAddress, to_public: ToPublic) -> bool:
    """
    Tell whether a path of the registry's own host may be asked for from here.

    That is what the API has of names that are served here, without extensions, and
    all that is no part of the API. A path is taken as a server may take it that tidies
    it up first.
    """
    mapped = _mapped_target(target, own, to_public)
    if mapped is not None:
        path, _ = split_target(mapped)
        return parse_path(path, extensions=True).endpoint is not Endpoint.EXTENSION
    path, _ = split_target(target)
    tidy = "/" + posixpath.normpath(unquote(path)).lstrip("/")
    return not (_is_api(target, own) or _is_api(f"{tidy}/", own))


def link(value: str, own: OwnAddress, to_public: ToPublic) -> str | None:
    """
    Return a ``Link`` header's value as ours, or None when it cannot be.

    It may hold several links; none is passed on unless all can be.
    """
    start, *links = LINK.split(value)
    written = ""
    for url, parameters in zip(links[::2], links[1::2], strict=True):
        target = _public_target(_strip_host(url)[1], own, to_public)
        if target is None:
            return None
        written += f"<{target}>{parameters}"
    return written if written and not start.strip() else None


def _is_api(target: str, own: OwnAddress) -> bool:
    return target.startswith(f"{own.base_path}/v2/")


def _strip_host(url: str) -> tuple[str | None, str]:
    match = _URL.match(url)
    if match is None:
        return None, url
    return match["host"], url[match.end() :] or "/"


def _public_target(target: str, own: OwnAddress, to_public: ToPublic) -> str | None:
    mapped = _mapped_target(target, own, to_public)
    return None if mapped is None else with_source(mapped, own.source)


def _mapped_target(target: str, own: OwnAddress, to_public: ToPublic) -> str | None:
    if not target.startswith(own.base_path):
        return None
    path, query = split_target(target[len(own.base_path) :])
    try:
        parsed = parse_path(path, extensions=True)
    except ClientError:
        return None
    if parsed.endpoint is Endpoint.CATALOG:
        lasts = [to_public(last) for last in values(query, "last")]
        if None in lasts:
            return None
        return join_target(path, replaced(query, "last", lambda v: to_public(v) or v))
    if parsed.name is None:
        return target[len(own.base_path) :]
    public = to_public(parsed.name)
    return None if public is None else join_target(parsed.path_for(public), query)
