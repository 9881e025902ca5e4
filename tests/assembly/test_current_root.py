"""The root for sites of other programs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.static import Data
from twisted.web.test.requesthelper import DummyRequest

from regbroker.assembly.current_root import CurrentRoot


class CurrentRootTests(SynchronousTestCase):
    def test_current(self) -> None:
        """Each request is answered by what is current as it comes."""
        root = CurrentRoot()
        answers = []
        for text in (b"one", b"two"):
            root.current = Data(text, "text/plain")
            answers.append(root.render(DummyRequest([b""])))
        self.assertEqual(answers, [b"one", b"two"])
        self.assertTrue(root.isLeaf)
        self.assertIsInstance(root, Resource)
