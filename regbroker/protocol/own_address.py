"""
The addresses at which an upstream may speak of itself.

Facts that shape this module:

- A host in whatever case is the same, and so is a port that is left out, empty, or the
  scheme's own (RFC 3986, 6.2.2.1 and 6.2.3).
- A dot at the end of a host says only that the name is whole (RFC 3986, 3.2.2).
- User info in a reference from elsewhere is an error: it hides what the host is
  (RFC 9110, 4.2.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from regbroker.errors import RedirectRefused
from regbroker.protocol.addresses import is_public_host
from regbroker.protocol.origins import Origin, parse_origin

#: What an operator may say about the upstream's own address.
SHOW_ADDRESS = ("if-public", "yes", "no")

_EMPTY_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):")


def server_of(scheme: str, authority: str) -> Origin | None:
    """
    Return the server that a Location names.

    None for what is no server of HTTP, and for one with user info before it.
    """
    empty = _EMPTY_PORT.fullmatch(authority)
    return parse_origin(scheme, empty[1] if empty else authority)


def checked_server_of(scheme: str, authority: str) -> Origin:
    """Return the same; raises `RedirectRefused` in the place of None."""
    origin = server_of(scheme, authority)
    if origin is not None:
        return origin
    why = "its Location is no http or https URL"
    if "@" in authority:
        # What is in it may be secret.
        why = "its Location is a URL of http with user info, which hides the host"
    raise RedirectRefused(why, "the upstream redirects to what is no place of HTTP")


def without_dot(origin: Origin) -> Origin:
    """Return a server without the dot at the end of its host."""
    if not origin.host.endswith("."):
        return origin
    return origin._replace(host=origin.host.removesuffix("."))


@dataclass(frozen=True)
class OwnAddress:
    """
    The addresses at which an upstream may speak of itself.

    Behind its own balancer, or because of our ``X-Forwarded-Host``, a registry
    may name itself by another scheme or by the public host. `base_path` stands
    before ``/v2`` in the upstream's URLs, and is missing in what it says of itself
    where its own proxy takes it away. Where a client has named a `source`,
    what becomes ours names it, too: not every client adds it again.
    `show_address`, one of `SHOW_ADDRESS`, says whether clients may be told where
    the upstream is.
    """

    origin: Origin
    public_host: str
    base_path: str = ""
    source: str = ""
    show_address: str = "if-public"

    def owns(self, there: Origin) -> bool:
        """Tell whether a server is this registry, by whatever scheme it is named."""
        there, own = without_dot(there), without_dot(self.origin)
        # Each port is left out by its own scheme, or the same is written out.
        return (
            there.netloc == own.netloc
            or (there.host, there.port) == (own.host, own.port)
            or self.is_public(there)
        )

    def is_public(self, there: Origin) -> bool:
        """Tell whether a server is the host that clients name."""
        public = parse_origin(there.scheme, self.public_host)
        return public is not None and without_dot(there) == without_dot(public)

    @property
    def is_shown(self) -> bool:
        """Whether clients may be told where the upstream is."""
        if self.show_address == "if-public":
            return is_public_host(self.origin.host)
        return self.show_address == "yes"
