"""A worker as a process, seen from the one in front."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.python.failure import Failure

import regbroker
from regbroker.admin.report import Report
from regbroker.runtime.messages import MessageChannel, Values
from regbroker.workers import logs, wrong_passwords

#: What is for the process in front alone.
_NOT_FOR_WORKERS = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)

#: Where the descriptor of its channel is, in a worker.
_CHANNEL = 3


class WorkerProcess(ProcessProtocol):
    """
    One worker, from its start to its end.

    `has_ended` is called in the end, with how it has ended, for people. `asked` answers
    what it asks about passwords.
    """

    def __init__(
        self,
        number: int,
        reactor: Any,
        has_ended: Callable[[WorkerProcess, str], object],
        asked: Callable[[Values], Values] = lambda values: {},
    ) -> None:
        self._has_ended = has_ended
        self._asked = asked
        self._reactor = reactor
        self.number = number
        self.started = reactor.seconds()
        self.is_serving = False
        #: The configuration that it was told last, as a number.
        self.generation = -1
        self.last_report: Report | None = None
        #: Questions in a row that it has not answered; see `regbroker.workers.pulse`.
        self.unanswered = 0
        #: Whether it was killed for that.
        self.is_given_up = False
        self.ended: Deferred[None] = Deferred()
        self.channel = MessageChannel(reactor, self._hear, lambda: None)

    def spawn(self) -> None:
        """Start the process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            self._reactor.adoptStreamConnection(
                ours.fileno(),
                socket.AF_UNIX,
                Factory.forProtocol(lambda: self.channel),
            )
            self._reactor.spawnProcess(
                self,
                sys.executable,
                [sys.executable, "-m", "regbroker.workers.worker", str(_CHANNEL)],
                _environment(),
                childFDs={0: 0, 1: 1, 2: 2, _CHANNEL: theirs.fileno()},
            )

    def connectionMade(self) -> None:
        transport: Any = self.transport
        #: The process's id, also when it has ended.
        self.pid = int(transport.pid)

    def kill(self) -> None:
        """End it now, whatever it does; without effect on one that has ended."""
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):
            transport.signalProcess("KILL")

    def processEnded(self, reason: Failure) -> None:
        self.is_serving = False
        self.channel.close()
        self._has_ended(self, _how(reason))
        self.ended.callback(None)

    def _hear(self, kind: str, values: Values, _: list[int]) -> Values | None:
        if kind == "log":
            logs.write(values["event"], self.number)
        elif kind == wrong_passwords.KIND:
            return self._asked(values)
        return None


def _environment() -> dict[str, str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _NOT_FOR_WORKERS
    }
    # A daemon has gone to another directory, and the package may be in the one before.
    here = str(Path(regbroker.__file__).resolve().parents[1])
    paths = environment.get("PYTHONPATH", "")
    environment["PYTHONPATH"] = f"{here}{os.pathsep}{paths}" if paths else here
    return environment


def _how(reason: Failure) -> str:
    error: Any = reason.value
    number = getattr(error, "signal", None)
    if number is not None:
        return f"signal {signal.Signals(number).name}"
    return f"status {getattr(error, 'exitCode', None)}"
