"""
Whether workers answer: one that hangs is killed, and another one takes its place.

A worker answers between two things that it does, so it is late when the machine is
slow. What counts is therefore not the time but the questions without an answer: where
this process has been stopped as well, it has not asked meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from regbroker.workers.process import WorkerProcess

#: Seconds between two questions.
BEAT_SECONDS = 5.0

#: Questions that a worker may leave unanswered: half a minute. What takes longest is to
#: build another configuration, a second or two with thousands of rules.
MAX_UNANSWERED = 6

#: Questions that all workers together may leave unanswered before this process is not
#: well either: those that hang are killed by then, and others have had time to start.
MAX_SILENT = 12

_log = Logger()


class Pulse:
    """Asks those whom `workers` returns, every `seconds` while it runs."""

    def __init__(
        self,
        clock: IReactorTime,
        workers: Callable[[], Sequence[WorkerProcess]],
        seconds: float = BEAT_SECONDS,
    ) -> None:
        self._workers = workers
        self._seconds = seconds
        self._silent = 0
        self._beating = LoopingCall(self._beat)
        self._beating.clock = clock

    def start(self) -> None:
        """Begin to ask."""
        self._beating.start(self._seconds)

    def stop(self) -> None:
        """Ask no more: all is well from now on."""
        self._silent = 0
        if self._beating.running:
            self._beating.stop()

    def is_well(self) -> bool:
        """Tell whether some worker has answered lately."""
        return self._silent <= MAX_SILENT

    def _beat(self) -> None:
        self._silent += 1
        if self._silent == MAX_SILENT + 1:
            _log.error(
                "no worker has answered for {seconds:g} s; the watchdog is not told "
                "that all is well until one does",
                seconds=MAX_SILENT * self._seconds,
            )
        for worker in self._workers():
            if worker.unanswered >= MAX_UNANSWERED:
                self._give_up(worker)
            else:
                self._ask(worker)

    def _ask(self, worker: WorkerProcess) -> None:
        worker.unanswered += 1
        seconds = (MAX_UNANSWERED + 1) * self._seconds
        asked = worker.channel.ask("alive", {}, (), seconds)

        def answered(_: object) -> None:
            worker.unanswered = self._silent = 0

        # One that has ended is told elsewhere.
        asked.addCallbacks(answered, lambda _: None)

    def _give_up(self, worker: WorkerProcess) -> None:
        if not worker.is_given_up:
            worker.is_given_up = True
            _log.error(
                "worker {number}: process {pid} hangs: it has not answered for "
                "{seconds:g} s, and is killed",
                number=worker.number,
                pid=worker.pid,
                seconds=MAX_UNANSWERED * self._seconds,
            )
        worker.kill()
