"""Sockets of systemd's that no listener takes."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.endpoints import listener
from regbroker.transport.listening.handed_over import left_over, warn_of_left_over

PROCESS = 42


def handed_over(*names: str, process: int = PROCESS) -> dict[str, str]:
    """The environment of a process that systemd has started with sockets."""
    return {
        "LISTEN_PID": str(process),
        "LISTEN_FDS": str(len(names)),
        "LISTEN_FDNAMES": ":".join(names),
    }


class LeftOverTests(SynchronousTestCase):
    def left(self, environment: dict[str, str], *listen: str) -> list[str]:
        """What is left over, with these lines of `listen`."""
        return left_over(environment, PROCESS, map(listener, listen))

    def test_taken(self) -> None:
        """A listener takes a socket by its name or by its number."""
        by_name = "tls:systemd:domain=INET6:name=https"
        by_number = "systemd:domain=INET6:index=1"
        environment = handed_over("https", "http")
        self.assertEqual(self.left(environment, by_name, by_number), [])
        self.assertEqual(self.left(environment, by_name), ["http"])
        self.assertEqual(self.left(environment, by_number), ["https"])

    def test_same_port(self) -> None:
        """A listener with the port of a socket does not take it."""
        self.assertEqual(self.left(handed_over("https"), "tls:443"), ["https"])

    def test_none(self) -> None:
        """Nothing was handed over, or to somebody else, or it makes no sense."""
        for environment in (
            {},
            handed_over(),
            handed_over("https", process=1),
            handed_over("https") | {"LISTEN_FDS": "x"},
        ):
            self.assertEqual(self.left(environment, "tls:443"), [], environment)

    def test_warning(self) -> None:
        """The log says what to write."""
        pairs = handed_over("web", process=os.getpid()).items()
        beginning = Path(self.mktemp())
        beginning.write_text("".join(f"{name}={value}\0" for name, value in pairs))
        with capturedLogs() as events:
            warn_of_left_over([listener("tls:443")], beginning)
            warn_of_left_over([listener("tls:443")], beginning.with_name("none"))
        (line,) = map(formatEvent, events)
        self.assertIn("the socket 'web', and no listener takes it", line)
        self.assertIn("tls:systemd:domain=INET6:name=web", line)
