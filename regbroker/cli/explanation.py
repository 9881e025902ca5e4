"""
What a configuration does with one repository and one user, as a value.

Nobody is asked: rights are those that are written, and users those of files that the
caller has read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from regbroker.accounts.decisions import Decision, decide
from regbroker.accounts.principals import Account
from regbroker.assembly.vouched import access_of
from regbroker.cli.questions import Question
from regbroker.errors import Denied, HostUnknown, HTTPError, MethodNotAllowed
from regbroker.naming.mapping import Route
from regbroker.naming.public_hosts import is_served
from regbroker.protocol.challenges import basic_challenge, bearer_challenge
from regbroker.protocol.names import WANTED_ACTIONS, Action
from regbroker.protocol.scopes import repository_scope
from regbroker.settings.config import CERTIFICATE, Config, RegistryConfig

#: What `regbroker.web.certificate_gate` says.
CERTIFICATE_WANTED = "this registry wants a client certificate"
NO_CERTIFICATE = "the client has shown no certificate"


@dataclass(frozen=True)
class Explanation:
    """
    Where a name leads, who may do what there, and what a client is told.

    `notes` come first. `rights` are empty where the upstream decides; `decided_by` says
    so then. `answer` is what a client is told; `refused` says whether that is a
    refusal.
    """

    registry: RegistryConfig
    notes: tuple[str, ...]
    routes: tuple[Route, ...]
    scope: str
    upstream_scopes: tuple[str, ...]
    decided_by: str = ""
    rights: tuple[Decision, ...] = ()
    answer: str = ""
    refused: bool = False
    urls: tuple[str, ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "registry": self.registry.host,
            "name": self.routes[0].public_name,
            "notes": list(self.notes),
            "routes": [
                {
                    "upstream": route.upstream,
                    "url": url,
                    "name": route.upstream_name,
                    "rule": str(route.rule),
                    "reason": route.reason,
                    "scope": scope,
                }
                for route, url, scope in zip(
                    self.routes, self.urls, self.upstream_scopes, strict=True
                )
            ],
            "scope": self.scope,
            "decided_by": self.decided_by,
            "rights": [
                {"action": one.action, "allowed": one.allowed, "why": one.why}
                for one in self.rights
            ],
            "told": self.answer,
            "refused": self.refused,
        }


def find_registry(
    config: Config, question: Question
) -> tuple[RegistryConfig, Question, tuple[str, ...]]:
    """
    Return the registry that a question is about, the question, and notes about that.

    A question by an upstream's host and name becomes one by our own. Raises
    `HostUnknown`.
    """
    registries = {entry.host: entry for entry in config.registries}
    host, bare = question.host, question.bare_host
    # What a mirror is asked for counts before the host that is asked.
    for source in filter(None, (question.source, host)):
        mirror = config.mirrors.get(source)
        if mirror is not None and mirror in registries:
            note = f"[regbroker] ns: {source} is served by [registry {mirror}]"
            return registries[mirror], question, (note,)
    if not host:
        name = question.name
        hint = (
            f"{name} is read as a repository; for one of that host, write {name}/NAME"
        )
        notes = (hint,) if name in registries else ()
        return registries.get("*") or config.registries[0], question, notes
    if bare not in registries:
        by_upstream = _by_upstream(config, question)
        if by_upstream is not None:
            return by_upstream
    entry = registries.get(bare) or registries.get("*")
    if entry is None:
        raise HostUnknown(
            f"{bare}: no [registry {bare}] section; there are: {', '.join(registries)}"
        )
    if not is_served(bare, entry.hosts):
        raise HostUnknown(
            f"{bare}: not among the hosts of [registry *]: {', '.join(entry.hosts)}"
        )
    return entry, question, ()


def _by_upstream(
    config: Config, question: Question
) -> tuple[RegistryConfig, Question, tuple[str, ...]] | None:
    """Return the registry with a name for an upstream's one; None for none."""
    for upstream in config.upstreams.values():
        origin = upstream.origin
        if origin is None or question.host not in (origin.netloc, origin.bare_netloc):
            continue
        prefix = upstream.base_path.strip("/")
        name = question.name.removeprefix(f"{prefix}/") if prefix else question.name
        for entry in config.registries:
            public = entry.mapping.to_public(name, upstream.name)
            if public is None:
                continue
            note = (
                f"{question.host}/{name} is [upstream {upstream.name}]'s own name; "
                f"clients write {entry.host}/{public}"
            )
            named = Question(entry.host, public, question.reference, question.actions)
            return entry, named, (note,)
    return None


def explain_question(
    config: Config,
    question: Question,
    *,
    account: Account | None = None,
    action: Action | None = None,
    login_problem: str = "",
) -> Explanation:
    """
    Return the explanation for one question.

    `account` is None for somebody without a login. `login_problem` says why nobody can
    log in as that user, if so. Raises `HTTPError` for what is not served.
    """
    registry, question, notes = find_registry(config, question)
    routes = registry.mapping.routes(question.name)
    name = routes[0].public_name
    if action is None:
        action = _action_of(question.actions)
    wanted = WANTED_ACTIONS[action]
    explanation = Explanation(
        registry=registry,
        notes=notes,
        routes=routes,
        scope=str(repository_scope(name, *wanted)),
        upstream_scopes=tuple(
            str(repository_scope(route.upstream_name, *wanted)) for route in routes
        ),
        urls=tuple(config.upstreams[route.upstream].url for route in routes),
    )
    decided_by = ""
    if registry.accounts == CERTIFICATE:
        decided_by = "the Common Name of the client's certificate is the user"
    rights: tuple[Decision, ...] = ()
    if registry.accounts is None:
        decided_by = _upstream_decides(registry, routes, account)
    else:
        section, rules = access_of(config, registry)
        rights = tuple(decide(rules, section, account, each, name) for each in wanted)
    answer, refused = _answer(
        registry, question, account, action, rights, login_problem
    )
    return replace(
        explanation,
        decided_by=decided_by,
        rights=rights,
        answer=answer,
        refused=refused,
    )


def _action_of(actions: Sequence[str]) -> Action:
    for action in (Action.DELETE, Action.PUSH):
        if action.value in actions:
            return action
    return Action.PULL


def _upstream_decides(
    registry: RegistryConfig, routes: Sequence[Route], account: Account | None
) -> str:
    trusted = [r.upstream for r in routes if r.upstream in registry.trusted_upstreams]
    others = [r.upstream for r in routes if r.upstream not in trusted]
    said = []
    if trusted:
        login = "the client's own account" if account else "nobody's account"
        said.append(f"{_sections(trusted)} decides, by {login}")
    if registry.shared_actions and (account is None or others):
        actions = ", ".join(sorted(registry.shared_actions))
        said.append(f"regbroker's own account is shared for {actions}")
    elif others:
        said.append(f"{_sections(others)} is asked without an account")
    return "; ".join(said)


def _sections(names: Sequence[str]) -> str:
    return ", ".join(f"[upstream {name}]" for name in names)


def _answer(
    registry: RegistryConfig,
    question: Question,
    account: Account | None,
    action: Action,
    rights: Sequence[Decision],
    login_problem: str,
) -> tuple[str, bool]:
    """Return what a client is told, and whether it is refused."""
    if registry.writes == "deny" and action is not Action.PULL:
        error = MethodNotAllowed("this registry is read-only")
        return _refusal(error), True
    missing = [right.action for right in rights if not right.allowed]
    if registry.accounts == CERTIFICATE:
        return _certificate_answer(account, action, missing)
    if login_problem:
        return f"401 UNAUTHORIZED at the login: {login_problem}", True
    if not missing:
        return "what the upstream answers", False
    host = question.host or registry.host
    challenge = _challenge(registry, host, question.name, action, account)
    if account is not None and registry.basic_challenge:
        return f"403 DENIED: {account.user} may not {action.value} here", True
    if account is None:
        return f"401 UNAUTHORIZED, and to log in: {challenge}", True
    return (
        f"401 UNAUTHORIZED: the token that {account.user} gets is without "
        f"{', '.join(missing)}; docker says 'requested access to the resource is "
        f"denied'; {challenge}",
        True,
    )


def _certificate_answer(
    account: Account | None, action: Action, missing: Sequence[str]
) -> tuple[str, bool]:
    """Return the same where the certificate of the connection says who it is."""
    if not missing:
        return "what the upstream answers", False
    if account is None:
        return _refusal(Denied(f"{CERTIFICATE_WANTED}: {NO_CERTIFICATE}")), True
    return _refusal(Denied(f"{account.user} may not {action.value} here")), True


def _challenge(
    registry: RegistryConfig,
    host: str,
    name: str,
    action: Action,
    account: Account | None,
) -> str:
    if registry.basic_challenge:
        return basic_challenge(host).decode()
    base = str(registry.public_url or f"https://{host}")
    scope = str(repository_scope(name, *WANTED_ACTIONS[action]))
    error = None if account is None else "insufficient_scope"
    url = f"{base}{registry.token_path}"
    return bearer_challenge(url, host, scope, error).decode()


def _refusal(error: HTTPError) -> str:
    return f"{error.status} {error.code}: {error.message}"
