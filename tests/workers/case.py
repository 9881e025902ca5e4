"""A configuration for processes of a test, and clients of them."""

from __future__ import annotations

import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

reactor: Any = _reactor

TEXT = """\
[regbroker]
listen = tcp:0:interface=127.0.0.1
state-directory = {directory}/state
drain-timeout = 5
workers = 2
{more}
[registry *]
upstream = up
namespaces = * = *
[upstream up]
url = sandbox:
"""

#: A worker that starts has to import everything, on a busy machine.
SECONDS = 60.0


class WorkersTestCase(TestCase):
    """A directory that ends with the test."""

    timeout = SECONDS

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)

    def text(self, more: str = "") -> str:
        """A configuration file."""
        return TEXT.format(directory=self.directory, more=more)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something."""
        deadline = reactor.seconds() + SECONDS
        while not condition():
            self.assertLess(reactor.seconds(), deadline, what)
            await deferLater(reactor, 0.01)

    async def status(self, url: str) -> int:
        """The status of an answer."""

        def ask() -> int:
            try:
                with urllib.request.urlopen(url, timeout=10) as reply:
                    return int(reply.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        return await deferToThread(ask)
