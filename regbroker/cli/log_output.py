"""
Where the log of a process goes, and in which format; the audit log beside it.

Only processes of regbroker's own have this. A program that embeds regbroker adds
observers of its own to Twisted's log.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, cast

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    PredicateResult,
    globalLogPublisher,
    textFileLogObserver,
)

from regbroker.audit import NAMESPACE
from regbroker.errors import StateError
from regbroker.runtime.json_lines import json_line
from regbroker.runtime.reopened_file import ReopenedFile
from regbroker.settings.config import Config

_log = Logger()

#: What `audit-log` is for the log that everything else is in.
IN_LOG = "-"


class LogOutput:
    """
    The log and the audit log of a process.

    `log_format` and `audit_log` are those of a `Config`. The audit log is opened by
    `changing_to`.
    """

    def __init__(self, log_format: str, audit_log: PurePath | str) -> None:
        self._format = log_format
        self._audit_log = audit_log
        self._file: ReopenedFile | None = None
        self._audit: _AuditFile | None = None

    @property
    def is_for_people(self) -> bool:
        """Whether standard output may have lines that are not of the log."""
        return self._format == "line"

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
        stream: Any = sys.stdout
        if name == "-" or (foreground and not name):
            if not foreground:
                # twistd says that this cannot be.
                return None
        else:
            stream = self._file = _opened("--logfile", Path(name or "twistd.log"))
        writer: Any = (
            FileLogObserver(stream, json_line)
            if self._format == "json"
            else textFileLogObserver(stream)
        )
        predicates: Any = [self._is_for_log]
        return FilteringLogObserver(writer, predicates)

    @contextmanager
    def changing_to(self, config: Config) -> Iterator[None]:
        """
        Open the audit log of a configuration, and use it if the block succeeds.

        Raises `StateError` when it cannot be opened.
        """
        before, path = self._audit, config.audit_log
        audit = before if path == self._audit_log else None
        if audit is None and isinstance(path, PurePath):
            audit = _AuditFile(_opened("[regbroker] audit-log:", Path(path)))
        try:
            yield
        except BaseException:
            if audit is not None and audit is not before:
                audit.file.close()
            raise
        if config.log_format != self._format:
            _log.warn("[regbroker] log-format: needs a restart")
        self._audit, self._audit_log = audit, path
        if audit is not before:
            if audit is not None:
                globalLogPublisher.addObserver(audit.observer)
            if before is not None:
                globalLogPublisher.removeObserver(before.observer)
                before.file.close()

    def reopen(self) -> None:
        """Open all files again: they were renamed."""
        audit = None if self._audit is None else self._audit.file
        for file in filter(None, (self._file, audit)):
            try:
                file.reopen()
            except OSError as error:
                _log.error(
                    "{path}: cannot be opened again: {reason}; its log goes on in the "
                    "file that it was",
                    path=str(file.path),
                    reason=error.strerror,
                )
        _log.info("SIGUSR1: the files of the log are opened again")

    def _is_for_log(self, event: LogEvent) -> Any:
        if event.get("log_namespace") == NAMESPACE and self._audit_log != IN_LOG:
            return PredicateResult.no
        return PredicateResult.maybe


class _AuditFile:
    """A file with the audit log, and nothing else."""

    def __init__(self, file: ReopenedFile) -> None:
        self.file = file
        predicates: Any = [_is_audit]
        writer: Any = FileLogObserver(cast(Any, file), json_line)
        self.observer = FilteringLogObserver(writer, predicates)


def _opened(option: str, path: Path) -> ReopenedFile:
    try:
        return ReopenedFile(path)
    except OSError as error:
        raise StateError(f"{option} {path}: {error.strerror}") from None


def _is_audit(event: LogEvent) -> Any:
    if event.get("log_namespace") == NAMESPACE:
        return PredicateResult.maybe
    return PredicateResult.no
