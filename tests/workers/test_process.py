"""A worker as a process."""

from __future__ import annotations

import os
import signal

from twisted.internet.error import ConnectionLost

from regbroker.workers.process import WorkerProcess
from tests.workers.case import WorkersTestCase, reactor


class ProcessTests(WorkersTestCase):
    """One that is told nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[str] = []
        self.worker = WorkerProcess(
            7, reactor, lambda worker, how: self.told.append(f"{worker.number}: {how}")
        )
        self.worker.spawn()

    async def test_killed(self) -> None:
        """How it ends is told, and what it was asked fails."""
        asked = self.worker.channel.ask("report", {}, (), 60.0)
        os.kill(self.worker.pid, signal.SIGKILL)
        await self.assertFailure(asked, ConnectionLost)
        await self.worker.ended
        self.assertEqual(self.told, ["7: signal SIGKILL"])
        # Without effect: another process may have its id by now.
        self.worker.kill()

    async def test_drained(self) -> None:
        """One that does not serve yet ends, too."""
        self.worker.channel.tell("drain", {})
        await self.worker.ended
        self.assertEqual(self.told, ["7: status 0"])
