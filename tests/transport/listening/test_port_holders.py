"""Which programs listen on a port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.transport.listening.port_holders import holders


class HoldersTests(SynchronousTestCase):
    def test_ourselves(self) -> None:
        """The command line of this process, while it listens."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            command = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0]
            ((number, found),) = holders(port).items()
            self.assertEqual(number, os.getpid())
            self.assertTrue(found.startswith(os.fsdecode(command)), found)
        self.assertEqual(holders(port), {})

    def test_nothing_to_see(self) -> None:
        """A system without /proc, or one that shows nothing, is no error."""
        self.assertEqual(holders(1, Path(self.mktemp())), {})
