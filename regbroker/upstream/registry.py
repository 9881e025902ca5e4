"""
The registries behind: their connections, and what is known of their challenge.

The token service of an upstream is discovered from the 401 that its ``/v2/`` answers,
again in the background, and from every other challenge that the upstream sends
(`regbroker.upstream.discovery`). An upstream that is down when regbroker starts is
asked until it answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from twisted.internet.defer import TimeoutError
from twisted.logger import Logger

from regbroker.errors import (
    RedirectRefused,
    UpstreamTimeout,
)
from regbroker.protocol.bodies import MAX_ERROR_BYTES
from regbroker.protocol.challenges import Challenge
from regbroker.protocol.headers import Header
from regbroker.protocol.names import PING_PATH
from regbroker.protocol.origins import Origin
from regbroker.protocol.own_address import OwnAddress
from regbroker.protocol.own_redirects import check_leads_on
from regbroker.protocol.scopes import Scope
from regbroker.runtime.bounded_memory import BoundedMemory
from regbroker.runtime.in_time import InTime
from regbroker.runtime.outcome import Outcome
from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.single_flight import Coalescer
from regbroker.settings.config import UpstreamConfig
from regbroker.transport.client.connections import connections_to
from regbroker.transport.client.pool import ConnectionPool
from regbroker.transport.client.reply import Reply
from regbroker.transport.client.trust import Trust
from regbroker.transport.flow.stalls import Stalls
from regbroker.upstream.background_discovery import BackgroundDiscovery
from regbroker.upstream.circuit_breaker import CircuitBreakers
from regbroker.upstream.dialling import trust_of
from regbroker.upstream.discovery import Discovered, Discovery
from regbroker.upstream.manifest_memory import ManifestMemory
from regbroker.upstream.own_requests import (
    ask_for_ourselves,
    missing_upload,
    proof_target,
)
from regbroker.upstream.storages import Storages

#: A repository that does not say where tokens are is not asked again for so long.
ASKED_SECONDS = 60.0
MAX_ASKED = 1024

#: A ping has no work to do.
PING_SECONDS = 15.0

_log = Logger()


class Upstream:
    """
    One upstream registry.

    `clock` is the reactor. `open` must have been called before `request`, and makes
    the `connections`.
    Raises `ValueError` that names the option that cannot be used.
    """

    connections: ConnectionPool

    def __init__(self, config: UpstreamConfig, clock: INetworkReactor) -> None:
        self.config = config
        self.discovered: Discovered | None = None
        #: When it answered a ping last, on the clock.
        self.pinged_at = -math.inf
        self._clock = clock
        #: What is watched of the requests to it, and of their replies.
        self.stalls = Stalls(clock, config.timeout)
        self._trust = trust_of(config, clock.seconds)
        #: The servers that this upstream redirects to.
        self.storages = Storages(
            clock,
            self._trust,
            config.redirect_hosts,
            config.connect_timeout,
            self.stalls,
        )
        #: None where no manifests are kept.
        self.manifests = (
            ManifestMemory(config.manifest_cache) if config.manifest_cache else None
        )
        self._origin: Origin | None = None
        self._discovery: Discovery | None = None
        #: When repositories were asked who have not said where tokens are.
        self._asked: BoundedMemory[str, bool] = BoundedMemory(
            MAX_ASKED, now=clock.seconds, max_age=ASKED_SECONDS
        )
        #: The registry's and its token service's, for registries that have another
        #: upstream to ask meanwhile.
        self.circuits = CircuitBreakers(clock.seconds, config.answer_timeout)
        self.token_circuits = CircuitBreakers(clock.seconds, config.answer_timeout)
        self._discovering: Coalescer[Discovered] = Coalescer(clock, PING_SECONDS)
        self._background = BackgroundDiscovery(config.name, self._discover_again, clock)

    def __repr__(self) -> str:
        return f"<Upstream {self.config.name}>"

    @property
    def name(self) -> str:
        """The name of the upstream's section."""
        return self.config.name

    @property
    def trust(self) -> Trust:
        """Whom to believe when dialling this upstream and its token service."""
        return self._trust

    def open(self, origin: Origin) -> None:
        """Begin to use the upstream at `origin`, and to discover its challenge."""
        self._origin = origin
        self._discovery = Discovery(
            origin, self.config.realm, self.config.service, self.config.token_hosts
        )
        self.connections = connections_to(
            self._clock,
            origin,
            self._trust,
            self.config.connect_timeout,
            self.stalls,
        )
        self._background.start()

    def close(self) -> None:
        """Stop discovering, and close the connections that nobody uses."""
        self._background.stop()
        self._discovering.cancel()
        self.storages.close()
        self.stalls.close()
        if self._origin is not None:
            self.connections.close()

    def own_address(self, public_host: str) -> OwnAddress:
        """Return what this upstream's URLs may say when they mean itself."""
        assert self._origin is not None
        return OwnAddress(self._origin, public_host, self.config.base_path)

    def request(
        self, method: str, target: str, headers: Iterable[Header]
    ) -> Outcome[Reply]:
        """Send a request of our own for a target such as ``/v2/``."""
        whole = self.config.base_path + target
        return self.connections.request(
            method.encode(), whole.encode("latin-1"), headers
        )

    async def discover(self) -> Discovered:
        """
        Return what is known of the challenge, asking now if nothing is.

        Raises `UpstreamUnavailable` or `UpstreamTimeout` when the upstream
        does not answer, and `TooManyRequests` when it says so.
        """
        return self.discovered or await self._discover_again()

    async def token_service(self, scopes: tuple[Scope, ...]) -> Discovered:
        """
        Return the same; where the ping passes, a repository is asked who is behind.

        `scopes` are in upstream names. Raises as `discover`.
        """
        discovered = await self.discover()
        if discovered.realm is not None or discovered.challenges:
            return discovered
        name = next((scope.name for scope in scopes if scope.is_repository), None)
        if name is None:
            return discovered
        discovered = await self._discovered_at("GET", proof_target(name), name)
        actions = {action for scope in scopes for action in scope.actions}
        if discovered.realm is None and not actions <= {"pull"}:
            # Everybody may read it; who writes is asked, also for what is not there.
            target = missing_upload(name)
            discovered = await self._discovered_at("DELETE", target, name)
        return discovered

    async def _discovered_at(self, method: str, target: str, name: str) -> Discovered:
        """Return what is known when a target was asked who is behind, once a minute."""
        if self._asked.get(target) and self.discovered is not None:
            return self.discovered

        async def ask() -> Discovered:
            return await self._ask_at(method, target, name)

        try:
            return await self._discovering.run(target, ask)
        except TimeoutError as error:
            raise UpstreamTimeout("the upstream registry did not answer") from error

    async def check(self) -> None:
        """
        Look whether the upstream answers at all, with a ping of our own.

        Raises as `discover`, and when it takes longer than `answer_timeout`.
        """
        checking = self._discover_again()
        try:
            await InTime(checking, self.config.answer_timeout, self._clock)
        except TimeoutError as error:
            raise UpstreamTimeout("the upstream registry did not answer") from error

    def challenged(
        self, challenges: tuple[Challenge, ...], proof: str, had_credentials: bool
    ) -> None:
        """Note the challenges of any answer; see `Discovery.challenged`."""
        if self._discovery is not None and self.discovered is not None:
            self._note(self._discovery.challenged(challenges, proof, had_credentials))

    async def _discover_again(self) -> Discovered:
        try:
            return await self._discovering.run("ping", self._ping)
        except TimeoutError as error:
            raise UpstreamTimeout("the upstream registry did not answer") from error

    async def _ping(self) -> Discovered:
        reply, _ = await ask_for_ourselves(
            self.request, "GET", PING_PATH, max_bytes=MAX_ERROR_BYTES
        )
        assert self._discovery is not None
        self.pinged_at = self._clock.seconds()
        problem = ""
        if 300 <= reply.status < 400:
            problem = self._redirect_problem(reply)
        discovered = self._discovery.pinged(
            reply.challenges if reply.status == 401 else (), problem
        )
        self._note(discovered)
        return discovered

    async def _ask_at(self, method: str, target: str, name: str) -> Discovered:
        reply, _ = await ask_for_ourselves(self.request, method, target)
        if reply.status == 401:
            self.challenged(reply.challenges, proof_target(name), had_credentials=False)
        self._asked.put(target, True)
        assert self.discovered is not None
        return self.discovered

    def _redirect_problem(self, reply: Reply) -> str:
        location = (reply.header(b"Location") or b"").decode("latin-1")
        try:
            check_leads_on(location, self.own_address(""), PING_PATH)
        except RedirectRefused as refused:
            return refused.why
        return ""

    def _note(self, discovered: Discovered) -> None:
        if discovered == self.discovered:
            return
        self.discovered = discovered
        section = f"[upstream {self.name}]"
        if discovered.problem and not discovered.challenges:
            # What stands before it has answered, which may be mended there.
            _log.warn(
                "{section}: {problem}", section=section, problem=discovered.problem
            )
        elif discovered.problem:
            _log.error(
                "{section}: {problem}", section=section, problem=discovered.problem
            )
        elif discovered.realm:
            _log.info(
                "{section}: token service {realm}, service {service!r}",
                section=section,
                realm=discovered.realm,
                service=discovered.service,
            )
        else:
            wants = discovered.challenges or discovered.proof
            how = "Basic credentials" if wants else "no credentials"
            _log.info("{section}: wants {how}", section=section, how=how)
