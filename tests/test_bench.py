"""What the benchmark says of its figures; the measuring itself is not tested here."""

import json
import subprocess
from typing import Any
from xml.etree import ElementTree

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from bench.floor import PING_REPLY, ClientSides, Side
from bench.processes import cpu_seconds, forget_peak, peak_bytes, resident_bytes, tree
from bench.proxies import FLOOR
from bench.report import BASE, Row, as_json, picture, rounded, table
from bench.scenarios import SCENARIOS, Scenario


def nothing(bench: object, name: str) -> dict[str, float]:
    """A scenario that nobody runs."""
    raise NotImplementedError


ROW = Row(
    Scenario("some", "something", nothing),
    {
        BASE: [{"ms": 2.0, "MiB": 1.0}, {"ms": 9.0, "MiB": 1.0}, {"ms": 4.0, "MiB": 1}],
        "regbroker": [{"ms": 1.0, "MiB": 5.0}] * 3,
    },
)


class RowTests(SynchronousTestCase):
    def test_medians(self) -> None:
        """The median counts, not the mean, of each figure by itself."""
        self.assertEqual(ROW.medians(BASE), {"ms": 4.0, "MiB": 1.0})

    def test_ratio(self) -> None:
        """Proxies are compared by their first figure; a proxy may be missing."""
        self.assertEqual(ROW.ratio("regbroker"), 0.25)
        self.assertEqual(ROW.ratio(BASE), 1)
        self.assertIsNone(ROW.ratio("Caddy"))
        self.assertIsNone(Row(ROW.scenario, {"Caddy": [{"ms": 1.0}]}).ratio("Caddy"))


class OutputTests(SynchronousTestCase):
    def test_rounded(self) -> None:
        """Figures have three digits that count, and no powers of ten."""
        for value, text in (
            (1649.7, "1,650"),
            (0.04512, "0.0451"),
            (12_345_678, "12,300,000"),
            (99.96, "100"),
            (0.0, "0"),
        ):
            self.assertEqual(rounded(value), text)

    def test_table(self) -> None:
        """Each proxy has a line: median, spread, ratio, and the other figures."""
        lines = table([ROW]).splitlines()[2:]
        self.assertEqual(
            lines,
            [
                f"| something | {BASE} | 4 ms (2 to 9) | 1.00 | 1 MiB |",
                "| something | regbroker | 1 ms (1 to 1) | 0.25 | 5 MiB |",
            ],
        )

    def test_json(self) -> None:
        """The file has every round, and the medians."""
        written = json.loads(as_json([ROW]))["scenarios"]["some"]["proxies"]
        self.assertEqual(written[BASE]["medians"]["ms"], 4)
        self.assertEqual([each["ms"] for each in written[BASE]["rounds"]], [2, 9, 4])

    def test_picture(self) -> None:
        """The picture is XML, with a bar for each proxy as long as its ratio."""
        svg = ElementTree.fromstring(picture([ROW], [BASE, "regbroker"]))
        bars = svg.findall("{http://www.w3.org/2000/svg}rect")[2:]
        first, second = (float(bar.attrib["width"]) for bar in bars)
        self.assertAlmostEqual(second / first, 0.25, places=1)

    def test_who(self) -> None:
        """A scenario is for all proxies or for one; the floor is no proxy."""
        for scenario, wanted in (
            (Scenario("some", "", nothing), [True, True, False]),
            (Scenario("some", "", nothing, has_floor=True), [True, True, True]),
            (Scenario("some", "", nothing, "regbroker"), [False, True, False]),
        ):
            who = (BASE, "regbroker", FLOOR)
            self.assertEqual([scenario.is_for(each) for each in who], wanted)

    def test_names(self) -> None:
        """Scenarios have names of their own."""
        names = [scenario.name for scenario in SCENARIOS]
        self.assertEqual(len(names), len(set(names)))


class FloorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.upstream: Deferred[Side] = Deferred()
        sides: Any = ClientSides(self)
        self.client = sides.buildProtocol(None)
        self.client.makeConnection(StringTransport())

    def connect(self, factory: IProtocolFactory) -> Deferred[Side]:
        """The upstream's end, which the test opens."""
        return self.upstream

    def test_ping(self) -> None:
        """A ping is answered without the upstream."""
        self.client.dataReceived(b"GET /v2/ HTTP/1.1\r\n\r\n")
        self.assertEqual(self.client.transport.value(), PING_REPLY)

    def test_both_ways(self) -> None:
        """Bytes go up with the upstream's name, and down as they are."""
        self.client.dataReceived(b"GET /v2/team/app/manifests/1")
        self.assertEqual(self.client.transport.producerState, "paused")
        upstream: Any = Side()
        upstream.makeConnection(StringTransport())
        self.upstream.callback(upstream)
        self.assertEqual(self.client.transport.producerState, "producing")
        self.client.dataReceived(b" HTTP/1.1\r\n\r\n")
        self.assertEqual(
            upstream.transport.value(),
            b"GET /v2/acme_team/app/manifests/1 HTTP/1.1\r\n\r\n",
        )
        upstream.dataReceived(b"HTTP/1.1 200 OK")
        self.assertEqual(self.client.transport.value(), b"HTTP/1.1 200 OK")
        upstream.connectionLost()
        self.assertTrue(self.client.transport.disconnecting)


class ProcessTests(SynchronousTestCase):
    def test_children_count(self) -> None:
        """Time and memory are those of a process and of what it has started."""
        child = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read x"
        with subprocess.Popen(
            ["sh", "-c", f"sh -c '{child}'; :"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as parent:
            assert parent.stdin is not None and parent.stdout is not None
            self.addCleanup(parent.kill)
            self.assertEqual(parent.stdout.readline(), b"done\n")
            pids = tree(parent.pid)
            self.assertEqual((len(pids), pids[0]), (2, parent.pid))
            self.assertGreater(cpu_seconds(parent.pid), 0)
            self.assertGreater(resident_bytes(parent.pid), resident_bytes(pids[1]))
            forget_peak(parent.pid)
            self.assertGreater(peak_bytes(parent.pid), peak_bytes(pids[1]))
            parent.stdin.close()
