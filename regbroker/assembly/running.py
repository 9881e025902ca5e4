"""
The service: listeners in front of the generation that answers, one after the other.

A reload is all or nothing. What can fail comes first, while the old generation answers:
to build, to start what is new, and to bind ports. Then everything changes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.web.resource import IResource

from regbroker.assembly.admin_place import AdminPlace
from regbroker.assembly.certificates import (
    CertificateWatch,
    ShownCertificates,
    load_shown,
    needs_certificate,
)
from regbroker.assembly.generation import AccountSources
from regbroker.assembly.generations import Generations
from regbroker.assembly.part import Part
from regbroker.runtime.kept_memory import keep_freed_memory
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import Config
from regbroker.transport.listening.entrance import build_entrance, limits_here
from regbroker.transport.listening.listener_group import (
    ListenerGroup,
    PreparedListeners,
)
from regbroker.transport.listening.services import ListeningService
from regbroker.transport.server.site import StreamingSite
from regbroker.web.https_redirect import HttpsRedirect
from regbroker.web.serving import UnderWay

if TYPE_CHECKING:
    # Imported where they are built: not every configuration needs them.
    from regbroker.admin.service import AdminService
    from regbroker.admin.watched import Watched


@dataclass(frozen=True)
class PreparedReload:
    """Another configuration that can be served: one of the two is to be called."""

    commit: Callable[[], None]
    abort: Callable[[], None]
    #: The listeners that it will have.
    listening: PreparedListeners
    #: The URLs of the upstreams that run here, by name.
    sandboxes: Mapping[str, str]


class RegbrokerService(MultiService):
    """
    Everything that one `Config` asks for.

    `root` is the `twisted.web` resource that serves it, for a site of one's
    own; it works while this service runs.
    """

    def __init__(
        self,
        config: Config,
        reactor: INetworkReactor,
        account_sources: AccountSources,
        part: Part | None = None,
        descriptors: Iterable[int] | None = None,
    ) -> None:
        super().__init__()
        self._part = part or Part()
        config = self._part.config(config)
        self._reactor = reactor
        #: The requests that are being answered; those through another site, too.
        self.under_way = UnderWay()
        #: Whether regbroker is about to stop: balancers and probes are told to send
        #: new clients elsewhere.
        self.draining = False
        self._was_stopped = False
        self._generations = Generations(
            self,
            config,
            reactor,
            account_sources,
            self.under_way,
            lambda: self.draining,
            self._part,
        )
        self._hurrying: Deferred[None] = Deferred()
        root = self._generations.root
        self.root: IResource = root
        self._site = StreamingSite(self._generations.current.root, config.pace, reactor)
        self.entrance = build_entrance(
            reactor,
            config.trusted_proxies,
            config.pace.silence,
            config.max_connections,
            config.max_connections_per_address,
        )
        self._certificates = CertificateWatch(
            reactor, self._show_certificates, self._part.tickets
        )
        shown = self._load_shown(config, None)
        self._certificates.watch(config, shown)
        self._certificates.setServiceParent(self)
        self._redirecting = StreamingSite(
            HttpsRedirect(root, lambda: self._listening.tls_port()),
            config.pace,
            reactor,
        )
        self._listening = ListenerGroup(
            reactor,
            self._site,
            self.entrance,
            "listen",
            self._redirecting,
            self._part.serves,
        )
        options = _options_of(shown)
        self._listening.prepare(config.listen, options, descriptors).commit(
            options, config.trusted_proxies
        )
        self._listening.setServiceParent(self)
        self._admin = AdminPlace(
            self, reactor, lambda: self.draining, self._part, self._watched
        )
        self._admin.open(config)

    def privilegedStartService(self) -> None:
        """Listen before privileges are dropped; raises as `startService`."""
        self._check_first()
        super().privilegedStartService()

    def startService(self) -> None:
        """Begin to serve; raises `RuntimeError` for a service that was stopped."""
        self._check_first()
        keep_freed_memory()
        super().startService()

    def _check_first(self) -> None:
        if self._was_stopped:
            raise RuntimeError("a service of regbroker runs once; build another one")

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._generations.current.config

    @property
    def sandboxes(self) -> dict[str, str]:
        """The URLs of the upstreams that run here, by name."""
        return self._generations.current.sandboxes

    @property
    def admin(self) -> AdminService | None:
        """What the admin listener answers, if there is one."""
        return self._admin.service

    @property
    def listeners(self) -> list[ListeningService]:
        """The listeners in use, in the order of the configuration."""
        return list(self._listening.listeners)

    def stopService(self) -> Any:
        """End what is being answered, then everything else; fires when it is over."""
        self.draining = self._was_stopped = True
        self.hurry()
        # The services would take the upstreams away from under the requests, which
        # would seem to be the upstreams' doing.
        self.under_way.stop()
        self.entrance.stop()
        return super().stopService()

    # The end, in peace.

    def drain(self) -> Deferred[None]:
        """
        Listen no more, answer clients once more, and let what is under way end.

        Fires when it has ended, when the configuration's `drain_timeout` has passed, or
        when `hurry` is called. `stopService` is to follow.
        """
        self.draining = True
        over = self._listening.stop_listening()
        # Those through another site, too.
        over.addCallback(lambda _: self.under_way.when_none())
        timer = self._reactor.callLater(self.config.drain_timeout, self.hurry)
        drained: Deferred[None] = Deferred()

        def fire(_: object) -> None:
            if not drained.called:
                drained.callback(None)

        over.addCallback(fire)
        self._hurrying.addCallback(fire)
        return drained.addCallback(lambda _: _cancel(timer))

    def hurry(self) -> None:
        """Wait no longer for what is under way."""
        if not self._hurrying.called:
            self._hurrying.callback(None)

    # Another configuration.

    def reload(self, config: Config) -> None:
        """
        Serve another configuration from now on.

        What is under way ends as it began. Raises `ConfigurationError` or `StateError`
        when that cannot be; everything goes on as before, then.
        """
        self.prepare(config).commit()

    def prepare(
        self, config: Config, descriptors: Iterable[int] | None = None
    ) -> PreparedReload:
        """
        Do all of a reload that can fail; what it returns does the rest, or undoes it.

        `descriptors` are the sockets of the listeners where another process has opened
        them. Raises as `reload`.
        """
        config = self._part.config(config)
        shown = self._load_shown(config, self._certificates.shown)
        generation = self._generations.prepare(config)
        undo: list[Callable[[], Any]] = [generation.abort]

        def abort() -> None:
            for each in reversed(undo):
                each()

        try:
            listening = self._listening.prepare(
                config.listen, _options_of(shown), descriptors
            )
            undo.append(listening.abort)
            admin = self._admin.prepare(config, self.config)
            undo.append(admin.abort)
        except Exception:
            abort()
            raise

        def commit() -> None:
            # Nothing of this fails.
            self._certificates.watch(config, shown)
            limits = limits_here(
                config.max_connections, config.max_connections_per_address
            )
            self.entrance.change(limits, config.trusted_proxies, config.pace.silence)
            for site in (self._site, self._redirecting):
                site.pace, site.timeOut = config.pace, config.pace.silence
            listening.commit(_options_of(shown), config.trusted_proxies)
            generation.commit()
            self._site.resource = self._generations.current.root
            admin.commit()
            self._admin.tell()

        return PreparedReload(commit, abort, listening, generation.sandboxes)

    # Parts.

    def _load_shown(
        self, config: Config, before: ShownCertificates | None
    ) -> ShownCertificates | None:
        if not needs_certificate(config):
            return None
        return load_shown(config, before, self._part.tickets)

    def _show_certificates(self) -> None:
        options = _options_of(self._certificates.shown)
        self._listening.show(options, self.config.trusted_proxies)
        self._admin.tell()

    def _watched(self) -> Watched:
        """Return what serves now, for the admin listener."""
        from regbroker.assembly.admin import watched

        generation = self._generations.current
        return watched(
            self.config,
            generation.upstreams,
            self.under_way,
            self.entrance,
            self._site,
            generation.issuer_keys,
        )


def _options_of(shown: ShownCertificates | None) -> Any:
    return shown.options if shown is not None else None


def _cancel(timer: IDelayedCall) -> None:
    if timer.active():
        timer.cancel()
