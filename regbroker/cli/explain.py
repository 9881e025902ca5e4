"""``regbroker explain``: where a name leads, by which rule, and who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from regbroker.accounts.principals import Account
from regbroker.cli.claimed import NoClaims, account_of
from regbroker.cli.explanation import Explanation, explain_question, find_registry
from regbroker.cli.known_users import why_unknown
from regbroker.cli.printing import complain, say, say_json
from regbroker.cli.questions import NotUnderstood, Question, parse_question
from regbroker.errors import HostUnknown, HTTPError
from regbroker.protocol.names import Action
from regbroker.settings.config import Config, RegistryConfig


def explain(
    config: Config,
    text: str,
    *,
    user: str = "",
    groups: tuple[str, ...] = (),
    claims: str = "",
    identity: str = "",
    action: str = "",
    as_json: bool = False,
) -> int:
    """
    Print where the repository that `text` names leads; returns the exit status.

    That is 1 when the host or the name is not served, and when `user`, or somebody
    without a login, may not do `action`. With `claims`, a file of them, it is about
    whom the issuer of ``[identity NAME]`` vouches for.
    """
    try:
        questions = parse_question(text)
    except NotUnderstood as error:
        complain(f"{text}: {error}")
        return 1
    except HTTPError as error:
        complain(f"{text}: {error.status} {error.code}: {error.message}")
        return 1
    account = Account(user, frozenset(groups)) if user else None
    if claims:
        try:
            account = account_of(config, claims, identity)
        except NoClaims as error:
            complain(f"error: {error}")
            return 1
    documents, refused = [], False
    for question in questions:
        try:
            known = _login_problem(config, question, account)
            explanation = explain_question(
                config,
                question,
                account=account,
                action=Action(action) if action else None,
                login_problem=known,
            )
        except HostUnknown as error:
            complain(error.message)
            documents.append(_error(question, error))
            refused = True
            continue
        except HTTPError as error:
            complain(f"{text}: {error.status} {error.code}: {error.message}")
            documents.append(_error(question, error))
            refused = True
            continue
        is_asked = bool(account or action or question.actions)
        refused = refused or (explanation.refused and is_asked)
        documents.append(explanation.document())
        if not as_json:
            say("\n".join(_lines(explanation, account, is_asked)))
    if as_json:
        say_json(documents)
    return int(refused)


def _error(question: Question, error: HTTPError) -> dict[str, Any]:
    return {
        "host": question.host,
        "name": question.name,
        "told": f"{error.status} {error.code}: {error.message}",
        "refused": True,
    }


def _lines(
    explanation: Explanation, account: Account | None, is_asked: bool
) -> Iterator[str]:
    yield from explanation.notes
    name = explanation.routes[0].public_name
    yield f"[registry {explanation.registry.host}] {name}"
    for route, url, scope in zip(
        explanation.routes, explanation.urls, explanation.upstream_scopes, strict=True
    ):
        yield f"  -> [upstream {route.upstream}] {url} {route.upstream_name}"
        yield f"     {route.reason}"
        if is_asked:
            yield f"     scope there: {scope}"
    if not is_asked:
        return
    yield f"  scope of clients: {explanation.scope}"
    user = account.user if account else "somebody without a login"
    for right in explanation.rights:
        verb = "may" if right.allowed else "may not"
        yield f"  {user} {verb} {right.action}: {right.why}"
    if explanation.decided_by:
        yield f"  {explanation.decided_by}"
    yield f"  a client is told: {explanation.answer}"


def _login_problem(config: Config, question: Question, account: Account | None) -> str:
    """Say why nobody can log in as a user, as far as files tell; '' if they may."""
    registry: RegistryConfig = find_registry(config, question)[0]
    accounts = registry.accounts or ""
    if account is None or account.identity:
        return ""
    return why_unknown(config, accounts, account.user)
