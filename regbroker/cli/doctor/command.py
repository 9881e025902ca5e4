"""``regbroker doctor``: which steps are taken, and how the command ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred

from regbroker.assembly.upstreams import build_credentials
from regbroker.cli.doctor.identity_steps import examine_identity
from regbroker.cli.doctor.listener_steps import examine_listener
from regbroker.cli.doctor.steps import Step, Trouble, counted, lines
from regbroker.cli.doctor.upstream_steps import examine_upstream
from regbroker.cli.doctor.visit import NOTHING, Wanted
from regbroker.cli.explanation import find_registry
from regbroker.cli.printing import complain, say, say_json
from regbroker.cli.questions import NotUnderstood, parse_question
from regbroker.errors import HTTPError
from regbroker.naming.mapping import Route
from regbroker.runtime.reactor import IMainReactor
from regbroker.runtime.unreadable import why_unreadable
from regbroker.runtime.watched_file import MAX_BYTES
from regbroker.settings.config import Config, RegistryConfig, UpstreamConfig
from regbroker.upstream.credentials import Login, parse_password

#: Seconds for each step: docker waits 15 s for a token.
TIMEOUT = 10.0

#: Where the password of ``--user`` is, unless a file has it.
PASSWORD_VARIABLE = "REGBROKER_PASSWORD"


class NoExamination(Exception):
    """There is nothing to examine; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for; `file` is where the configuration is."""

    image: str = ""
    login: Login | None = None
    only: str = ""
    timeout: float = TIMEOUT
    file: Path | None = None


async def examine(
    reactor: IMainReactor, config: Config, request: Request
) -> list[Step]:
    """
    Take all steps: with the listeners, and with each upstream and issuer of identities
    that is meant.

    Raises `NoExamination` for an image that is not served.
    """
    config = config.in_use()
    pull = _pull(config, request)
    at_upstreams = [] if request.only == "clients" else _at_upstreams(config, pull)
    examined = [name for name, _ in at_upstreams if config.upstreams[name].origin]
    steps: list[Step] = []
    if request.only != "upstream":
        for listener in config.listen:
            steps += await examine_listener(
                reactor,
                config,
                listener,
                request.timeout,
                registry=pull.registry if pull else None,
                wanted=Wanted(
                    name=pull.routes[0].public_name,
                    reference=pull.reference,
                    login=request.login,
                )
                if pull
                else Wanted(login=request.login),
                host=pull.host if pull else "",
                file=request.file,
                examined=examined,
            )
    for name, wanted in at_upstreams:
        steps += await _examine_upstream(reactor, config, name, wanted, request)
    if request.only != "clients":
        for name in pull.registry.identities if pull else config.identities:
            entry = config.identities[name]
            steps += await examine_identity(reactor, entry, request.timeout)
    return steps


@dataclass(frozen=True)
class _Pull:
    """
    What is to be pulled: from which registry, and where its name leads.

    `host` is the one that clients ask for it, empty where that is not known.
    """

    registry: RegistryConfig
    host: str
    routes: tuple[Route, ...]
    reference: str


def _pull(config: Config, request: Request) -> _Pull | None:
    """Return what is to be pulled, None for nothing; raises `NoExamination`."""
    if not request.image:
        return None
    try:
        (question, *_) = parse_question(request.image)
        registry, question, notes = find_registry(config, question)
        routes = registry.mapping.routes(question.name)
    except NotUnderstood as error:
        raise NoExamination(f"{request.image}: {error}") from None
    except HTTPError as error:
        raise NoExamination(
            f"{request.image}: {error.status} {error.code}: {error.message}"
        ) from None
    # By the name of a mirror's source or of an upstream, clients ask another host.
    host = "" if notes else question.bare_host
    return _Pull(registry, host, routes, question.reference or "latest")


def _at_upstreams(config: Config, pull: _Pull | None) -> list[tuple[str, Wanted]]:
    """Return the upstreams to examine, each with what is asked for there."""
    if pull is None:
        return [(name, NOTHING) for name in config.upstreams]
    return [
        (route.upstream, Wanted(name=route.upstream_name, reference=pull.reference))
        for route in pull.routes
    ]


async def _examine_upstream(
    reactor: IMainReactor,
    config: Config,
    name: str,
    wanted: Wanted,
    request: Request,
) -> list[Step]:
    upstream = config.upstreams[name]
    side = f"[upstream {name}] {upstream.url}"
    if upstream.origin is None:
        seen = "a sandbox, inside regbroker"
        return [Step(side, "not examined", 0.0, seen, examined=False)]
    login, trouble = await _login(reactor, config, upstream, request)
    steps = []
    if trouble is not None:
        steps.append(Step(side, "own account", 0.0, "", trouble))
    users = [each for each in config.registries if name in each.upstreams]
    return steps + await examine_upstream(
        reactor,
        upstream,
        replace(wanted, login=login),
        request.timeout,
        follows=any(each.redirects == "follow" for each in users),
    )


async def _login(
    reactor: IMainReactor, config: Config, upstream: UpstreamConfig, request: Request
) -> tuple[Login | None, Trouble | None]:
    """Return whom to be at an upstream, as regbroker would choose, and its trouble."""
    users = [each for each in config.registries if upstream.name in each.upstreams]
    if request.login is not None and any(
        upstream.name in each.trusted_upstreams for each in users
    ):
        return request.login, None
    if not upstream.has_account or not any(map(_lends, users)):
        return None, None
    credentials = build_credentials(upstream, reactor)
    assert credentials is not None
    try:
        return await credentials.get(), None
    except HTTPError:
        return None, Trouble(
            "regbroker's own account has no password at hand",
            "run the helper by hand, or look at the password file: "
            "'regbroker check' says what is wrong with it",
        )
    finally:
        credentials.close()


def _lends(registry: RegistryConfig) -> bool:
    return registry.accounts is not None or bool(registry.shared_actions)


def login_of(user: str, password_file: str) -> Login | None:
    """Return the login of ``--user``; raises `NoExamination` without a password."""
    if not user:
        return None
    try:
        if password_file:
            # A shell may have made it: <(command). So it need be no file, and may be
            # without end.
            with open(password_file, "rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ValueError(f"{password_file} is larger than {MAX_BYTES} bytes")
        else:
            data = os.environb[PASSWORD_VARIABLE.encode()]
        return Login(user, parse_password(data))
    except KeyError:
        raise NoExamination(
            f"--user needs a password: write it into {PASSWORD_VARIABLE}, or name its "
            "file with --password-file"
        ) from None
    except OSError as error:
        raise NoExamination(f"{password_file}: {why_unreadable(error)}") from None
    except ValueError as error:
        raise NoExamination(f"the password of --user: {error}") from None


def doctor(config: Config, request: Request, *, as_json: bool = False) -> int:
    """Examine, and print the steps; returns the exit status, 1 when one has failed."""
    try:
        steps = _run(lambda reactor: examine(reactor, config, request))
    except NoExamination as error:
        complain(f"error: {error}")
        return 1
    failed = [step for step in steps if step.trouble is not None]
    if as_json:
        say_json({"ok": not failed, "steps": [step.document() for step in steps]})
        return int(bool(failed))
    say("\n".join(lines(steps)))
    say(counted(steps))
    return int(bool(failed))


def _run(work: Callable[[Any], Coroutine[Any, Any, list[Step]]]) -> list[Step]:
    """Run the reactor until some work is done."""
    from twisted.internet import reactor as _reactor

    running: Any = _reactor
    reactor: IMainReactor = running
    outcome: list[Any] = []

    def done(result: Any) -> None:
        outcome.append(result)
        reactor.stop()

    def start() -> None:
        ensureDeferred(work(reactor)).addBoth(done)

    reactor.callWhenRunning(start)
    reactor.run()
    result = outcome[0] if outcome else []
    if hasattr(result, "raiseException"):
        result.raiseException()
    steps: list[Step] = result
    return steps
