"""Which host a client asks for where a registry has none of its own, or several."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import NamedTuple

from cryptography import x509

from regbroker.naming.public_hosts import host_to_try
from regbroker.settings.config import Config, RegistryConfig
from regbroker.transport.certificates.pem_files import load_chain
from regbroker.transport.certificates.rules import hosts_of, is_for
from regbroker.transport.certificates.served import read_pem


class Asked(NamedTuple):
    """The host that is asked, and the ``ns`` that is asked of it; empty without."""

    host: str
    source: str = ""


def asked_host(config: Config, registry: RegistryConfig, meant: str = "") -> Asked:
    """
    Return how to ask a registry: by the host that is `meant`, if it is not empty.

    Clients take a certificate for the hosts that it names, and for no others. So a
    registry for every host is asked by the first of them. And so is one that ``ns``
    leads to, where no certificate is for its own host: it is a mirror's, which clients
    ask by another one.
    """
    host = meant or host_to_try(registry.host, registry.hosts)
    shown = [_certificate(entry.certificate) for entry in config.certificates]
    certificates = [each for each in shown if each is not None]
    if not certificates:
        return Asked(host)
    other = host_to_try("*", hosts_of(certificates[0]))
    if registry.host == "*" and not (registry.hosts or meant):
        return Asked(other)
    source = next((s for s, to in config.mirrors.items() if to == registry.host), "")
    if source and not any(is_for(each, host) for each in certificates):
        return Asked(other, source)
    return Asked(host)


def _certificate(path: PurePath) -> x509.Certificate | None:
    try:
        return load_chain(read_pem(Path(path)))[0]
    except (OSError, ValueError):
        # The steps say what clients see; `regbroker check` says what the file is.
        return None
