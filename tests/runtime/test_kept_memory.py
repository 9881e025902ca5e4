"""Memory that malloc keeps, as the kernel sees it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

#: What a read of a large body takes, and frees: some pieces as large as the read.
SCRIPT = """
import resource
from regbroker.runtime.kept_memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def per_read():
    before = faults()
    for _ in range(100):
        pieces = [b"x" * size for size in (229376, 160000, 160000, 160000, 229376)]
        del pieces
    return (faults() - before) / 100

per_read()
print(per_read())
keep_freed_memory()
per_read()
print(per_read())
"""


class KeptMemoryTests(SynchronousTestCase):
    if platform.libc_ver()[0] != "glibc":
        skip = "it is about glibc's malloc"

    def test_reads(self) -> None:
        """Without it, each read can fault in all its pages; with it, none."""
        # Whoever has set malloc's bounds has them.
        unset = ("MALLOC_", "GLIBC_TUNABLES")
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={k: v for k, v in os.environ.items() if not k.startswith(unset)},
            capture_output=True,
            text=True,
            check=True,
        )
        without, kept = map(float, done.stdout.split())
        self.assertGreater(without, 100)
        self.assertLess(kept, 1)
