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
    certificate_trouble,
    connection_trouble,
    not_http,
)
from regbroker.cli.doctor.steps import Step, Trouble
from regbroker.protocol.origins import Origin
from regbroker.transport.certificate_rules import name_of

T = TypeVar("T")

_PROTOCOLS = (b"http/1.1",)


class Stopped(Exception):
    """A step has failed that the others need."""


@dataclass(frozen=True)
class _Place:
    """A server that was reached: where, and how it proves who it is."""

    address: str
    host: str
    where: str
    ca_file: Path | None
    ca_option: str


class Examiner:
    """
    Tries steps with one side, and notes each in `steps`.

    `side` is how it is called; `timeout` is for each step, in seconds. `addresses` has
    those of hosts that are not looked up.
    """

    def __init__(
        self,
        reactor: Any,
        side: str,
        timeout: float,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self.steps: list[Step] = []
        self._reactor = reactor
        self._side = side
        self._timeout = timeout
        self._addresses = addresses or {}
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

    async def reach(
        self,
        origin: Origin,
        where: str,
        *,
        prefix: str = "",
        ca_file: Path | None = None,
        ca_option: str = "",
        allows: Callable[[str], Trouble | None] = lambda address: None,
    ) -> None:
        """
        Try DNS, TCP and TLS, once for an origin; raises `Stopped`.

        `where` is the option that names it, `ca_option` the one that names its CA;
        without that, nobody is expected to know who has signed. `allows` says what is
        wrong with an address.
        """
        if origin in self._reached:
            return
        addresses = await self._resolve(origin, where, prefix)
        for address in addresses:
            refusal = allows(address)
            if refusal is not None:
                self.note(f"{prefix}address", 0.0, address, refusal)
        begun = self._now()
        address = await self._connect(addresses, origin, where, prefix)
        place = _Place(address, origin.host, where, ca_file, ca_option)
        self.note(f"{prefix}TCP", self._now() - begun, f"{address} port {origin.port}")
        if origin.scheme == "https":
            await self._secure(origin, place, prefix)
        self._reached[origin] = place

    async def _resolve(self, origin: Origin, where: str, prefix: str) -> list[str]:
        begun, host = self._now(), origin.host
        if host in self._addresses:
            return [self._addresses[host]]
        try:
            addresses = await wire.resolve(self._reactor, host, self._timeout)
        except wire.Failed as error:
            trouble = connection_trouble(error.kind, error.detail, origin, where)
            self.note(f"{prefix}DNS", self._now() - begun, host, trouble)
            raise Stopped from None
        if addresses != [host]:
            seen = f"{host} is {', '.join(addresses)}"
            self.note(f"{prefix}DNS", self._now() - begun, seen)
        return addresses

    async def _connect(
        self, addresses: list[str], origin: Origin, where: str, prefix: str
    ) -> str:
        begun = self._now()
        trouble: Trouble | None = None
        for address in addresses:
            try:
                peer = await wire.dial(
                    self._reactor, address, origin.port, self._timeout
                )
            except wire.Failed as error:
                trouble = connection_trouble(error.kind, error.detail, origin, where)
            else:
                peer.close()
                return address
        self.note(f"{prefix}TCP", self._now() - begun, ", ".join(addresses), trouble)
        raise Stopped

    async def _secure(self, origin: Origin, place: _Place, prefix: str) -> None:
        looking = wire.Looking(place.host, place.ca_file, _PROTOCOLS)
        begun = self._now()
        try:
            peer = await wire.dial(
                self._reactor, place.address, origin.port, self._timeout, looking
            )
        except wire.Failed as error:
            trouble = connection_trouble(error.kind, error.detail, origin, place.where)
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
        tls = None
        if origin.scheme == "https":
            tls = wire.Looking(place.host, place.ca_file, _PROTOCOLS)
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
            peer = await wire.dial(
                self._reactor, place.address, origin.port, self._timeout, tls
            )
            # Credentials go only to the server that was looked at before.
            trouble = _refused(tls, place) if tls is not None else None
            if trouble is not None:
                peer.close()
                self.note(name, self._now() - begun, "", trouble)
            data = await wire.ask(self._reactor, peer, request, self._timeout, limit)
        except wire.Failed as error:
            trouble = connection_trouble(error.kind, error.detail, origin, where)
            self.note(name, self._now() - begun, "", trouble)
            raise Stopped from None
        answer = parse_answer(data)
        seconds = self._now() - begun
        if answer is None:
            self.note(name, seconds, "", not_http(data, origin, where))
            raise Stopped
        return answer, seconds

    def _now(self) -> float:
        seconds: float = self._reactor.seconds()
        return seconds


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
