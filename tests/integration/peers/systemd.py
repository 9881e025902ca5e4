"""systemd's side: the socket that a service reports to, and handed-over sockets."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from .processes import search_path

SECONDS = 30.0
"""A message comes within this."""


class NotifySocket:
    """The socket of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(SECONDS)
        self.messages: list[dict[str, str]] = []

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def wait_for(self, name: str) -> dict[str, str]:
        """The next message that holds a variable; all are kept in `messages`."""
        while True:
            lines = self._socket.recv(8192).decode().split("\n")
            message = dict(line.partition("=")[::2] for line in lines)
            self.messages.append(message)
            if name in message:
                return message


def serve_command(configuration: Path) -> list[str]:
    """`regbroker serve`, as the unit has it."""
    serve = ["-m", "regbroker", "serve", "--config", str(configuration)]
    return [sys.executable, *serve]


def activated(port: int, name: str, command: Sequence[str]) -> list[str]:
    """The command, started by systemd's own tool for the first connection."""
    tool = shutil.which("systemd-socket-activate", path=search_path())
    assert tool is not None
    return [
        tool,
        f"--listen=127.0.0.1:{port}",
        f"--fdname={name}",
        "--setenv=PYTHONPATH",
        "--setenv=PYTHONUNBUFFERED",
        *command,
    ]
