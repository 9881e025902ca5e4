"""
What can be served, and may not be what the operator means.

Unlike problems (`regbroker.ini`), which keep a configuration from being served, these
are said by ``regbroker check`` and once when twistd starts, and nothing else follows.
"""

from __future__ import annotations

from collections.abc import Iterator

from regbroker.config import Config, RegistryConfig


def warnings(config: Config) -> Iterator[str]:
    """Yield them, each a line that names section and option."""
    for entry in config.registries:
        yield from _basic_and_anonymous(entry)


def _basic_and_anonymous(entry: RegistryConfig) -> Iterator[str]:
    # docker brings nothing to a registry that asks for Basic, unless it has logged in;
    # it does not try without.
    if entry.basic_challenge and entry.access and entry.access.anonymous_may_anything:
        yield (
            f"[registry {entry.host}] challenge: with 'challenge = basic' docker "
            "without a login says 'no basic auth credentials' and asks for nothing, "
            "whatever anonymous may do here; write 'challenge = bearer', or grant "
            "anonymous nothing"
        )
