"""
The certificates that clients are shown: read at the start and at a reload, and read
again when their files change.

What renews a certificate writes two files, one after the other. So a pair is taken only
when its key belongs to its certificate; until then, the pair before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from regbroker.assembly.state_problems import certificate_hosts
from regbroker.errors import ConfigurationError, StateError
from regbroker.settings.config import Config
from regbroker.transport.certificates.self_signed import self_signed
from regbroker.transport.certificates.served import load_certificates, read_pem
from regbroker.transport.tls.server_options import ServerOptions
from regbroker.transport.tls.session_tickets import TicketKeys

#: Seconds between two looks at the files.
LOOK_SECONDS = 10.0

_log = Logger()


@dataclass(frozen=True)
class ShownCertificates:
    """Server options, and what the files held that they were made of."""

    contents: tuple[tuple[str, bytes | None], ...]
    options: ServerOptions


def needs_certificate(config: Config) -> bool:
    """Tell whether some listener ends TLS."""
    return any(listener.tls for listener in config.listen)


def load_shown(
    config: Config, before: ShownCertificates | None, tickets: TicketKeys
) -> ShownCertificates:
    """
    Return the certificates of a configuration, or `before` if nothing has changed.

    Sessions resume with the keys of `tickets`.
    A self-signed pair is made where there is none, or where it ends soon. Raises
    `ConfigurationError` or `StateError`.
    """
    pair = None
    if not config.certificates:
        pair = self_signed(Path(config.state_directory), certificate_hosts(config))
    files = list(pair or ())
    for entry in config.certificates:
        files += [Path(entry.certificate), Path(entry.key)]
    client_ca = Path(config.client_ca) if config.client_ca else None
    if client_ca is not None:
        files.append(client_ca)
    # Before they are loaded: what changes meanwhile is seen at the next look. The names
    # that clients ask for are a part of it.
    names = [entry.host for entry in config.certificates]
    contents = (
        (",".join(names), None),
        *((str(path), contents_of(path)) for path in files),
    )
    if before is not None and before.contents == contents:
        return before
    return ShownCertificates(
        contents, load_certificates(config.certificates, pair, client_ca, tickets)
    )


def contents_of(path: Path) -> bytes | None:
    """Return what a PEM file holds; None if it cannot be read, or is something else."""
    try:
        return read_pem(path)
    except (OSError, ValueError):
        return None


class CertificateWatch(Service):
    """
    Looks at the files of `shown` again and again, as long as it runs.

    `changed` is called when `shown` has become another one. `clock` is the reactor. It
    also sees to it that keys of `tickets` do not outlive their day.
    """

    def __init__(
        self, clock: IReactorTime, changed: Callable[[], None], tickets: TicketKeys
    ) -> None:
        self._tickets = tickets
        self.shown: ShownCertificates | None = None
        self._config: Config | None = None
        self._changed = changed
        self._problems: list[str] = []
        self._told: list[str] = []
        self._looking = LoopingCall(self.look)
        self._looking.clock = clock

    def watch(self, config: Config, shown: ShownCertificates | None) -> None:
        """Watch the files of a configuration; None where nothing ends TLS."""
        self._config = config
        self.shown = shown
        self._problems, self._told = [], []

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._looking.start(LOOK_SECONDS, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        # An application stops what it could not start, too: a port may be taken.
        if self._looking.running:
            self._looking.stop()

    def look(self) -> None:
        """Look now; what is wrong twice in a row is told once."""
        self._tickets.forget_old()
        if self.shown is None or self._config is None:
            return
        try:
            shown = load_shown(self._config, self.shown, self._tickets)
        except ConfigurationError as error:
            self._note(list(error.problems))
            return
        except StateError as error:
            self._note([str(error)])
            return
        self._problems, self._told = [], []
        if shown is not self.shown:
            self.shown = shown
            self._changed()
            _log.info("certificates: read again, since their files have changed")

    def _note(self, problems: list[str]) -> None:
        # At the first look, somebody may be in the middle of writing.
        if problems == self._problems and problems != self._told:
            self._told = problems
            for problem in problems:
                _log.error(
                    "{problem} (clients still see the certificate from before)",
                    problem=problem,
                )
        self._problems = problems
