"""Two workers, each with the keys of an issuer that changes them, and goes away."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .identity_case import SteeredTestCase
from .peers.https_client import basic
from .peers.issuer_server import DISCOVERY, GITHUB_KEYS
from .peers.processes import poll

WORKERS = {1, 2}


class WorkersTestCase(SteeredTestCase):
    """Two workers, and a log that says which one has answered."""

    main = "admin-listen = tcp:0\nworkers = 2\nlog-format = json"

    def start_regbroker(self) -> None:
        super().start_regbroker()
        for number in WORKERS:
            self.regbroker.wait_for(rf"worker {number}: serving")

    def answered(self) -> dict[str, int]:
        """The worker that has answered a request, by the request's id."""
        log = self.regbroker.log()
        lines = map(json.loads, log[: log.rfind("\n") + 1].splitlines())
        return {
            line["request_id"]: line["worker"]
            for line in lines
            if line["namespace"] == "regbroker.events"
        }

    def until_both(self, text: str, status: int = 200) -> None:
        """Show a token until each worker has answered; all answers are the same."""
        headers = {"Authorization": basic("oidc", text)}
        asked: set[str] = set()

        def both() -> bool:
            reply = self.client().request("GET", "/v2/", headers)
            self.assertEqual(reply.status, status, reply)
            asked.add(reply.one("X-Request-Id"))
            workers = self.answered()
            return {workers[one] for one in asked if one in workers} == WORKERS

        poll(both, "an answer of both workers")

    def fetches(self) -> tuple[int, int]:
        """How often discovery and keys were asked for."""
        count = self.issuer.requests.count
        return count(DISCOVERY), count(GITHUB_KEYS)

    @contextmanager
    def load(self, *texts: str) -> Iterator[None]:
        """Clients that show these tokens all the time, and never fail."""
        enough = threading.Event()
        statuses: list[int] = []
        broken: list[str] = []

        def run(text: str) -> None:
            client = self.client()
            headers = {"Authorization": basic("oidc", text)}
            while not enough.is_set():
                try:
                    statuses.append(client.request("GET", "/v2/", headers).status)
                except (OSError, AssertionError) as error:
                    broken.append(repr(error))

        threads = [threading.Thread(target=run, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        try:
            yield
            count = len(statuses)
            poll(lambda: len(statuses) > count + 10, "answers afterwards")
        finally:
            enough.set()
            for thread in threads:
                thread.join()
        self.assertEqual((set(statuses), broken), ({200}, []))


class RotationTests(WorkersTestCase):
    """The issuer is there when they start."""

    def test_rotation(self) -> None:
        """Keys change twice, with the issuer down and back between: no client fails."""
        one = self.job("one")
        self.until_both(one)
        # Each worker has fetched for itself, and the process in front has not.
        self.assertEqual(self.fetches(), (2, 2))
        with self.load(one, self.job("one")):
            self.rotate("two", "one")
            two = self.job("two")
            self.until_both(two)
            self.assertEqual(self.fetches(), (4, 4))
            self.issuer.stop()
            for text in (one, two):
                self.until_both(text)
            self.rotate("three", "two", "one")
            self.issuer.start()
            with self.load(two):
                three = self.job("three")
                self.until_both(three)
                self.assertEqual(self.fetches(), (6, 6))
                for text in (one, two):
                    self.until_both(text)
        # A key that was taken back ends with the next fetch, in each of them.
        self.rotate("four")
        self.until_both(self.job("four"))
        for text in (one, two, three):
            self.until_both(text, 401)

    def test_new_worker(self) -> None:
        """A worker that takes another one's place has the keys for its first login."""
        one = self.job("one")
        self.until_both(one)
        self.issuer.hold(DISCOVERY)
        pattern = r"worker 1: serving, process (\d+)"
        process = int(self.regbroker.wait_for(pattern)[1])
        seen = len(self.regbroker.log())
        os.kill(process, signal.SIGKILL)
        poll(
            lambda: re.search(pattern, self.regbroker.log()[seen:]),
            "another worker",
            60,
        )
        poll(lambda: self.fetches() == (3, 2), "its fetch")
        # About half of these come to the new one, and wait there.
        logins = [self.show(one) for _ in range(16)]
        poll(lambda: self.under_way() > 0, "a login to wait")
        poll(
            lambda: (
                len([login for login in logins if login.done()]) + self.under_way()
                == len(logins)
            ),
            "the others' answers",
        )
        self.issuer.release()
        self.assertEqual({login.result().status for login in logins}, {200})
        self.until_both(one)
        self.assertEqual(self.fetches(), (3, 3))


class StartTests(WorkersTestCase):
    """The issuer is not there, or does not answer, when they start."""

    def start_registry(self, *arguments: object, **named: object) -> None:
        super().start_registry()
        if self._testMethodName == "test_slow":
            self.issuer.hold(DISCOVERY)
        else:
            self.issuer.stop()

    def test_slow(self) -> None:
        """The first logins wait for the fetch of their worker."""
        poll(lambda: self.fetches() == (2, 0), "a fetch of each worker")
        logins = [self.show(self.job()) for _ in range(12)]
        poll(lambda: self.under_way() == len(logins), "the logins to wait")
        self.issuer.release()
        self.assertEqual({login.result().status for login in logins}, {200})
        self.until_both(self.job())
        self.assertEqual(self.fetches(), (2, 2))

    def test_down(self) -> None:
        """While it is down the answer is 503 in both; when it is back, all is well."""
        job = self.job()
        self.until_both(job, 503)
        self.assertEqual(self.metrics("regbroker_identity_up"), [0.0])
        self.issuer.start()
        poll(lambda: self.fetches() == (2, 2), "a fetch of each worker", 60)
        self.until_both(job)
        self.assertEqual(self.fetches(), (2, 2))
        self.assertEqual(self.metrics("regbroker_identity_up"), [1.0])
