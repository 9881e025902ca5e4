"""
The connections of all listeners together: how many there are, and what happens beyond
the limits.

The log says at once that a connection is refused, and then once a minute how many
connections were refused.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from regbroker.errors import TooManyConnections
from regbroker.protocol.addresses import place_of
from regbroker.protocol.headers import Network, is_trusted
from regbroker.protocol.retry_after import retry_after
from regbroker.transport.listening.connection_limits import (
    ConnectionLimits,
    Occupancy,
    Refusal,
    Refusals,
    connection_limits,
    most_connections,
)
from regbroker.transport.server.pace import DEFAULT_CLIENT_TIMEOUT, Pace
from regbroker.transport.server.replies import send_error
from regbroker.transport.server.site import StreamingSite

#: Refused connections that get an answer at the same time. They use the reserve of
#: file descriptors.
MAX_ANSWERED_REFUSALS = 32

#: A refused connection has this long, in seconds, for the handshake, and again for a
#: request.
ANSWERED_REFUSAL_SECONDS = 5.0

#: Most connections end within seconds.
COME_AGAIN_SECONDS = 10

#: Seconds between two log lines about refusals.
TELL_SECONDS = 60.0

_log = Logger()


class _Refusing(Resource):
    """Answers every request with 503."""

    isLeaf = True
    streams = True

    def render(self, request: Request) -> int:
        message = "too many connections; come again soon"
        error = TooManyConnections(message, [retry_after(COME_AGAIN_SECONDS)])
        send_error(request, error)
        return NOT_DONE_YET


class Entrance:
    """
    The connections of all listeners, counted together.

    `reactor` is the clock, too. Connections from one of the `trusted` proxies bring
    many clients, and are counted in the total alone.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        trusted: Iterable[Network],
        reactor: IReactorTime,
        silence: float = DEFAULT_CLIENT_TIMEOUT,
    ) -> None:
        self.occupancy = Occupancy(limits)
        self.refusing_site = StreamingSite(
            _Refusing(), pace=Pace(silence=ANSWERED_REFUSAL_SECONDS), reactor=reactor
        )
        #: Seconds that a proxy has to send the address of its client.
        self.silence = silence
        #: Connections beyond the limits whose requests are answered with 503.
        self.answered_refusals = 0
        self.reactor = reactor
        self._trusted = tuple(trusted)
        self._refusals = Refusals()
        #: Connections that were refused, by the limit that was reached.
        self.refused_in_all: Counter[Refusal] = Counter(dict.fromkeys(Refusal, 0))
        self._telling: IDelayedCall | None = None

    def change(
        self, limits: ConnectionLimits, trusted: Iterable[Network], silence: float
    ) -> None:
        """Count new connections against other limits; see `Entrance`."""
        self.occupancy.limits = limits
        self.silence = silence
        self._trusted = tuple(trusted)

    def place(self, peer: object) -> str | None:
        """Return the address that a peer counts for; None for a proxy or a socket."""
        host = getattr(peer, "host", None)
        if not isinstance(host, str) or is_trusted(host, self._trusted):
            return None
        return place_of(host)

    def refused(self, why: Refusal, place: str | None) -> None:
        """Note that a connection is refused; the first one is logged at once."""
        self._refusals.note(why, place)
        self.refused_in_all[why] += 1
        if self._telling is None:
            self._tell()

    def stop(self) -> None:
        """Log what the log does not have yet, of refusals and of refused clients."""
        self.refusing_site.stopFactory()
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
            if self._refusals:
                self._write()

    def _tell(self) -> None:
        self._telling = None
        if self._refusals:
            self._write()
            self._telling = self.reactor.callLater(TELL_SECONDS, self._tell)

    def _write(self) -> None:
        _log.warn(
            "refused connections: {refused}",
            refused=self._refusals.take(self.occupancy.limits),
        )


def build_entrance(
    reactor: IReactorTime,
    trusted: Iterable[Network],
    silence: float,
    total: int | None = None,
    per_address: int | None = None,
) -> Entrance:
    """
    Return the entrance that this machine allows for.

    The numbers are as for `limits_here`; the others are as for `Entrance`.
    """
    return Entrance(limits_here(total, per_address), trusted, reactor, silence)


def limits_here(
    total: int | None = None, per_address: int | None = None
) -> ConnectionLimits:
    """
    Return the limits that this machine allows for.

    `total` and `per_address` are the numbers of connections that the operator has
    written.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    descriptors = None if files == resource.RLIM_INFINITY else files
    limits = connection_limits(descriptors, total, per_address)
    if descriptors is not None and limits.total > most_connections(descriptors):
        _log.warn(
            "[regbroker] max-connections: {total} is more than this process can have: "
            "it may open {files} files, enough for {most} connections; raise that "
            "limit (LimitNOFILE in systemd)",
            total=limits.total,
            most=most_connections(descriptors),
            files=descriptors,
        )
    return limits
