"""
The other end of a `regbroker.runtime.messages` channel, in a process without a reactor.
"""

from __future__ import annotations

import os
import socket

from regbroker.runtime.messages import Values, format_message, parse_messages

_RECEIVE_BYTES = 65536
#: Open files that one read may bring.
_RECEIVE_FILES = 16


class BlockingChannel:
    """
    Receives and sends messages on a socket, and waits for both.

    A message is a document as `MessageChannel` sends it: with ``ask``, ``number`` or
    with ``tell``, and ``values``.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._descriptors: list[int] = []

    def fileno(self) -> int:
        """Return what `select` waits for."""
        return self._connection.fileno()

    def close(self) -> None:
        """Close this process's end, and open files of messages that are not whole."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        self._connection.close()

    def receive(self) -> list[tuple[Values, list[int]]] | None:
        """
        Wait for bytes, and return the messages that are whole, with their open files.

        None when the other end is gone.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._connection, _RECEIVE_BYTES, _RECEIVE_FILES
            )
        except ConnectionError:
            return None
        if not data:
            return None
        messages, self._received = parse_messages(self._received + data)
        self._descriptors += descriptors
        return [(message, self._taken(message["files"])) for message in messages]

    def answer(self, message: Values, values: Values) -> None:
        """Answer a message with values."""
        self._send({"answer": message["number"], "values": values})

    def answer_problem(self, message: Values, problem: str) -> None:
        """Answer that something could not be done; see `AskedInVain`."""
        self._send({"answer": message["number"], "problem": problem})

    def tell(self, kind: str, values: Values) -> None:
        """Send a message that is not answered."""
        self._send({"tell": kind, "values": values})

    def _taken(self, count: int) -> list[int]:
        taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return taken

    def _send(self, message: Values) -> None:
        self._connection.sendall(format_message({**message, "files": 0}))
