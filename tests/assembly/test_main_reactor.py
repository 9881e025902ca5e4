"""Which reactor a process has that is regbroker's alone."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

INSTALLED = """
from regbroker.assembly.main_reactor import install_reactor
install_reactor()
from twisted.internet import reactor
print(type(reactor).__name__)
"""
CHOSEN = "from twisted.internet import selectreactor; selectreactor.install()"
NO_EPOLL = "import select; del select.epoll"


class InstallTests(SynchronousTestCase):
    def reactor_after(self, before: str) -> str:
        """The class of the reactor in a process that has done something before."""
        done = subprocess.run(
            [sys.executable, "-c", before + INSTALLED],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def test_ours(self) -> None:
        """It is ours, unless one is there already; without epoll it is Twisted's."""
        for before, name in (
            ("", "ContextFreeReactor"),
            (CHOSEN, "SelectReactor"),
            (NO_EPOLL, "PollReactor"),
        ):
            self.assertEqual(self.reactor_after(before), name)
