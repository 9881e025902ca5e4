"""
The process in front of its workers: it opens the sockets, and leaves clients to them.

It builds all that it would serve alone: so it finds what is wrong with a configuration
before a worker hears of it, asks the upstreams how they are, and tells about everything
on the admin listener.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure

from regbroker.assembly.needed import needed
from regbroker.assembly.part import Part
from regbroker.assembly.running import PreparedReload, RegbrokerService
from regbroker.errors import StateError
from regbroker.runtime.messages import AskedInVain
from regbroker.runtime.reactor import IMainReactor
from regbroker.settings.config import Config
from regbroker.transport.listening.services import ListeningService
from regbroker.workers.pool import START_SECONDS, Pool, Told
from regbroker.workers.process import WorkerProcess
from regbroker.workers.pulse import Pulse
from regbroker.workers.start import Served
from regbroker.workers.wrong_passwords import WrongPasswords

_log = Logger()


class Front(MultiService):
    """
    Serves `config` with `count` workers.

    `path` is the file that it comes from, and `text` what that held. `log_format`
    returns the format in which the log has lines, as `log-format` has it; it is empty
    where that is not known. Raises `ConfigurationError` or `StateError`, also as it
    starts.
    """

    def __init__(
        self,
        config: Config,
        reactor: IMainReactor,
        count: int,
        path: str,
        text: str,
        log_format: Callable[[], str] = lambda: "",
    ) -> None:
        super().__init__()
        self._log_format = log_format
        self._path = path
        self._text = text
        self._secret = secrets.token_bytes(32)
        self._generation = 0
        #: Workers that are being told of the configuration that came meanwhile.
        self._catching_up: set[WorkerProcess] = set()
        self._wrong_passwords = WrongPasswords(time.monotonic)
        self.pool = Pool(
            reactor,
            count,
            self._start,
            self._catch_up,
            self._wrong_passwords.hear,
            needed(config),
        )
        self._pulse = Pulse(reactor, lambda: self.pool.serving)
        part = Part(secret=self._secret, workers=count, serves=False, others=self.pool)
        self._service = RegbrokerService(config, reactor, {}, part)
        self._service.setServiceParent(self)

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._service.config

    @property
    def listeners(self) -> list[ListeningService]:
        """The listeners in use, in the order of the configuration."""
        return self._service.listeners

    @property
    def text(self) -> str:
        """What is under way, for people."""
        return f"workers: {len(self.pool.serving)}"

    def serve(self) -> Deferred[None]:
        """Start the workers; fires when all of them serve."""
        self._pulse.start()
        return self.pool.start()

    def is_well(self) -> bool:
        """Tell whether workers answer."""
        return self._pulse.is_well()

    def drain(self) -> Deferred[Any]:
        """Have the workers end in peace; see `RegbrokerService.drain`."""
        # The pool kills those that do not end.
        self._pulse.stop()
        seconds = self.config.drain_timeout
        # First our own sockets: so the last who closes one is a worker, which accepts
        # before who waits there.
        drained = self._service.drain()
        return DeferredList([self.pool.drain(seconds), drained])

    def hurry(self) -> None:
        """Wait no longer for what is under way."""
        self.pool.hurry()
        self._service.hurry()

    # Another configuration.

    async def reload(self, config: Config, text: str) -> None:
        """
        Have all workers serve another configuration, or none.

        First it is built here, then each worker builds it, then all turn to it. Raises
        `ConfigurationError`, or `StateError` with the words of a worker.
        """
        prepared = self._service.prepare(config)
        told = self._told(prepared, text)
        # Those that still take the one before are told when they have it.
        workers = [one for one in self.pool.serving if one not in self._catching_up]
        answers = await DeferredList(
            [_prepare(worker, told) for worker in workers], consumeErrors=True
        )
        problems = []
        if self._service.draining:
            # The listeners are closed: to turn to others would open them again.
            problems.append("regbroker is stopping")
        for worker, (is_prepared, failure) in zip(workers, answers, strict=True):
            if is_prepared or failure.check(ConnectionLost):
                # One that has ended comes again with what is in use then.
                continue
            problems.append(f"worker {worker.number}: {_problem(failure)}")
            if not failure.check(AskedInVain):
                worker.kill()
        if problems:
            for worker in workers:
                worker.channel.tell("abort", {})
            prepared.abort()
            raise StateError("; ".join(problems))
        self._generation += 1
        self._text = text
        for worker in workers:
            worker.generation = self._generation
        # First our own: the last who closes a socket is a worker, as in `drain`.
        prepared.commit()
        committed = [worker.channel.ask("commit", {}) for worker in workers]
        self._wrong_passwords.keep(config.accounts)
        for worker in self.pool.serving:
            self._catch_up(worker)
        # One that does not answer has ended, or does it when it can.
        await DeferredList(committed, consumeErrors=True)

    def _catch_up(self, worker: WorkerProcess) -> None:
        """
        Tell a worker of the configuration that came while it started, if one did.

        One at a time: a worker has one place for what it has prepared.
        """
        if worker.generation == self._generation or worker in self._catching_up:
            return
        generation, told = self._start()
        self._catching_up.add(worker)

        def commit(_: object) -> None:
            self._catching_up.discard(worker)
            worker.generation = generation
            worker.channel.tell("commit", {})
            # Another one may have come.
            self._catch_up(worker)

        def fail(failure: Failure) -> None:
            self._catching_up.discard(worker)
            # Of one that has ended, the pool tells.
            if not failure.check(ConnectionLost):
                _log.error(
                    "worker {number}: does not take the configuration in use: {why}",
                    number=worker.number,
                    why=_problem(failure),
                )
            worker.kill()

        _prepare(worker, told).addCallbacks(commit, fail)

    # What workers are told.

    def _start(self) -> tuple[int, Told]:
        service = self._service
        served = Served(self._path, self._text, service.sandboxes)
        values = served.document() | {
            "secret": self._secret.hex(),
            "workers": self.pool.count,
            "log_format": self._log_format(),
        }
        ports: list[Any] = [each.port for each in service.listeners]
        descriptors = [port.fileno() for port in ports if port is not None]
        return self._generation, (values, descriptors)

    def _told(self, prepared: PreparedReload, text: str) -> Told:
        served = Served(self._path, text, prepared.sandboxes)
        return served.document(), prepared.listening.descriptors


def _problem(failure: Failure) -> str:
    """Return why a worker does not take a configuration, for people."""
    return str(failure.value) if failure.check(AskedInVain) else "does not answer"


def _prepare(worker: WorkerProcess, told: Told) -> Deferred[Any]:
    values, descriptors = told
    return worker.channel.ask("prepare", values, descriptors, START_SECONDS)
