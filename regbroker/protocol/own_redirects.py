"""
Redirects within the upstream's own host: to itself, and to where they are followed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote

from regbroker.errors import RedirectRefused
from regbroker.protocol.locations import (
    inner_target,
    is_plainly_outside,
    parsed_target,
    plain_path,
    resolved,
    split_url,
)
from regbroker.protocol.names import Endpoint, ToPublic
from regbroker.protocol.own_address import OwnAddress, server_of, without_dot
from regbroker.protocol.queries import parameters, split_target


def check_leads_on(location: str, own: OwnAddress, here: str) -> None:
    """
    Raise `RedirectRefused` for a redirect that leads to what was asked for.

    `here` is the target, without the base path, that the upstream was asked for.
    A client that followed would come back with the same request for ever. A registry
    that is asked over http and wants https does that, whatever port it names.
    """
    if not location:
        return
    location = resolved(location.partition("#")[0], own, here)
    scheme, host, target = split_url(location)
    there = own.origin
    if host is not None:
        named = server_of(scheme or own.origin.scheme, host)
        if named is None:
            # It leads nowhere.
            return
        there = without_dot(named)
    is_upgrade = (own.origin.scheme, there.scheme) == ("http", "https")
    is_own_host = there.host == without_dot(own.origin).host
    if not (own.owns(there) or (is_upgrade and is_own_host)):
        return
    if _meaning(inner_target(target, own)) != _meaning(here):
        return
    if is_upgrade:
        # By the public host it says nothing of its own port.
        where = there if is_own_host else None
        right = where or f"https://{own.origin.bare_netloc}"
        raise RedirectRefused(
            f"{own.origin} redirects to itself with https; write 'url = "
            f"{right}{own.base_path}'",
            "the upstream redirects to itself with https, and is asked with http here",
        )
    raise RedirectRefused(
        f"{own.origin} redirects a request to itself; look at what stands before it: "
        "whether it goes by X-Forwarded-Proto, and whether 'url =' is right",
        "the upstream redirects this request to itself, without end",
    )


def _meaning(target: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what is the same for targets that only differ in writing."""
    path, query = split_target(target)
    return unquote(path), sorted(parameters(query))


def is_followed(
    target: str,
    own: OwnAddress,
    to_public: ToPublic,
    endpoint: Endpoint,
    prefixes: Collection[str],
) -> bool:
    """
    Tell whether a target of the upstream's own host may be asked for from here.

    That is the same kind of endpoint, of a name that is served here, or a plain path
    that begins with one of `prefixes`, which the operator has named.
    """
    in_api = parsed_target(target, own)
    if in_api is not None:
        parsed, query = in_api
        if parsed.endpoint is not endpoint or endpoint is Endpoint.EXTENSION:
            return False
        names = [value for name, value in parameters(query) if name == "last"]
        if endpoint is not Endpoint.CATALOG:
            names = [] if parsed.name is None else [parsed.name]
        return None not in [to_public(name) for name in names]
    path = plain_path(target)
    return (
        path is not None
        and path.startswith(tuple(prefixes))
        and is_plainly_outside(target, own)
    )


def is_prefix(text: str) -> bool:
    """Tell whether a text may be one of the prefixes of `is_followed`."""
    return (
        re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+/", text) is not None
        and plain_path(text) == text
        and "v2" not in text.lower().split("/")
    )
