"""A configuration for processes of a test, and clients of them."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from regbroker.assembly.loading import parse_text
from regbroker.workers.front import Front
from regbroker.workers.process import WorkerProcess
from tests.workers.forked import ForkingReactor

#: To load everything takes a second of CPU time, and each test has a fork server.
reactor: Any = ForkingReactor(_reactor)

TEXT = """\
[regbroker]
listen = tcp:0:interface=127.0.0.1
state-directory = {directory}/state
drain-timeout = 5
workers = 2
{more}
[registry *]
upstream = up
namespaces = * = *
[upstream up]
url = sandbox:
"""

#: A worker that starts has to import everything, on a busy machine.
SECONDS = 60.0


class WorkersTestCase(TestCase):
    """A directory that ends with the test."""

    timeout = SECONDS

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)

    def text(self, more: str = "") -> str:
        """A configuration file."""
        return TEXT.format(directory=self.directory, more=more)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something."""
        deadline = reactor.seconds() + SECONDS
        while not condition():
            self.assertLess(reactor.seconds(), deadline, what)
            await deferLater(reactor, 0.01)

    async def status(self, url: str | urllib.request.Request) -> int:
        """The status of an answer."""

        def ask() -> int:
            try:
                with urllib.request.urlopen(url, timeout=10) as reply:
                    return int(reply.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        return await deferToThread(ask)


class FrontTestCase(WorkersTestCase):
    """This process is in front of two workers, which serve `configuration`."""

    def configuration(self) -> str:
        """The configuration file."""
        return self.text()

    def setUp(self) -> Any:
        super().setUp()
        self.path = str(self.directory / "r.ini")
        self.served = self.configuration()
        config = parse_text(self.served, self.path)
        self.front = Front(config, reactor, 2, self.path, self.served)
        self.front.privilegedStartService()
        self.front.startService()
        self.addCleanup(self.end)
        return self.front.serve()

    async def end(self) -> None:
        """Drain, and stop."""
        await self.front.drain()
        self.assertEqual(self.front.pool.serving, [])
        await self.front.stopService()

    async def reload(self, text: str) -> None:
        """Have another configuration served."""
        await self.front.reload(parse_text(text, self.path), text)

    @property
    def port(self) -> int:
        """The port of the first listener."""
        address: Any = cast(Any, self.front.listeners[0].port).getHost()
        return int(address.port)

    @contextmanager
    def stopped(self, worker: WorkerProcess) -> Iterator[None]:
        """Stop a worker, so that the other one serves."""
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker.pid, signal.SIGCONT)

    async def replaced(self, worker: WorkerProcess) -> None:
        """Kill a worker, and wait until another one is in its place."""
        os.kill(worker.pid, signal.SIGKILL)
        await worker.ended
        await self.until(lambda: len(self.front.pool.serving) == 2, "two workers")
