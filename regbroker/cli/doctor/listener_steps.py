"""The steps with regbroker's own listeners, as a client takes them."""

from __future__ import annotations

import re
from typing import Any

from regbroker.cli.doctor.answers import Answer
from regbroker.cli.doctor.examiner import Examiner, until_stopped
from regbroker.cli.doctor.steps import Step, Trouble
from regbroker.naming.public_hosts import host_to_try
from regbroker.protocol.challenges import parse_challenges
from regbroker.protocol.origins import Origin
from regbroker.settings.config import Config, RegistryConfig
from regbroker.transport.listeners import Listener

_COLON = re.compile(r"(?<!\\):")
_WHERE = "[regbroker] listen"


async def examine_listener(
    reactor: Any, config: Config, listener: Listener, timeout: float
) -> list[Step]:
    """Return the steps with one line of ``listen``."""
    examiner = Examiner(reactor, f"listen {listener.text}", timeout)
    origin = _origin(listener)
    if origin is None:
        examiner.remark("skipped", "only ports that the line names are tried")
        return examiner.steps
    if listener.proxy_protocol:
        examiner.remark("skipped", "connections there begin with a PROXY line")
        return examiner.steps
    for registry in config.registries:
        await until_stopped(_examine_registry(examiner, registry, origin, config))
        if examiner.failed:
            break
    return examiner.steps


def _origin(listener: Listener) -> Origin | None:
    """Return where a listener is reached from this machine; None if that is unknown."""
    kind, *arguments = _COLON.split(listener.endpoint)
    named = dict(each.split("=", 1) for each in arguments if "=" in each)
    plain = [each for each in arguments if "=" not in each]
    port = named.get("port") or (plain[0] if plain else "")
    if kind != "tcp" or not port.isdigit() or not int(port):
        return None
    interface = named.get("interface", "").replace("\\", "").strip("[]")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(
        interface, interface
    )
    return Origin("https" if listener.tls else "http", host, int(port))


async def _examine_registry(
    examiner: Examiner, registry: RegistryConfig, origin: Origin, config: Config
) -> None:
    host = host_to_try(registry.host, registry.hosts)
    # TLS is looked at for each host: each may have a certificate of its own.
    await examiner.reach(
        origin,
        _WHERE,
        prefix="" if registry is config.registries[0] else f"{host}: ",
        host=host.strip("[]"),
    )
    answer, seconds = await examiner.get(
        f"ping {host}",
        origin,
        "/v2/",
        _WHERE,
        host=host.strip("[]"),
        host_header=host,
    )
    examiner.note(
        f"ping {host}",
        seconds,
        f"GET /v2/: {answer.status}",
        _ping_trouble(answer, registry, host),
    )
    challenges = parse_challenges(answer.all("www-authenticate"))
    if challenges:
        first = challenges[0]
        examiner.remark("challenge", f"{first.scheme.title()}, realm {first.realm}")


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
