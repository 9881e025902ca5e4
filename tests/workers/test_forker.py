"""Workers that are forked, seen from the process in front."""

from __future__ import annotations

import os
import signal
import socket

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs, formatEvent

from regbroker.workers.forker import Forker
from tests.workers.case import WorkersTestCase, reactor


class ForkerTests(WorkersTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.forker = Forker(reactor)
        self.addCleanup(lambda: self.forker.close())

    async def fork(self) -> tuple[int, Deferred[str], socket.socket]:
        """A worker: its id, how it ends, and our end of its channel."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        ended: Deferred[str] = Deferred()
        with theirs:
            process = await self.forker.fork(theirs.fileno(), ended.callback)
        return process, ended, ours

    async def test_ends(self) -> None:
        """How each one ends is told."""
        first, how_first, channel = await self.fork()
        second, how_second, _ = await self.fork()
        self.forker.kill(second)
        self.assertEqual(await how_second, "signal SIGKILL")
        self.forker.kill(second)
        channel.close()
        self.assertEqual(await how_first, "status 0")
        self.assertNotEqual(first, second)

    async def test_lost(self) -> None:
        """When the process is lost that they come from, so are they; others come."""
        process, how, channel = await self.fork()
        server = self.forker._server
        assert server is not None
        with capturedLogs() as events:
            os.kill(server.transport.pid, signal.SIGKILL)  # type: ignore[union-attr]
            self.assertIn("forked from", await how)
        (line,) = map(formatEvent, events)
        self.assertIn("has ended (signal SIGKILL)", line)
        other, _, _ = await self.fork()
        # It has not ended yet: it ends what it has begun.
        os.kill(process, 0)
        channel.close()
        self.assertNotEqual(other, process)

    async def test_lost_before(self) -> None:
        """Who waits for one meanwhile is told."""
        await self.fork()
        server = self.forker._server
        assert server is not None
        os.kill(server.transport.pid, signal.SIGSTOP)  # type: ignore[union-attr]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            forked = self.forker.fork(theirs.fileno(), lambda how: None)
            os.kill(server.transport.pid, signal.SIGKILL)  # type: ignore[union-attr]
            await self.assertFailure(forked, ConnectionLost)

    async def test_closed(self) -> None:
        """Nobody complains when it is not needed any more."""
        with capturedLogs() as events:
            await self.forker.close()
            _, how, _ = await self.fork()
            await self.forker.close()
            await how
        self.assertEqual(events, [])
