"""The steps with regbroker's own listeners, as a client takes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path, PurePath

from regbroker.cli.asked_host import asked_host
from regbroker.cli.doctor.answers import Answer
from regbroker.cli.doctor.content_steps import pull
from regbroker.cli.doctor.diagnosis import LISTEN, WHICH_PROGRAM
from regbroker.cli.doctor.examiner import Examiner, until_stopped
from regbroker.cli.doctor.login_steps import authorize
from regbroker.cli.doctor.places import Place, UnknownPlace, place_of
from regbroker.cli.doctor.routes import Ways
from regbroker.cli.doctor.steps import Step, Trouble
from regbroker.cli.doctor.visit import NOTHING, Side, Visit, Wanted
from regbroker.protocol.headers import is_trusted
from regbroker.protocol.origins import Origin
from regbroker.protocol.proxy_header import Peer, header_v1
from regbroker.runtime.reactor import IMainReactor
from regbroker.settings.config import CERTIFICATE, Config, RegistryConfig
from regbroker.transport.listening.listeners import Listener


async def examine_listener(
    reactor: IMainReactor,
    config: Config,
    listener: Listener,
    timeout: float,
    *,
    registry: RegistryConfig | None = None,
    wanted: Wanted = NOTHING,
    host: str = "",
    file: Path | None = None,
    examined: Collection[str] = (),
) -> list[Step]:
    """
    Return the steps with one line of ``listen``, up to the first that fails.

    Each registry is pinged, and from `registry` what is `wanted` is pulled, by `host`
    if that is not empty. Without `registry`, the login that is `wanted` is shown to
    each. `file` is where the configuration is, and `examined` are the upstreams that
    have steps of their own.
    """
    side = f"listen {listener.text}"
    try:
        place = place_of(listener, file)
    except UnknownPlace as error:
        return [Step(side, "not examined", 0.0, str(error), examined=False)]
    if listener.proxy_protocol and not _may_send_lines(config, place):
        seen = (
            f"regbroker closes a connection from {place.address}, since "
            "trusted-proxies does not name it; to have doctor examine this, add it "
            "there for a while"
        )
        return [Step(side, "not examined", 0.0, seen, examined=False)]
    port = place.port
    steps: list[Step] = []
    for entry in config.registries:
        meant = host if entry is registry else ""
        asked, source = asked_host(config, entry, meant)
        bare = asked.strip("[]")
        ways = Ways(
            places={bare: place.address},
            preamble=_line(place) if listener.proxy_protocol else b"",
        )
        called = f"{side}, as {asked}" + (f" for {source}" if source else "")
        examiner = Examiner(reactor, called, timeout, ways)
        origin = Origin("https" if listener.tls else "http", bare, port)
        visit = Visit(
            examiner,
            _side(entry, origin, source),
            wanted if registry is None or entry is registry else NOTHING,
        )
        work = (
            _redirected(visit)
            if listener.redirects
            else _steps(visit, entry, [n for n in entry.upstreams if n in examined])
        )
        await until_stopped(work)
        steps += examiner.steps
        if examiner.failed:
            break
    return steps


def _side(registry: RegistryConfig, origin: Origin, source: str) -> Side:
    public = registry.public_url
    return Side(
        origin=origin,
        where=LISTEN,
        section=f"[registry {registry.host}]",
        source=source,
        # What stands in front may have another name.
        token_hosts=(public.host,) if public else (),
        # The upstream's tokens have its own names.
        names_are_in_tokens=registry.accounts is not None,
    )


async def _steps(
    visit: Visit, registry: RegistryConfig, examined: Sequence[str]
) -> None:
    # Where public-url leads is this registry, too, by another way.
    await visit.reach(visit.side.origin, LISTEN, also=registry.public_url)
    answer, seconds = await visit.ask("ping", "/v2/")
    trouble = _ping_trouble(answer, registry, visit.side.origin.host, examined)
    visit.examiner.note("ping", seconds, f"GET /v2/: {answer.status}", trouble)
    if _wants_certificate(answer, registry):
        visit.examiner.leave_out(
            "this registry wants a client certificate, and doctor has none; try with "
            "one: curl --cert FILE --key FILE"
        )
    elif visit.wanted.name:
        await pull(visit, await authorize(visit, answer))
    elif visit.wanted.login is not None:
        await authorize(visit, answer)
    elif answer.status == 401:
        shown = "; ".join(answer.all("www-authenticate"))
        visit.examiner.remark("challenge", shown)


async def _redirected(visit: Visit) -> None:
    """Ask a listener that only sends clients on."""
    await visit.reach(visit.side.origin, LISTEN)
    answer, seconds = await visit.ask("redirect", "/v2/")
    location = answer.header("location") or ""
    trouble = None
    if answer.status != 308 or not location.startswith("https://"):
        trouble = Trouble(
            f"what answers here is not regbroker: it answered {answer.status}",
            WHICH_PROGRAM,
        )
    visit.examiner.note("redirect", seconds, f"{answer.status} {location}", trouble)


def _may_send_lines(config: Config, place: Place) -> bool:
    """Tell whether regbroker believes a PROXY line from this machine."""
    address = place.address
    if isinstance(address, PurePath):
        # Who may write to the socket is asked nothing else.
        return True
    return is_trusted(address, config.trusted_proxies)


def _line(place: Place) -> bytes:
    if isinstance(place.address, PurePath):
        return b"PROXY UNKNOWN\r\n"
    here = Peer(place.address, place.port)
    return header_v1(here, here)


def _wants_certificate(answer: Answer, registry: RegistryConfig) -> bool:
    return registry.accounts == CERTIFICATE and answer.error_code == "DENIED"


def _ping_trouble(
    answer: Answer, registry: RegistryConfig, host: str, examined: Sequence[str]
) -> Trouble | None:
    if answer.status in (200, 401) or _wants_certificate(answer, registry):
        return None
    if answer.status == 421:
        return Trouble(
            f"what answers here does not serve {host} (421)",
            "restart regbroker with this configuration, or write the host into it",
        )
    if answer.status in (502, 503, 504):
        return Trouble(
            f"regbroker runs, and its upstream does not answer: {answer.status}",
            f"see the steps of {', '.join(examined)} here, and regbroker's log"
            if examined
            else "see regbroker's log: its lines name the upstream, and why",
        )
    if answer.status == 429:
        return Trouble(
            "regbroker, or its upstream, limits how often it is asked (429)",
            "wait for as long as Retry-After says",
        )
    return Trouble(
        f"what answers here is not regbroker: it answered {answer.status}",
        WHICH_PROGRAM,
    )
