"""The steps with regbroker's own listeners, as a client takes them."""

from __future__ import annotations

import re
from typing import Any

from regbroker.cli.doctor.answers import Answer
from regbroker.cli.doctor.content_steps import pull
from regbroker.cli.doctor.examiner import Examiner, until_stopped
from regbroker.cli.doctor.login_steps import authorize
from regbroker.cli.doctor.steps import Step, Trouble
from regbroker.cli.doctor.visit import Side, Visit, Wanted
from regbroker.naming.public_hosts import host_to_try
from regbroker.protocol.origins import Origin
from regbroker.settings.config import Config, RegistryConfig
from regbroker.transport.listeners import Listener

_COLON = re.compile(r"(?<!\\):")
_WHERE = "[regbroker] listen"

#: Where this machine reaches a listener on all interfaces.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


async def examine_listener(
    reactor: Any,
    config: Config,
    listener: Listener,
    timeout: float,
    *,
    registry: RegistryConfig | None = None,
    wanted: Wanted | None = None,
) -> list[Step]:
    """
    Return the steps with one line of ``listen``, up to the first that fails.

    Each registry is pinged, and from `registry` what is `wanted` is pulled.
    """
    side = f"listen {listener.text}"
    place = _place(listener)
    if place is None:
        return [Step(side, "skipped", 0.0, "only ports that the line names are tried")]
    if listener.proxy_protocol:
        return [Step(side, "skipped", 0.0, "connections there begin with a PROXY line")]
    if listener.redirects:
        return [Step(side, "skipped", 0.0, "clients are only sent on to https there")]
    address, port = place
    steps: list[Step] = []
    for entry in config.registries:
        host = host_to_try(entry.host, entry.hosts)
        bare = host.strip("[]")
        examiner = Examiner(reactor, f"{side}, as {host}", timeout, {bare: address})
        origin = Origin("https" if listener.tls else "http", bare, port)
        visit = Visit(
            examiner,
            _side(entry, origin),
            wanted if wanted is not None and entry is registry else Wanted(),
        )
        await until_stopped(_steps(visit, entry))
        steps += examiner.steps
        if examiner.failed:
            break
    return steps


def _place(listener: Listener) -> tuple[str, int] | None:
    """Return where a listener is reached from this machine; None if that is unknown."""
    kind, *arguments = _COLON.split(listener.endpoint)
    named = dict(each.split("=", 1) for each in arguments if "=" in each)
    plain = [each for each in arguments if "=" not in each]
    port = named.get("port") or (plain[0] if plain else "")
    if kind != "tcp" or not port.isdigit() or not int(port):
        return None
    interface = named.get("interface", "").replace("\\", "").strip("[]")
    return _LOOPBACK.get(interface, interface), int(port)


def _side(registry: RegistryConfig, origin: Origin) -> Side:
    public = registry.public_url
    return Side(
        origin=origin,
        where=_WHERE,
        section=f"[registry {registry.host}]",
        # What stands in front may have another name.
        token_hosts=(public.host,) if public else (),
        # The upstream's tokens have its own names.
        names_are_in_tokens=registry.accounts is not None,
    )


async def _steps(visit: Visit, registry: RegistryConfig) -> None:
    await visit.reach(visit.side.origin, _WHERE)
    answer, seconds = await visit.ask("ping", "/v2/")
    trouble = _ping_trouble(answer, registry, visit.side.origin.host)
    visit.examiner.note("ping", seconds, f"GET /v2/: {answer.status}", trouble)
    if visit.wanted.name:
        await pull(visit, await authorize(visit, answer))
    elif answer.status == 401:
        shown = "; ".join(answer.all("www-authenticate"))
        visit.examiner.remark("challenge", shown)


def _ping_trouble(
    answer: Answer, registry: RegistryConfig, host: str
) -> Trouble | None:
    if answer.status in (200, 401):
        return None
    if answer.status == 421:
        return Trouble(
            f"what answers here does not serve {host} (421)",
            "restart regbroker with this configuration, or write the host into it",
        )
    if answer.status in (502, 503, 504):
        return Trouble(
            f"regbroker runs, and its upstream does not answer: {answer.status}",
            f"see the steps of {', '.join(registry.upstreams)} here, and the log",
        )
    if answer.status == 429:
        return Trouble(
            "regbroker, or its upstream, limits how often it is asked (429)",
            "wait for as long as Retry-After says",
        )
    return Trouble(
        f"what answers here is not regbroker: it answered {answer.status}",
        "see which program listens: ss -ltnp",
    )
