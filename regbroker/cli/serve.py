"""
``regbroker serve``: twistd in the foreground, for systemd and containers.

``twistd regbroker`` looks for plugins, and writes what it finds into a cache beside
them. A service user may not do that, and each start complains. Here the one plugin is
known, so nothing is looked for. There is no pidfile.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

from twisted.application.service import ServiceMaker
from twisted.scripts.twistd import ServerOptions, runApp  # type: ignore[attr-defined]

#: Unhandled, they end the process, and programs that renew certificates or logs do not
#: know that it has just started. Nothing is read or opened yet, so nothing is missed.
_FOR_LATER = (signal.SIGHUP, signal.SIGUSR1)

_regbroker = ServiceMaker("regbroker", "regbroker.tap", "", "regbroker")


class _OnlyRegbroker(ServerOptions):
    """The options of twistd, with one plugin."""

    loadedPlugins = {"regbroker": _regbroker}

    @property
    def subCommands(self) -> Iterator[Any]:
        yield "regbroker", None, lambda: _regbroker.options(), ""


def serve(path: str) -> int:
    """Serve a configuration until a signal ends the process; returns its status."""
    for number in _FOR_LATER:
        signal.signal(number, signal.SIG_IGN)
    options = _OnlyRegbroker()
    options.parseOptions(["-n", "--pidfile=", "regbroker", "--config", path])
    runApp(options)
    return 0
