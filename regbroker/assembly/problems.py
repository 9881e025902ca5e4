"""
What is wrong with a configuration beyond its file: what it names is opened, and tried.

Nothing is started, and nothing that is made stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from twisted.internet.endpoints import serverFromString

from regbroker.assembly.credential_problems import problems_with_credentials
from regbroker.assembly.readable import problem_with_file
from regbroker.assembly.state_problems import problems_with_state
from regbroker.errors import ConfigurationError
from regbroker.runtime.reopened_file import problem_with_log
from regbroker.settings.config import Config
from regbroker.settings.section import WrongOptions
from regbroker.transport.certificates.pem_files import load_chain
from regbroker.transport.certificates.served import load_certificates, read_pem
from regbroker.transport.client.trust import Trust
from regbroker.transport.listening.socket_owner import owner_of
from regbroker.upstream.dialling import problems_with_way


def problems_with_parts(
    config: Config, wrong: WrongOptions = frozenset()
) -> Iterator[str]:
    """
    Try what serving will need, as far as that can be done without starting.

    `wrong` are the options that have a problem already.
    """
    yield from _problems_with_endpoints(config)
    yield from problems_with_state(config, wrong)
    yield from _problems_with_audit_log(config)
    yield from _problems_with_ca_files(config)
    yield from _problems_with_ways(config)
    yield from problems_with_credentials(config)
    # What knows passwords and issuers takes long to load.
    if config.accounts or config.signing_key is not None:
        from regbroker.assembly.account_sources import problems_with_accounts

        yield from problems_with_accounts(config)
    if config.identities:
        from regbroker.assembly.identity_problems import problems_with_identities

        yield from problems_with_identities(config)
    if config.certificates:
        try:
            load_certificates(config.certificates, None)
        except ConfigurationError as error:
            yield from error.problems
    if config.client_ca is not None and not problem_with_file(config.client_ca):
        try:
            load_chain(read_pem(Path(config.client_ca)))
        except (OSError, ValueError) as error:
            yield f"[regbroker] client-ca: {config.client_ca}: {error}"


def _problems_with_endpoints(config: Config) -> Iterator[str]:
    listed = [("listen", listener) for listener in config.listen]
    listed += [("admin-listen", listener) for listener in config.admin_listen]
    for option, listener in listed:
        # What systemd has to hand over is known only where it has started us.
        if listener.endpoint.startswith("systemd:"):
            continue
        try:
            serverFromString(None, listener.endpoint)
        except (TypeError, ValueError, LookupError) as error:
            yield (
                f"[regbroker] {option}: '{listener.text}' is not understood ({error}); "
                "write for example tls:8443:interface=127.0.0.1"
            )
        try:
            owner_of(listener)
        except ValueError as error:
            yield f"[regbroker] {option}: '{listener.text}': {error}"


def _problems_with_audit_log(config: Config) -> Iterator[str]:
    """Try whether the audit log can be written."""
    if not isinstance(config.audit_log, PurePath):
        return
    problem = problem_with_log(Path(config.audit_log))
    if problem is not None:
        yield (
            f"[regbroker] audit-log: {config.audit_log} cannot be written: {problem}; "
            "name a file, and make its directory, writable for the user that "
            "regbroker runs as"
        )


def _problems_with_ways(config: Config) -> Iterator[str]:
    for name, entry in config.upstreams.items():
        files = entry.client_certificate, entry.client_key, entry.proxy_credentials_file
        if any(path is not None and problem_with_file(path) for path in files):
            # That one of them cannot be read has been said already.
            continue
        for problem in problems_with_way(entry):
            yield f"[upstream {name}] {problem}"


def _problems_with_ca_files(config: Config) -> Iterator[str]:
    for entry in config.upstreams.values():
        try:
            Trust(Path(entry.ca_file) if entry.ca_file else None)
        except OSError:
            # That the file cannot be read has been said already.
            pass
        except ValueError as error:
            yield (
                f"[upstream {entry.name}] ca-file: {entry.ca_file} holds no "
                f"certificate in PEM form: {error}"
            )
