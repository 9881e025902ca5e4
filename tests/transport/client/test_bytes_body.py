"""Bodies that are in memory."""

from __future__ import annotations

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IBodyProducer
from zope.interface.verify import verifyObject

from regbroker.transport.client.bytes_body import BytesBody


class BytesBodyTests(SynchronousTestCase):
    def test_written(self) -> None:
        """All bytes are written, each time again."""
        body = BytesBody(b"a=b")
        self.assertEqual(body.length, 3)
        for _ in range(2):
            transport = StringTransport()
            done = body.startProducing(transport)
            self.assertIsNone(self.successResultOf(done))
            self.assertEqual(transport.value(), b"a=b")

    def test_interface(self) -> None:
        """Twisted's client may pause, resume and stop it; that has no effect."""
        body = BytesBody(b"a=b")
        verifyObject(IBodyProducer, body)
        body.pauseProducing()
        body.resumeProducing()
        body.stopProducing()
        self.assertEqual(body.length, 3)
