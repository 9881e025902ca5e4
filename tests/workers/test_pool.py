"""Workers that are started, and started again."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from regbroker.workers import pool as pool_module
from regbroker.workers.pool import FIRST_PAUSE, Pool, Told
from regbroker.workers.process import WorkerProcess
from regbroker.workers.pulse import Pulse
from regbroker.workers.start import Served
from tests.workers.case import SECONDS, WorkersTestCase, reactor


def parent_of(process: int) -> int:
    """The process that has forked another one."""
    status = Path(f"/proc/{process}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


class PoolTests(WorkersTestCase):
    """Two workers on one socket; the test says what they are told."""

    generation = 0

    def setUp(self) -> None:
        super().setUp()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)
        port = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/healthz"
        self.served = self.text("health-path = /healthz\nadmin-listen = tcp:0")
        self.outdated: list[WorkerProcess] = []
        self.pool = self.pool_of(self.start)
        self.addCleanup(self.end)

    def pool_of(self, start: Callable[[], tuple[int, Told]]) -> Pool:
        """Two workers that are told this."""
        return Pool(reactor, 2, start, self.outdated.append, lambda values: {})

    def start(self) -> tuple[int, Told]:
        """What each is told."""
        served = Served("r.ini", self.served, {"up": "http://127.0.0.1:1"})
        values = served.document() | {
            **{"secret": "00" * 32, "workers": 2, "log_format": ""},
        }
        return self.generation, (values, [self.listening.fileno()])

    async def end(self) -> None:
        """All have ended."""
        await self.pool.drain(5)
        self.assertEqual(self.pool.serving, [])

    async def test_killed(self) -> None:
        """Another worker takes the place; what had been counted stays."""
        await self.pool.start()
        self.assertEqual(self.pool.states, {"1": "serving", "2": "serving"})
        processes = {worker.pid for worker in self.pool.serving}
        self.assertEqual(len(processes), 2)
        self.assertEqual(len(await self.pool.reports()), 2)
        self.assertEqual(self.pool.ended(), [])
        victim = self.pool.serving[0]
        ended: Deferred[None] = Deferred()
        victim.ended.chainDeferred(ended)
        os.kill(victim.pid, signal.SIGKILL)
        await ended
        self.assertEqual(self.pool.states[str(victim.number)], "has ended")
        self.assertEqual(await self.status(self.url), 200)
        await self.until(lambda: len(self.pool.serving) == 2, "two workers")
        others = {worker.pid for worker in self.pool.serving}
        self.assertEqual(len(others & processes), 1)
        names = {family.name for family in self.pool.ended()}
        self.assertIn("regbroker_malformed_requests", names)
        self.assertNotIn("regbroker_connections", names)

    async def test_stopped(self) -> None:
        """One that hangs is killed, and another one takes its place."""
        await self.pool.start()
        victim = self.pool.serving[0]
        pulse = Pulse(reactor, lambda: self.pool.serving, 0.3)
        pulse.start()
        self.addCleanup(pulse.stop)
        with capturedLogs() as events:
            os.kill(victim.pid, signal.SIGSTOP)
            await victim.ended
            await self.until(lambda: len(self.pool.serving) == 2, "two workers")
        self.assertNotIn(victim, self.pool.serving)
        lines = [formatEvent(event) for event in events]
        killed = next(line for line in lines if f"process {victim.pid} hangs" in line)
        ended = next(line for line in lines if f"{victim.pid} has ended" in line)
        self.assertLess(lines.index(killed), lines.index(ended))
        self.assertIn("signal SIGKILL", ended)
        self.assertEqual(await self.status(self.url), 200)

    async def test_outdated(self) -> None:
        """Who has begun with another configuration than the latest is told of."""
        self.generation = 7
        await self.pool.start()
        self.assertEqual(self.outdated, [])
        self.assertEqual({each.generation for each in self.pool.serving}, {7})
        (first, _) = self.pool.serving
        started = self.start

        def reloaded() -> tuple[int, Told]:
            # A reload comes while the new worker begins.
            told = started()
            self.generation = 8
            return told

        self.pool._start = reloaded
        os.kill(first.pid, signal.SIGKILL)
        await self.until(lambda: bool(self.outdated), "the new one serves")
        (late,) = self.outdated
        self.assertEqual((late.number, late.generation), (first.number, 7))

    async def test_stopped_at_once(self) -> None:
        """Those that have not begun are not waited for, and serve nobody."""
        told: list[int] = []
        start = self.start

        def tell() -> tuple[int, Told]:
            told.append(1)
            return start()

        pool = self.pool_of(tell)
        pool.start()
        with capturedLogs() as events:
            await pool.drain(5)
        self.assertEqual(pool.states, {"1": "has ended", "2": "has ended"})
        self.assertEqual((told, list(events)), ([], []))

    async def test_hurry(self) -> None:
        """One that hangs is not waited for as long as transfers are."""
        self.patch(pool_module, "END_MARGIN", 0.1)
        for tells_first in (True, False):
            pool = self.pool_of(self.start)
            await pool.start()
            os.kill(pool.serving[0].pid, signal.SIGSTOP)
            with capturedLogs() as events:
                if tells_first:
                    pool.hurry()
                drained = pool.drain(10 * SECONDS)
                if not tells_first:
                    pool.hurry()
                await drained
            self.assertIn(
                "worker 1: does not end", [formatEvent(event) for event in events]
            )
            self.assertEqual(pool.states, {"1": "has ended", "2": "has ended"})

    async def test_fork_server_hangs(self) -> None:
        """It kills no worker, and is killed itself then."""
        self.patch(pool_module, "END_MARGIN", 0.1)
        pool = self.pool_of(self.start)
        await pool.start()
        workers = [worker.pid for worker in pool.serving]
        for process in (*workers, parent_of(workers[0])):
            os.kill(process, signal.SIGSTOP)
        await pool.drain(0.1)
        self.assertEqual(pool.states, {"1": "has ended", "2": "has ended"})
        for process in workers:
            os.kill(process, signal.SIGKILL)

    async def test_not_started(self) -> None:
        """One that cannot serve is tried again, later each time."""
        right, self.served = self.served, "[registry *]"
        ready = self.pool.start()
        await self.until(
            lambda: min(self.pool.pauses.get(n, 0) for n in (1, 2)) > FIRST_PAUSE,
            "a second attempt",
        )
        self.assertFalse(ready.called)
        self.served = right
        await ready
        self.assertEqual(self.pool.states, {"1": "serving", "2": "serving"})
