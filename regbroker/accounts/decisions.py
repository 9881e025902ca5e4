"""What the rules decide about one action, and by which line."""

from __future__ import annotations

from dataclasses import dataclass

from regbroker.accounts.access import AccessRules
from regbroker.accounts.principals import Account


@dataclass(frozen=True)
class Decision:
    """One action: whether it is allowed, by which line or why not."""

    action: str
    allowed: bool
    why: str


def decide(
    rules: AccessRules, section: str, account: Account | None, action: str, name: str
) -> Decision:
    """
    Return what the rules of a section say; None is for somebody without a login.

    `name` is the canonical public one.
    """
    grant = rules.grant_for(account, action, name)
    if grant is not None:
        return Decision(action, True, f"{section} {grant}")
    others = [
        str(each.subject)
        for each in rules.grants
        if action in each.actions and any(p.matches(name) for p in each.patterns)
    ]
    may = f"; those who may: {', '.join(dict.fromkeys(others))}" if others else ""
    return Decision(action, False, f"no line of {section} grants it{may}")
