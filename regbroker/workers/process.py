"""A worker as a process, seen from the one in front."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from regbroker.admin.report import Report
from regbroker.runtime.messages import MessageChannel, Values, connect
from regbroker.runtime.reactor import IMainReactor
from regbroker.workers import logs, wrong_passwords
from regbroker.workers.forker import Forker


class WorkerProcess:
    """
    One worker, from its start to its end.

    `has_ended` is called in the end, with how it has ended, for people. `asked` answers
    what it asks about passwords.
    """

    def __init__(
        self,
        number: int,
        reactor: IMainReactor,
        forker: Forker,
        has_ended: Callable[[WorkerProcess, str], object],
        asked: Callable[[Values], Values] = lambda values: {},
    ) -> None:
        self._has_ended = has_ended
        self._asked = asked
        self._reactor = reactor
        self._forker = forker
        self.number = number
        self.started = reactor.seconds()
        #: The process's id, also when it has ended; 0 before it has begun.
        self.pid = 0
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

    def spawn(self) -> Deferred[None]:
        """
        Start the process; fires when it has begun.

        Raises `AskedInVain`, `TimeoutError` or `ConnectionLost`; `kill` is to follow.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            connect(self._reactor, ours.fileno(), self.channel)
        forked = self._forker.fork(theirs.fileno(), self._end)

        def begun(process: int) -> None:
            self.pid = process

        def close(result: Any) -> Any:
            theirs.close()
            return result

        return forked.addBoth(close).addCallback(begun)

    def kill(self) -> None:
        """End it now, whatever it does; without effect on one that has ended."""
        if not self.pid:
            # If it comes to life all the same, it finds that nobody is there.
            self._end("not started")
        elif not self.ended.called:
            self._forker.kill(self.pid)

    def _end(self, how: str) -> None:
        if self.ended.called:
            return
        self.is_serving = False
        self.channel.close()
        self._has_ended(self, how)
        self.ended.callback(None)

    def _hear(self, kind: str, values: Values, _: list[int]) -> Values | None:
        if kind == "log":
            logs.write(values["events"], self.number)
        elif kind == wrong_passwords.KIND:
            return self._asked(values)
        return None
