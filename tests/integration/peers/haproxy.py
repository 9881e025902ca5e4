"""
Debian's `haproxy`: passes TCP on, with a PROXY line of either version before it, or
requests of HTTP/2, as HTTP/1.1.
"""

from __future__ import annotations

import socket
from pathlib import Path

from .processes import Daemon, base_environment, require_programs

CONFIGURATION = """\
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen front
    bind fd@{descriptor}
    server regbroker 127.0.0.1:{target} {line} check check-send-proxy inter 100ms
"""

HTTP2 = """\
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen front
    bind fd@{descriptor} proto h2
    server regbroker 127.0.0.1:{target}
"""

#: What it says of its client: all that it can, in version 2.
LINES = {
    1: "send-proxy",
    2: "send-proxy-v2 proxy-v2-options unique-id,crc32c,ssl,cert-cn,authority",
}


class Haproxy:
    """
    Listens on loopback, and passes on to `target`.

    `version` is that of its lines: it asks all the time whether the target is there,
    with lines that are its own. Without one, it passes on requests of HTTP/2.
    """

    def __init__(
        self, directory: Path, target: int, version: int | None = None
    ) -> None:
        require_programs("haproxy")
        directory.mkdir()
        self.directory = directory
        self._target = target
        self._text = HTTP2 if version is None else CONFIGURATION
        self._line = "" if version is None else LINES[version]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._daemon: Daemon | None = None

    def start(self) -> None:
        """Start it. Its socket listens already."""
        descriptor = self._listening.fileno()
        configuration = self.directory / "haproxy.cfg"
        configuration.write_text(
            self._text.format(
                descriptor=descriptor, target=self._target, line=self._line
            )
        )
        self._daemon = Daemon(
            ["haproxy", "-db", "-f", configuration],
            self.directory / "output.log",
            base_environment(self.directory / "home"),
            [descriptor],
        )

    def stop(self) -> None:
        """End it; harmless when it is not running."""
        self._listening.close()
        if self._daemon is not None:
            self._daemon.stop()
