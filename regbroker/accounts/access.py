"""
What local accounts may do: the rules of an ``[access NAME]`` section, which
`regbroker.accounts.access_section` parses.

Facts that shape this module:

- Rules only ever grant, and what somebody is granted adds up: ``anonymous`` is
  about everybody, ``authenticated`` about everybody who has logged in with an account
  of ours, then there are the groups and the user's own name. What nothing grants is
  refused.
- ``NAME[...]`` is about whom the issuer of ``[identity NAME]`` vouches for, when all
  conditions on the claims hold; ``NAME[]`` is about all of them. They are no users of
  ours: ``authenticated`` and the names of users are not about them, since public
  issuers vouch for everybody.
- An account may come with limits (`regbroker.accounts.narrowing`): they take away, and
  never give.
- The actions are ``pull``, ``push``, ``delete``, ``catalog``, and ``*`` for all
  of them. None contains another. Clients that push also read what is there
  already, so they need both ``pull`` and ``push``.
- ``catalog`` lets somebody list the catalog, and see there what its patterns
  match. It has no name in the token protocol, where one ``registry:catalog:*``
  is all there is: that is granted to whoever may see anything.
- Patterns (`regbroker.accounts.patterns`) are about canonical public names. A name that
  a client wrote goes through `NameMapping.route` of `regbroker.naming.mapping` first,
  and its `public_name` is what is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from enum import Enum

from regbroker.accounts.claims import Condition
from regbroker.accounts.patterns import NamePattern
from regbroker.accounts.principals import Account
from regbroker.protocol.scopes import Scope

#: What can be done to a repository, in the order that clients write it.
REPOSITORY_ACTIONS = ("pull", "push", "delete")
CATALOG = "catalog"
ACTIONS = (*REPOSITORY_ACTIONS, CATALOG)


class Kind(Enum):
    """Whom a rule is about."""

    ANONYMOUS = "anonymous"
    AUTHENTICATED = "authenticated"
    GROUP = "group"
    USER = "user"
    IDENTITY = "identity"


@dataclass(frozen=True)
class Subject:
    """
    Whom a rule is about; users, groups and identities have a name, case-sensitive.

    An identity is an ``[identity NAME]``, with conditions of which all must hold.
    """

    kind: Kind
    name: str = ""
    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        if self.kind is Kind.IDENTITY:
            return f"{self.name}[{', '.join(map(str, self.conditions))}]"
        if self.kind is Kind.GROUP:
            return f"@{self.name}"
        return self.name or self.kind.value


ANONYMOUS = Subject(Kind.ANONYMOUS)
AUTHENTICATED = Subject(Kind.AUTHENTICATED)


@dataclass(frozen=True)
class Grant:
    """
    One line: what a subject may do to the names that a pattern matches.

    A subject without lines has one grant without patterns and actions.
    """

    subject: Subject
    patterns: tuple[NamePattern, ...]
    actions: frozenset[str]

    def __str__(self) -> str:
        return f"{self.subject} = {self.line}"

    @property
    def line(self) -> str:
        """The grant as it is written below its subject."""
        patterns = ", ".join(map(str, self.patterns))
        actions = ", ".join(action for action in ACTIONS if action in self.actions)
        return f"{patterns}: {actions}"


@dataclass(frozen=True)
class AccessRules:
    """The rules of one section; without any, everything is refused."""

    grants: tuple[Grant, ...]
    #: By the subject, without its conditions.
    _by_subject: dict[Subject, list[Grant]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for grant in self.grants:
            if grant.patterns:
                subject = Subject(grant.subject.kind, grant.subject.name)
                self._by_subject.setdefault(subject, []).append(grant)

    @property
    def identities(self) -> frozenset[str]:
        """The ``[identity NAME]`` sections that the rules name."""
        subjects = [grant.subject for grant in self.grants]
        return frozenset(s.name for s in subjects if s.kind is Kind.IDENTITY)

    @property
    def groups(self) -> frozenset[str]:
        """The groups that the rules name."""
        subjects = [grant.subject for grant in self.grants]
        return frozenset(s.name for s in subjects if s.kind is Kind.GROUP)

    def claims_of(self, identity: str) -> frozenset[str]:
        """Return the names of an identity's claims that the rules look at."""
        names: set[str] = set()
        for grant in self.grants:
            if grant.subject.kind is Kind.IDENTITY and grant.subject.name == identity:
                for condition in grant.subject.conditions:
                    if condition.alternatives:
                        names.add(condition.claim)
                names.update(name for p in grant.patterns for name in p.claims)
        return frozenset(names)

    @property
    def anonymous_may_anything(self) -> bool:
        """Whether there is something to do here without logging in."""
        return ANONYMOUS in self._by_subject

    def allows(self, account: Account | None, action: str, name: str) -> bool:
        """
        Tell whether an account, None for nobody, may do `action` to a repository.

        `name` is the canonical public one. Whether the catalog may be listed
        at all is `allows_catalog`.
        """
        return self.grant_for(account, action, name) is not None

    def grant_for(
        self, account: Account | None, action: str, name: str
    ) -> Grant | None:
        """Return the first line that allows it, as in `allows`; None for none."""
        return next((grant for grant, _ in self._given(account, {action}, name)), None)

    def _given(
        self, account: Account | None, actions: Iterable[str], name: str
    ) -> Iterator[tuple[Grant, Set[str]]]:
        """Yield the lines that give some of these actions, each with what is new."""
        limits = None if account is None else account.limits
        user = None if account is None else account.user
        claims = {} if account is None else account.claims
        wanted = {
            action
            for action in actions
            if limits is None or limits.allows(action, name)
        }
        for grant in self._grants_of(account):
            more = wanted & grant.actions
            # To match a name takes longer than all else here.
            if more and any(
                pattern.matches(name, user, claims) for pattern in grant.patterns
            ):
                yield grant, more
                wanted -= more

    def allows_catalog(self, account: Account | None) -> bool:
        """Tell whether an account may list the catalog, or some of it."""
        limits = None if account is None else account.limits
        if limits is not None and not limits.allows_catalog():
            return False
        return any(CATALOG in grant.actions for grant in self._grants_of(account))

    def granted(self, account: Account | None, scope: Scope) -> Scope | None:
        """
        Return what of a requested scope is granted; None for nothing at all.

        The name in the scope is the canonical public one. A requested ``*``
        becomes the actions that are granted, and stays beside them when that
        is all of them.
        """
        if scope.is_repository:
            given = self._given(account, REPOSITORY_ACTIONS, scope.name)
            may = {action for _, actions in given for action in actions}
            wanted = scope.actions
            if "*" in wanted:
                wanted = (*REPOSITORY_ACTIONS, "*")
                if may.issuperset(REPOSITORY_ACTIONS):
                    may.add("*")
            actions = tuple(dict.fromkeys(a for a in wanted if a in may))
            return scope.with_actions(actions) if actions else None
        is_catalog = (scope.type, scope.resource_class) == ("registry", "")
        if is_catalog and (scope.name, scope.actions) == (CATALOG, ("*",)):
            return scope if self.allows_catalog(account) else None
        return None

    def patterns_of(self, account: Account | None, action: str) -> list[NamePattern]:
        """Return the patterns of all lines that give an account an action."""
        return [
            pattern
            for grant in self._grants_of(account)
            if action in grant.actions
            for pattern in grant.patterns
        ]

    def _grants_of(self, account: Account | None) -> Iterator[Grant]:
        subjects = [ANONYMOUS]
        if account is not None:
            if not account.identity:
                subjects.append(AUTHENTICATED)
                subjects.append(Subject(Kind.USER, account.user))
            subjects += [Subject(Kind.GROUP, group) for group in account.groups]
        for subject in subjects:
            yield from self._by_subject.get(subject, ())
        if account is not None and account.identity:
            identity = Subject(Kind.IDENTITY, account.identity)
            for grant in self._by_subject.get(identity, ()):
                if all(
                    condition.holds(account.claims, account.conditions)
                    for condition in grant.subject.conditions
                ):
                    yield grant
