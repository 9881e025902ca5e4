"""
The workers of a process: started, watched, and started again when they end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.admin.others import Others
from regbroker.admin.report import Report, parse_report
from regbroker.runtime.messages import AskedInVain, Values
from regbroker.runtime.reactor import IMainReactor
from regbroker.workers.forker import Forker
from regbroker.workers.process import WorkerProcess

if TYPE_CHECKING:
    # Imported where it counts: not every configuration has an admin listener.
    from prometheus_client.core import Metric as Family

#: Seconds until a worker that has ended is started again: more each time, unless it
#: had lived for long.
FIRST_PAUSE = 0.1
MAX_PAUSE = 30.0
LONG_LIFE = 60.0

#: Seconds that a worker has to start, or to prepare another configuration.
START_SECONDS = 60.0

#: Seconds that a worker has for its report; what it does may take a moment.
REPORT_SECONDS = 2.0

#: Seconds that a worker has to end, beyond what its transfers have, if they have any.
END_MARGIN = 5.0

_log = Logger()

#: Values and open files of a message.
Told = tuple[Mapping[str, Any], Sequence[int]]


class Pool(Others):
    """
    `count` workers, of which each is told `start` as it starts.

    `start` returns what to tell it, and the number of that configuration. `outdated` is
    called when a worker serves another one than the latest, and `asked` answers what
    workers ask about passwords. `modules` are what workers need besides what all
    services need.
    """

    def __init__(
        self,
        reactor: IMainReactor,
        count: int,
        start: Callable[[], tuple[int, Told]],
        outdated: Callable[[WorkerProcess], object],
        asked: Callable[[Values], Values],
        modules: Sequence[str] = (),
    ) -> None:
        self._reactor = reactor
        self.count = count
        self._start = start
        self._outdated = outdated
        self._asked = asked
        self._forker = Forker(reactor, modules)
        self._workers: dict[int, WorkerProcess] = {}
        #: Seconds before a worker is started again next time, by its number.
        self.pauses: dict[int, float] = {}
        self._waiting: dict[int, IDelayedCall] = {}
        self._ended: list[Family] = []
        self._is_stopping = self._is_hurrying = False
        # Ends those that have not ended by then.
        self._killing: IDelayedCall | None = None
        self._ready: Deferred[None] | None = Deferred()

    def start(self) -> Deferred[None]:
        """Start them; fires when all of them serve."""
        ready = self._ready
        assert ready is not None
        for number in range(1, self.count + 1):
            self._spawn(number)
        return ready

    @property
    def serving(self) -> list[WorkerProcess]:
        """Those that serve."""
        return [worker for worker in self._workers.values() if worker.is_serving]

    # Starting and ending.

    def _spawn(self, number: int) -> None:
        self._waiting.pop(number, None)
        worker = WorkerProcess(
            number, self._reactor, self._forker, self._has_ended, self._asked
        )
        self._workers[number] = worker
        told = worker.spawn().addCallback(self._tell, worker)
        told.addCallback(self._serves, worker)
        told.addErrback(self._does_not_start, worker)

    def _tell(self, _: None, worker: WorkerProcess) -> Deferred[Values]:
        worker.generation, (values, descriptors) = self._start()
        values = {**values, "number": worker.number}
        return worker.channel.ask("start", values, descriptors, START_SECONDS)

    def _serves(self, _: Values, worker: WorkerProcess) -> None:
        worker.is_serving = True
        _log.info(
            "worker {number}: serving, process {pid}",
            number=worker.number,
            pid=worker.pid,
        )
        if self._is_stopping:
            worker.channel.tell("drain", {})
            return
        if worker.generation != self._start()[0]:
            self._outdated(worker)
        if len(self.serving) == self.count and self._ready is not None:
            ready, self._ready = self._ready, None
            ready.callback(None)

    def _does_not_start(self, failure: Failure, worker: WorkerProcess) -> None:
        if failure.check(AskedInVain):
            _log.error(
                "worker {number}: does not start: {problem}",
                number=worker.number,
                problem=str(failure.value),
            )
        # Where it has ended by itself, that is told already.
        worker.kill()

    def _has_ended(self, worker: WorkerProcess, how: str) -> None:
        """Start another worker in the place of one that has ended."""
        number = worker.number
        if worker.last_report is not None:
            from regbroker.admin.adding_up import added_up, counted, serving_families

            families = counted(serving_families(worker.last_report.metrics))
            self._ended = added_up([self._ended, families])
        del self._workers[number]
        if self._is_stopping:
            return
        pause = self.pauses.get(number, FIRST_PAUSE)
        if self._reactor.seconds() - worker.started > LONG_LIFE:
            pause = FIRST_PAUSE
        self.pauses[number] = min(pause * 2, MAX_PAUSE)
        _log.error(
            "worker {number}: process {pid} has ended ({how}); another one takes its "
            "place in {pause:g} s",
            number=number,
            pid=worker.pid,
            how=how,
            pause=pause,
        )
        self._waiting[number] = self._reactor.callLater(pause, self._spawn, number)

    def drain(self, seconds: float) -> Deferred[Any]:
        """Have all end; fires when they have, after so many seconds or some more."""
        self._is_stopping = True
        for waiting in self._waiting.values():
            waiting.cancel()
        self._waiting.clear()
        for worker in list(self._workers.values()):
            if worker.pid:
                worker.channel.tell("drain", {})
            else:
                # It serves nobody, and is not to begin.
                worker.kill()
        if self._is_hurrying:
            seconds = 0
        ended = self._all_ended(seconds + END_MARGIN)
        return ended.addCallback(lambda _: self._forker.close())

    def hurry(self) -> None:
        """Have all end at once; one that hangs does not hear that, and is killed."""
        for worker in self._workers.values():
            worker.channel.tell("hurry", {})
        if self._killing is not None and not self._is_hurrying:
            self._killing.reset(END_MARGIN)
        self._is_hurrying = True

    def _all_ended(self, seconds: float) -> Deferred[Any]:
        workers = list(self._workers.values())
        if not workers:
            return succeed(None)
        ended = DeferredList([worker.ended for worker in workers])
        self._killing = self._reactor.callLater(seconds, self._kill_all)

        def over(result: Any) -> Any:
            if self._killing is not None:
                self._killing.cancel()
                self._killing = None
            return result

        return ended.addCallback(over)

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            _log.error("worker {number}: does not end", number=worker.number)
            worker.kill()
        # Whom it forked, the fork server kills, unless it hangs, too.
        self._killing = self._reactor.callLater(END_MARGIN, self._give_up)

    def _give_up(self) -> None:
        self._killing = None
        self._forker.give_up()

    # What they tell.

    async def reports(self) -> list[Report]:
        """Return what those have counted that answer in time."""
        workers = self.serving
        asked = [
            worker.channel.ask("report", {}, (), REPORT_SECONDS) for worker in workers
        ]
        found = []
        for worker, (answered, values) in zip(
            workers, await DeferredList(asked, consumeErrors=True), strict=True
        ):
            if answered and "report" in values:
                worker.last_report = parse_report(values["report"])
            # Of one that is busy, what it has said before: counters never fall.
            if worker.last_report is not None and worker in self._workers.values():
                found.append(worker.last_report)
        return found

    def ended(self) -> list[Family]:
        """Return what those had counted, at their last report, that have ended."""
        return self._ended

    @property
    def states(self) -> dict[str, str]:
        """Their states by their numbers."""
        states = {}
        for number in range(1, self.count + 1):
            worker = self._workers.get(number)
            states[str(number)] = (
                "has ended"
                if worker is None
                else "serving"
                if worker.is_serving
                else "starting"
            )
        return states
