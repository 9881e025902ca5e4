"""Debian's `tinyproxy`: an HTTP proxy, for CONNECT alone."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from pathlib import Path

from .processes import Daemon, base_environment, poll, require_programs

CONFIGURATION = """\
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 50
Allow 127.0.0.1
LogLevel Connect
LogFile "{directory}/proxy.log"
PidFile "{directory}/pid"
"""

CONNECT = re.compile(r"Request \(file descriptor \d+\): CONNECT (\S+):(\d+) HTTP/1\.1")


class Tinyproxy:
    """Lets through to all ports, or to `ports`; `login` is the user and password."""

    def __init__(
        self,
        directory: Path,
        *,
        ports: Sequence[int] = (),
        login: tuple[str, str] | None = None,
    ) -> None:
        require_programs("tinyproxy")
        directory.mkdir()
        self.directory = directory
        # It cannot have the kernel choose, and takes no open socket: so the port may be
        # taken by somebody else meanwhile, and another one is tried then.
        self.port = 0
        self._more = "".join(f"ConnectPort {port}\n" for port in ports)
        if login is not None:
            self._more += "BasicAuth {} {}\n".format(*login)
        self._daemon: Daemon | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        configuration = self.directory / "tinyproxy.conf"
        configuration.write_text(
            CONFIGURATION.format(port=self.port, directory=self.directory) + self._more
        )
        self._daemon = Daemon(
            ["tinyproxy", "-d", "-c", configuration],
            self.directory / "output.log",
            base_environment(self.directory / "home"),
        )
        poll(self._listens, "tinyproxy listens")

    def stop(self) -> None:
        """End it; harmless when it is not running."""
        if self._daemon is not None:
            self._daemon.stop()

    def connected(self) -> list[tuple[str, int]]:
        """Hosts and ports that were asked for, oldest first."""
        text = (self.directory / "proxy.log").read_text()
        return [(host, int(port)) for host, port in CONNECT.findall(text)]

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True
