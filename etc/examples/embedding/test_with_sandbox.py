"""
A test of an application that pulls from a registry. Run it with::

    pip install treq
    trial ./test_with_sandbox.py
"""

from pathlib import Path

import treq
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase
from twisted.web.client import HTTPConnectionPool

from regbroker.testing import SandboxService


class PullTests(TestCase):
    def setUp(self):
        self.registry = SandboxService(
            reactor, Path(self.mktemp()), {"alice": "wonderland"}
        )
        self.registry.startService()
        self.addCleanup(self.registry.stopService)
        self.pool = HTTPConnectionPool(reactor, persistent=False)

    def test_asks_for_login(self):
        async def ask():
            reply = await treq.get(f"{self.registry.url}/v2/", pool=self.pool)
            self.assertEqual(reply.code, 401)

        return ensureDeferred(ask())
