"""The steps with an upstream, in the order in which a client takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regbroker.cli.doctor.content_steps import pull
from regbroker.cli.doctor.examiner import Examiner, until_stopped
from regbroker.cli.doctor.login_steps import authorize, ping
from regbroker.cli.doctor.steps import Step
from regbroker.cli.doctor.visit import Side, Visit, Wanted
from regbroker.settings.config import UpstreamConfig


async def examine_upstream(
    reactor: Any,
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
    examiner = Examiner(reactor, f"{section} {upstream.url}", timeout)
    await until_stopped(_steps(Visit(examiner, side, wanted)))
    return examiner.steps


async def _steps(visit: Visit) -> None:
    await visit.reach(visit.side.origin, visit.side.where)
    headers = await authorize(visit, await ping(visit))
    if visit.wanted.name:
        await pull(visit, headers)
