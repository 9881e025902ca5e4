"""Failures of tunnels, apart from tunnels."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.causes import Cause
from regbroker.transport.client.tunnel_failures import TunnelFailed


class TunnelFailedTests(SynchronousTestCase):
    def test_cause(self) -> None:
        """It has words for the log, and a cause where the proxy is to blame."""
        error = TunnelFailed("the proxy is gone", Cause.PROXY_UNREACHABLE)
        self.assertEqual(str(error), "the proxy is gone")
        self.assertIs(error.cause, Cause.PROXY_UNREACHABLE)
        self.assertIsNone(TunnelFailed("no way to the server", None).cause)
