"""Which host a client asks for where a registry serves more than one."""

from __future__ import annotations

from pathlib import Path

from regbroker.naming.public_hosts import host_to_try
from regbroker.settings.config import Config, RegistryConfig
from regbroker.transport.certificates.pem_files import load_chain
from regbroker.transport.certificates.rules import hosts_of
from regbroker.transport.certificates.served import read_pem


def host_to_ask(config: Config, registry: RegistryConfig, meant: str = "") -> str:
    """
    Return the host by which to ask a registry: `meant`, if it is not empty.

    A registry for every host is asked by the first host that its certificate is for,
    since clients take it for no other.
    """
    if meant:
        return meant
    hosts = registry.hosts
    if registry.host == "*" and not hosts and config.certificates:
        hosts = _hosts(Path(config.certificates[0].certificate))
    return host_to_try(registry.host, hosts)


def _hosts(path: Path) -> tuple[str, ...]:
    try:
        return hosts_of(load_chain(read_pem(path))[0])
    except (OSError, ValueError):
        # The steps say what clients see; `regbroker check` says what the file is.
        return ()
