"""
The generations of a service: one answers, and those before it end what they began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.application.service import MultiService, Service
from twisted.internet.defer import DeferredList

from regbroker.assembly.current_root import CurrentRoot
from regbroker.assembly.generation import AccountSources, Generation
from regbroker.assembly.part import Part
from regbroker.runtime.reactor import INetworkReactor
from regbroker.settings.config import Config
from regbroker.web.health import Health
from regbroker.web.serving import UnderWay


@dataclass(frozen=True)
class PreparedGeneration:
    """A generation whose services run: one of the two is to be called."""

    commit: Callable[[], None]
    abort: Callable[[], None]
    #: The URLs of the upstreams that run here, by name.
    sandboxes: Mapping[str, str]


class Generations:
    """
    The generations of `parent`, which has their services; the first is for `config`.

    Their requests are in `under_way`. Raises `ConfigurationError` or `StateError`.
    """

    def __init__(
        self,
        parent: MultiService,
        config: Config,
        reactor: INetworkReactor,
        account_sources: AccountSources,
        under_way: UnderWay,
        is_draining: Callable[[], bool],
        part: Part,
    ) -> None:
        self._parent = parent
        self._reactor = reactor
        self._account_sources = account_sources
        self._under_way = under_way
        self._is_draining = is_draining
        self._part = part
        #: The one that answers new requests.
        self.current = self._build(config, None)
        #: Those that answer what began with them, and nothing else.
        self.leaving: list[Generation] = []
        #: The same root, whichever generation is the current one.
        self.root = CurrentRoot(lambda: bool(parent.running))
        self.root.current = self.current.root
        for each in self.current.services:
            each.setServiceParent(parent)

    def prepare(self, config: Config) -> PreparedGeneration:
        """
        Build the next generation, and start what is new in it.

        Raises `ConfigurationError` or `StateError`, and has changed nothing then.
        """
        generation = self._build(config, self.current)
        started: list[Service] = []

        def abort() -> None:
            for each in reversed(started):
                _leave(each)

        try:
            for service in generation.services:
                if service not in self.current.services:
                    started.append(service)
                    service.setServiceParent(self._parent)
        except Exception:
            abort()
            raise
        return PreparedGeneration(
            lambda: self._follow(generation), abort, generation.sandboxes
        )

    def _follow(self, generation: Generation) -> None:
        """Have all new requests answered by another generation."""
        old, self.current = self.current, generation
        self.root.current = generation.root
        self.leaving.append(old)
        over = DeferredList([each.root.under_way.when_none() for each in self.leaving])
        unused = [each for each in old.services if each not in generation.services]
        over.addCallback(self._end, old, unused)

    def _end(self, _: object, old: Generation, unused: list[Service]) -> None:
        self.leaving.remove(old)
        for service in unused:
            _leave(service)

    def _build(self, config: Config, before: Generation | None) -> Generation:
        health = None
        if config.health_path:
            health = Health(config.health_path, self._is_draining)
        return Generation(
            config,
            self._reactor,
            self._account_sources,
            self._under_way,
            health,
            before,
            self._part,
        )


def _leave(service: Service) -> None:
    # When everything is stopped, it has been left already.
    if service.parent is not None:
        service.disownServiceParent()
