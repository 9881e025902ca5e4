"""Whom regbroker trusts when it connects."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from regbroker.protocol.origins import Origin
from regbroker.transport.client.trust import Trust
from tests.certificates import authority


class TrustTests(SynchronousTestCase):
    def test_endpoints_are_kept(self) -> None:
        """An origin's endpoint, and its TLS options with it, is made once."""
        trust = Trust()
        origin = Origin("https", "registry.test", 443)
        endpoint = trust.endpoint(cast(Any, object()), origin, 1)
        self.assertIs(trust.endpoint(cast(Any, object()), origin, 1), endpoint)
        other = trust.endpoint(
            cast(Any, object()), Origin("http", "registry.test", 80), 1
        )
        self.assertIsNot(other, endpoint)

    def test_ca_file(self) -> None:
        """A file without certificates is refused; one with several is taken."""
        path = Path(self.mktemp())
        path.write_bytes(b"")
        with self.assertRaises(ValueError):
            Trust(path)
        path.write_bytes(authority("One").certificate + authority("Two").certificate)
        Trust(path)
