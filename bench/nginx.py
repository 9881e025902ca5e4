"""nginx with one worker, on a port that the kernel has chosen."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.integration.peers.processes import Daemon, base_environment

MAIN = """\
daemon off;
{user}
worker_processes {workers};
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{http}
}}
"""


class NginxServer:
    """Holds a port from the beginning; serves when it is started."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        # nginx cannot have the kernel choose a port, but inherits open sockets.
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listening.getsockname()[1]
        self._daemon: Daemon | None = None

    def start(self, http: str, workers: int = 1) -> Daemon:
        """Start it with what `http` says, and wait for it."""
        configuration = self._directory / "nginx.conf"
        configuration.write_text(
            MAIN.format(
                # its worker is nobody otherwise, and may not read the files
                user="user root;" if os.geteuid() == 0 else "",
                directory=self._directory,
                workers=workers,
                http=http,
            )
        )
        descriptor = self._listening.fileno()
        self._daemon = Daemon(
            ["nginx", "-e", "stderr", "-p", self._directory, "-c", configuration],
            self._directory / "nginx.log",
            {**base_environment(self._directory / "home"), "NGINX": f"{descriptor};"},
            [descriptor],
        )
        self._daemon.wait_for("start worker process ")
        return self._daemon

    def stop(self) -> None:
        """End it."""
        self._listening.close()
        if self._daemon is not None:
            self._daemon.stop()
