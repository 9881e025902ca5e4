"""The site."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from regbroker.runtime.bounded_lines import MAX_LINES_OF_A_CLIENT
from regbroker.transport.server.site import StreamingSite
from tests.proxycase import SiteTestCase


class SiteTests(SiteTestCase):
    def test_protocols(self) -> None:
        """HTTP/1.1 alone is offered, whatever is installed."""
        site: Any = StreamingSite(self.resource)
        self.assertEqual(site.acceptableProtocols(), [b"http/1.1"])

    def test_stop(self) -> None:
        """What the log left out is told at the end, and no timer is left behind."""
        clock: Any = Clock()
        site: Any = StreamingSite(self.resource, reactor=clock)
        site.startFactory()
        with capturedLogs() as events:
            for _ in range(MAX_LINES_OF_A_CLIENT + 1):
                site.malformed.tell("203.0.113.7", "no good")
                site.failed_tls.tell("203.0.113.7", "tls:443", SSL.Error(), "")
            site.stopFactory()
        self.assertEqual([e["left_out"] for e in events if "left_out" in e], [1, 1])
        self.assertEqual(clock.getDelayedCalls(), [])
