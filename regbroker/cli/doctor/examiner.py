"""Steps as they are tried: how long each took, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from regbroker import __version__
from regbroker.cli.doctor import wire
from regbroker.cli.doctor.answers import Answer, parse_answer
from regbroker.cli.doctor.diagnosis import (
    Identity,
    certificate_trouble,
    connection_trouble,
    not_http,
)
from regbroker.cli.doctor.routes import OpenWay, Routes, Ways
from regbroker.cli.doctor.steps import Step, Stopped, Trouble
from regbroker.protocol.origins import Origin
from regbroker.runtime.reactor import IMainReactor
from regbroker.transport.certificates.rules import name_of
from regbroker.transport.client.tunnel_failures import TunnelFailed

T = TypeVar("T")

_PROTOCOLS = (b"http/1.1",)


@dataclass(frozen=True)
class _Place:
    """A server that was reached: how, and how each proves who it is."""

    route: OpenWay
    host: str
    where: str
    ca_file: Path | None
    ca_option: str
    has_tls: bool
    identity: Mapping[str, Any] | None
    known: Identity


class Examiner:
    """
    Tries steps with one side, and notes each in `steps`.

    `side` is what it is called; `timeout` is for each step, in seconds. `ways` has how
    its servers are reached. `identity` is the client certificate that is shown to those
    that `reach` is told of, and `identity_option` the option that has one.
    """

    def __init__(
        self,
        reactor: IMainReactor,
        side: str,
        timeout: float,
        ways: Ways | None = None,
        identity: Mapping[str, Any] | None = None,
        identity_option: str = "",
    ) -> None:
        self.steps: list[Step] = []
        self._reactor = reactor
        self._side = side
        self._timeout = timeout
        self.ways = ways or Ways()
        self._identity = identity
        self._identity_option = identity_option
        self._routes = Routes(reactor, self.ways, timeout, self.note)
        self._reached: dict[Origin, _Place] = {}

    @property
    def failed(self) -> bool:
        """Whether something is wrong so far."""
        return any(step.trouble is not None for step in self.steps)

    def note(
        self, name: str, seconds: float, seen: str, trouble: Trouble | None = None
    ) -> None:
        """Note a step; raises `Stopped` when there is trouble."""
        self.steps.append(Step(self._side, name, seconds, seen, trouble))
        if trouble is not None:
            raise Stopped

    def remark(self, name: str, seen: str, trouble: Trouble | None = None) -> None:
        """Note what needs no time, and stops nothing."""
        self.steps.append(Step(self._side, name, 0.0, seen, trouble))

    def leave_out(self, why: str) -> None:
        """Note that what comes next is not examined."""
        self.steps.append(Step(self._side, "not examined", 0.0, why, examined=False))

    async def reach(
        self,
        origin: Origin,
        where: str,
        *,
        prefix: str = "",
        ca_file: Path | None = None,
        ca_option: str = "",
        allows: Callable[[str], Trouble | None] = lambda address: None,
        shows_identity: bool = False,
        also: Origin | None = None,
    ) -> None:
        """
        Try the way and TLS, once for an origin; raises `Stopped`.

        `where` is the option that names it, `ca_option` the one that names its CA;
        without that, nobody is expected to know who has signed. `allows` says what is
        wrong with an address. `also` is another name for the same server.
        """
        if origin in self._reached:
            return
        route = await self._routes.find(origin, where, prefix, allows)
        place = _Place(
            route,
            origin.host,
            where,
            ca_file,
            ca_option,
            origin.scheme == "https",
            self._identity if shows_identity else None,
            Identity(
                self._identity_option if shows_identity else "",
                shows_identity and self._identity is not None,
            ),
        )
        if place.has_tls:
            await self._secure(origin, place, prefix)
        self._reached[origin] = place
        if also is not None:
            self._reached.setdefault(also, place)

    async def _secure(self, origin: Origin, place: _Place, prefix: str) -> None:
        looking = _looking(place)
        begun = self._now()
        try:
            peer = await self._dial(place, looking)
        except wire.Failed as error:
            trouble = _trouble(error, origin, place.where, place)
            self.note(f"{prefix}TLS", self._now() - begun, "", trouble)
            return
        seconds, chain = self._now() - begun, looking.chain
        peer.close()
        seen = ""
        if chain:
            left = (chain[0].not_valid_after_utc - datetime.now(timezone.utc)).days
            seen = (
                f"{looking.version}, certificate of {name_of(chain[0])}, "
                f"{len(chain)} in the chain, {left} days left"
            )
        self.note(f"{prefix}TLS", seconds, seen, _refused(looking, place))

    async def get(
        self,
        name: str,
        origin: Origin,
        target: str,
        where: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        limit: int = wire.MAX_BODY,
    ) -> tuple[Answer, float]:
        """
        Ask a server that was reached; returns its answer, and the seconds it took.

        A failure is noted as the step `name`, and raises `Stopped`.
        """
        begun = self._now()
        place = self._reached[origin]
        tls = _looking(place) if place.has_tls else None
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {origin.netloc}",
            f"User-Agent: regbroker-doctor/{__version__}",
            "Connection: close",
            *(f"{header}: {value}" for header, value in headers),
        ]
        # Much of it comes from other servers, and is to stay where it is written.
        safe = ["".join(c for c in line if " " <= c <= "~") for line in lines]
        request = "\r\n".join([*safe, "", ""]).encode("ascii")
        try:
            peer = await self._dial(place, tls)
            # Credentials go only to the server that was looked at before.
            trouble = _refused(tls, place) if tls is not None else None
            if trouble is not None:
                peer.close()
                self.note(name, self._now() - begun, "", trouble)
            data = await wire.ask(self._reactor, peer, request, self._timeout, limit)
        except wire.Failed as error:
            trouble = _trouble(error, origin, where, place)
            self.note(name, self._now() - begun, "", trouble)
            raise Stopped from None
        answer = parse_answer(data)
        seconds = self._now() - begun
        if answer is None:
            self.note(
                name, seconds, "", not_http(data, origin, where, place.route.called)
            )
            raise Stopped
        return answer, seconds

    async def _dial(self, place: _Place, tls: wire.Looking | None) -> wire.Peer:
        try:
            return await wire.dial(
                self._reactor, place.route.endpoint, self._timeout, tls
            )
        except TunnelFailed as error:
            # It was open before.
            raise wire.Failed("tunnel", str(error)) from error

    def _now(self) -> float:
        seconds: float = self._reactor.seconds()
        return seconds


def _looking(place: _Place) -> wire.Looking:
    return wire.Looking(place.host, place.ca_file, _PROTOCOLS, place.identity)


def _trouble(error: wire.Failed, origin: Origin, where: str, place: _Place) -> Trouble:
    if error.kind == "tunnel":
        return Trouble(error.detail, "look at the proxy's log")
    return connection_trouble(
        error.kind, error.detail, origin, where, place.route.called, place.known
    )


def _refused(looking: wire.Looking, place: _Place) -> Trouble | None:
    """Say why the server that was looked at is not trusted; None if it is."""
    return certificate_trouble(
        place.host,
        looking.chain,
        looking.errors,
        datetime.now(timezone.utc),
        where=place.where,
        ca_option=place.ca_option,
    )


async def until_stopped(work: Awaitable[None]) -> None:
    """Wait for steps, of which one may have failed."""
    with suppress(Stopped):
        await work
