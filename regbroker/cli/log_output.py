"""
Where the log of a process goes, and in which format; the audit log beside it.

Only processes of regbroker's own have this. A program that embeds regbroker adds
observers of its own to Twisted's log.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    globalLogPublisher,
)

from regbroker.audit import NAMESPACE
from regbroker.errors import StateError
from regbroker.events import Event, emit
from regbroker.runtime.buffered_log import BufferedLog, IReactor
from regbroker.runtime.json_lines import json_line, json_record
from regbroker.runtime.reopened_file import ReopenedFile
from regbroker.runtime.text_lines import text_line, text_record
from regbroker.settings.config import Config

_log = Logger()

#: What Twisted says of each port; `regbroker.transport.listening.services` says it for
#: people.
_PORTS = re.compile(r"regbroker starting on |\((?:TCP|UNIX) Port .* Closed\)$")

#: What `audit-log` is for the log that everything else is in.
IN_LOG = "-"


class LogOutput:
    """
    The log and the audit log of a process.

    `log_format` and `audit_log` are those of a `Config`. The audit log is opened by
    `changing_to`.
    """

    def __init__(
        self, log_format: str, audit_log: PurePath | str, reactor: IReactor
    ) -> None:
        self._format = log_format
        self._audit_log = audit_log
        self._reactor = reactor
        self._log: _Written | None = None
        self._audit: _Written | None = None

    @property
    def is_for_people(self) -> bool:
        """Whether standard output may have lines that are not of the log."""
        return self._format == "line"

    @property
    def takes_audit(self) -> bool:
        """Whether records for the audit log are written, or another log may do so."""
        return self._log is None or bool(self._audit_log)

    @property
    def record_format(self) -> str:
        """How records of requests are written; empty where twistd does it."""
        return self._format if self._log is not None else ""

    @property
    def log_request(self) -> Callable[[Event], None]:
        """
        What logs a request that is over.

        Nobody but this process reads a log that it writes itself, so its lines are
        written without log events.
        """
        if self._log is None:
            return emit
        line_of = json_record if self._format == "json" else text_record
        gather = self._log.observer.gather
        return lambda event: gather(line_of(event))

    def observer(self, options: Mapping[str, Any]) -> ILogObserver | None:
        """
        Return what writes the log, for twistd with these options.

        It is None where twistd is told on its command line to have another. Raises
        `StateError` when the file of the log cannot be opened.
        """
        name, foreground = options.get("logfile"), options.get("nodaemon")
        if options.get("logger") or options.get("syslog"):
            if self._format == "json":
                _log.warn("[regbroker] log-format: --logger and --syslog decide it")
            return None
        file: ReopenedFile | None = None
        if name == "-" or (foreground and not name):
            if not foreground:
                # twistd says that this cannot be.
                return None
        else:
            file = _opened("--logfile", Path(name or "twistd.log"))
        observer = BufferedLog(file or sys.stdout, self._line_of, self._reactor)
        self._log = _Written(observer, file)
        return observer

    @contextmanager
    def changing_to(self, config: Config) -> Iterator[None]:
        """
        Open the audit log of a configuration, and use it if the block succeeds.

        Raises `StateError` when it cannot be opened.
        """
        before, path = self._audit, config.audit_log
        audit = before if path == self._audit_log else None
        if audit is None and isinstance(path, PurePath):
            file = _opened("[regbroker] audit-log:", Path(path))
            name = f"the audit log {path}"
            audit = _Written(BufferedLog(file, _audit_line, self._reactor, name), file)
        try:
            yield
        except BaseException:
            if audit is not None and audit is not before:
                audit.close()
            raise
        if config.log_format != self._format:
            _log.warn("[regbroker] log-format: needs a restart")
        self._audit, self._audit_log = audit, path
        if audit is not before:
            if audit is not None:
                globalLogPublisher.addObserver(audit.observer)
            if before is not None:
                globalLogPublisher.removeObserver(before.observer)
                before.close()

    def reopen(self) -> None:
        """Open all files again: they were renamed."""
        problems = 0
        for written in filter(None, (self._log, self._audit)):
            try:
                written.reopen()
            except OSError as error:
                problems += 1
                _log.error(
                    "{path}: cannot be opened again: {reason}; the log goes on in the "
                    "file that was open",
                    path=str(error.filename),
                    reason=error.strerror,
                )
        if not problems:
            _log.info("SIGUSR1: the files of the log are opened again")

    def _line_of(self, event: LogEvent) -> str | None:
        if "lines" in event:
            # A worker has made them.
            lines: str = event["lines"]
            return lines
        if event.get("log_namespace") == NAMESPACE and self._audit_log != IN_LOG:
            return None
        if "log_text" in event and _PORTS.match(event["log_text"]):
            return None
        return json_line(event) if self._format == "json" else text_line(event)


@dataclass(frozen=True)
class _Written:
    """A log, and the file that it is written to; None for standard output."""

    observer: BufferedLog
    file: ReopenedFile | None

    def reopen(self) -> None:
        """Go on in the file that has the name now; raises `OSError`."""
        # What is gathered belongs in the file that it was gathered for.
        self.observer.flush()
        if self.file is not None:
            self.file.reopen()

    def close(self) -> None:
        """Write no more."""
        self.observer.close()
        if self.file is not None:
            self.file.close()


def _audit_line(event: LogEvent) -> str | None:
    return json_line(event) if event.get("log_namespace") == NAMESPACE else None


def _opened(option: str, path: Path) -> ReopenedFile:
    try:
        return ReopenedFile(path)
    except OSError as error:
        raise StateError(f"{option} {path}: {error.strerror}") from None
