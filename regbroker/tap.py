"""
``twistd regbroker``: a process, and nothing that the service could do itself.

twistd takes `Options` and `makeService` from here.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.application.service import MultiService
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from regbroker import audit
from regbroker.assembly.loading import parse_text, read_text
from regbroker.assembly.needed import load_at_leisure
from regbroker.cli.banner import banner
from regbroker.cli.log_output import LogOutput
from regbroker.cli.twistd_options import Options
from regbroker.errors import ConfigurationError, StateError
from regbroker.runtime.cores import usable_cores
from regbroker.runtime.name_lookups import look_up_names
from regbroker.runtime.notify import Watchdog, take_notifier, take_watchdog_seconds
from regbroker.runtime.signals import on_signal
from regbroker.service import RegbrokerService, build_service, warnings_about
from regbroker.settings.config import Config
from regbroker.transport.listening.handed_over import warn_of_left_over

if TYPE_CHECKING:
    # Imported where it is built: alone, a process has no workers.
    from regbroker.workers.front import Front

__all__ = ["Options", "makeService"]

reactor: Any = _reactor

_log = Logger()

_NOT_READ_AGAIN = "SIGHUP: nothing is read again, since regbroker is stopping"


class TwistdService(MultiService):
    """The service as twistd runs it: greets, and ends the process in style."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._config = options.config
        # twistd goes to another directory when it becomes a daemon.
        self._path = str(Path(options["config"] or "").absolute())
        self._twistd: Any = options.parent or {}
        self._log_output = LogOutput(
            options.config.log_format, options.config.audit_log, reactor
        )
        self._workers = options.config.workers or usable_cores()
        self._service = self._serving(options)
        self._service.setServiceParent(self)
        self._is_told_to_stop = False
        self._is_reloading = self._is_told_to_reload_again = False

    def _serving(self, options: Options) -> RegbrokerService | Front:
        if self._workers == 1:
            return build_service(options.config, reactor)
        from regbroker.workers.front import Front

        return Front(
            options.config,
            reactor,
            self._workers,
            self._path,
            options.text,
            lambda: self._log_output.record_format,
        )

    def setServiceParent(self, parent: Any) -> None:
        """Become a part of twistd's application, and have it log as is configured."""
        super().setServiceParent(parent)
        if not isinstance(parent, Componentized) or not self._twistd:
            return
        try:
            observer = self._log_output.observer(self._twistd)
        except StateError as error:
            sys.exit(f"regbroker: {error}")
        if observer is not None:
            parent.setComponent(ILogObserver, observer)

    def privilegedStartService(self) -> None:
        """Listen; a port that is taken is one line and exit status 1."""
        # Unhandled, they would end the process. Both are answered when it runs.
        on_signal(reactor, signal.SIGUSR1, self._log_output.reopen)
        on_signal(reactor, signal.SIGHUP, self._told_to_reload)
        warn_of_left_over((*self._config.listen, *self._config.admin_listen))
        try:
            with self._log_output.changing_to(self._config):
                super().privilegedStartService()
        except StateError as error:
            self._give_up(error)
        if isinstance(self._service, RegbrokerService):
            self._service.under_way.log = self._log_output.log_request
        self._spare_audit()

    def startService(self) -> None:
        """Start; what can be tried is said when the reactor runs."""
        # Here, and not before: to become a daemon is to become another process.
        self._notifier = take_notifier(os.environ)
        seconds = take_watchdog_seconds(os.environ)
        self._watchdog = Watchdog(self._notifier, seconds, reactor, self._is_well)
        look_up_names(reactor)
        try:
            super().startService()
        except StateError as error:
            self._give_up(error)
        self._warn(self._config)
        self._handle_stop_signals()
        audit.tell_configuration("accepted", self._path)
        reactor.callWhenRunning(self._running)

    def _greet(self) -> None:
        is_seen = self._twistd.get("nodaemon") and self._log_output.is_for_people
        if is_seen and sys.__stdout__ is not None:
            # Around the log, which would put a time before each line.
            print(banner(self._config, self._urls), file=sys.__stdout__, flush=True)

    def stopService(self) -> Any:
        """Let transfers end, then stop; fires when it is over."""
        self._is_told_to_stop = True
        seconds, service = self._service.config.drain_timeout, self._service
        if isinstance(service, RegbrokerService) and not len(service.under_way):
            _log.info("stopping: no request is under way")
        else:
            _log.info(
                "stopping: {under_way}; they have {seconds:g} s to end, a second "
                "signal ends them at once",
                under_way=f"requests under way: {len(service.under_way)}"
                if isinstance(service, RegbrokerService)
                else service.text,
                seconds=seconds,
            )
        self._notifier.stopping(seconds, f"stopping, within {seconds:g} s")
        drained = self._service.drain()
        return drained.addCallback(self._stop)

    def _stop(self, _: None) -> Any:
        self._watchdog.stop()
        return super().stopService()

    def _running(self) -> None:
        """Tell that clients are served: the reactor runs."""
        # Again: the reactor has put its own handlers in their place as it started, and
        # twistd kills itself in the end with a signal that those have seen.
        self._handle_stop_signals()
        # After that: who reads it may send a signal at once.
        self._greet()
        self._watchdog.start()
        if isinstance(self._service, RegbrokerService):
            load_at_leisure(self._config, reactor)
            self._ready(None)
        else:
            self._service.serve().addCallback(self._ready)

    def _ready(self, _: None) -> None:
        if not self._is_told_to_stop:
            self._notifier.ready(self._status)

    def _is_well(self) -> bool:
        # Alone, this process is well since it can say so.
        return isinstance(self._service, RegbrokerService) or self._service.is_well()

    def _handle_stop_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            on_signal(reactor, number, self._told_to_stop)

    def _told_to_stop(self) -> None:
        if self._is_told_to_stop:
            _log.info("stopping at once")
            self._service.hurry()
        else:
            self._is_told_to_stop = True
            reactor.stop()

    def _told_to_reload(self) -> None:
        if self._is_told_to_stop:
            _log.info(_NOT_READ_AGAIN)
            return
        if self._is_reloading:
            # The file may have changed since it was read.
            self._is_told_to_reload_again = True
            return
        self._is_reloading = True
        Deferred.fromCoroutine(self._answer_reload()).addErrback(
            lambda failure: _log.failure("reloading", failure)
        )

    async def _answer_reload(self) -> None:
        self._notifier.reloading()
        status = self._status
        try:
            await self._reload()
            status = self._status
        except (ConfigurationError, StateError) as error:
            if self._is_told_to_stop:
                # Workers had not answered yet.
                _log.info(_NOT_READ_AGAIN)
                return
            problems = getattr(error, "problems", [str(error)])
            for problem in problems:
                # What is wrong with the file itself begins with its name already.
                named = problem.removeprefix(f"{self._path}: ")
                _log.error("{path}: {problem}", path=self._path, problem=named)
            _log.error(
                "{path}: not taken; regbroker goes on with what it had", path=self._path
            )
            audit.tell_configuration("refused", self._path, problems[0])
            status = f"{status}; the last reload failed: {problems[0]}"
        except Exception:
            _log.failure("{path}: not taken", path=self._path)
            audit.tell_configuration("failed", self._path)
        finally:
            self._is_reloading = False
            if not self._is_told_to_stop:
                self._notifier.ready(status)
        if self._is_told_to_reload_again:
            self._is_told_to_reload_again = False
            self._told_to_reload()

    async def _reload(self) -> None:
        text = read_text(self._path)
        config = parse_text(text, self._path)
        if (config.workers or usable_cores()) != self._workers:
            _log.warn("[regbroker] workers: needs a restart")
        with self._log_output.changing_to(config):
            if isinstance(self._service, RegbrokerService):
                self._service.reload(config)
            else:
                await self._service.reload(config, text)
        self._config = config
        self._spare_audit()
        audit.tell_configuration("accepted", self._path)
        _log.info("{path}: read again, and in use", path=self._path)
        self._warn(config)

    def _spare_audit(self) -> None:
        """Have no records made for an audit log that is written nowhere."""
        if isinstance(self._service, RegbrokerService):
            self._service.under_way.is_audited = self._log_output.takes_audit

    def _warn(self, config: Config) -> None:
        for warning in warnings_about(config):
            _log.warn("{warning}", warning=warning)

    @property
    def _urls(self) -> list[str]:
        return [child.url for child in self._service.listeners]

    @property
    def _status(self) -> str:
        return f"serving {', '.join(self._urls)}"

    def _give_up(self, error: StateError) -> NoReturn:
        """End the process with one line."""
        message = f"regbroker: {error}"
        # Standard error is the log by now, in the foreground and elsewhere.
        print(message, file=sys.stderr)
        pidfile = self._twistd.get("pidfile")
        if pidfile and _holds_our_pid(Path(pidfile)):
            os.unlink(pidfile)
        # twistd tells an Exception to the process that waits for the daemon, but
        # not SystemExit: it would wait for ever, and the pidfile would stay. Who
        # waits goes on at once, so all else is done by now.
        pipe = self._twistd.get("statusPipe")
        if pipe is not None:
            os.write(pipe, f"1 {message}".encode("ascii", "backslashreplace")[:100])
        sys.exit(1)


def _holds_our_pid(pidfile: Path) -> bool:
    try:
        return pidfile.read_text().strip() == str(os.getpid())
    except OSError:
        return False


def makeService(options: Options) -> MultiService:
    """Return the service for twistd."""
    try:
        return TwistdService(options)
    except (ConfigurationError, StateError) as error:
        sys.exit(f"regbroker: {error}")
