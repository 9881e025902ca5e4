"""The root for sites of other programs."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import Data
from twisted.web.test.requesthelper import DummyRequest

from regbroker.assembly.current_root import CurrentRoot


class CurrentRootTests(SynchronousTestCase):
    def test_current(self) -> None:
        """Each request is answered by what is current as it comes."""
        root = CurrentRoot(lambda: True)
        answers = []
        for text in (b"one", b"two"):
            root.current = Data(text, "text/plain")
            answers.append(root.render(DummyRequest([b""])))
        self.assertEqual(answers, [b"one", b"two"])
        self.assertTrue(root.isLeaf)
        self.assertIsInstance(root, Resource)

    def test_not_running(self) -> None:
        """Before the service is started, and after its end, the answer is 503."""
        root = CurrentRoot(lambda: False)
        root.current = Data(b"one", "text/plain")
        request = DummyRequest([b""])
        self.assertEqual(root.render(request), NOT_DONE_YET)
        self.assertEqual(request.responseCode, 503)
        (error,) = json.loads(b"".join(request.written))["errors"]
        self.assertEqual(error["code"], "UNAVAILABLE")
        self.assertIn("not started", error["message"])
