"""
Messages between two processes of ours, over a pair of Unix sockets.

A message is a JSON document after its length (4 bytes, big-endian). Nothing is
pickled: what a process hears can be no more than numbers, texts and lists. Open files
go with a message (``SCM_RIGHTS``, unix(7)).
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IReactorSocket,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

#: The length before a message, big-endian.
_LENGTH_BYTES = 4

Values = dict[str, Any]

#: Called with the kind of a message, its values and its open files, which are closed
#: when it returns or raises; returns the values of the answer.
Hear = Callable[[str, Values, list[int]], Values | None]


class AskedInVain(Exception):
    """The other process could not do what it was asked; its text says why."""


def format_message(message: Values) -> bytes:
    """Return a message as it goes over the connection."""
    data = json.dumps(message).encode()
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def parse_messages(received: bytes) -> tuple[list[Values], bytes]:
    """Return the messages that are whole, and the bytes behind them."""
    messages: list[Values] = []
    while len(received) >= _LENGTH_BYTES:
        end = _LENGTH_BYTES + int.from_bytes(received[:_LENGTH_BYTES], "big")
        if len(received) < end:
            break
        messages.append(json.loads(received[_LENGTH_BYTES:end]))
        received = received[end:]
    return messages, received


@implementer(IFileDescriptorReceiver)
class MessageChannel(Protocol):
    """
    One end of the connection between two processes.

    `hear` is called for each message; what it raises as `AskedInVain` is the answer,
    too. `lost` is called when the other end is gone.
    """

    def __init__(
        self, clock: IReactorTime, hear: Hear, lost: Callable[[], object]
    ) -> None:
        self._clock = clock
        self._hear = hear
        self._lost = lost
        self._received = b""
        self._descriptors: list[int] = []
        self._asked: dict[int, Deferred[Values]] = {}
        self._count = 0
        self._is_open = False

    def connectionMade(self) -> None:
        self._is_open = True

    def tell(
        self, kind: str, values: Mapping[str, Any], descriptors: Sequence[int] = ()
    ) -> None:
        """Send a message that is not answered; without effect when nobody hears."""
        self._send({"tell": kind, "values": dict(values)}, descriptors)

    def ask(
        self,
        kind: str,
        values: Mapping[str, Any],
        descriptors: Sequence[int] = (),
        seconds: float = 10.0,
    ) -> Deferred[Values]:
        """
        Send a message, and return the values of its answer.

        Open files must stay open until then. Raises `AskedInVain`, `ConnectionLost`, or
        `TimeoutError` after so many seconds.
        """
        if not self._is_open:
            return fail(Failure(ConnectionLost()))
        self._count += 1
        number = self._count
        answered: Deferred[Values] = Deferred()
        self._asked[number] = answered

        def forget(result: Any) -> Any:
            self._asked.pop(number, None)
            return result

        answered.addTimeout(seconds, self._clock)
        answered.addBoth(forget)
        message = {"ask": kind, "number": number, "values": dict(values)}
        self._send(message, descriptors)
        return answered

    def close(self) -> None:
        """Close it when all is sent."""
        if self._is_open and self.transport is not None:
            self.transport.loseConnection()

    def fileDescriptorReceived(self, descriptor: int) -> None:
        self._descriptors.append(descriptor)

    def dataReceived(self, data: bytes) -> None:
        messages, self._received = parse_messages(self._received + data)
        for message in messages:
            self._heard(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_open = False
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        for answered in list(self._asked.values()):
            answered.errback(Failure(ConnectionLost()))
        self._lost()

    def _send(self, message: Values, descriptors: Sequence[int] = ()) -> None:
        transport: Any = self.transport
        if not self._is_open or transport is None:
            return
        data = format_message({**message, "files": len(descriptors)})
        # Each goes with one byte, and all of them with their own message.
        assert len(descriptors) < len(data)
        for descriptor in descriptors:
            transport.sendFileDescriptor(descriptor)
        transport.write(data)

    def _heard(self, message: Values) -> None:
        if "answer" in message:
            answered = self._asked.get(message["answer"])
            if answered is None:
                # It came too late.
                return
            if "problem" in message:
                answered.errback(AskedInVain(message["problem"]))
            else:
                answered.callback(message["values"])
            return
        count = message["files"]
        mine, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        try:
            answer = self._answer(message, mine)
        finally:
            # Here, whatever went wrong there: a socket that listens and that nobody
            # knows any more keeps clients waiting for ever.
            for descriptor in mine:
                os.close(descriptor)
        if answer is not None:
            self._send(answer)

    def _answer(self, message: Values, descriptors: list[int]) -> Values | None:
        """Return the answer to a message; None for what is only told."""
        if "tell" in message:
            self._hear(message["tell"], message["values"], descriptors)
            return None
        answer: Values = {"answer": message["number"]}
        try:
            values = self._hear(message["ask"], message["values"], descriptors)
            answer["values"] = values or {}
        except AskedInVain as problem:
            answer["problem"] = str(problem)
        return answer


def connect(reactor: IReactorSocket, descriptor: int, channel: MessageChannel) -> None:
    """Have a channel use a socket; the descriptor stays the caller's to close."""
    factory: Any = Factory.forProtocol(lambda: channel)
    reactor.adoptStreamConnection(descriptor, socket.AF_UNIX, factory)
