"""
Listening: one service for each line of ``listen``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.errors import StateError
from regbroker.protocol.headers import Network, is_trusted
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.flow.plain_protocol import PlainFactory
from regbroker.transport.listening.accepting import AcceptingFactory
from regbroker.transport.listening.entrance import Entrance
from regbroker.transport.listening.last_connections import close_port
from regbroker.transport.listening.listeners import Listener
from regbroker.transport.listening.obstacles import why_refused
from regbroker.transport.listening.proxy_lines import ProxiedEndpoint
from regbroker.transport.listening.shared_sockets import (
    AdoptedEndpoint,
    leave_to_others,
)
from regbroker.transport.listening.socket_owner import give_to, owner_of
from regbroker.transport.listening.tls_ports import TLSOrPlainFactory
from regbroker.transport.server.site import StreamingSite
from regbroker.transport.tls.server_options import ServerOptions

_log = Logger()

#: Connections that the kernel holds until they are accepted. Of a cluster that pulls at
#: once, hundreds come in one turn of the reactor. Beyond Twisted's 50 the kernel would
#: drop them, and a client tries again after 1, 3 and 7 s.
BACKLOG = 1024


class ListeningService(Service):
    """
    Listens on one endpoint.

    `option` is the one that has it. `site` serves clients, and `redirecting` those of a
    listener that sends them on to https. `port` is the listening port once the service
    has started. With `descriptor`, another process has opened the socket, and this one
    accepts from it, too. Without `accepts`, this one leaves that to others. Raises
    `StateError` when the endpoint is taken or not allowed.
    """

    def __init__(
        self,
        reactor: INetworkReactor,
        listener: Listener,
        site: StreamingSite,
        options: ServerOptions | None,
        trusted_proxies: Iterable[Network] = (),
        entrance: Entrance | None = None,
        option: str = "listen",
        redirecting: StreamingSite | None = None,
        descriptor: int | None = None,
        accepts: bool = True,
    ) -> None:
        self.port: Any = None
        self.listener = listener
        self._option = option
        self._descriptor = descriptor
        self._is_adopted = descriptor is not None
        self._accepts = accepts
        self._site = site
        self._redirecting = redirecting
        self._trusted_proxies = tuple(trusted_proxies)
        self._reactor = reactor
        self._factory: IProtocolFactory = _with_tls(
            listener, options, self._site_of(listener)
        )
        if entrance is not None:
            self._factory = AcceptingFactory(
                entrance,
                self._factory,
                _with_tls(listener, options, entrance.refusing_site),
                listener.proxy_protocol,
            )

    @property
    def url(self) -> str:
        """Where this listener can be reached from this machine."""
        assert self.port is not None
        address: Any = self.port.getHost()
        scheme = "https" if self.listener.tls else "http"
        if not hasattr(address, "port"):
            return f"unix:{os.fsdecode(address.name)}"
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
        """Stop listening, and close the connections; fires when they are closed."""
        super().stopService()
        port, self.port = self.port, None
        waiting: list[Deferred[Any]] = []
        if port is not None:
            waiting.append(maybeDeferred(port.stopListening))
        if isinstance(self._factory, AcceptingFactory):
            waiting.append(self._factory.close())
        return DeferredList(waiting)

    def serve_as(
        self,
        listener: Listener,
        options: ServerOptions | None,
        trusted_proxies: Iterable[Network],
    ) -> None:
        """
        Go on with another configuration of the same socket, for new connections.

        Whether connections begin with a PROXY line cannot change.
        """
        assert isinstance(self._factory, AcceptingFactory)
        entrance = self._factory.entrance
        assert listener.proxy_protocol == self.listener.proxy_protocol
        self.listener = listener
        self._trusted_proxies = tuple(trusted_proxies)
        self._factory.replace(
            _with_tls(listener, options, self._site_of(listener)),
            _with_tls(listener, options, entrance.refusing_site),
        )

    def pause(self) -> None:
        """Accept nobody, and go on to listen: who connects waits."""
        if self.port is not None:
            self.port.stopReading()

    def resume(self) -> None:
        """Accept again who connects."""
        if self.port is not None and self._accepts:
            self.port.startReading()

    def wind_down(self, is_stopping: bool = False) -> None:
        """
        Accept who has connected, and listen no more.

        Each connection ends with its next reply. The connections are closed by
        `stopService`. If regbroker `is_stopping`, they are not waited for as long.
        """
        port, self.port = self.port, None
        if isinstance(self._factory, AcceptingFactory):
            self._factory.wind_down(is_stopping)
        if port is not None:
            close_port(port, self._accepts)

    def when_empty(self) -> Deferred[None]:
        """Return what fires when no connection is left."""
        if isinstance(self._factory, AcceptingFactory):
            return self._factory.when_empty()
        return succeed(None)

    def _site_of(self, listener: Listener) -> StreamingSite:
        if listener.redirects and self._redirecting is not None:
            return self._redirecting
        return self._site

    def _is_trusted(self, host: str) -> bool:
        return is_trusted(host, self._trusted_proxies)

    def _listen(self) -> None:
        failures: list[Failure] = []
        try:
            endpoint = self._endpoint()
            owner = None if self._is_adopted else owner_of(self.listener)
            if self.listener.proxy_protocol:
                endpoint = ProxiedEndpoint(
                    endpoint, self._is_trusted, self._site.malformed
                )
            endpoint.listen(self._factory).addCallback(give_to, owner).addCallbacks(
                self._opened, failures.append
            )
        except Exception as error:
            failures.append(Failure(error))
        if failures:
            problem: Any = failures[0].value
            if isinstance(problem, CannotListenError):
                # gaierror counts its errors apart from errno.
                problem = problem.socketError
            # A link to our own process is the lock of a unix socket: its name, and the
            # number of the error, would only puzzle.
            reason = getattr(problem, "strerror", None) or str(problem)
            more = why_refused(self.listener, problem)
            raise StateError(
                f"[regbroker] {self._option}: cannot listen on {self.listener.text}: "
                + "; ".join(filter(None, [reason, more]))
            )

    def _endpoint(self) -> IStreamServerEndpoint:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return server_endpoint(self._reactor, self.listener.endpoint)
        return AdoptedEndpoint(self._reactor, descriptor)

    def _opened(self, port: Any) -> None:
        self.port = port
        if self._is_adopted:
            return
        if not self._accepts:
            leave_to_others(port)
        purpose = "" if self._option == "listen" else f"{self._option}: "
        _log.info(
            "{purpose}listening on {url}{remark}",
            purpose=purpose,
            url=self.url,
            remark=_remark(self.listener),
        )


def server_endpoint(reactor: INetworkReactor, text: str) -> IStreamServerEndpoint:
    """
    Return the endpoint that a text describes, as `serverFromString` does.

    Its backlog is `BACKLOG`, if the text has no other.

    A socket of systemd's is taken without a look for plugins, which would write a
    cache beside them. Raises `ValueError` for one that systemd has not handed over.
    """
    kind, _, rest = text.partition(":")
    if kind != "systemd":
        if ":backlog=" not in text:
            text += f":backlog={BACKLOG}"
        plain: IStreamServerEndpoint = serverFromString(reactor, text)
        return plain
    # It brings Twisted's parser of PROXY lines, which is not used.
    from twisted.plugins.twisted_core import systemdEndpointParser

    arguments = dict(word.partition("=")[::2] for word in rest.split(":"))
    try:
        endpoint: Any = systemdEndpointParser.parseStreamServer(reactor, **arguments)
    except LookupError:
        wanted = " ".join(
            f"{key} {arguments[key]}" for key in ("index", "name") if key in arguments
        )
        raise ValueError(
            f"systemd has handed over no socket with the {wanted}; is the socket "
            "unit started, and does its FileDescriptorName fit?"
        ) from None
    # The descriptor keeps its number, by which `regbroker doctor` finds the socket, and
    # with which a reload may listen again. Twisted would close it, and takes no unix
    # sockets.
    os.set_inheritable(endpoint.fileno, False)
    adopted: IStreamServerEndpoint = AdoptedEndpoint(reactor, endpoint.fileno)
    return adopted


def _remark(listener: Listener) -> str:
    if listener.redirects:
        return ", where clients are sent on to https"
    secure = listener.tls and listener.endpoint.startswith("unix:")
    kind = ", with TLS" if secure else ""
    return kind + (", for proxies that send PROXY lines" * listener.proxy_protocol)


def _with_tls(
    listener: Listener,
    options: ServerOptions | None,
    site: StreamingSite,
) -> IProtocolFactory:
    if not listener.tls:
        return PlainFactory(site)
    assert options is not None
    return TLSOrPlainFactory(options, site, listener.text)
