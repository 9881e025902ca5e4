"""The fork server, seen from the process in front."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

import regbroker
from regbroker.runtime.messages import MessageChannel, Values, connect
from regbroker.runtime.reactor import IMainReactor

#: What is for the process in front alone.
_NOT_FOR_WORKERS = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)

#: Where the descriptor of its channel is, in the fork server.
_CHANNEL = 3

#: Seconds that the fork server has to fork, of which its own start is the longest part.
FORK_SECONDS = 60.0

#: Seconds that it has to end, when nobody needs it any more.
END_SECONDS = 5.0

_log = Logger()

#: Called with how a process has ended, for people.
Ended = Callable[[str], object]


class Forker:
    """
    Starts processes that are forked from one of its own, which it starts as well.

    That one imports `modules` beforehand. When it ends, all that were forked from it
    count as ended.
    """

    def __init__(self, reactor: IMainReactor, modules: Sequence[str] = ()) -> None:
        self._reactor = reactor
        self._modules = modules
        self._server: _ServerProcess | None = None

    def fork(self, descriptor: int, ended: Ended) -> Deferred[int]:
        """
        Return the id of a new worker, at the other end of whose channel the caller is.

        `descriptor` is the worker's end, and must stay open until then. Raises
        `AskedInVain`, `TimeoutError` or `ConnectionLost`.
        """
        if self._server is None:
            self._server = _ServerProcess(self._reactor, self._has_ended)
            self._server.spawn(self._modules)
        return self._server.fork(descriptor, ended)

    def kill(self, process: int) -> None:
        """End a worker now; without effect on one that has ended."""
        if self._server is not None:
            self._server.channel.tell("kill", {"pid": process})

    def give_up(self) -> None:
        """Kill the fork server: it may hang itself, and kill nobody."""
        if self._server is not None:
            self._server.kill()

    def close(self) -> Deferred[None]:
        """End the fork server; fires when it has ended."""
        return self._server.close() if self._server is not None else succeed(None)

    def _has_ended(self) -> None:
        self._server = None


class _ServerProcess(ProcessProtocol):
    """One process of `regbroker.workers.fork_server`."""

    def __init__(self, reactor: IMainReactor, has_ended: Callable[[], object]) -> None:
        self._reactor = reactor
        self._has_ended = has_ended
        #: By process id.
        self._children: dict[int, Ended] = {}
        self._has_forked = False
        self._closed: Deferred[None] | None = None
        self.channel = MessageChannel(reactor, self._hear, lambda: None)

    def spawn(self, modules: Sequence[str]) -> None:
        """Start the process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            connect(self._reactor, ours.fileno(), self.channel)
            self._reactor.spawnProcess(
                self,
                sys.executable,
                [
                    *(sys.executable, "-m", "regbroker.workers.fork_server"),
                    *(str(_CHANNEL), *modules),
                ],
                _environment(),
                childFDs={0: 0, 1: 1, 2: 2, _CHANNEL: theirs.fileno()},
            )

    def fork(self, descriptor: int, ended: Ended) -> Deferred[int]:
        """See `Forker.fork`."""
        asked = self.channel.ask("fork", {}, [descriptor], FORK_SECONDS)

        def forked(values: Values) -> int:
            self._has_forked = True
            process = int(values["pid"])
            self._children[process] = ended
            return process

        def failed(failure: Failure) -> Failure:
            if failure.check(TimeoutError):
                self.kill()
            return failure

        return asked.addCallbacks(forked, failed)

    def close(self) -> Deferred[None]:
        """See `Forker.close`."""
        self._closed = Deferred()
        self.channel.close()
        # One that still starts would see that only afterwards.
        seconds = END_SECONDS if self._has_forked else 0.0
        timer = self._reactor.callLater(seconds, self.kill)

        def over(_: None) -> None:
            if timer.active():
                timer.cancel()

        return self._closed.addCallback(over)

    def processEnded(self, reason: Failure) -> None:
        self.channel.close()
        self._has_ended()
        if self._closed is not None:
            self._closed.callback(None)
        else:
            _log.error(
                "the process that workers are forked from has ended ({how}); its "
                "workers end what they have begun, and others take their places",
                how=_how_ended(reason),
            )
        children, self._children = self._children, {}
        for ended in children.values():
            ended("with the process that it was forked from")

    def _hear(self, kind: str, values: Values, _: list[int]) -> None:
        if kind == "ended":
            # There is none for one that came too late.
            ended = self._children.pop(values["pid"], None)
            if ended is not None:
                ended(_how(values["code"]))

    def kill(self) -> None:
        """End the process now, if it has not ended."""
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):
            transport.signalProcess("KILL")


def _how_ended(reason: Failure) -> str:
    """Return how a process of Twisted's has ended, for people."""
    error: Any = reason.value
    number = getattr(error, "signal", None)
    return _how(-number if number is not None else getattr(error, "exitCode", 0) or 0)


def _how(code: int) -> str:
    """Return how a process has ended, from its status or the negative signal."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"


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
