"""
``regbroker serve``: twistd in the foreground, for systemd and containers.

``twistd regbroker`` looks for plugins, and writes what it finds into a cache beside
them. A service user may not do that, and each start complains. Here the one plugin is
known, so nothing is looked for. There is no pidfile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.application.service import ServiceMaker
from twisted.scripts.twistd import ServerOptions, runApp  # type: ignore[attr-defined]

# The plugin names it, and would import it later.
import regbroker.tap  # noqa: F401

_regbroker = ServiceMaker("regbroker", "regbroker.tap", "", "regbroker")


class _OnlyRegbroker(ServerOptions):
    """The options of twistd, with one plugin."""

    loadedPlugins = {"regbroker": _regbroker}

    @property
    def subCommands(self) -> Iterator[Any]:
        yield "regbroker", None, lambda: _regbroker.options(), ""


def serve(path: str) -> int:
    """Serve a configuration until a signal ends the process; returns its status."""
    options = _OnlyRegbroker()
    options.parseOptions(["-n", "--pidfile=", "regbroker", "--config", path])
    runApp(options)
    return 0
