"""The process in front of two workers."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import capturedLogs, formatEvent

from regbroker.errors import ConfigurationError, StateError
from regbroker.workers import pool
from regbroker.workers.process import WorkerProcess
from tests.workers.case import FrontTestCase


class FrontTests(FrontTestCase):
    """Its workers are processes of their own."""

    async def test_reload(self) -> None:
        """All take another configuration, new listeners included."""
        (before,) = self.front.listeners
        url = before.url
        self.assertEqual(await self.status(f"{url}/healthz"), 404)
        more = "    tcp:0:interface=127.0.0.2\nhealth-path = /healthz"
        text = self.text().replace("127.0.0.1\n", f"127.0.0.1\n{more}\n", 1)
        await self.reload(text)
        # A worker that has begun with what was before is told apart by this number.
        serving = {each.generation for each in self.front.pool.serving}
        self.assertEqual((serving, self.front._start()[0]), ({1}, 1))
        first, second = self.front.listeners
        self.assertEqual(first.url, url)
        for each in (first, second):
            for _ in range(8):
                self.assertEqual(await self.status(f"{each.url}/healthz"), 200)
        await self.reload(self.text())
        self.assertEqual(await self.status(f"{url}/healthz"), 404)
        self.assertEqual(len(self.front.listeners), 1)

    async def test_not_taken(self) -> None:
        """One worker that cannot take it is enough: nothing changes anywhere."""
        text = self.text("health-path = /healthz")
        worker = self.front.pool.serving[1]
        # It has no such file any more when it is asked.
        asked = worker.channel.ask

        def spoilt(kind: str, values: Any, *more: Any) -> Any:
            return asked(kind, {**values, "text": "[registry *]"}, *more)

        worker.channel.ask = spoilt  # type: ignore
        try:
            await self.reload(text)
        except StateError as error:
            self.assertIn(f"worker {worker.number}: [registry *]", str(error))
        else:
            self.fail("it was taken")
        (listener,) = self.front.listeners
        for _ in range(8):
            self.assertEqual(await self.status(f"{listener.url}/healthz"), 404)
        worker.channel.ask = asked  # type: ignore[method-assign]
        await self.reload(text)
        for _ in range(8):
            self.assertEqual(await self.status(f"{listener.url}/healthz"), 200)

    async def test_not_taken_later(self) -> None:
        """A worker that cannot take what is in use ends, and the log says why."""
        worker = self.front.pool.serving[1]
        asked = worker.channel.ask

        def spoilt(kind: str, values: Any, *more: Any) -> Any:
            return asked(kind, {**values, "text": "[registry *]"}, *more)

        worker.channel.ask = spoilt  # type: ignore
        worker.generation -= 1
        with capturedLogs() as events:
            self.front._catch_up(worker)
            await worker.ended
        (told,) = [each for each in events if each.get("why")]
        self.assertIn(
            f"worker {worker.number}: does not take the configuration in use: "
            "[registry *]",
            formatEvent(told),
        )
        await self.until(lambda: len(self.front.pool.serving) == 2, "two workers")

    async def test_wrong(self) -> None:
        """What is wrong is found before a worker hears of it."""
        with self.assertRaises(ConfigurationError):
            await self.reload("[registry *]")

    async def test_started_meanwhile(self) -> None:
        """A worker that begins to serve while the others are asked takes it, too."""
        first, second = self.front.pool.serving
        with self.stopped(first):
            reloading = ensureDeferred(self.reload(self.text("health-path = /healthz")))
            await self.replaced(second)
            self.assertNoResult(reloading)
        await reloading
        workers = self.front.pool.serving
        self.assertNotIn(second, workers)
        await self.until(lambda: {each.generation for each in workers} == {1}, "both")
        with self.stopped(first):
            (listener,) = self.front.listeners
            self.assertEqual(await self.status(f"{listener.url}/healthz"), 200)

    async def test_closes_first(self) -> None:
        """A worker closes a socket last: it accepts before who waits there."""
        other = "127.0.0.1\n    tcp:0:interface=127.0.0.2\n"
        await self.reload(self.text().replace("127.0.0.1\n", other, 1))
        _, gone = self.front.listeners
        told: list[tuple[str, bool]] = []

        def listen_to(worker: WorkerProcess) -> None:
            for name in "ask", "tell":
                real = getattr(worker.channel, name)

                def note(kind: str, *more: Any, real: Any = real) -> Any:
                    if kind in ("commit", "drain"):
                        (first, *_) = self.front.listeners
                        port = gone.port if kind == "commit" else first.port
                        told.append((kind, port is None))
                    return real(kind, *more)

                setattr(worker.channel, name, note)

        for worker in self.front.pool.serving:
            listen_to(worker)
        await self.reload(self.text())
        await self.front.drain()
        self.assertEqual(told, [("commit", True)] * 2 + [("drain", True)] * 2)

    async def test_stopped_meanwhile(self) -> None:
        """What workers have not answered when all is to end is not taken."""
        self.patch(pool, "END_MARGIN", 0.1)
        ports = [each.port for each in self.front.listeners]
        os.kill(self.front.pool.serving[0].pid, signal.SIGSTOP)
        text = self.text("health-path = /healthz").replace("tcp:0", "tcp:00", 1)
        reloading = ensureDeferred(self.reload(text))
        drained = self.front.drain()
        self.front.hurry()
        await drained
        with self.assertRaisesRegex(StateError, "regbroker is stopping"):
            await reloading
        self.assertEqual(self.front.config.health_path, "")
        self.assertEqual([each.port for each in self.front.listeners], [None])
        self.assertNotEqual(ports, [None])
