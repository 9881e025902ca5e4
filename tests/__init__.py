"""The tests: one file for each module, and tests/integration for whole pulls."""

import os
from pathlib import Path

# Tables of Unicode take seconds to make: one place for all processes and all runs.
os.environ.setdefault(
    "HYPOTHESIS_STORAGE_DIRECTORY",
    str(Path(__file__).resolve().parents[1] / ".hypothesis"),
)

from hypothesis import HealthCheck, settings

# The same examples on every run, nothing left behind, and nothing that depends on
# how busy the machine is. More examples would be the same ones on the next run too:
# those that are new come with the profile below.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# Other examples on every run, and many (`make fuzz`).
settings.register_profile(
    "random",
    deadline=None,
    derandomize=False,
    max_examples=2000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))
