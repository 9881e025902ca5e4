"""Debian's `squid`: an HTTP proxy, for CONNECT alone; and a cache before a registry."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .processes import Daemon, base_environment, poll, require_programs

#: Debian's place for what checks passwords.
NCSA = "/usr/lib/squid/basic_ncsa_auth"

CONFIGURATION = """\
http_port 127.0.0.1:{port}
pid_filename none
cache_log {directory}/cache.log
access_log stdio:{directory}/access.log
coredump_dir {directory}
cache deny all
visible_hostname localhost
shutdown_lifetime 0 seconds
acl allowed port {ports}
acl CONNECT method CONNECT
http_access deny !CONNECT
http_access deny !allowed
{login}
http_access allow localhost
http_access deny all
"""

CACHE = """\
http_port 127.0.0.1:{port} accel defaultsite={site} no-vhost
cache_peer 127.0.0.1 parent {target} 0 no-query originserver
pid_filename none
cache_log {directory}/cache.log
access_log stdio:{directory}/access.log
coredump_dir {directory}
visible_hostname {name}
shutdown_lifetime 0 seconds
http_access allow all
"""

LOGIN = """\
auth_param basic program {ncsa} {directory}/users
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access deny !known
"""


class Squid:
    """Lets through to all ports, or to `ports`; `login` is the user and password."""

    def __init__(
        self, *, ports: Sequence[int] = (), login: tuple[str, str] | None = None
    ) -> None:
        require_programs("squid", "htpasswd")
        # As root it works for a user of its own, who may not look into ours.
        self.directory = Path(tempfile.mkdtemp(prefix="regbroker-squid-"))
        self.port = 0
        self._text = CONFIGURATION
        self._values = {"ports": " ".join(map(str, ports)) or "1-65535", "login": ""}
        if login is not None:
            text = LOGIN.format(ncsa=NCSA, directory=self.directory)
            self._values["login"] = text
            subprocess.run(
                ["htpasswd", "-icm", self.directory / "users", login[0]],
                input=login[1].encode(),
                capture_output=True,
                check=True,
            )
        if os.geteuid() == 0:
            for path in (self.directory, *self.directory.iterdir()):
                shutil.chown(path, "proxy", "proxy")
        self._daemon: Daemon | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        # It takes no open socket, and does not let the kernel choose.
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        configuration = self.directory / "squid.conf"
        configuration.write_text(
            self._text.format(port=self.port, directory=self.directory, **self._values)
        )
        self._daemon = Daemon(
            ["squid", "-N", "-n", f"test{self.port}", "-f", configuration],
            self.directory / "output.log",
            base_environment(self.directory / "home"),
        )
        poll(self._listens, "squid listens")

    def stop(self) -> None:
        """End it; harmless when it is not running."""
        if self._daemon is not None:
            self._daemon.stop()

    def remove(self) -> None:
        """End it, and leave nothing."""
        self.stop()
        shutil.rmtree(self.directory)

    def connected(self) -> list[tuple[str, int]]:
        """Hosts and ports of tunnels that have ended, oldest first."""
        log = self.directory / "access.log"
        found = []
        for line in log.read_text().splitlines() if log.exists() else ():
            words = line.split()
            if words[5] == "CONNECT" and words[3].endswith("/200"):
                host, _, port = words[6].rpartition(":")
                found.append((host, int(port)))
        return found

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


class CachingSquid(Squid):
    """Answers for the registry on the port `target`, with what it remembers, too.

    It calls itself `name`, and the registry `site`, whatever is asked for.
    """

    name = "cache7.internal"
    site = "registry.internal"

    def __init__(self, target: int) -> None:
        super().__init__()
        self._text = CACHE
        self._values = {"target": str(target), "name": self.name, "site": self.site}
