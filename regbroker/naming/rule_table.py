"""
The rules of one registry, and which of them decides about a name.

Of the rules (`regbroker.naming.rules`), the longest public pattern that matches a name
decides. One that names no upstream leads to every upstream that the registry
lists, except to those for which another rule with the same public pattern says
something else. A rule that can never decide is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from regbroker.naming.pattern_index import PatternIndex
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
        places = {name: place for place, name in enumerate(self.upstreams)}
        self._place = places.__getitem__
        # An exact namespace comes before a star after the same text.
        self.rules = tuple(
            sorted(rules, key=lambda rule: (-len(rule.public.text), rule.public.star))
        )
        #: The rules by their public patterns.
        self.by_public = PatternIndex((rule.public, rule) for rule in self.rules)
        self._choices = self._make_choices()
        self._deciding = PatternIndex(self._choices.items())
        self._unnamed = _by_upstream_name(r for r in self.rules if not r.section)
        leading = self._leading_rules()
        self._leading = {name: _by_upstream_name(leading[name]) for name in leading}
        self._shared = PatternIndex(
            (rule.upstream, upstream)
            for upstream, its_rules in leading.items()
            if len(its_rules) > 1
            for rule in its_rules
        )
        #: The rules for all upstreams where each upstream has a rule of its own.
        self.unused_rules = tuple(filter(self._is_unused, self.rules))
        unused = frozenset(self.unused_rules)
        for rule in self.rules:
            self._check_upstream(rule)
            if rule not in unused:
                self._check_reachable(rule)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The lists of upstreams that names lead to, each once."""
        groups = {tuple(choice) for choice in self._choices.values()}
        return tuple(sorted(groups, key=lambda group: [*map(self._place, group)]))

    def choice(self, public: Pattern) -> Mapping[str, Rule]:
        """Return the upstreams that a public pattern leads to, and by which rule."""
        return self._choices.get(public, {})

    def rules_to(self, upstream: str, name: str) -> list[Rule]:
        """Return the rules that make an upstream's `name`, in their order."""
        index = self._leading.get(upstream)
        found = [] if index is None else index.matching(name)
        return [rule for _, rule in sorted(found)]

    def meeting(self, names: Iterable[str]) -> list[str]:
        """Return the upstreams for which several rules may make one of `names`."""
        made_for = [up for name in names for up in self._shared.matching(name)]
        return sorted({u for u in made_for if made_for.count(u) > 1}, key=self._place)

    def deciding(self, name: str) -> dict[str, Rule]:
        """Return the upstreams that a canonical name leads to, and by which rule."""
        for choice in self._deciding.matching(name):
            return choice
        return {}

    def decides(self, rule: Rule, name: str) -> bool:
        """Tell whether a rule decides about a canonical name, and maps it."""
        chosen = self.deciding(name).values()
        return any(each is rule for each in chosen) and rule.apply(name) is not None

    def sources(self, name: str) -> list[tuple[Rule, str]]:
        """Return the other names that the rules make `name` of."""
        sources = []
        for _, rule in sorted(self._unnamed.matching(name)):
            source = rule.reverse(name)
            if source is not None and source != name and self.decides(rule, source):
                sources.append((rule, source))
        return sources

    def has_sources_below(self, name: str) -> bool:
        """
        Tell whether `name` and all names below it have a source.

        True only when that is certain: one rule makes them, of names that it decides
        about alone.
        """
        for _, rule in self._unnamed.matching(name):
            source = rule.reverse(name)
            # A longer source could be too long to be a name where its alias is not.
            if source is None or source == name or len(source) > len(name):
                continue
            decides_alone = self.by_public.matching(f"{source}/")[0] is rule and all(
                len(each.public.text) <= len(rule.public.text)
                for each in self.by_public.beginning_with(source)
            )
            if decides_alone:
                return True
        return False

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
        matching = self.by_public.matching
        for _ in range(2):
            made = [rule.apply(name) for name in names for rule in matching(name)]
            names.update(filter(None, made))
        return sorted(filter(is_name, names))

    def _make_choices(self) -> dict[Pattern, dict[str, Rule]]:
        together: dict[Pattern, list[Rule]] = {}
        for rule in self.rules:
            together.setdefault(rule.public, []).append(rule)
        return {public: self._choice(rules) for public, rules in together.items()}

    def _choice(self, rules: list[Rule]) -> dict[str, Rule]:
        """Return which of the rules with one public pattern is for which upstream."""
        chosen: dict[str, Rule] = {}
        for rule in sorted(rules, key=lambda rule: not rule.section):
            for upstream in [rule.section] if rule.section else self.listed:
                chosen.setdefault(upstream, rule)
        return {name: chosen[name] for name in sorted(chosen, key=self._place)}

    def _leading_rules(self) -> dict[str, list[Rule]]:
        """Return the rules that lead to each upstream, the longest first."""
        leading: dict[str, list[Rule]] = {}
        for choice in self._choices.values():
            for upstream, rule in choice.items():
                leading.setdefault(upstream, []).append(rule)
        return leading

    def _is_unused(self, rule: Rule) -> bool:
        choice = self._choices[rule.public].values()
        return (
            bool(self.listed)
            and not rule.section
            and all(chosen.section for chosen in choice)
        )

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
        if str(blocker) == str(rule):
            raise InvalidRule(f"'{rule}' stands twice; once is right")
        raise InvalidRule(f"'{rule}' can never apply: '{blocker}' {because}")


_Placed = tuple[int, Rule]


def _by_upstream_name(rules: Iterable[Rule]) -> PatternIndex[_Placed]:
    """Index rules by the names that they make, each with its place among them."""
    return PatternIndex((placed[1].upstream, placed) for placed in enumerate(rules))
