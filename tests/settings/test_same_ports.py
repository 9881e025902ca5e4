"""Listeners that cannot all be opened."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.settings.endpoints import listener
from regbroker.settings.same_ports import clashes


class SamePortsTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        """The same port meets on the same interface, and on all of them."""
        for first, second, expected in (
            ("tls:443", "tcp:443", True),
            ("tls:443", "tcp:80", False),
            ("tls:0", "tcp:0", False),
            ("tls:0443", "tcp:443", True),
            ("tls:443", "tls:443:interface=10.0.0.1", True),
            ("tls:443:interface=10.0.0.2", "tls:443:interface=10.0.0.1", False),
            ("tls:443:interface=10.0.0.1", "tls:443:interface=10.0.0.1", True),
            ("tls:443:interface=0.0.0.0", "tls:443:interface=10.0.0.1", True),
            (r"tls:443:interface=\:\:", "tls:443", True),
            (r"tls:443:interface=\:\:1", "tls:443", False),
            (r"tls:443:interface=\:\:1", "tls:443:interface=127.0.0.1", False),
            ("tls:443:interface=a.test", "tls:443", False),
            ("tls:443:interface=a.test", "tls:443:interface=a.test", True),
            (r"tls:443:interface=\:\:", "tls:443:interface=a.test", False),
            ("tls:443:interface=a.test", r"tls:443:interface=\:\:", False),
            ("unix:/run/s", "tls:unix:/run/s:mode=660", True),
            ("unix:/run/s", "unix:/run/t", False),
            ("tls:systemd:domain=INET:index=0", "tls:443", False),
            ("proxy:tls:443", "tls:443", True),
        ):
            found = list(clashes([listener(first), listener(second)]))
            self.assertEqual(len(found), int(expected), (first, second))
            if found:
                self.assertTrue(found[0].startswith(f"'{first}' and '{second}' "))

    def test_three(self) -> None:
        """Each pair is told."""
        lines = [listener(text) for text in ("tls:1", "tcp:1", "proxy:tcp:1")]
        self.assertEqual(len(list(clashes(lines))), 3)
