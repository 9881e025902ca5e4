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

    def test_where(self) -> None:
        """What an endpoint says of the place, in each way to write it."""
        for endpoint, port, path in (
            ("tcp:443", 443, None),
            ("tcp:port=443:interface=::1", 443, None),
            ("tcp:interface=127.0.0.1:443", 443, None),
            ("tcp:https", 0, None),
            ("unix:/run/a\\:b.sock", 0, PurePath("/run/a:b.sock")),
            ("unix:address=/run/a.sock:mode=600", 0, PurePath("/run/a.sock")),
            ("systemd:domain=INET:index=0", 0, None),
        ):
            where = Listener(endpoint, endpoint, tls=False).where
            self.assertEqual((where.port, where.path), (port, path), endpoint)

    def test_proxy_protocol(self) -> None:
        """A PROXY line is believed only where the listener says so."""
        self.assertFalse(Listener("tcp:1", "tcp:1", tls=False).proxy_protocol)
