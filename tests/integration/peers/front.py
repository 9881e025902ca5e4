"""What stands in front of a server, and passes bytes on: a thread for each way."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Front:
    """Listens on `port` of 127.0.0.1; a subclass serves each connection."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self.start(self._accept)

    def serve(self, client: socket.socket, address: tuple[str, int]) -> None:
        """Serve one connection, in a thread of its own."""
        raise NotImplementedError

    def start(self, work: Callable[..., None], *arguments: object) -> None:
        """Do some work in a thread."""
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def opened(self, *ends: socket.socket) -> None:
        """Note what is to be closed when the front is stopped."""
        self._open.update(ends)

    def stop(self) -> None:
        """Stop listening, and close every connection."""
        shut(self._listening)
        self._listening.close()
        for one in list(self._open):
            shut(one)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.start(self.serve, *self._listening.accept())


def shut(one: socket.socket) -> None:
    """End a connection in both directions."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
