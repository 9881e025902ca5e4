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
import time
from pathlib import Path, PurePath
from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.resource import IResource

from regbroker.broker import Broker
from regbroker.channel import StreamingSite
from regbroker.config import Config, Listener, UpstreamConfig
from regbroker.errors import ConfigurationError, StateError
from regbroker.ini import parse_config
from regbroker.redirects import parse_origin
from regbroker.sandbox import SandboxService
from regbroker.tls import load_certificates, self_signed
from regbroker.upstreams import Upstream
from regbroker.upstreamtokens import UpstreamTokens
from regbroker.web.proxy import Proxy
from regbroker.web.site import Registry, VirtualHosts
from regbroker.web.tokens import TokenEndpoint

_log = Logger()


def load_config(path: str | Path) -> Config:
    """
    Read and check a configuration file.

    Raises `ConfigurationError` with every problem that can be found without
    starting anything: certificates are read, too.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: not UTF-8 text"]) from error
    config = parse_config(text, PurePath(path.absolute().parent), _problem_with_file)
    if config.certificates:
        load_certificates(config.certificates, None)
    return config


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
        sandbox: SandboxService | None,
    ) -> None:
        self.setName(f"upstream {upstream.name}")
        self.upstream = upstream
        self.tokens = tokens
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
        closing = [self.tokens.close()]
        if self._sandbox is not None:
            closing.append(maybeDeferred(self._sandbox.stopService))
        return DeferredList(closing)


class ListeningService(Service):
    """
    Listens on one endpoint.

    `port` is the listening port once the service has started. Raises
    `StateError` when the endpoint is taken or not allowed.
    """

    def __init__(
        self,
        reactor: Any,
        listener: Listener,
        site: StreamingSite,
        options: Any,
    ) -> None:
        self.setName(f"listen {listener.text}")
        self.port: IListeningPort | None = None
        self._listener = listener
        self._reactor = reactor
        self._factory: Any = site
        if listener.tls:
            self._factory = TLSMemoryBIOFactory(options, False, site)

    @property
    def url(self) -> str:
        """Where this listener can be reached from this machine."""
        assert self.port is not None
        address: Any = self.port.getHost()
        scheme = "https" if self._listener.tls else "http"
        if not hasattr(address, "port"):
            return str(address)
        host = f"[{address.host}]" if ":" in address.host else address.host
        return f"{scheme}://{host}:{address.port}"

    def privilegedStartService(self) -> None:
        """Listen before privileges are dropped."""
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """Listen, unless that was done with privileges."""
        super().startService()
        if self.port is None:
            self._listen()

    def stopService(self) -> Any:
        """Stop listening."""
        super().stopService()
        port, self.port = self.port, None
        return port.stopListening() if port is not None else None

    def _listen(self) -> None:
        failures: list[Failure] = []
        try:
            endpoint = serverFromString(self._reactor, self._listener.endpoint)
            endpoint.listen(self._factory).addCallbacks(self._opened, failures.append)
        except Exception as error:
            failures.append(Failure(error))
        if failures:
            problem = failures[0].value
            reason = str(problem)
            if isinstance(problem, CannotListenError):
                cause = problem.socketError
                reason = os.strerror(cause.errno) if cause.errno else str(cause)
            raise StateError(
                f"[regbroker] listen: cannot listen on {self._listener.text}: {reason}"
            )

    def _opened(self, port: IListeningPort) -> None:
        self.port = port
        _log.info("listening on {url}", url=self.url)


class RegbrokerService(MultiService):
    """
    Everything that one `Config` asks for.

    `root` is the `twisted.web` resource that serves it, for a site of one's
    own; it works while this service runs.
    """

    root: IResource


def build_service(config: Config, reactor: Any) -> RegbrokerService:
    """
    Return the service that serves `config` on `reactor`.

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
    service.root = _build_root(config, upstreams, reactor)
    site = StreamingSite(service.root, reactor=reactor)
    options = None
    if any(listener.tls for listener in config.listen):
        options = _server_options(config)
    for listener in config.listen:
        ListeningService(reactor, listener, site, options).setServiceParent(service)
    return service


def _build_upstream(
    entry: UpstreamConfig, config: Config, reactor: Any
) -> UpstreamService:
    sandbox = None
    if entry.origin is None:
        directory = Path(config.state_directory) / "sandbox" / entry.name
        sandbox = SandboxService(reactor, directory, entry.users)
    try:
        upstream = Upstream(entry, reactor)
    except ValueError as error:
        raise ConfigurationError(
            [f"[upstream {entry.name}] ca-file: {entry.ca_file}: {error}"]
        ) from error
    return UpstreamService(
        upstream, UpstreamTokens(upstream, reactor, time.time), sandbox
    )


def _build_root(
    config: Config, upstreams: dict[str, UpstreamService], reactor: Any
) -> IResource:
    registries = []
    for entry in config.registries:
        upstream = upstreams[entry.upstream].upstream
        broker = Broker(upstreams[entry.upstream].tokens, entry.mapping, time.time)
        proxy = Proxy(
            upstream, entry.mapping, broker, entry.token_path, entry.catalog, reactor
        )
        registries.append(
            Registry(
                entry.host,
                entry.token_path,
                proxy,
                TokenEndpoint(broker, upstream.name),
            )
        )
    return VirtualHosts(registries, config.trusted_proxies, reactor)


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
