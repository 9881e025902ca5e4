"""
Where an upstream's token service may be.

A realm is untrusted input: whoever can make regbroker believe one is sent
users' passwords. So only the upstream's own answer names it, and only a host
that belongs to the upstream, or that the configuration allows, is believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from publicsuffixlist import PublicSuffixList

from regbroker.protocol.origins import Origin
from regbroker.protocol.urls import Url, parse_url


class RealmRefused(ValueError):
    """The realm is no URL of a token service, or not one that is allowed."""


def parse_realm(url: str) -> Url:
    """Parse a realm; raises `RealmRefused`."""
    realm = parse_url(url)
    if realm is None:
        raise RealmRefused("the realm is no http or https URL")
    return realm


def allowed_realm(url: str, upstream: Origin, token_hosts: Iterable[str]) -> Url:
    """
    Return the realm that `upstream` has named; raises `RealmRefused`.

    Allowed are the upstream's own host on any port, hosts in the same
    registrable domain, and `token_hosts`. Plain http is allowed on the own
    host of an upstream that is plain http itself.
    """
    realm = parse_realm(url)
    host = realm.origin.host
    if realm.origin.scheme == "http" and (
        upstream.scheme != "http" or host != upstream.host
    ):
        raise RealmRefused(f"the realm at {realm.origin} is not https")
    if host == upstream.host or host in token_hosts:
        return realm
    domain = registrable_domain(upstream.host)
    if domain is None or registrable_domain(host) != domain:
        raise RealmRefused(
            f"the realm's host {host} is outside the domain of {upstream.host}; "
            f"if it is right, write 'token-hosts = {host}'"
        )
    return realm


@lru_cache(maxsize=1)
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def registrable_domain(host: str) -> str | None:
    """Return the domain that somebody has registered; None for addresses."""
    try:
        ip_address(host)
    except ValueError:
        domain: str | None = _public_suffixes().privatesuffix(host)
        return domain
    return None
