"""``regbroker explain``: where a name leads, and by which rule."""

from __future__ import annotations

import sys

from regbroker.errors import HTTPError
from regbroker.naming.public_hosts import is_served
from regbroker.settings.config import Config


def explain(config: Config, image: str) -> int:
    """
    Print where ``HOST/NAME[:TAG]`` leads; returns the exit status.

    That is 1 when the host or the name is not served.
    """
    host, _, reference = image.partition("/")
    # What people paste has a tag or a digest behind the name.
    name = reference.partition("@")[0].partition(":")[0]
    host = host.lower()
    bare_host = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    registries = {entry.host: entry for entry in config.registries}
    # What a mirror is asked for counts before the host that is asked.
    mirror = config.mirrors.get(host)
    registry = registries.get(mirror or bare_host) or registries.get("*")
    if registry is None:
        print(f"{bare_host}: no [registry {bare_host}] section", file=sys.stderr)
        return 1
    if mirror is None and not is_served(bare_host, registry.hosts):
        print(f"{bare_host}: not among the hosts of [registry *]", file=sys.stderr)
        return 1
    if mirror is not None:
        print(f"[regbroker] ns: {host} is served by [registry {mirror}]")
    try:
        routes = registry.mapping.routes(name)
    except HTTPError as error:
        print(f"{image}: {error.status} {error.code}: {error.message}", file=sys.stderr)
        return 1
    print(f"[registry {registry.host}] {routes[0].public_name}")
    for route in routes:
        url = config.upstreams[route.upstream].url
        print(f"  -> [upstream {route.upstream}] {url} {route.upstream_name}")
        print(f"     {route.reason}")
    return 0
