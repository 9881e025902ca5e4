"""
Writes log events as lines, many in one step where many come.

Twisted's own observer flushes the file for each event. Here lines that come quickly one
after the other are gathered for `GATHER_SECONDS`. The first line after a pause is
written at once, and so is whatever is no record of a request: a banner, a warning, an
error.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from threading import RLock
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorCore, IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer

#: Nobody who reads a log on a screen sees that it is late.
GATHER_SECONDS = 0.1

#: A burst does not fill the memory: it is written when it is this long.
MAX_GATHERED = 64 * 1024

_log = Logger()


class IReactor(IReactorTime, IReactorCore):
    """What runs the timer, and tells when it will run none any more."""


class Stream(Protocol):
    """Where lines are written to."""

    def write(self, text: str) -> Any:
        """Take a text; nobody reads it before `flush`."""

    def flush(self) -> None:
        """Hand over to the system what was written."""


@implementer(ILogObserver)
class BufferedLog:
    """
    Writes events to `stream` as `line_of` makes lines of them.

    An event of which `line_of` returns None is left out. The stream always ends with a
    whole line. Events may come from any thread; those with a `summary`, which are
    records of requests, and lines for `gather` come from the reactor's. Nothing waits
    when the reactor has stopped or the process ends. Lines that the stream does not
    take are lost, and the log says so, with the `name` of this one: at once, where
    another log can be written, and when this one can be again.
    """

    def __init__(
        self,
        stream: Stream,
        line_of: Callable[[LogEvent], str | None],
        reactor: IReactor,
        name: str = "the log",
    ) -> None:
        self._stream = stream
        self._name = name
        self._line_of = line_of
        self._reactor = reactor
        self._lines: list[str] = []
        self._size = 0
        self._written = -GATHER_SECONDS
        self._timer: Any = None
        self._may_gather = True
        #: Lines that could not be written since the last one that could.
        self._lost = 0
        self._writing = RLock()
        reactor.addSystemEventTrigger("after", "shutdown", self.stop_gathering)
        atexit.register(self.flush)

    def __call__(self, event: LogEvent) -> None:
        """Write an event, now or soon."""
        line = self._line_of(event)
        if line is None:
            return
        if "summary" in event:
            self.gather(line)
        else:
            self._lines.append(line)
            self.flush()

    def gather(self, line: str) -> None:
        """Write the line of a record, now or soon."""
        self._lines.append(line)
        self._size += len(line)
        if self._timer is not None and self._size < MAX_GATHERED:
            return
        if not self._may_gather:
            self.flush()
            return
        now = self._reactor.seconds()
        if self._size >= MAX_GATHERED or now - self._written >= GATHER_SECONDS:
            self._written = now
            self.flush()
        else:
            self._timer = self._reactor.callLater(GATHER_SECONDS, self._in_time)

    def flush(self) -> None:
        """Write what was gathered."""
        lines = self._lines
        with self._writing:
            if not lines:
                return
            self._size = 0
            # Another thread may append meanwhile, and then writes or waits for this.
            count = len(lines)
            text = "".join(lines[:count])
            del lines[:count]
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError) as error:
                # A full disk, a pipe that nobody reads, a stream that is closed: who
                # logs something can do nothing about that.
                self._note(error, text.count("\n"))
            else:
                self._recover()

    def _note(self, error: OSError | ValueError, count: int) -> None:
        """Say once that lines are lost, and count them; other logs may have it."""
        is_news, self._lost = not self._lost, self._lost + count
        if is_news:
            _log.error(
                "{name} cannot be written: {reason}; its lines are lost until it can",
                name=self._name,
                reason=getattr(error, "strerror", None) or str(error),
            )

    def _recover(self) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            _log.warn(
                "{name} is written again; lines that are lost: {lost}",
                name=self._name,
                lost=lost,
            )

    def stop_gathering(self) -> None:
        """Write at once from now on."""
        self._may_gather = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self.flush()

    def close(self) -> None:
        """Write what was gathered, and nothing more."""
        self.stop_gathering()
        atexit.unregister(self.flush)

    def _in_time(self) -> None:
        self._timer = None
        self._written = self._reactor.seconds()
        self.flush()
