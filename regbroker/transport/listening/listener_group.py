"""
The listeners of one option: changed all at once, or not at all.

A listener that is the same line as before keeps its socket.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from regbroker.protocol.headers import Network
from regbroker.runtime.reactor import INetworkReactor
from regbroker.transport.listening.entrance import Entrance
from regbroker.transport.listening.listeners import Listener
from regbroker.transport.listening.services import ListeningService
from regbroker.transport.server.site import StreamingSite

_log = Logger()


class ListenerGroup(MultiService):
    """
    Serves `site` on the listeners of `option`, none before `prepare`.

    `redirecting` is served on those that send clients on to https.
    """

    def __init__(
        self,
        reactor: INetworkReactor,
        site: StreamingSite,
        entrance: Entrance,
        option: str,
        redirecting: StreamingSite | None = None,
        accepts: bool = True,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._site = site
        self._entrance = entrance
        self._option = option
        self._redirecting = redirecting
        self._accepts = accepts
        #: Those in use, in the order of the configuration.
        self.listeners: list[ListeningService] = []

    def prepare(
        self,
        lines: Iterable[Listener],
        options: Any = None,
        descriptors: Iterable[int] | None = None,
    ) -> PreparedListeners:
        """
        Return the listeners for these lines; those that are new listen already.

        Who connects to a new one waits until it is used: other processes may need a
        while to prepare theirs, and nobody is to be served in two ways meanwhile.
        `options` are those of TLS. `descriptors` are the sockets of these lines where
        another process has opened them; they stay the caller's to close, once all that
        is new listens. Raises `StateError` for a line that cannot be had, and opens
        nothing then.
        """
        opened = list(descriptors) if descriptors is not None else []
        free = list(self.listeners)
        chosen: list[tuple[Listener, ListeningService]] = []
        prepared = PreparedListeners(self, chosen)
        for line in lines:
            descriptor = opened.pop(0) if opened else None
            known = next((each for each in free if _same_socket(each, line)), None)
            if known is not None:
                free.remove(known)
                chosen.append((line, known))
                continue
            new = ListeningService(
                self._reactor,
                line,
                self._site,
                options,
                entrance=self._entrance,
                option=self._option,
                redirecting=self._redirecting,
                descriptor=descriptor,
                accepts=self._accepts,
            )
            chosen.append((line, new))
            try:
                new.setServiceParent(self)
            except Exception:
                prepared.abort()
                raise
            new.pause()
        return prepared

    def show(self, options: Any, trusted_proxies: Iterable[Network]) -> None:
        """Use these TLS options for new connections, and believe these proxies."""
        for each in self.listeners:
            each.serve_as(each.listener, options, trusted_proxies)

    def tls_port(self) -> int:
        """Return the port where clients find TLS: the first there is, else 443."""
        for each in self.listeners:
            if each.listener.tls and each.port is not None:
                port = getattr(each.port.getHost(), "port", None)
                if isinstance(port, int):
                    return port
        return 443

    def stop_listening(self) -> Deferred[Any]:
        """
        Listen no more, since regbroker stops; fires when no client is connected.

        Each is answered once more, unless it asks for nothing. Those of listeners that
        are in use no more are, too.
        """
        all_of_them = [each for each in self if isinstance(each, ListeningService)]
        for each in all_of_them:
            each.wind_down(is_stopping=True)
        return DeferredList([each.when_empty() for each in all_of_them])


class PreparedListeners:
    """Listeners of a group that are about to be used: each with its line."""

    def __init__(
        self, group: ListenerGroup, chosen: list[tuple[Listener, ListeningService]]
    ) -> None:
        self._group = group
        self._chosen = chosen

    @property
    def descriptors(self) -> list[int]:
        """The sockets, in the order of the lines; another process may be given them."""
        ports: list[Any] = [each.port for _, each in self._chosen]
        return [port.fileno() for port in ports]

    def commit(self, options: Any = None, trusted: Iterable[Network] = ()) -> None:
        """Use them. Clients of those that are gone are answered once more."""
        group = self._group
        before, group.listeners = group.listeners, [each for _, each in self._chosen]
        trusted = tuple(trusted)
        for line, each in self._chosen:
            each.serve_as(line, options, trusted)
            if each not in before:
                each.resume()
        for each in before:
            if each not in group.listeners:
                if each.port is not None:
                    _log.info("no longer listening on {url}", url=each.url)
                each.wind_down()
                each.when_empty().addCallback(_leave, each)

    def abort(self) -> None:
        """Close those that are new."""
        for _, each in self._chosen:
            if each not in self._group.listeners:
                _leave(None, each)


def _same_socket(listening: ListeningService, line: Listener) -> bool:
    """Tell whether a listener can go on as this line of the configuration."""
    known = listening.listener
    # Twisted would not take another owner for a file that it has made already.
    return (known.endpoint, known.proxy_protocol, known.user, known.group) == (
        line.endpoint,
        line.proxy_protocol,
        line.user,
        line.group,
    )


def _leave(_: object, service: ListeningService) -> None:
    # When everything is stopped, it has been left already.
    if service.parent is not None:
        service.disownServiceParent()
