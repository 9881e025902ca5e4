"""
The rules of one registry, and which of them decides about a name.

Of the rules (`regbroker.naming.rules`), the longest public pattern that matches a name
decides. One that names no upstream leads to every upstream that the registry
lists, except to those for which another rule with the same public pattern says
something else. A rule that can never decide is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from regbroker.naming.rules import ANY_TEXT, InvalidRule, Pattern, Rule
from regbroker.protocol.names import is_name

#: The ways in which a name can go on after a pattern's text.
_CONTINUATIONS = ("", f"/{ANY_TEXT}", ANY_TEXT, f"{ANY_TEXT}/{ANY_TEXT}")

#: Rarer ways, which matter where a pattern ends in a separator: after ``a_`` the
#: name ``a__b`` goes on, and without the ``a_`` it would be no name.
_SEPARATED = tuple(separator + ANY_TEXT for separator in (".", "_", "__", "-"))


class RuleTable:
    """
    Rules in the order in which they decide.

    `listed` are the upstreams that rules without a name of their own lead to, in
    the order in which they are asked. Immutable once made. Raises `InvalidRule` for
    a rule that leads nowhere or can never apply.
    """

    def __init__(self, rules: Iterable[Rule], listed: Iterable[str]) -> None:
        rules = tuple(rules)
        self.listed = tuple(listed)
        named = [rule.section for rule in rules if rule.section]
        #: All upstreams, in the order in which they are asked.
        self.upstreams = tuple(dict.fromkeys([*self.listed, *named]))
        # An exact namespace comes before a star after the same text.
        self.rules = tuple(
            sorted(rules, key=lambda rule: (-len(rule.public.text), rule.public.star))
        )
        self._choices = {rule.public: self._choice(rule.public) for rule in self.rules}
        for rule in self.rules:
            self._check_upstream(rule)
            if rule not in self.unused_rules:
                self._check_reachable(rule)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The lists of upstreams that names lead to, each once."""
        groups = {tuple(choice) for choice in self._choices.values()}
        place = self.upstreams.index
        return tuple(sorted(groups, key=lambda group: [place(name) for name in group]))

    @property
    def unused_rules(self) -> tuple[Rule, ...]:
        """The rules for all upstreams where each upstream has a rule of its own."""
        return tuple(
            rule
            for rule in self.rules
            if self.listed
            and not rule.section
            and all(chosen.section for chosen in self._choices[rule.public].values())
        )

    def choice(self, public: Pattern) -> Mapping[str, Rule]:
        """Return the upstreams that a public pattern leads to, and by which rule."""
        return self._choices.get(public, {})

    def rules_to(self, upstream: str) -> list[Rule]:
        """Return the rules that lead to an upstream, the longest first."""
        choices = self._choices.values()
        return [choice[upstream] for choice in choices if upstream in choice]

    def deciding(self, name: str) -> dict[str, Rule]:
        """Return the upstreams that a canonical name leads to, and by which rule."""
        for public, choice in self._choices.items():
            if public.match(name) is not None:
                return choice
        return {}

    def decides(self, rule: Rule, name: str) -> bool:
        """Tell whether a rule decides about a canonical name, and maps it."""
        chosen = self.deciding(name).values()
        return any(each is rule for each in chosen) and rule.apply(name) is not None

    def sources(self, name: str) -> list[tuple[Rule, str]]:
        """Return the other names that the rules make `name` of."""
        sources = []
        for rule in self.rules:
            source = None if rule.section else rule.reverse(name)
            if source is not None and source != name and self.decides(rule, source):
                sources.append((rule, source))
        return sources

    def probes(self) -> Iterable[str]:
        """
        Yield the names at which rules can meet.

        Those are the places where a pattern ends, and what the rules make of
        them, twice: once to the upstream name that is shared, and once more
        for the name whose alias it may be.
        """
        texts = {
            pattern.text
            for rule in self.rules
            for pattern in (rule.public, rule.upstream)
        }
        names = {
            text + continuation
            for text in texts
            for continuation in _CONTINUATIONS + _SEPARATED
        }
        for _ in range(2):
            names |= {rule.apply(name) or name for rule in self.rules for name in names}
        return sorted(filter(is_name, names))

    def _choice(self, public: Pattern) -> dict[str, Rule]:
        rules = [rule for rule in self.rules if rule.public == public]
        unnamed = [rule for rule in rules if not rule.section]
        choice: dict[str, Rule] = {}
        for upstream in self.upstreams:
            named = [rule for rule in rules if rule.section == upstream]
            usable = named or (unnamed if upstream in self.listed else [])
            if usable:
                choice[upstream] = usable[0]
        return choice

    def _check_upstream(self, rule: Rule) -> None:
        if not rule.section and not self.listed:
            raise InvalidRule(
                f"'{rule}' leads to no upstream; write 'upstream = NAME' above, or "
                f"'{rule.public} = NAME:{rule.upstream}'"
            )

    def _check_reachable(self, rule: Rule) -> None:
        blocker: Rule | None = None
        because = ""
        for continuation in _CONTINUATIONS:
            name = rule.public.text + continuation
            if rule.public.match(name) is None or not is_name(name):
                continue
            sources = self.sources(name)
            if self.decides(rule, name) and not sources:
                return
            if sources:
                blocker, because = sources[0][0], "takes its names as already mapped"
                continue
            deciding = self.deciding(name)
            # The one that leads to the same upstream is in the way, if there is one.
            others = [deciding.get(rule.section, rule), *deciding.values()]
            blocker = next((other for other in others if other is not rule), blocker)
            because = "decides about all its names"
        if blocker is rule:
            raise InvalidRule(
                f"'{rule}' can never apply: each of its public names is also an "
                "upstream name that it makes of another one; name the upstream "
                f"if you mean it: '{rule.public} = NAME:{rule.upstream}'"
            )
        raise InvalidRule(f"'{rule}' can never apply: '{blocker}' {because}")
