"""Wrong passwords are counted for all workers together."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.throttle import PAIR_LIMIT, USER_FREE, Throttle, Verdict
from regbroker.assembly.loading import parse_text
from regbroker.errors import AccountsUnavailable
from regbroker.runtime.messages import Values
from regbroker.workers.front import Front
from regbroker.workers.process import WorkerProcess
from regbroker.workers.wrong_passwords import CountedInFront, WrongPasswords
from tests.accounts.hashes import OTHER
from tests.workers.case import WorkersTestCase, reactor

WHO = ("192.0.2.1", "alice")

ACCOUNTS = """
[accounts local]
htpasswd = {directory}/htpasswd
[access local]
alice = **: pull
"""


class CountedTests(SynchronousTestCase):
    """The end of a worker, and that of the process in front; JSON goes between them."""

    def setUp(self) -> None:
        self.time = 0.0
        self.front = WrongPasswords(lambda: self.time)
        self.is_lost = False
        channel: Any = self
        self.workers = [CountedInFront(channel, "local") for _ in range(3)]
        self.other = CountedInFront(channel, "other")

    def ask(self, kind: str, values: Values, *_: object) -> Deferred[Values]:
        """Be a channel."""
        if self.is_lost:
            return fail(ConnectionLost())
        return succeed(json.loads(json.dumps(self.hear(values))))

    def tell(self, kind: str, values: Values) -> None:
        """Be a channel."""
        self.hear(values)

    def hear(self, values: Values) -> Values:
        """Be the process in front."""
        return self.front.hear(json.loads(json.dumps(values)))

    def result(self, asked: Coroutine[Any, Any, Any]) -> Any:
        """What is answered."""
        return self.successResultOf(Deferred.fromCoroutine(asked))

    def test_as_one(self) -> None:
        """Whoever is asked says what a process would that is alone."""
        alone = Throttle(lambda: self.time)
        for attempt in range(PAIR_LIMIT + 1):
            worker = self.workers[attempt % 3]
            self.time += 0.5
            self.assertEqual(self.result(worker.before(*WHO)), alone.before(*WHO))
            self.assertEqual(self.result(worker.refusal(*WHO)), alone.refusal(*WHO))
            self.result(worker.failed(*WHO))
            alone.failed(*WHO)
        for worker in self.workers:
            self.assertIsNotNone(self.result(worker.before(*WHO)).retry_after)
        self.assertEqual(self.result(self.other.before(*WHO)), Verdict())

    def test_told(self) -> None:
        """What is not answered counts as well."""
        first, second, _ = self.workers
        self.assertFalse(self.result(second.is_good(*WHO)))
        self.result(first.succeeded(*WHO))
        self.assertTrue(self.result(second.is_good(*WHO)))
        other = ("192.0.2.2", "bob")
        for _ in range(PAIR_LIMIT):
            self.result(first.failed(*other))
        self.assertIsNotNone(self.result(second.refusal(*other)))
        self.result(first.forgive(*other))
        self.assertIsNone(self.result(second.refusal(*other)))

    def test_any_user(self) -> None:
        """What clients call themselves is no trouble, however long."""
        who = "192.0.2.1", "\ud800é" * 100_000
        self.result(self.workers[0].failed(*who))
        self.assertEqual(self.result(self.workers[1].before(*who)), Verdict())

    def test_kept(self) -> None:
        """What another configuration does not name is forgotten."""
        for accounts in (self.workers[0], self.other):
            self.result(accounts.succeeded(*WHO))
        self.front.keep({"local"})
        self.assertTrue(self.result(self.workers[0].is_good(*WHO)))
        self.assertFalse(self.result(self.other.is_good(*WHO)))

    def test_gone(self) -> None:
        """Where nobody counts, nothing is checked."""
        self.is_lost = True
        asked = Deferred.fromCoroutine(self.workers[0].before(*WHO))
        self.failureResultOf(asked, AccountsUnavailable)


class ProcessesTests(WorkersTestCase):
    """Two workers, and clients that come from several addresses."""

    def setUp(self) -> Any:
        super().setUp()
        (self.directory / "htpasswd").write_text(f"alice:{OTHER}\n")
        self.path = str(self.directory / "r.ini")
        accounts = ACCOUNTS.format(directory=self.directory)
        text = self.text() + accounts
        self.served = text.replace("[upstream", "accounts = local\n[upstream")
        config = parse_text(self.served, self.path)
        self.front = Front(config, reactor, 2, self.path, self.served)
        self.front.privilegedStartService()
        self.front.startService()
        self.addCleanup(self.end)
        return self.front.serve()

    async def end(self) -> None:
        """Drain, and stop."""
        await self.front.drain()
        await self.front.stopService()

    def attempt(self, number: int, password: str) -> int:
        """The status for a password of alice from an address of this machine."""
        (listener,) = self.front.listeners
        assert listener.port is not None
        address: Any = listener.port.getHost()
        client = http.client.HTTPConnection(
            "127.0.0.1", address.port, 20, source_address=(f"127.0.1.{number}", 0)
        )
        try:
            credentials = base64.b64encode(f"alice:{password}".encode()).decode()
            headers = {"Authorization": f"Basic {credentials}"}
            client.request("GET", "/auth", headers=headers)
            return client.getresponse().status
        finally:
            client.close()

    async def wrong(self, numbers: range) -> list[int]:
        """The statuses for wrong passwords, three from an address."""
        return [
            await deferToThread(self.attempt, number // 3, "wrong")
            for number in numbers
        ]

    async def alone(self, numbers: range, stopped: WorkerProcess) -> list[int]:
        """The statuses while one worker is stopped, so that the other one serves."""
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            return await self.wrong(numbers)
        finally:
            os.kill(stopped.pid, signal.SIGCONT)

    async def test_spread(self) -> None:
        """As many wrong passwords get through as with one process."""
        first, second = self.front.pool.serving
        statuses = await self.alone(range(9), first)
        # What a worker has counted outlives it, and another configuration.
        os.kill(second.pid, signal.SIGKILL)
        await second.ended
        await self.until(lambda: len(self.front.pool.serving) == 2, "two workers")
        text = self.served + "\n"
        await self.front.reload(parse_text(text, self.path), text)
        (new,) = (each for each in self.front.pool.serving if each is not first)
        statuses += await self.alone(range(9, USER_FREE), new)
        self.assertEqual(statuses, [401] * USER_FREE)
        # One more, since the first failures count a little less by now.
        statuses = await self.wrong(range(USER_FREE, USER_FREE + 1))
        self.assertEqual(statuses, [401])
        # Each address that has failed is refused by either; others are not.
        for stopped in self.front.pool.serving:
            self.assertEqual(await self.alone(range(1), stopped), [429])
        status = await deferToThread(self.attempt, 99, "test")
        self.assertEqual(status, 200)
