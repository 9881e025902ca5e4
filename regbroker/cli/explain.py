"""``regbroker explain``: where a name leads, by which rule, and who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from regbroker.accounts.principals import Account
from regbroker.assembly.named_conditions import unknown_conditions
from regbroker.assembly.vouched import vouched, why_only_claims
from regbroker.cli.claimed import NoClaims, identity_of, read_claims
from regbroker.cli.explanation import Explanation, explain_question, find_registry
from regbroker.cli.known_users import why_unknown
from regbroker.cli.printing import complain, say, say_json
from regbroker.cli.questions import NotUnderstood, Question, parse_question
from regbroker.errors import HostUnknown, HTTPError
from regbroker.protocol.names import Action
from regbroker.settings.config import (
    CERTIFICATE,
    Config,
    IdentityConfig,
    RegistryConfig,
)


def explain(
    config: Config,
    text: str,
    *,
    user: str = "",
    groups: tuple[str, ...] = (),
    claims: str = "",
    action: str = "",
    as_json: bool = False,
) -> int:
    """
    Print where the repository that `text` names leads; returns the exit status.

    That is 1 when the host or the name is not served, and when `user`, or somebody
    without a login, may not do `action`. With `claims`, the path of a file, it is about
    whom an issuer vouches for.
    """
    try:
        questions = parse_question(text)
    except NotUnderstood as error:
        complain(f"{text}: {error}")
        return 1
    except HTTPError as error:
        complain(f"{text}: {error.status} {error.code}: {error.message}")
        return 1
    try:
        shown = read_claims(claims) if claims else None
    except NoClaims as error:
        complain(f"error: {error}")
        return 1
    documents, refused = [], False
    for question in questions:
        try:
            explanation, account = _explained(
                config, question, user, groups, shown, action
            )
        except NoClaims as error:
            complain(f"error: {error}")
            return 1
        except HTTPError as error:
            is_known = not isinstance(error, HostUnknown)
            where = f"{text}: {error.status} {error.code}: " if is_known else ""
            complain(f"{where}{error.message}")
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


def _explained(
    config: Config,
    question: Question,
    user: str,
    groups: tuple[str, ...],
    claims: dict[str, object] | None,
    action: str,
) -> tuple[Explanation, Account | None]:
    """
    Return what happens to a name, and the account that it is about; None for nobody.

    Raises `NoClaims` for claims of no issuer here, and `HTTPError`.
    """
    registry = find_registry(config, question)[0]
    notes: tuple[str, ...] = ()
    if claims is None:
        account, problem = _with_password(config, registry, user, groups)
    else:
        identity = identity_of(config, registry, claims)
        account, problem = vouched(identity, claims)
        notes = _notes(identity, claims)
    explanation = explain_question(
        config,
        question,
        account=account,
        action=Action(action) if action else None,
        login_problem=problem,
    )
    return replace(explanation, notes=explanation.notes + notes), account


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
    user = "somebody without a login"
    if explanation.registry.accounts == CERTIFICATE:
        user = "somebody without a certificate"
    else:
        yield f"  scope of clients: {explanation.scope}"
    if account is not None:
        user = account.user or f"somebody of [identity {account.identity}]"
    for right in explanation.rights:
        verb = "may" if right.allowed else "may not"
        yield f"  {user} {verb} {right.action}: {right.why}"
    if explanation.decided_by:
        yield f"  {explanation.decided_by}"
    yield f"  a client is told: {explanation.answer}"


def _with_password(
    config: Config, registry: RegistryConfig, user: str, groups: tuple[str, ...]
) -> tuple[Account | None, str]:
    """Return a user's account, and why nobody can log in so, as far as files tell."""
    if not user:
        return None, ""
    account = Account(user, frozenset(groups))
    if registry.accounts == "":
        return account, f"nobody has a password at [registry {registry.host}]"
    return account, why_only_claims(config, registry, user) or why_unknown(
        config, registry.accounts or "", user
    )


def _notes(identity: IdentityConfig, claims: dict[str, object]) -> tuple[str, ...]:
    """Return what is to be said of conditions that do not just hold or not."""
    return tuple(
        f"[identity {identity.name}] conditions: {name} does not hold, as it cannot be "
        f"worked out: {why}"
        for name, why in unknown_conditions(identity, claims).items()
    )
