"""What a process has counted, sent to another one and added up."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from regbroker.admin.refusals import MAX_KEPT, Refused
from regbroker.admin.report import (
    Circuits,
    Report,
    UpstreamFacts,
    parse_report,
    together,
)
from regbroker.admin.transfers import Transfer
from regbroker.events import Event


def refused(at: float) -> Refused:
    """Somebody who was refused at a time."""
    return Refused(at, "192.0.2.1", "eve", "host", "GET", "/v2/", 401, "DENIED", "no")


def transfer(seconds: float) -> Transfer:
    """A pull that has taken so long."""
    event = Event(clock=lambda: 0.0, user="alice", public_name="team/app")
    event.started = -seconds
    return Transfer(event, False, 10, 100, 2.5)


class ReportTests(SynchronousTestCase):
    def test_sent(self) -> None:
        """What comes out of a document is what went in; JSON carries it."""
        facts = UpstreamFacts(Circuits("open", 1, 2, "down"), Circuits(), 3, 4, 5)
        report = Report(
            1, 2, 3, 4, 5, {"up": facts}, [transfer(7.0)], [refused(8.0)], "text"
        )
        sent = parse_report(json.loads(json.dumps(report.document())))
        self.assertEqual(sent.upstreams, report.upstreams)
        self.assertEqual(sent.refusals, report.refusals)
        self.assertEqual((sent.requests, sent.connections_limit), (1, 5))
        self.assertEqual(sent.metrics, "text")
        (one,) = sent.transfers
        self.assertEqual((one.done, one.total, one.rate), (10, 100, 2.5))
        self.assertEqual((one.event.user, one.event.public_name), ("alice", "team/app"))
        self.assertGreaterEqual(one.event.seconds, 7.0)

    def test_together(self) -> None:
        """Numbers are added, lists are in order, and the worse state is shown."""
        one = Report(
            1,
            upstreams={"up": UpstreamFacts(Circuits("half-open", trips=1), tokens=2)},
            transfers=[transfer(1.0)],
            refusals=[refused(1.0)] * MAX_KEPT,
        )
        two = Report(
            2,
            upstreams={
                "up": UpstreamFacts(Circuits("open", trips=2, last_failure="x"))
            },
            transfers=[transfer(2.0)],
            refusals=[refused(2.0)],
        )
        for whole in together([one, two]), together([two, one]):
            self.assertEqual(whole.requests, 3)
            self.assertEqual(
                whole.of("up"), UpstreamFacts(Circuits("open", 0, 3, "x"), tokens=2)
            )
            self.assertEqual([t.event.seconds for t in whole.transfers], [2.0, 1.0])
            self.assertEqual(len(whole.refusals), MAX_KEPT)
            self.assertEqual(whole.refusals[0].at, 2.0)

    def test_nothing(self) -> None:
        """Of no process, and of an unknown upstream, there is nothing to tell."""
        self.assertEqual(together([]).requests, 0)
        self.assertEqual(Report().of("up"), UpstreamFacts())
