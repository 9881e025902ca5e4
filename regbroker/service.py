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

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.ssl import CertificateOptions
from twisted.web.resource import IResource

from regbroker.accounts import AccountSource
from regbroker.broker import Broker
from regbroker.channel import StreamingSite
from regbroker.config import Config, UpstreamConfig
from regbroker.credentialhelper import CredentialHelper
from regbroker.credentials import Credentials, PasswordFile
from regbroker.errors import ConfigurationError
from regbroker.ini import parse_config
from regbroker.listening import ListeningService
from regbroker.localparts import LocalParts, problems_with_accounts
from regbroker.origins import parse_origin
from regbroker.sandbox import SandboxService
from regbroker.speakers import (
    ClientSpeaks,
    RegbrokerSpeaks,
    SharedWithAnonymous,
    Speaker,
)
from regbroker.tls import Trust, load_certificates, self_signed
from regbroker.upstreams import Upstream
from regbroker.upstreamtokens import UpstreamTokens
from regbroker.web.admission import Gate, LocalGate, UpstreamGate
from regbroker.web.answering import Answering
from regbroker.web.asking import Asking
from regbroker.web.following import Following
from regbroker.web.proxy import Proxy
from regbroker.web.site import Registry, VirtualHosts
from regbroker.web.tokens import (
    Granting,
    LocalGranting,
    TokenEndpoint,
    UpstreamGranting,
)


def load_config(path: str | Path) -> Config:
    """
    Read and check a configuration file.

    Raises `ConfigurationError` with every problem that can be found without
    starting anything: certificates are read, too.
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
    yield from _problems_with_ca_files(config)
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
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


class UpstreamService(Service):
    """Keeps one upstream open; starts the sandbox before it, if it is one."""

    def __init__(
        self,
        upstream: Upstream,
        tokens: UpstreamTokens,
        credentials: Credentials | None,
        sandbox: SandboxService | None,
    ) -> None:
        self.setName(f"upstream {upstream.name}")
        self.upstream = upstream
        self.tokens = tokens
        self.credentials = credentials
        self._sandbox = sandbox

    def startService(self) -> None:
        """Open the upstream; it may be down, and is then asked until it is not."""
        super().startService()
        origin = self.upstream.config.origin
        if self._sandbox is not None:
            self._sandbox.startService()
            origin = parse_origin(*self._sandbox.url.split("://"))
        assert origin is not None
        self.upstream.open(origin)

    def stopService(self) -> Deferred[Any]:
        """Close the connections that nobody uses, and the sandbox."""
        super().stopService()
        self.upstream.close()
        if self.credentials is not None:
            self.credentials.close()
        closing = [self.tokens.close()]
        if self._sandbox is not None:
            closing.append(maybeDeferred(self._sandbox.stopService))
        return DeferredList(closing)


class RegbrokerService(MultiService):
    """
    Everything that one `Config` asks for.

    `root` is the `twisted.web` resource that serves it, for a site of one's
    own; it works while this service runs.
    """

    root: IResource


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
    made. Raises `ConfigurationError` or `StateError`.
    """
    service = RegbrokerService()
    upstreams = {
        name: _build_upstream(entry, config, reactor)
        for name, entry in config.upstreams.items()
    }
    for upstream in upstreams.values():
        upstream.setServiceParent(service)
    local = None
    if config.accounts:
        local = LocalParts(config, reactor, account_sources or {})
        local.setServiceParent(service)
    service.root = _build_root(config, upstreams, local, reactor)
    site = StreamingSite(service.root, reactor=reactor)
    options = None
    if any(listener.tls for listener in config.listen):
        options = _server_options(config)
    for listener in config.listen:
        ListeningService(
            reactor, listener, site, options, config.trusted_proxies
        ).setServiceParent(service)
    return service


def _build_upstream(
    entry: UpstreamConfig, config: Config, reactor: Any
) -> UpstreamService:
    sandbox = None
    if entry.origin is None:
        directory = Path(config.state_directory).resolve() / "sandbox" / entry.name
        sandbox = SandboxService(reactor, directory, entry.users)
    upstream = Upstream(entry, reactor)
    return UpstreamService(
        upstream,
        UpstreamTokens(upstream, reactor, time.time),
        _build_credentials(entry, reactor),
        sandbox,
    )


def _build_credentials(entry: UpstreamConfig, reactor: Any) -> Credentials | None:
    if entry.password_file is not None:
        path = Path(entry.password_file)
        return PasswordFile(entry.username, path, reactor.seconds)
    if entry.credential_helper:
        server = entry.origin.netloc if entry.origin else entry.name
        return CredentialHelper(entry.credential_helper, server, reactor)
    return None


def _build_root(
    config: Config,
    upstreams: dict[str, UpstreamService],
    local: LocalParts | None,
    reactor: Any,
) -> IResource:
    registries = []
    for entry in config.registries:
        service = upstreams[entry.upstreams[0]]
        ours = RegbrokerSpeaks(service.upstream, service.tokens, service.credentials)
        answering = Answering(service.upstream, entry.token_path, reactor)
        speaker: Speaker
        gate: Gate
        granting: Granting
        if entry.accounts is not None:
            assert local is not None
            local_broker = local.broker(entry)
            speaker = ours
            gate = LocalGate(local_broker, entry.token_path, entry.basic_challenge)
            granting = LocalGranting(local_broker)
        else:
            shared = None
            speaker = ClientSpeaks()
            if entry.lent_actions:
                speaker = shared = SharedWithAnonymous(ours, entry.lent_actions)
            broker = Broker(
                service.upstream.name, service.tokens, entry.mapping, time.time, shared
            )
            gate = UpstreamGate(service.upstream, broker, answering, shared is not None)
            granting = UpstreamGranting(broker, service.upstream.name)
        asking = Asking(service.upstream, speaker, reactor)
        following = None
        if entry.redirects == "follow":
            following = Following(service.upstream, reactor)
        proxy = Proxy(entry.mapping, gate, asking, answering, entry.catalog, following)
        registries.append(
            Registry(
                entry.host,
                entry.token_path,
                proxy,
                TokenEndpoint(granting),
                entry.public_url,
            )
        )
    return VirtualHosts(
        registries, config.trusted_proxies, config.denied_user_agents, reactor
    )


def _server_options(config: Config) -> CertificateOptions:
    if config.certificates:
        return load_certificates(config.certificates, None)
    hosts = [entry.host for entry in config.registries if entry.host != "*"]
    pair = self_signed(Path(config.state_directory), hosts)
    return load_certificates((), pair)


def listeners(service: IService) -> list[ListeningService]:
    """Return the listeners of a service that `build_service` has made."""
    assert isinstance(service, MultiService)
    return [child for child in service if isinstance(child, ListeningService)]


__all__ = ["build_service", "listeners", "load_config"]
