"""
What Twisted, TLS and sockets cost without a proxy: ``python -m bench.floor``.

It takes bytes from a client to the upstream and back, over the transports of regbroker
(`regbroker.transport.tls`, `regbroker.transport.flow`), with a connection upstream for
each client. It reads no HTTP: the name is replaced where a piece begins with a request,
a ping and a token request get the same bytes each time, nothing is checked, and nothing
is logged. No proxy on these transports costs less, so this is what a target is held
against that regbroker misses.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from regbroker.assembly.main_reactor import install_reactor
from regbroker.protocol.origins import Origin
from regbroker.runtime.kept_memory import keep_freed_memory
from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.client.trust import Trust
from regbroker.transport.flow.plain_protocol import PlainFactory
from regbroker.transport.tls.server_names import ServerTLSFactory

NAME, UPSTREAM_NAME = b" /v2/team/", b" /v2/acme_team/"


def reply(status: bytes, headers: bytes, body: bytes) -> bytes:
    """Return a whole reply of JSON."""
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n%b\r\n%b" % (status, len(body), headers, body)
    )


PING_REPLY = reply(
    b"401 Unauthorized",
    b'WWW-Authenticate: Bearer realm="https://localhost/auth",service="up"\r\n',
    b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
)
TOKEN_REPLY = reply(b"200 OK", b"", b'{"token":"%b","expires_in":300}' % (b"t" * 300))


class Side(Protocol):
    """One end of a way through; what it receives goes to the `other` one."""

    transport: Any
    other: Side | None = None

    def meets(self, other: Side) -> None:
        """Pass on to another end, as fast as that one takes it."""
        self.other = other
        other.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        """Pass on what has come."""
        assert self.other is not None
        self.other.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the other one, too."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.unregisterProducer()
            self.other.transport.loseConnection()


class ClientSide(Side):
    """A client's end: the upstream's is opened for the first bytes that are for it."""

    factory: ClientSides
    _is_opening = False

    def connectionMade(self) -> None:
        """Note what has come while the upstream's end is opened."""
        self._waiting: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """Answer, or pass on."""
        if data.startswith(b"GET /v2/ "):
            self.transport.write(PING_REPLY)
        elif data.startswith(b"GET /auth"):
            self.transport.write(TOKEN_REPLY)
        elif self.other is not None:
            if NAME in data[:32]:
                data = data.replace(NAME, UPSTREAM_NAME, 1)
            self.other.transport.write(data)
        else:
            self._waiting.append(data)
            if not self._is_opening:
                self._is_opening = True
                self.transport.pauseProducing()
                opening = self.factory.upstream.connect(Factory.forProtocol(Side))
                opening.addCallback(self._opened)

    def _opened(self, upstream: Side) -> None:
        self.meets(upstream)
        upstream.meets(self)
        self.transport.resumeProducing()
        self.dataReceived(b"".join(self._waiting))


class ClientSides(Factory):
    """Makes the ends of clients; `upstream` is the endpoint that they are taken to."""

    protocol: Any = ClientSide
    noisy = False

    def __init__(self, upstream: Any) -> None:
        self.upstream = upstream


def main() -> None:
    """Listen, say where, and serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("upstream", type=int, help="a port of localhost, with TLS")
    parser.add_argument("root", type=Path, help="whom to believe there")
    parser.add_argument("--certificate", type=Path, help="without one: plain")
    parser.add_argument("--key", type=Path)
    arguments = parser.parse_args()
    # As regbroker does at its start.
    install_reactor()
    keep_freed_memory()
    from twisted.internet import reactor

    clock: Any = reactor
    origin = Origin("https", "localhost", arguments.upstream)
    # Over the socket, also for uploads: an early answer is not read here.
    upstream = Trust(arguments.root).endpoint(clock, origin, 10, sends_bodies=False)
    sides: Any = ClientSides(upstream)
    if arguments.certificate:
        pair = arguments.certificate.read_bytes(), arguments.key.read_bytes()
        sides = ServerTLSFactory(certificate_options(*pair), sides)
    else:
        sides = PlainFactory(sides)

    def listening(port: Any) -> None:
        print(f"listening on {port.getHost().port}", flush=True)

    endpoint = TCP4ServerEndpoint(clock, 0, backlog=1024, interface="127.0.0.1")
    endpoint.listen(sides).addCallback(listening)
    clock.run()


if __name__ == "__main__":
    main()
