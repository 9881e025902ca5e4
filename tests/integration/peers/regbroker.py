"""regbroker itself: a process like the others."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

from .certificates import Authority
from .nursery import environment, nursery
from .processes import Server, poll

BASE_CONFIGURATION = """\
[regbroker]
listen =
    {listen}
state-directory = {directory}/state
{main}

[tls]
certificate = {certificate}
key = {key}

"""


class Regbroker:
    """`twistd regbroker` on a loopback port, as `localhost`."""

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        sections: str,
        *,
        listen: str = "tls:0:interface=127.0.0.1",
        main: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare it; `sections` is the configuration of registries and upstreams.

        `main` are lines of [regbroker], `environment` comes on top of ours. Unless
        `main` says another, its `drain-timeout` is short: most tests want its end.
        """
        directory.mkdir()
        self.directory = directory
        self._added_environment = dict(environment or {})
        self.port = 0
        self._daemon: Server | None = None
        certificate, key = authority.issue("localhost", "127.0.0.1").write(
            directory, "server"
        )
        if "drain-timeout" not in main:
            main += "\ndrain-timeout = 0.1"
        base = BASE_CONFIGURATION.format(
            directory=directory,
            certificate=certificate,
            key=key,
            listen=listen,
            main=main,
        )
        self._configuration = directory / "regbroker.ini"
        self._configuration.write_text(base + sections)

    @property
    def host(self) -> str:
        """`HOST:PORT`, as in an image name."""
        return f"localhost:{self.port}"

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self._running().pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        options = ["-n", "--pidfile=", "regbroker", "--config"]
        variables = environment() | self._added_environment
        self._daemon = Server(
            "twistd",
            self.directory / "regbroker.log",
            lambda log: nursery().start(
                [*options, str(self._configuration)], log, variables
            ),
        )
        match = self._daemon.wait_for(r"listening on https?://127\.0\.0\.1:(\d+)")
        self.port = int(match[1])

    def admin_url(self) -> str:
        """Where its admin listener is, with `admin-listen = tcp:0`."""
        return self._running().wait_for(r"admin-listen: listening on (http://\S+)")[1]

    @property
    def configuration(self) -> Path:
        """The file that it was started with."""
        return self._configuration

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def reload(self) -> str:
        """Have it read its configuration again; what it says of that."""
        seen = len(self.log())
        self.signal(signal.SIGHUP)
        pattern = r"regbroker\.ini: (?:read again|not taken)"

        def is_told() -> bool:
            return re.search(pattern, self.log()[seen:]) is not None

        poll(is_told, "the end of a reload")
        return self.log()[seen:]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in its log."""
        return self._running().wait_for(pattern)

    def wait(self) -> int:
        """Wait for its end; the exit status."""
        return self._running().wait()

    def stop(self) -> None:
        """End it; harmless when it is not running."""
        if self._daemon is not None:
            self._daemon.stop()

    def log(self) -> str:
        """Everything that it has printed."""
        return self._running().output()

    def _running(self) -> Server:
        if self._daemon is None:
            raise AssertionError("regbroker was not started")
        return self._daemon
