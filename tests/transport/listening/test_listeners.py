"""Listeners and certificate files are values."""

from __future__ import annotations

from pathlib import PurePath

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.listening.listeners import CertificateFiles, Listener


class ListenersTests(SynchronousTestCase):
    def test_values(self) -> None:
        """What is written alike is equal, and serves as a key."""
        first, second = (Listener("tls:1", "tcp:1", tls=True) for _ in range(2))
        self.assertEqual(len({first, second}), 1)
        self.assertNotEqual(first, Listener("tls:1", "tcp:1", True, True))
        pair = CertificateFiles("", PurePath("a.pem"), PurePath("a.key"))
        self.assertIn(pair, {pair})

    def test_proxy_protocol(self) -> None:
        """A PROXY line is believed only where the listener says so."""
        self.assertFalse(Listener("tcp:1", "tcp:1", tls=False).proxy_protocol)
