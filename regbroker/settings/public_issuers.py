"""
Issuers of whom everybody in the world can have tokens, and what keeps strangers out.

Whoever has an account there runs jobs of his own, which may name any branch,
environment or workflow. What no stranger can have is what belongs to somebody: a
repository, its owner, their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from regbroker.accounts.claims import Condition

#: By the beginning of the issuer: claims of which each value is one owner's. Not among
#: them is what strangers can bring about in a repository of theirs: who has started a
#: job (``actor``), and which reusable workflow it calls (``job_workflow_ref``).
_OWNED = {
    "https://token.actions.githubusercontent.com": (
        "repository_owner_id",
        "repository_owner",
        "repository_id",
        "repository",
        "enterprise",
        "enterprise_id",
        "workflow_ref",
        "sub",
    ),
    "https://gitlab.com": (
        "namespace_id",
        "namespace_path",
        "project_id",
        "project_path",
        "ci_config_ref_uri",
        "groups_direct",
        "sub",
    ),
    "https://agent.buildkite.com": (
        "organization_slug",
        "organization_id",
        "pipeline_id",
        "sub",
    ),
    "https://oidc.circleci.com": (),
    "https://accounts.google.com": ("hd", "email", "sub"),
}

#: Audiences that other services take: Kubernetes' own, of every pod that says nothing,
#: and those of signatures, clouds, vaults and package indexes in many pipelines.
_OTHERS = re.compile(
    r"https://kubernetes\.default\.svc(\..*)?|https://github\.com/.*|https://gitlab\.com/?"
    r"|sigstore|sts\.amazonaws\.com|api://AzureADTokenExchange(.*)?"
    r"|https://iam\.googleapis\.com/.*|//iam\.googleapis\.com/.*|vault|https://vault\..*"
    r"|pypi|testpypi|npm:.*|rubygems\.org|crates\.io"
)

#: What the subjects of all jobs begin with.
_SUBJECTS = ("repo:", "project_path:", "organization:")


def open_to_everybody(issuer: str, conditions: Iterable[Condition]) -> str:
    """
    Say what to write where strangers' tokens fulfil the conditions; '' if they do not.

    Of a named condition nobody can tell: it may keep them out.
    """
    owned = next((v for k, v in _OWNED.items() if issuer.startswith(k)), None)
    if owned is None:
        return ""
    conditions = list(conditions)
    if not conditions:
        return "everybody can have a token of this issuer; write a condition"
    if not owned or any(_keeps_out(each, owned) for each in conditions):
        return ""
    return (
        "everybody can have a token of this issuer that fulfils this; write a "
        f"condition about what is yours, such as {owned[0]}"
    )


def _keeps_out(condition: Condition, owned: tuple[str, ...]) -> bool:
    if not condition.alternatives:
        return True
    names_owners = all(map(_names_an_owner, condition.alternatives))
    return condition.claim in owned and names_owners


def _names_an_owner(text: str) -> bool:
    beginning = text.partition("*")[0]
    return bool(beginning) and beginning not in _SUBJECTS


def audiences_of_others(issuer: str, audience: Iterable[str]) -> list[str]:
    """
    Return the audiences that are not the registry's own.

    Who gets such a token for another service could show it here, and regbroker could be
    shown one that opens the other service.
    """
    return [each for each in audience if each == issuer or _OTHERS.fullmatch(each)]
