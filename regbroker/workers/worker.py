"""
A worker: one of the processes that serve clients, and knows nothing that lasts.

`regbroker.workers.fork_server` forks it, with a descriptor. All that the process in
front tells it comes through that, and so do its sockets.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger, globalLogBeginner

from regbroker.admin.transfers import TransferRates
from regbroker.assembly.part import Part
from regbroker.assembly.running import PreparedReload, RegbrokerService
from regbroker.errors import ConfigurationError, StateError
from regbroker.runtime.messages import AskedInVain, MessageChannel, Values, connect
from regbroker.runtime.name_lookups import look_up_names
from regbroker.runtime.reactor import IMainReactor
from regbroker.runtime.signals import on_signal
from regbroker.transport.tls.session_tickets import TicketKeys
from regbroker.workers import logs
from regbroker.workers.start import parse_served
from regbroker.workers.wrong_passwords import CountedInFront

#: Signals of a whole terminal or a whole service; the process in front hears them, too.
_NOT_FOR_WORKERS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)

#: Seconds that the process in front has to take the last lines of the log.
LAST_WORDS_SECONDS = 2.0

_log = Logger()


class Worker:
    """
    Does what the process in front tells it, until it is to end.

    `tickets` are the keys of TLS sessions that resume, the same in all workers.
    """

    def __init__(self, reactor: IMainReactor, tickets: TicketKeys) -> None:
        self._reactor = reactor
        self._tickets = tickets
        self._service: RegbrokerService | None = None
        self._prepared: PreparedReload | None = None
        self._rates = TransferRates(reactor.seconds)
        self._is_ending = False
        #: As `regbroker.workers.logs.Sender.make_lines` has it.
        self._log_format = ""
        self.channel = MessageChannel(reactor, self._hear, self._front_is_gone)
        later = partial(reactor.callLater, logs.GATHER_SECONDS)
        self.log = logs.Sender(self._send_log, later)

    def _send_log(self, events: list[Any]) -> None:
        self.channel.tell("log", {"events": events})

    def drain(self) -> None:
        """Let what is under way end, then end the process."""
        if self._is_ending:
            return
        self._is_ending = True
        drained: Deferred[Any] = maybeDeferred(lambda: None)
        service = self._service
        if service is not None:
            drained = service.drain()
            drained.addCallback(lambda _: service.stopService())
        drained.addErrback(lambda failure: _log.failure("stopping", failure))
        drained.addCallback(lambda _: self._leave())

    def _leave(self) -> None:
        self.log.flush()
        self.channel.close()
        self._reactor.callLater(LAST_WORDS_SECONDS, self._stop)

    def _front_is_gone(self) -> None:
        if self._is_ending:
            self._stop()
        else:
            # Nobody is left who could tell it to stop.
            self.drain()

    def _stop(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def _hear(self, kind: str, values: Values, descriptors: list[int]) -> Values | None:
        try:
            handler = getattr(self, f"hear_{kind}")
            answer: Values | None = handler(values, descriptors)
            return answer
        except (ConfigurationError, StateError) as error:
            problems = getattr(error, "problems", [str(error)])
            raise AskedInVain("; ".join(problems)) from error

    def hear_start(self, values: Values, descriptors: list[int]) -> None:
        """Serve a configuration on some sockets."""
        self._log_format = values["log_format"]
        self.log.make_lines(self._log_format, values["number"])
        part = Part(
            secret=bytes.fromhex(values["secret"]),
            workers=values["workers"],
            throttling=partial(CountedInFront, self.channel),
            tickets=self._tickets,
        )
        config = parse_served(values).config()
        service = RegbrokerService(config, self._reactor, {}, part, descriptors)
        service.privilegedStartService()
        service.startService()
        self._service = service
        service.under_way.log = self.log.log_request
        self._spare_audit(service)

    def _spare_audit(self, service: RegbrokerService) -> None:
        """Make no records for an audit log that the process in front writes nowhere."""
        is_written = bool(service.config.audit_log)
        service.under_way.is_audited = is_written or not self._log_format

    def hear_prepare(self, values: Values, descriptors: list[int]) -> None:
        """Do all of a reload that can fail."""
        assert self._service is not None
        config = parse_served(values).config()
        self._prepared = self._service.prepare(config, descriptors)

    def hear_commit(self, _: Values, __: list[int]) -> None:
        """Serve what was prepared."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and self._service is not None:
            prepared.commit()
            self._spare_audit(self._service)

    def hear_abort(self, _: Values, __: list[int]) -> None:
        """Undo what was prepared."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.abort()

    def hear_alive(self, _: Values, __: list[int]) -> None:
        """Answer: the reactor turns."""

    def hear_report(self, _: Values, __: list[int]) -> Values:
        """Return what was counted; nothing where there is no admin listener."""
        service = self._service
        if service is None or service.admin is None:
            return {}
        monitor = service.admin.monitor
        transfers = self._rates.transfers(service.under_way.progress())
        report = monitor.report(transfers, monitor.text().decode())
        return {"report": report.document()}

    def hear_drain(self, _: Values, __: list[int]) -> None:
        """End in peace."""
        self.drain()

    def hear_hurry(self, _: Values, __: list[int]) -> None:
        """End at once."""
        self.drain()
        if self._service is not None:
            self._service.hurry()


def run(reactor: IMainReactor, descriptor: int, tickets: TicketKeys) -> None:
    """Be a worker until the end."""
    for number in _NOT_FOR_WORKERS:
        signal.signal(number, signal.SIG_IGN)
    worker = Worker(reactor, tickets)
    globalLogBeginner.beginLoggingTo([worker.log], redirectStandardIO=False)
    look_up_names(reactor)
    connect(reactor, descriptor, worker.channel)
    os.close(descriptor)
    reactor.callWhenRunning(on_signal, reactor, signal.SIGTERM, worker.drain)
    # The reactor has its own handler for this one, which ends it at once.
    reactor.callWhenRunning(signal.signal, signal.SIGINT, signal.SIG_IGN)
    reactor.run()
