"""The tests: one file for each module, and tests/integration for whole pulls."""

from hypothesis import HealthCheck, settings

# The same examples on every run, nothing left behind, and nothing that depends on
# how busy the machine is.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")
