"""Signals of the process, as calls in the reactor."""

from __future__ import annotations

import signal
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFromThreads


def on_signal(
    reactor: IReactorFromThreads, number: signal.Signals, call: Callable[[], object]
) -> None:
    """
    Have `call` called in the reactor whenever the process gets a signal.

    It takes the place of what was called before, and of the reactor's own handler if
    the reactor runs already.
    """
    signal.signal(number, lambda *_: reactor.callFromThread(call))
