"""The reactor that regbroker asks for is the one that Twisted has."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import providedBy

from regbroker.runtime.reactor import INetworkReactor

WHOLE: Any = INetworkReactor


class ReactorTests(SynchronousTestCase):
    def test_provided(self) -> None:
        """Twisted's reactor provides each part."""
        for part in WHOLE.__bases__:
            self.assertTrue(part.providedBy(reactor), part)

    def test_no_more(self) -> None:
        """The whole adds nothing to its parts."""
        parts = {name for part in WHOLE.__bases__ for name in part.names(True)}
        self.assertEqual(set(WHOLE.names(True)), parts)
        there = {name for part in providedBy(reactor) for name in part.names(True)}
        self.assertTrue(parts <= there)
