"""What several processes have in common."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regbroker.assembly.loading import parse_text
from regbroker.assembly.part import Part
from regbroker.settings.config import Config
from regbroker.transport.listening.listeners import Listener

TEXT = """\
[regbroker]
max-connections = 100
max-connections-per-address = 7
[registry *]
upstream = up
namespaces = * = *
[upstream up]
url = sandbox:
"""


def config() -> Config:
    """A configuration with limits."""
    return parse_text(TEXT, "/r.ini")


class PartTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """A key is the same in each process, and another one for each purpose."""
        one, other = Part(secret=b"s" * 32), Part(secret=b"s" * 32, workers=2)
        self.assertEqual(one.key("composite", "host"), other.key("composite", "host"))
        keys = {
            one.key("composite", "host"),
            one.key("composite", "hos", "t"),
            one.key("seal"),
            Part().key("seal"),
            Part().key("seal"),
        }
        self.assertEqual({len(key) for key in keys}, {32})
        self.assertEqual(len(keys), 5)
        self.assertNotIn("secret", repr(one))

    def test_alone(self) -> None:
        """A process alone has all there is."""
        part = Part()
        self.assertFalse(part.is_worker)
        self.assertEqual(part.config(config()).max_connections, 100)

    def test_worker(self) -> None:
        """A worker has its share of the limits, rounded up."""
        part = Part(workers=3)
        self.assertTrue(part.is_worker)
        mine = part.config(config())
        self.assertEqual(mine.max_connections, 34)
        self.assertEqual(mine.max_connections_per_address, 3)
        self.assertIsNone(part.share(None))

    def test_front(self) -> None:
        """The process in front keeps the numbers of the file."""
        part = Part(workers=3, serves=False)
        self.assertFalse(part.is_worker)
        self.assertEqual(part.config(config()).max_connections, 100)

    def test_admin(self) -> None:
        """A worker counts, and the process in front listens for those who ask."""
        listener = Listener("tcp:9000", "tcp:9000", tls=False)
        with_admin = replace(config(), admin_listen=(listener,))
        for part in (Part(), Part(workers=2, serves=False)):
            self.assertEqual(part.admin_listen(with_admin), (listener,))
        self.assertEqual(Part(workers=2).admin_listen(with_admin), ())
