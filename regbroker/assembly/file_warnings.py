"""
Warnings about the files that a configuration names: certificates, passwords, and the
list of revoked tokens.

The files are opened as serving would open them. What keeps them from being served at
all is a problem instead (`regbroker.assembly.problems`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from regbroker.assembly.credential_problems import credential_warnings
from regbroker.runtime.watched_file import parse_file
from regbroker.settings.config import Config, HtpasswdConfig, RegistryConfig
from regbroker.transport.certificates.pem_files import load_chain
from regbroker.transport.certificates.rules import (
    certificate_warnings,
    hosts_of,
    is_for,
    validity_warnings,
)
from regbroker.transport.certificates.served import read_pem


def file_warnings(config: Config) -> Iterator[str]:
    """Yield a line for each thing, with section and option."""
    now = datetime.now(timezone.utc)
    yield from _certificates(config, now)
    yield from _ca_files(config, now)
    yield from _client_certificates(config, now)
    yield from credential_warnings(config)
    yield from _htpasswd_files(config)
    yield from _revoked_tokens(config)


def _certificates(config: Config, now: datetime) -> Iterator[str]:
    chains: dict[str, list[x509.Certificate]] = {}
    for entry in config.certificates:
        title = f"[tls {entry.host}]" if entry.host else "[tls]"
        chain = _chain(Path(entry.certificate))
        if not chain:
            continue
        chains[entry.host] = chain
        for text in certificate_warnings(chain, now):
            yield f"{title} certificate: {entry.certificate}: {text}"
        if entry.host and not is_for(chain[0], entry.host):
            yield (
                f"{title} certificate: {entry.certificate}: it is not for "
                f"{entry.host}, but for {_names(chain[0])}; clients refuse it"
            )
    if not chains or not any(listener.tls for listener in config.listen):
        return
    for registry in config.registries:
        if registry.host in config.mirrors.values():
            # Mirrors are asked by a host of their own, which no section needs to have.
            continue
        for host in _hosts(registry):
            shown = _shown(chains, host)
            # Of a certificate in a section for the host itself it has been said.
            if shown and not is_for(chains[shown[0]][0], host) and shown[0] != host:
                title = f"[tls {shown[0]}]" if shown[0] else "[tls]"
                yield (
                    f"[registry {registry.host}]: no certificate is for {host}; "
                    f"clients see that of {title}, for {_names(chains[shown[0]][0])}, "
                    f"and refuse it; write [tls {host}]"
                )


def _hosts(registry: RegistryConfig) -> list[str]:
    """Return the hosts by which clients reach a registry, if it says so itself."""
    if registry.public_url is not None:
        # What stands in front has the certificate.
        return []
    return [registry.host] if registry.host != "*" else list(registry.hosts)


def _shown(chains: dict[str, list[x509.Certificate]], host: str) -> list[str]:
    """Return the key of the certificate that a client for `host` sees, in a list."""
    wanted = (host, "*." + host.partition(".")[2], "")
    # Without a [tls] section, the first one serves.
    return [name for name in (*wanted, *chains) if name in chains][:1]


def _names(certificate: x509.Certificate) -> str:
    names = hosts_of(certificate)
    return ", ".join(names[:5]) + (", ..." if names[5:] else "") or "no host"


def _chain(path: Path) -> list[x509.Certificate]:
    try:
        return load_chain(read_pem(path))
    except (OSError, ValueError):
        return []


def _ca_files(config: Config, now: datetime) -> Iterator[str]:
    for name, entry in config.upstreams.items():
        if entry.ca_file is None:
            continue
        chain = _chain(Path(entry.ca_file))
        said = [list(validity_warnings(each, now)) for each in chain]
        # Of several, one that is good may be all that is needed.
        if chain and all(said):
            yield f"[upstream {name}] ca-file: {entry.ca_file}: {said[0][0]}"


def _client_certificates(config: Config, now: datetime) -> Iterator[str]:
    for name, entry in config.upstreams.items():
        if entry.client_certificate is None:
            continue
        for certificate in _chain(Path(entry.client_certificate))[:1]:
            said = [*validity_warnings(certificate, now), *_usage(certificate)]
            for text in said:
                yield (
                    f"[upstream {name}] client-certificate: "
                    f"{entry.client_certificate}: {text}"
                )


def _usage(certificate: x509.Certificate) -> Iterator[str]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage.value:
        yield (
            "its extended key usage has no clientAuth, so servers refuse it; have one "
            "issued for clients"
        )


def _htpasswd_files(config: Config) -> Iterator[str]:
    for name, accounts in config.accounts.items():
        for source in accounts.sources:
            if isinstance(source, HtpasswdConfig):
                # What knows the hashes takes long to load.
                from regbroker.assembly.htpasswd_report import htpasswd_warnings

                for text in htpasswd_warnings(Path(source.path)):
                    yield f"[accounts {name}] htpasswd: {text}"


def _revoked_tokens(config: Config) -> Iterator[str]:
    path = config.revoked_tokens
    if path is None:
        return
    from regbroker.accounts.line_numbers import lines
    from regbroker.accounts.robot_tokens import MAX_REVOKED_BYTES, odd_lines

    try:
        odd = parse_file(Path(path), odd_lines, max_bytes=MAX_REVOKED_BYTES)
    except ValueError:
        # That the file cannot be read has been said already.
        return
    if odd:
        # Not what stands there: it may be a token.
        yield (
            f"[regbroker] revoked-tokens: {path}: {lines(odd)}: nothing is revoked "
            "there; write the id of a token at the beginning of a line, "
            "and a # before a comment"
        )
