"""
Assembly: a `Config` becomes a service that can be started and stopped.

This is the embedding API::

    from twisted.internet import reactor
    from regbroker.service import build_service, load_config

    service = build_service(load_config("regbroker.ini"), reactor)
    service.setServiceParent(application)

`twistd regbroker` does the same and nothing else.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.endpoints import serverFromString
from twisted.internet.ssl import CertificateOptions
from twisted.web.resource import IResource

from regbroker.accounts.key_file import has_key
from regbroker.accounts.principals import AccountSource
from regbroker.assembly.local_accounts import LocalParts, problems_with_accounts
from regbroker.assembly.registries import build_registry
from regbroker.assembly.seal import build_seal
from regbroker.assembly.upstreams import (
    UpstreamService,
    build_upstream,
    problems_with_credentials,
)
from regbroker.errors import ConfigurationError
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config
from regbroker.transport.entrance import Entrance, build_entrance
from regbroker.transport.listening import ListeningService
from regbroker.transport.server import StreamingSite
from regbroker.transport.tls import (
    Trust,
    has_self_signed,
    load_certificates,
    self_signed,
)
from regbroker.web.health import Health
from regbroker.web.serving import UnderWay
from regbroker.web.site import VirtualHosts


def load_config(path: str | Path) -> Config:
    """
    Read and check a configuration file.

    Raises `ConfigurationError` with every problem that can be found without
    starting anything: certificates are read, too. What has no effect is no problem:
    `regbroker.settings.warnings` says it of the result.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: not UTF-8 text; save it as UTF-8"]) from (
            error
        )
    directory = PurePath(path.absolute().parent)
    return parse_config(text, directory, _problem_with_file, _problems_with_parts)


def _problems_with_parts(config: Config) -> Iterator[str]:
    """Try what serving will need, as far as that can be done without starting."""
    yield from _problems_with_endpoints(config)
    yield from _problems_with_state(config)
    yield from _problems_with_ca_files(config)
    yield from problems_with_credentials(config)
    yield from problems_with_accounts(config)
    if config.certificates:
        try:
            load_certificates(config.certificates, None)
        except ConfigurationError as error:
            yield from error.problems


def _problems_with_endpoints(config: Config) -> Iterator[str]:
    for listener in config.listen:
        # What systemd has to hand over is known only where it has started us.
        if listener.endpoint.startswith("systemd:"):
            continue
        try:
            serverFromString(None, listener.endpoint)
        except (TypeError, ValueError, LookupError) as error:
            yield (
                f"[regbroker] listen: '{listener.text}' is not understood ({error}); "
                "write for example tls:8443:interface=127.0.0.1"
            )


def _problems_with_state(config: Config) -> Iterator[str]:
    """Try whether what is made at the start can be kept; nothing of that stays."""
    directory = Path(config.state_directory)
    if _makes_certificate(config) and not has_self_signed(directory, _hosts(config)):
        kept = "the self-signed certificate"
    elif config.in_use().accounts and not config.signing_key and not has_key(directory):
        kept = "the key that signs tokens"
    else:
        return
    try:
        # Where twistd would begin to make directories.
        there = directory
        while not os.path.lexists(there):
            there = there.parent
        os.rmdir(tempfile.mkdtemp(prefix=".regbroker-", dir=there))
    except OSError as error:
        yield (
            f"[regbroker] state-directory: {directory}: {error.strerror}; {kept} is "
            "kept there"
        )


def _problems_with_ca_files(config: Config) -> Iterator[str]:
    for entry in config.upstreams.values():
        try:
            Trust(Path(entry.ca_file) if entry.ca_file else None)
        except (OSError, ValueError):
            yield (
                f"[upstream {entry.name}] ca-file: {entry.ca_file} holds no "
                "certificate in PEM form"
            )


def _problem_with_file(path: PurePath) -> str | None:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            file.read(1)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def _open_at_once(path: str, flags: int) -> int:
    # To open a pipe is to wait for its writer, otherwise.
    return os.open(path, flags | os.O_NONBLOCK)


class RegbrokerService(MultiService):
    """
    Everything that one `Config` asks for.

    `root` is the `twisted.web` resource that serves it, for a site of one's
    own; it works while this service runs.
    """

    root: IResource

    #: The requests that are being answered; those through another site, too.
    under_way: UnderWay
    entrance: Entrance | None = None

    #: Whether regbroker is about to stop: balancers and probes are told to send new
    #: clients elsewhere.
    draining = False

    def stopService(self) -> Any:
        """End what is being answered, then everything else; fires when it is over."""
        # The services would take the upstreams away from under the requests, which
        # would seem to be the upstreams' doing.
        self.under_way.stop()
        if self.entrance is not None:
            self.entrance.stop()
        return super().stopService()


def build_service(
    config: Config,
    reactor: Any,
    account_sources: Mapping[str, Sequence[AccountSource]] | None = None,
) -> RegbrokerService:
    """
    Return the service that serves `config` on `reactor`.

    `account_sources` are asked after those that an ``[accounts NAME]`` section
    has, by its name: `regbroker.credchecker` makes one of any `twisted.cred`
    checker.

    Nothing is opened before it is started, but the self-signed certificate is
    made. Upstreams and accounts that no registry uses are left out. Raises
    `ConfigurationError` or `StateError`.
    """
    config = config.in_use()
    service = RegbrokerService()
    upstreams = {
        name: build_upstream(entry, config, reactor)
        for name, entry in config.upstreams.items()
    }
    for upstream in upstreams.values():
        upstream.setServiceParent(service)
    local = None
    if config.accounts:
        local = LocalParts(config, reactor, account_sources or {})
        local.setServiceParent(service)
    health = None
    if config.health_path:
        health = Health(config.health_path, lambda: service.draining)
    root = _build_root(config, upstreams, local, reactor, health)
    service.root, service.under_way = root, root.under_way
    site = StreamingSite(service.root, config.pace, reactor)
    service.entrance = entrance = build_entrance(
        reactor,
        config.trusted_proxies,
        config.pace.silence,
        config.max_connections,
        config.max_connections_per_address,
    )
    options = None
    if any(listener.tls for listener in config.listen):
        options = _server_options(config)
    for listener in config.listen:
        ListeningService(
            reactor, listener, site, options, config.trusted_proxies, entrance
        ).setServiceParent(service)
    return service


def _build_root(
    config: Config,
    upstreams: Mapping[str, UpstreamService],
    local: LocalParts | None,
    reactor: Any,
    health: Health | None,
) -> VirtualHosts:
    seal = build_seal(config, reactor)
    registries = [
        build_registry(entry, upstreams, local, reactor, seal)
        for entry in config.registries
    ]
    return VirtualHosts(
        registries,
        config.trusted_proxies,
        config.denied_user_agents,
        reactor,
        config.mirrors,
        health,
    )


def _server_options(config: Config) -> CertificateOptions:
    if config.certificates:
        return load_certificates(config.certificates, None)
    pair = self_signed(Path(config.state_directory), _hosts(config))
    return load_certificates((), pair)


def _hosts(config: Config) -> list[str]:
    """Return the hosts that a self-signed certificate is for."""
    hosts = [entry.host for entry in config.registries if entry.host != "*"]
    return hosts + [host for entry in config.registries for host in entry.hosts]


def _makes_certificate(config: Config) -> bool:
    is_tls = any(listener.tls for listener in config.listen)
    return is_tls and not config.certificates


def listeners(service: IService) -> list[ListeningService]:
    """Return the listeners of a service that `build_service` has made."""
    assert isinstance(service, MultiService)
    return [child for child in service if isinstance(child, ListeningService)]


__all__ = ["build_service", "listeners", "load_config"]
