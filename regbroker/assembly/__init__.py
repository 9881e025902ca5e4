"""A `Config` becomes services."""
