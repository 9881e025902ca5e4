"""The tests: one file for each module, and tests/integration for whole pulls."""
