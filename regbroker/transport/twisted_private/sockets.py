"""Ports and transports of Twisted, with names for what is private in them."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.tcp import Port as TCPPort
from twisted.internet.unix import Port as UnixPort
from twisted.python.failure import Failure

__all__ = ["adopt_port", "end_in_order", "keep_for_others", "may_write_now"]


def keep_for_others(port: Any) -> None:
    """
    Have a listening port closed without `shutdown`.

    That would end the socket for the other processes that accept from it, too.
    """
    port._shouldShutdown = False


def may_write_now(transport: Any) -> bool:
    """
    Tell whether its socket may be written to past a connection's transport.

    Nothing waits there to be written before, and nobody has closed the connection.
    """
    return bool(transport.connected) and not (
        transport.dataBuffer
        or transport._tempDataLen
        or transport.disconnecting
        or transport._aborting
    )


def end_in_order(transport: Any) -> None:
    """
    Close the socket of a transport that is to be aborted, and do not reset it.

    What the socket has taken is sent, and then the end of the stream. Nothing else is
    written, and `abortConnection` does nothing more.
    """
    if not (transport.disconnected or transport._aborting):
        transport._aborting = True
        transport.stopReading()
        transport.stopWriting()
        transport.doRead = transport.doWrite = _nothing
        ended = Failure(ConnectionDone())
        transport.reactor.callLater(0, transport.connectionLost, ended)


def _nothing() -> None:
    """Stand for a method of a connection that has gone."""


class _OneByOne:
    """
    A port that accepts one connection each time that the reactor finds some.

    Twisted's accept all that wait. Where several processes accept from one socket, the
    first that looks would have all of them.
    """

    @property
    def numberAccepts(self) -> int:
        """How many connections are accepted at once."""
        return 1

    @numberAccepts.setter
    def numberAccepts(self, number: int) -> None:
        """Do nothing: Twisted would accept as many next time as came this time."""


class _SharedTCPPort(_OneByOne, TCPPort):
    """Accepts from a socket that other processes accept from."""


class _SharedUnixPort(_OneByOne, UnixPort):
    """The same on a Unix socket."""


class _Listening(socket.socket):
    """
    A socket that listens already, with the backlog that its opener has asked for.

    Twisted's port of a Unix socket would ask for another one, for all processes.
    """

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing."""


def adopt_port(
    reactor: Any, opened: socket.socket, factory: IProtocolFactory
) -> IListeningPort:
    """
    Return a port on a listening socket that another process has opened.

    It has a descriptor of its own. The file of a Unix socket is the other process's
    affair: its mode stays, and it is not removed with the port, as `adoptStreamPort`
    would do.
    """
    port: Any
    if opened.family == socket.AF_UNIX:
        port = _SharedUnixPort(b"\0adopted", factory, reactor=reactor)
        port._preexistingSocket = _Listening(fileno=os.dup(opened.fileno()))
        port._shouldShutdown = False
    else:
        port = _SharedTCPPort._fromListeningDescriptor(
            reactor, opened.fileno(), opened.family, factory
        )
    port.startListening()
    adopted: IListeningPort = port
    return adopted
