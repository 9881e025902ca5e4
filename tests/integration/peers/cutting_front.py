"""A front that passes bytes on to a registry, and hangs up in the middle of replies."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable

from .front import Front, shut

CHUNK = 1 << 14


class CuttingFront(Front):
    """Listens for plain HTTP on `port`; what comes goes to `target`, a port, too.

    `cuts` says after how many bytes replies break off: the first reply that is longer
    than the first number, the next one that is longer than the second, and so on.
    """

    def __init__(self, target: int, cuts: Iterable[int]) -> None:
        self._target = target
        self._cuts = list(cuts)
        self._lock = threading.Lock()
        super().__init__()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def cuts_left(self) -> int:
        """How many replies are still to break off."""
        return len(self._cuts)

    def serve(self, client: socket.socket, address: tuple[str, int]) -> None:
        """Pass on one request after the other, and the reply to each."""
        registry = socket.create_connection(("127.0.0.1", self._target))
        self.opened(client, registry)
        sent = [0]
        self.start(self._pass_replies, registry, client, sent)
        with contextlib.suppress(OSError):
            while data := client.recv(CHUNK):
                sent[0] = 0
                registry.sendall(data)
        shut(client)
        shut(registry)

    def _pass_replies(
        self, registry: socket.socket, client: socket.socket, sent: list[int]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := registry.recv(CHUNK):
                sent[0] += len(data)
                if self._is_cut(sent[0]):
                    break
                client.sendall(data)
        shut(client)
        shut(registry)

    def _is_cut(self, sent: int) -> bool:
        with self._lock:
            if not self._cuts or sent <= self._cuts[0]:
                return False
            del self._cuts[0]
            return True
