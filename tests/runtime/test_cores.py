"""How many processors there are."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.cores import usable_cores


class CoresTests(SynchronousTestCase):
    """The affinity of this process, and made-up shares of a container."""

    def with_quota(self, text: str) -> int:
        """The cores of a container with this share."""
        path = Path(self.mktemp())
        path.write_text(text)
        return usable_cores(path)

    def test_cores(self) -> None:
        """Without a limit: the processors that the scheduler may use."""
        cores = len(os.sched_getaffinity(0))
        self.assertEqual(self.with_quota("max 100000\n"), cores)
        self.assertEqual(usable_cores(Path(self.mktemp())), cores)

    def test_share(self) -> None:
        """A share of one processor is one, and more than there are is all."""
        self.assertEqual(self.with_quota("50000 100000\n"), 1)
        self.assertEqual(self.with_quota("100000 100000\n"), 1)
        cores = len(os.sched_getaffinity(0))
        self.assertEqual(self.with_quota("99900000 100000\n"), min(cores, 999))
        self.assertEqual(self.with_quota("1 0\n"), cores)
