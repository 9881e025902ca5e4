"""Wrong passwords are counted for all workers together."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.throttle import PAIR_LIMIT, USER_FREE, Throttle, Verdict
from regbroker.errors import AccountsUnavailable
from regbroker.runtime.messages import Values
from regbroker.workers.wrong_passwords import CountedInFront, WrongPasswords
from tests.accounts.hashes import OTHER
from tests.workers.case import FrontTestCase

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


class ProcessesTests(FrontTestCase):
    """Clients that come from several addresses."""

    def configuration(self) -> str:
        """With accounts."""
        (self.directory / "htpasswd").write_text(f"alice:{OTHER}\n")
        text = self.text() + ACCOUNTS.format(directory=self.directory)
        return text.replace("[upstream", "accounts = local\n[upstream")

    def attempt(self, number: int, password: str) -> int:
        """The status for a password of alice from an address of this machine."""
        client = http.client.HTTPConnection(
            "127.0.0.1", self.port, 20, source_address=(f"127.0.1.{number}", 0)
        )
        try:
            credentials = base64.b64encode(f"alice:{password}".encode()).decode()
            headers = {"Authorization": f"Basic {credentials}"}
            client.request("GET", "/auth", headers=headers)
            return client.getresponse().status
        finally:
            client.close()

    async def wrong(self, *numbers: int) -> list[int]:
        """The statuses for wrong passwords from these addresses."""
        return [await deferToThread(self.attempt, each, "no") for each in numbers]

    async def test_spread(self) -> None:
        """As many wrong passwords get through as with one process."""
        first, second = self.front.pool.serving
        with self.stopped(first):
            statuses = await self.wrong(1, 1, 1, 2, 2, 2, 3, 3, 3)
        # What a worker has counted outlives it, and another configuration.
        await self.replaced(second)
        await self.reload(self.served + "\n")
        (new,) = (each for each in self.front.pool.serving if each is not first)
        with self.stopped(new):
            statuses += await self.wrong(4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7)
        self.assertEqual(statuses, [401] * USER_FREE)
        # Some more, since the first failures count a little less by now.
        self.assertEqual(await self.wrong(8, 9, 10), [401] * 3)
        # Each address that has failed is refused by either worker; others are not.
        for worker in self.front.pool.serving:
            with self.stopped(worker):
                self.assertEqual(await self.wrong(1, 4), [429] * 2)
        self.assertEqual(await deferToThread(self.attempt, 99, "test"), 200)
