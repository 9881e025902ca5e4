"""The ping, what it is challenged with, and the token: the first steps of a client."""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import quote

from regbroker.cli.doctor.answers import Answer
from regbroker.cli.doctor.registry_rules import (
    clock_difference,
    clock_trouble,
    granted,
    ping_trouble,
    rights_trouble,
    size_words,
    token_of,
    token_trouble,
)
from regbroker.cli.doctor.steps import Trouble
from regbroker.cli.doctor.visit import Headers, Visit
from regbroker.protocol.basic_credentials import format_basic
from regbroker.protocol.challenges import parse_challenges
from regbroker.protocol.scopes import repository_scope
from regbroker.protocol.urls import Url
from regbroker.upstream.credentials import Login
from regbroker.upstream.discovery import Discovered, Discovery

#: Seconds by which a clock may differ without being worth a word.
_SAME_CLOCK = 5


async def ping(visit: Visit) -> Answer:
    """Ask whether a registry is there; raises `Stopped`."""
    side = visit.side
    answer, seconds = await visit.ask("ping", "/v2/")
    trouble = ping_trouble(answer, side.origin, side.where)
    visit.examiner.note("ping", seconds, f"GET /v2/: {answer.status}", trouble)
    ahead = clock_difference(answer, datetime.now(timezone.utc))
    if ahead is not None:
        is_same = abs(ahead) <= _SAME_CLOCK
        seen = "the same, within some seconds" if is_same else f"{ahead:+.0f} s"
        visit.examiner.remark("clock", seen, clock_trouble(ahead))
    return answer


async def authorize(visit: Visit, answer: Answer) -> Headers:
    """Do what an answer's challenge asks for; returns headers for what comes next."""
    side, examiner, login = visit.side, visit.examiner, visit.wanted.login
    shown = answer.all("www-authenticate")
    challenges = parse_challenges(shown)
    known = Discovery(side.origin, side.realm, side.service, side.token_hosts).pinged(
        challenges
    )
    if answer.status != 401 and known.realm is None:
        examiner.remark("challenge", "none: everybody may come in")
        return ()
    trouble = None
    if known.problem:
        trouble = Trouble(known.problem, _write_realm(visit))
    elif known.realm is None and not any(c.scheme == "basic" for c in challenges):
        trouble = Trouble(
            "it answered 401 with no challenge that can be used: Bearer with a realm, "
            "or Basic",
            _write_realm(visit),
        )
    seen = "; ".join(shown) or "no challenge"
    if known.realm is not None:
        seen = f"Bearer, tokens from {known.realm}, for '{known.service}'"
    examiner.note("challenge", 0.0, seen, trouble)
    if known.realm is None:
        return await _basic(visit, login)
    return await _token(visit, known, known.realm)


def _write_realm(visit: Visit) -> str:
    return (
        f"write 'realm = https://...' in {visit.side.section}, if there is a token "
        "service"
    )


async def _basic(visit: Visit, login: Login | None) -> Headers:
    if login is None:
        return ()
    headers = (("Authorization", _credentials(login)),)
    answer, seconds = await visit.ask("login", "/v2/", headers)
    trouble = None
    if answer.status in (401, 403):
        trouble = Trouble(
            f"the registry does not take {visit.wanted.client}: the user or the "
            f"password is wrong ({answer.status})",
            "check user and password",
        )
    visit.examiner.note("login", seconds, f"{answer.status}", trouble)
    return headers


async def _token(visit: Visit, known: Discovered, realm: Url) -> Headers:
    wanted, side = visit.wanted, visit.side
    where = "the realm that the registry names"
    if side.realm:
        where = f"{side.section} realm"
    await visit.reach(realm.origin, where, "token: ", shows_identity=True)
    headers = (("Authorization", _credentials(wanted.login)),) if wanted.login else ()
    target = _token_target(visit, known, realm)
    answer, seconds = await visit.examiner.get(
        "token", realm.origin, target, where, headers=headers
    )
    if wanted.login is None and answer.status in (401, 403):
        seen = f"{answer.status}: there is none without a login"
        visit.examiner.note("token", seconds, seen, _login_needed(visit))
        return ()
    trouble = token_trouble(answer, wanted.client)
    token = token_of(answer)
    judged = wanted.name if side.names_are_in_tokens else ""
    actions = granted(token, judged) if judged else None
    if trouble is None and judged:
        trouble = rights_trouble(actions, wanted.client, wanted.name)
    seen = f"{answer.status}"
    if token:
        seen += f", a token of {size_words(len(token))}"
    if actions:
        seen += f", grants {', '.join(actions)} for {wanted.name}"
    visit.examiner.note("token", seconds, seen, trouble)
    return (("Authorization", f"Bearer {token}"),)


def _login_needed(visit: Visit) -> Trouble | None:
    """Say that a pull needs a login; None when nothing is to be pulled."""
    if not visit.wanted.name:
        return None
    return Trouble(
        "the token service gives no token to somebody without a login",
        "name an account with --user, as clients do with docker login",
    )


def _token_target(visit: Visit, known: Discovered, realm: Url) -> str:
    query = []
    if known.service:
        query.append(f"service={quote(known.service, safe='')}")
    if visit.wanted.name:
        scope = str(repository_scope(visit.wanted.name, "pull"))
        query.append(f"scope={quote(scope, safe='')}")
    mark = "&" if "?" in realm.target else "?"
    return realm.target + (mark + "&".join(query) if query else "")


def _credentials(login: Login) -> str:
    return format_basic(login.user, login.password).decode("ascii")
