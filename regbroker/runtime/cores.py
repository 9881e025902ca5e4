"""How many processors there are for this process."""

from __future__ import annotations

import math
import os
from pathlib import Path

#: What a container is given, as the control groups of version 2 have it.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = _QUOTA) -> int:
    """
    Return how many processors this process may use, at least one.

    That is its affinity, or the share of its container, rounded up, where that is less.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        share, period = quota.read_text().split()
        return max(1, min(cores, math.ceil(int(share) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):
        # There is no container, or it has no limit ("max").
        return cores
