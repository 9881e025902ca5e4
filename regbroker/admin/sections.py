"""What stands on the status page, section by section, as tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from twisted.web.template import Tag, tags

from regbroker import __version__
from regbroker.admin.certificates import ServedCertificate
from regbroker.admin.monitor import Monitor
from regbroker.admin.page_parts import card, list_of, pill, point_in_time
from regbroker.admin.readable import duration, rate, size
from regbroker.admin.refusals import Refused
from regbroker.admin.report import Report, UpstreamFacts
from regbroker.admin.transfers import Transfer
from regbroker.settings.config import CERTIFICATE, RegistryConfig

#: What a page has room for.
MAX_TRANSFERS = 50
MAX_RULES = 24

_DAY = 86400.0

#: Days that a certificate has left when somebody should look, and act.
_SOON, _NOW = 21, 7


def contents(monitor: Monitor, transfers: Sequence[Transfer]) -> list[Tag]:
    """Return the page's contents: everything but head and script."""
    now = monitor.now()
    watched = monitor.watched
    report = monitor.overview(transfers)
    transfers = report.transfers
    return [
        _header(monitor),
        _tiles(report),
        card("Under way", _transfers(transfers), len(transfers)),
        tags.div(
            tags.div(
                card("Registries", _registries(monitor), len(watched.registries)),
                card("Certificates", _certificates(watched.certificates, now)),
            ),
            card("Upstreams", _upstreams(monitor, report, now), len(watched.upstreams)),
            class_="columns",
        ),
        card("Refused lately", _refusals(report.refusals, now)),
        _footer(now),
    ]


def _header(monitor: Monitor) -> Tag:
    ready = monitor.readiness_now()
    if ready.draining:
        state = pill("draining", "warn")
    elif ready.is_ready:
        state = pill("ready", "good")
    else:
        state = pill("not ready", "bad")
    up = f"up for {duration(monitor.seconds() - monitor.started)}"
    states = monitor.others.states if monitor.others is not None else {}
    if states:
        serving = sum(one == "serving" for one in states.values())
        up = f"{serving} of {len(states)} workers, {up}"
    return tags.header(
        tags.h1("regbroker"),
        state,
        tags.span(f"{__version__}, {up}", class_="soft small right"),
    )


def _tiles(report: Report) -> Tag:
    rates = {
        is_push: sum(one.rate for one in report.transfers if one.is_push is is_push)
        for is_push in (True, False)
    }
    tiles = (
        (f"{report.requests:,}", "requests"),
        (f"{report.failed:,}", "ended with 5xx"),
        (rate(rates[False]), "to clients now"),
        (rate(rates[True]), "from clients now"),
        (f"{report.connections}", f"of {report.connections_limit} connections"),
        (f"{report.refused_logins:,}", "logins refused"),
    )
    return tags.div(
        [
            tags.div(
                tags.b(number), tags.span(what, class_="soft small"), class_="tile"
            )
            for number, what in tiles
        ],
        class_="tiles",
    )


def _transfers(transfers: Sequence[Transfer]) -> Tag:
    rows = list_of(map(_transfer, transfers[:MAX_TRANSFERS]), "Nothing is under way.")
    left = len(transfers) - MAX_TRANSFERS
    return (
        tags.div(rows, tags.p(f"and {left} more", class_="empty")) if left > 0 else rows
    )


def _transfer(one: Transfer) -> list[Tag]:
    event = one.event
    done = (
        size(one.done)
        if one.total is None
        else f"{size(one.done)} of {size(one.total)}"
    )
    bar = tags.progress(aria_label="how far it is")
    if one.total:
        bar(max=str(one.total), value=str(one.done))
    elif not one.done:
        # It waits, for the upstream or for its turn.
        bar(max="1", value="0")
    client = f"{event.user or 'somebody'} at {event.client}"
    leads = f" · [upstream {event.upstream}]" if event.upstream else ""
    return [
        tags.div(
            pill("push" if one.is_push else "pull", "accent" if one.is_push else ""),
            tags.span(event.public_name or event.path, class_="name"),
            tags.span(f"{event.method} {event.endpoint}", class_="soft small"),
            tags.span(f"{done} · {rate(one.rate)}", class_="right small"),
            class_="line",
        ),
        tags.div(
            f"{client} · {event.registry}{leads} · for {duration(event.seconds)}",
            class_="soft small",
        ),
        bar,
    ]


def _registries(monitor: Monitor) -> Tag:
    ready = monitor.readiness_now()
    return list_of(
        (
            _registry(entry, ready.is_registry_ready(entry.host))
            for entry in monitor.watched.registries
        ),
        "There are none.",
    )


def _registry(entry: RegistryConfig, is_ready: bool) -> list[Tag]:
    host = "every other host" if entry.host == "*" else entry.host
    sections = [f"[accounts {entry.accounts}]"] if entry.accounts else []
    sections += [f"[identity {name}]" for name in entry.identities]
    accounts = ", ".join(sections) or "accounts of the upstream"
    if entry.accounts == CERTIFICATE:
        accounts = "accounts: client certificates"
    traits = [f"to {', '.join(entry.upstreams)}", accounts]
    if entry.writes == "deny":
        traits.append("read-only")
    if entry.redirects == "follow":
        traits.append("follows redirects")
    rules = [
        tags.code(
            str(rule.public),
            tags.i("→"),
            f"{rule.section}:{rule.upstream}" if rule.section else str(rule.upstream),
        )
        for rule in entry.mapping.rules
    ]
    left = len(rules) - MAX_RULES
    return [
        tags.div(
            tags.h3(host),
            pill("ready", "good") if is_ready else pill("no upstream answers", "bad"),
            class_="line",
        ),
        tags.div(" · ".join(traits), class_="soft small"),
        tags.div(
            rules[:MAX_RULES],
            tags.span(f"and {left} more", class_="soft small") if left > 0 else "",
            class_="rules",
        ),
    ]


def _upstreams(monitor: Monitor, report: Report, now: float) -> Tag:
    return list_of(
        (
            _upstream(monitor, name, report.of(name), now)
            for name in monitor.watched.upstreams
        ),
        "There are none.",
    )


def _upstream(
    monitor: Monitor, name: str, facts: UpstreamFacts, now: float
) -> list[Tag]:
    health = monitor.health[name]
    upstream = monitor.watched.upstreams[name].upstream
    pills = [
        pill("answers", "good") if health.answers else pill("does not answer", "bad")
    ]
    for service, circuits in (
        ("", facts.registry),
        ("tokens: ", facts.token_service),
    ):
        if circuits.state != "closed":
            pills.append(pill(f"{service}circuit {circuits.state}", "warn"))
        if circuits.limited:
            pills.append(pill(f"{service}{circuits.limited} at a limit", "warn"))
    lines = [
        tags.div(tags.h3(name), pills, class_="line"),
        tags.div(tags.code(upstream.config.url), class_="soft"),
    ]
    asked = facts.hits + facts.misses
    texts = []
    if asked:
        texts.append(f"{facts.tokens} token{'s' * (facts.tokens != 1)} in memory")
        texts.append(f"{100 * facts.hits // asked} % of {asked:,} found there")
    trips = facts.registry.trips + facts.token_service.trips
    if trips:
        texts.append(f"{trips} circuit trip{'s' * (trips > 1)}")
    if texts:
        lines.append(tags.div(" · ".join(texts), class_="soft small"))
    if not health.last_error:
        # Where another upstream has answered instead, no request has failed.
        why = facts.registry.last_failure or facts.token_service.last_failure
        if why:
            lines.append(tags.div(why, class_="soft small"))
    else:
        lines.append(
            tags.div(
                tags.span(
                    health.last_error, class_="soft" if health.answers else "problem"
                ),
                tags.span(
                    " · ", point_in_time(health.last_error_at, now), class_="soft"
                ),
                class_="small",
            )
        )
    return lines


def _certificates(certificates: Iterable[ServedCertificate], now: float) -> Tag:
    ordered = sorted(certificates, key=lambda one: one.not_after)
    return list_of((_certificate(one, now) for one in ordered), "No listener has TLS.")


def _certificate(one: ServedCertificate, now: float) -> list[Tag]:
    days = int((one.not_after - now) // _DAY)
    kind = "good" if days >= _SOON else "warn" if days >= _NOW else "bad"
    left = f"{days} day{'s' * (days != 1)} left" if one.not_after > now else "has ended"
    end = datetime.fromtimestamp(one.not_after, timezone.utc)
    return [
        tags.div(
            tags.h3(
                f"[{one.section}]" if one.section.startswith("tls") else one.section
            ),
            tags.span(pill(left, kind), class_="right"),
            class_="line",
        ),
        tags.div(", ".join(one.names), class_="soft small"),
        tags.div(f"until {end:%Y-%m-%d %H:%M} UTC", class_="soft small"),
    ]


def _refusals(refused: Sequence[Refused], now: float) -> Tag:
    if not refused:
        return tags.p("Nobody was refused.", class_="empty")
    titles = ("when", "who", "what", "why")
    return tags.table(
        tags.thead(tags.tr([tags.th(title, scope="col") for title in titles])),
        tags.tbody([_refusal(one, now) for one in refused]),
        class_="refusals",
    )


def _refusal(one: Refused, now: float) -> Tag:
    kind = "bad" if one.status in (401, 403, 429) else "warn"
    return tags.tr(
        tags.td(point_in_time(one.at, now), class_="soft"),
        tags.td(tags.b(one.user or "somebody"), " at ", one.client),
        tags.td(
            tags.code(f"{one.method} {one.path}"),
            tags.div(one.registry, class_="soft small"),
        ),
        tags.td(pill(f"{one.status} {one.code}", kind), tags.div(one.reason)),
    )


def _footer(now: float) -> Tag:
    moment = datetime.fromtimestamp(now, timezone.utc)
    return tags.footer(
        f"{moment:%Y-%m-%d %H:%M:%S} UTC · for programs: ",
        [[tags.a(path, href=path), " "] for path in ("live", "ready", "metrics")],
    )
