"""The site."""

from __future__ import annotations

from typing import Any

from regbroker.transport.server.site import StreamingSite
from tests.proxycase import SiteTestCase


class SiteTests(SiteTestCase):
    def test_protocols(self) -> None:
        """HTTP/1.1 alone is offered, whatever is installed."""
        site: Any = StreamingSite(self.resource)
        self.assertEqual(site.acceptableProtocols(), [b"http/1.1"])
