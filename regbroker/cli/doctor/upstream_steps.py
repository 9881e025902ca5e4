"""The steps with an upstream, in the order in which a client takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regbroker.cli.doctor.content_steps import pull
from regbroker.cli.doctor.examiner import Examiner, until_stopped
from regbroker.cli.doctor.login_steps import authorize, ping
from regbroker.cli.doctor.routes import Ways
from regbroker.cli.doctor.steps import Step, Trouble
from regbroker.cli.doctor.visit import Side, Visit, Wanted
from regbroker.runtime.reactor import IMainReactor
from regbroker.settings.config import UpstreamConfig
from regbroker.transport.client.trust import client_identity
from regbroker.upstream.dialling import problems_with_way, way_out


async def examine_upstream(
    reactor: IMainReactor,
    upstream: UpstreamConfig,
    wanted: Wanted,
    timeout: float,
    *,
    follows: bool = False,
) -> list[Step]:
    """
    Return the steps, up to the first that fails.

    `follows` says whether regbroker follows redirects for its clients.
    """
    assert upstream.origin is not None
    section = f"[upstream {upstream.name}]"
    side = Side(
        origin=upstream.origin,
        where=f"{section} url",
        section=section,
        base_path=upstream.base_path,
        realm=upstream.realm,
        service=upstream.service,
        token_hosts=upstream.token_hosts,
        ca_file=Path(upstream.ca_file) if upstream.ca_file else None,
        ca_option=f"{section} ca-file",
        follows=follows,
        redirect_hosts=upstream.redirect_hosts,
    )
    called = f"{section} {upstream.url}"
    problems = list(problems_with_way(upstream))
    if problems:
        # What it names cannot be used, so there is no way there.
        option, _, problem = problems[0].partition(": ")
        trouble = Trouble(problem, f"check {section} {option}")
        return [Step(called, option, 0.0, "", trouble)]
    examiner = Examiner(
        reactor,
        called,
        timeout,
        Ways(way=way_out(upstream, reactor.seconds, socket=upstream.socket)),
        _identity(upstream),
        f"{section} client-certificate",
    )
    await until_stopped(_steps(Visit(examiner, side, wanted)))
    return examiner.steps


def _identity(upstream: UpstreamConfig) -> dict[str, Any] | None:
    if upstream.client_certificate is None or upstream.client_key is None:
        return None
    return client_identity(Path(upstream.client_certificate), Path(upstream.client_key))


async def _steps(visit: Visit) -> None:
    await visit.reach(visit.side.origin, visit.side.where, shows_identity=True)
    headers = await authorize(visit, await ping(visit))
    if visit.wanted.name:
        await pull(visit, headers)
