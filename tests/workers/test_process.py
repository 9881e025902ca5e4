"""A worker as a process."""

from __future__ import annotations

import os
import signal

from twisted.internet.error import ConnectionLost

from regbroker.workers.forker import Forker
from regbroker.workers.process import WorkerProcess
from tests.workers.case import WorkersTestCase, reactor


class ProcessTests(WorkersTestCase):
    """One that is told nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[str] = []
        forker = Forker(reactor)
        self.addCleanup(forker.close)
        self.worker = WorkerProcess(
            7,
            reactor,
            forker,
            lambda worker, how: self.told.append(f"{worker.number}: {how}"),
        )

    async def test_killed(self) -> None:
        """How it ends is told, and what it was asked fails."""
        await self.worker.spawn()
        asked = self.worker.channel.ask("report", {}, (), 60.0)
        os.kill(self.worker.pid, signal.SIGKILL)
        await self.assertFailure(asked, ConnectionLost)
        await self.worker.ended
        self.assertEqual(self.told, ["7: signal SIGKILL"])
        # Without effect: another process may have its id by now.
        self.worker.kill()

    async def test_drained(self) -> None:
        """One that does not serve yet ends, too."""
        await self.worker.spawn()
        self.worker.channel.tell("drain", {})
        await self.worker.ended
        self.assertEqual(self.told, ["7: status 0"])

    async def test_not_started(self) -> None:
        """One that is killed before it has begun has ended, and comes to nothing."""
        begun = self.worker.spawn()
        self.worker.kill()
        await self.worker.ended
        self.assertEqual(self.told, ["7: not started"])
        await begun
        self.assertEqual(len(self.told), 1)
