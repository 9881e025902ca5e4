"""A reverse proxy and token broker for container registries, on Twisted."""

__version__ = "0.1.0"
