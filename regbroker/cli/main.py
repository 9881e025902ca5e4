"""``regbroker``: what an operator asks without starting anything."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from regbroker import __version__
from regbroker.errors import ConfigurationError, HTTPError
from regbroker.naming.public_hosts import is_served
from regbroker.service import load_config
from regbroker.settings.config import Config
from regbroker.settings.warnings import warnings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="regbroker",
        description="Check a configuration, or explain what it does with a name.",
        epilog="To serve: twistd regbroker --config FILE",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say everything that is wrong")
    explain = commands.add_parser("explain", help="say where a name leads, and why")
    for command in (check, explain):
        command.add_argument("--config", "-c", required=True, metavar="FILE")
    explain.add_argument("image", metavar="HOST/NAME[:TAG]")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
    except ConfigurationError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 1
    if options.command == "check":
        for warning in warnings(config, shutil.which):
            print(f"warning: {warning}", file=sys.stderr)
        print(f"{options.config} can be served")
        return 0
    return _explain(config, options.image)


def _explain(config: Config, image: str) -> int:
    host, _, reference = image.partition("/")
    # What people paste has a tag or a digest behind the name.
    name = reference.partition("@")[0].partition(":")[0]
    host = host.lower()
    bare_host = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    found = {entry.host: entry for entry in config.registries}
    # What a mirror is asked for counts before the host that is asked.
    mirror = config.mirrors.get(host)
    registry = found.get(mirror or bare_host) or found.get("*")
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
