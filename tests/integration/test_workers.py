"""Two workers behind one socket, as a service of their own processes."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import urllib.request

from .case import RegbrokerTestCase
from .peers.https_client import HttpsClient
from .peers.processes import poll


class WorkersTests(RegbrokerTestCase):
    """A registry with a token server behind, an admin listener in front."""

    main = "workers = 2\nadmin-listen = tcp:0\ndrain-timeout = 30"

    def start_regbroker(self) -> None:
        """Start it, and wait for its workers."""
        super().start_regbroker()
        self.admin = self.regbroker.admin_url()
        self.first = {self.worker(1), self.worker(2)}

    def worker(self, number: int, after: int = 0) -> int:
        """The process id of a worker; of a later one than the log's beginning."""
        pattern = rf"worker {number}: serving, process (\d+)"

        def found() -> re.Match[str] | None:
            return re.search(pattern, self.regbroker.log()[after:])

        poll(found, f"worker {number}", 60)
        match = found()
        assert match is not None
        return int(match[1])

    def ask(self, path: str) -> str:
        """A page of the admin listener."""
        with urllib.request.urlopen(self.admin + path, timeout=10) as reply:
            return str(reply.read().decode())

    def requests(self) -> float:
        """How many requests were answered, by the metrics."""
        pattern = r"^regbroker_http_requests_total\{.*\} (\S+)$"
        found = re.findall(pattern, self.ask("/metrics"), re.MULTILINE)
        return sum(map(float, found))

    def client(self) -> HttpsClient:
        """A client; each request has a connection of its own."""
        return HttpsClient(self.regbroker.port, self.root_pem, self.transcript)

    def test_push_and_pull(self) -> None:
        """An image goes up and comes back, whoever answers; the metrics add up."""
        skopeo, image = self.make_skopeo(), self.make_image()
        self.log_in(skopeo, "alice")
        for number in range(3):
            reference = f"{self.host}/team/app{number}:1"
            self.assert_done(skopeo.push(image.source, reference))
            target = f"dir:{self.directory}/pulled{number}"
            self.assert_done(skopeo.pull(reference, target))

        def lines() -> int:
            return len(re.findall(r" cause=\S+", self.regbroker.log()))

        # Both come from the workers, each on its own way.
        poll(lambda: self.requests() == lines() > 0, "a line for each request")
        ready = json.loads(self.ask("/ready"))
        self.assertEqual(ready["workers"], {"1": "serving", "2": "serving"})

    def test_killed_under_load(self) -> None:
        """Requests that the killed worker did not answer are not lost."""
        statuses: list[int] = []
        broken: list[str] = []
        enough = threading.Event()

        def load() -> None:
            client = self.client()
            while not enough.is_set():
                try:
                    statuses.append(client.request("GET", "/v2/").status)
                except (OSError, AssertionError) as error:
                    broken.append(repr(error))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            poll(lambda: len(statuses) > 50, "some answers")
            before, seen = self.requests(), len(self.regbroker.log())
            os.kill(self.worker(1), signal.SIGKILL)
            self.regbroker.wait_for(r"worker 1: process \d+ has ended \(signal SIGKILL")
            self.assertNotIn(self.worker(1, seen), self.first)
            count = len(statuses)
            poll(lambda: len(statuses) > count + 50, "answers afterwards")
        finally:
            enough.set()
            for thread in threads:
                thread.join()
        self.assertEqual(set(statuses), {401})
        # Each of the four has one connection at a time.
        self.assertLessEqual(len(broken), 4, broken)
        self.assertGreaterEqual(self.requests(), before)

    def test_narrow_mount(self) -> None:
        """A mount is an upload for a token that is too narrow, at each worker."""
        skopeo, image = self.make_skopeo(), self.make_image()
        self.log_in(skopeo, "carol")
        self.assert_done(skopeo.push(image.source, f"{self.host}/team/mine:1"))
        digest = image.layer_digests[0]
        narrow = self.token("carol", "repository:team/app:pull,push")
        target = f"/v2/team/app/blobs/uploads/?mount={digest}&from=team/mine"
        for _ in range(12):
            reply = self.client().request("POST", target, narrow)
            self.assertEqual(reply.status, 202, reply)

    def test_reload_and_drain(self) -> None:
        """All workers take a new mapping; then all end, and the process does."""
        path = self.regbroker.configuration
        good = path.read_text()
        path.write_text(good.replace("team = acme_team", "team ="))
        self.assertIn("not taken", self.regbroker.reload())
        path.write_text(good.replace("team = acme_team", "crew = acme_team"))
        self.assertIn("read again, and in use", self.regbroker.reload())
        for _ in range(12):
            reply = self.client().request(
                "GET", "/v2/team/app/manifests/1", headers=self.token("alice")
            )
            self.assertEqual(reply.error_codes(), ["NAME_UNKNOWN"], reply)
        self.regbroker.signal(signal.SIGTERM)
        self.assertEqual(self.regbroker.wait(), 0)
        self.assertNotIn("Traceback", self.regbroker.log())
        for process in self.first:
            self.assertRaises(ProcessLookupError, os.kill, process, 0)
