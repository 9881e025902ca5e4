"""Fork servers that start at once: forked off a process that has them loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import (
    ProcessDone,
    ProcessExitedAlready,
    ProcessTerminated,
)
from twisted.internet.interfaces import IProcessProtocol
from twisted.python.failure import Failure

from tests.integration.peers.nursery import Forked, measured_nursery

PROGRAM = "from regbroker.workers.fork_server import main; main(*descriptors)"

#: In the directory of trial, as its own log.
LOG = Path("fork-servers.log")


class ForkingReactor:
    """A reactor, but that fork servers need not load everything again.

    `Forker` takes a process for one of its own that was started by `spawnProcess`.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def spawnProcess(
        self,
        protocol: IProcessProtocol,
        executable: str,
        args: Sequence[str],
        env: Mapping[str, str],
        childFDs: Mapping[int, int],
    ) -> ForkedTransport:
        """Start the fork server, and nothing else."""
        # Modules that workers need besides are imported when they do.
        _, _, module, number, *_ = args
        assert module == "regbroker.workers.fork_server", args
        forked = measured_nursery().start(
            [],
            LOG.absolute(),
            env,
            program=PROGRAM,
            descriptors=[childFDs[int(number)]],
        )
        return ForkedTransport(self._reactor, forked, protocol)


class ForkedTransport(FileDescriptor):
    """A process as `IProcessTransport`, as far as `Forker` needs it."""

    def __init__(self, reactor: Any, forked: Forked, protocol: Any) -> None:
        super().__init__(reactor)
        self._forked = forked
        self._protocol = protocol
        self.pid = forked.pid
        self.startReading()
        protocol.makeConnection(self)

    def fileno(self) -> int:
        """Return what becomes readable when the process has ended."""
        return self._forked.fileno()

    def doRead(self) -> None:
        """Tell the end."""
        self.stopReading()
        code = self._forked.wait(0)
        ended: ProcessDone | ProcessTerminated = ProcessDone(None)
        if code:
            number = -code if code < 0 else None
            ended = ProcessTerminated(None if number else code, number)
        self._protocol.processEnded(Failure(ended))

    def signalProcess(self, name: str) -> None:
        """Send a signal."""
        if self._forked.poll() is not None:
            raise ProcessExitedAlready()
        os.kill(self.pid, Signals[f"SIG{name}"])
