"""
From public to upstream repository names and back: the one place where names are
mapped.

Of the rules (`regbroker.naming.rules`), the longest public pattern that matches a name
decides. One that names no upstream leads to every upstream that the registry
lists, except to those for which another rule with the same public pattern says
something else. So a public name leads to one upstream or to several, which are
then asked in turn.

Facts that shape this module:

- A client may come back with an upstream name that it was once shown, so a
  name that the rules make of another one is taken as already mapped:
  ``acme_team/app`` stays ``acme_team/app``. Such a name is called an alias
  here; the name it comes from is the canonical one. Rules that name their
  upstream make no aliases: with ``hub/* = hub:*`` every name would be one.
- Replies carry upstream names that no client has asked for (the catalog,
  errors), so every upstream name must lead back to one canonical public name.
  Rules that make one upstream name of two public ones are refused.
- Docker Hub's ``nginx`` is ``library/nginx``. An upstream may have such a default
  namespace; a name that comes out without a namespace there is then short for
  the one with it, which is the canonical one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from regbroker.errors import NameUnknown
from regbroker.naming.rules import ANY_TEXT, InvalidRule, Pattern, Rule
from regbroker.protocol.names import check_name, is_name

#: The ways in which a name can go on after a pattern's text.
_CONTINUATIONS = ("", f"/{ANY_TEXT}", ANY_TEXT, f"{ANY_TEXT}/{ANY_TEXT}")

#: Rarer ways, which matter where a pattern ends in a separator: after ``a_`` the
#: name ``a__b`` goes on, and without the ``a_`` it would be no name.
_SEPARATED = tuple(separator + ANY_TEXT for separator in (".", "_", "__", "-"))


@dataclass(frozen=True)
class Route:
    """
    Where a public name leads, and why.

    `public_name` is the canonical one, whatever the client has written.
    `upstream` is the name of an ``[upstream NAME]`` section.
    """

    public_name: str
    upstream: str
    upstream_name: str
    rule: Rule
    reason: str


class NameMapping:
    """
    The rules of one registry.

    `listed` are the upstreams that rules without a name of their own lead to, in
    the order in which they are asked; `default_namespaces` has, by upstream,
    the namespace of names without one. Immutable once made. Raises `InvalidRule`
    for rules that contradict one another, naming both.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        listed: Iterable[str],
        default_namespaces: Mapping[str, str] | None = None,
    ) -> None:
        rules = tuple(rules)
        self._listed = tuple(listed)
        self._default_namespaces = dict(default_namespaces or {})
        named = [rule.section for rule in rules if rule.section]
        #: All upstreams, in the order in which they are asked.
        self.upstreams = tuple(dict.fromkeys([*self._listed, *named]))
        # An exact namespace comes before a star after the same text.
        self.rules = tuple(
            sorted(rules, key=lambda rule: (-len(rule.public.text), rule.public.star))
        )
        self._choices = {rule.public: self._choice(rule.public) for rule in self.rules}
        for rule in self.rules:
            self._check_upstream(rule)
            if rule not in self.unused_rules:
                self._check_reachable(rule)
        for name in self._probes():
            self._check_invertible(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameMapping) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self.rules)

    @property
    def _value(self) -> tuple[object, ...]:
        return self.rules, self._listed, self._default_namespaces

    def __repr__(self) -> str:
        return f"<NameMapping {'; '.join(map(str, self.rules))}>"

    @property
    def namespaces(self) -> str:
        """The public patterns, for people."""
        return ", ".join(sorted({str(rule.public) for rule in self.rules}))

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
            if self._listed
            and not rule.section
            and all(chosen.section for chosen in self._choices[rule.public].values())
        )

    def group(self, name: str) -> tuple[str, ...]:
        """Return which of `groups` a name leads to."""
        return tuple(self._deciding(self._canonical(name)[0]))

    def route(self, name: str) -> Route:
        """Return the first of `routes`."""
        return self.routes(name)[0]

    def routes(self, name: str) -> tuple[Route, ...]:
        """
        Return where a name that a client wrote leads, first choice first.

        Raises `NameInvalid` for what is no repository name, `NameUnknown` for
        a name that no rule maps.
        """
        check_name(name)
        canonical, why = self._canonical(name)
        routes = tuple(
            Route(canonical, upstream, upstream_name, rule, f"{why}by '{rule}'")
            for upstream, rule in self._deciding(canonical).items()
            if (upstream_name := self._apply(rule, upstream, canonical)) is not None
        )
        is_dead_end = canonical == name and self._sources(name)
        if is_dead_end or not self._is_held(canonical):
            raise NameUnknown(
                f"no namespace rule maps this name; namespaces here: {self.namespaces}",
                detail={"name": name},
            )
        return routes

    def to_public(self, name: str, upstream: str) -> str | None:
        """Return the canonical public name of an upstream's name, or None."""
        found = next(self._publics(name, upstream), None)
        return None if found is None else found[1]

    def default_namespace(self, upstream: str) -> str:
        """Return the namespace of an upstream's names without one, or ''."""
        return self._default_namespaces.get(upstream, "")

    def choice(self, public: Pattern) -> Mapping[str, Rule]:
        """Return the upstreams that a public pattern leads to, and by which rule."""
        return self._choices.get(public, {})

    def _choice(self, public: Pattern) -> dict[str, Rule]:
        rules = [rule for rule in self.rules if rule.public == public]
        unnamed = [rule for rule in rules if not rule.section]
        choice: dict[str, Rule] = {}
        for upstream in self.upstreams:
            named = [rule for rule in rules if rule.section == upstream]
            usable = named or (unnamed if upstream in self._listed else [])
            if usable:
                choice[upstream] = usable[0]
        return choice

    def _rules_to(self, upstream: str) -> list[Rule]:
        """Return the rules that lead to an upstream, the longest first."""
        choices = self._choices.values()
        return [choice[upstream] for choice in choices if upstream in choice]

    def _deciding(self, name: str) -> dict[str, Rule]:
        """Return the upstreams that a canonical name leads to, and by which rule."""
        for public, choice in self._choices.items():
            if public.match(name) is not None:
                return choice
        return {}

    def _decides(self, rule: Rule, name: str) -> bool:
        chosen = self._deciding(name).values()
        return any(each is rule for each in chosen) and rule.apply(name) is not None

    def _canonical(self, name: str) -> tuple[str, str]:
        """Return the canonical name for what a client wrote, and why if it differs."""
        for _, source in self._sources(name):
            if not self._sources(source):
                return self._whole(source)[0], f"'{name}' is already mapped, "
        return self._whole(name)

    def _whole(self, name: str) -> tuple[str, str]:
        """Return the name that another may be short for, and why."""
        for upstream, rule in self._deciding(name).items():
            # Of several upstreams, one with a default namespace makes the name its.
            result = rule.apply(name)
            if result is None or self._with_namespace(result, upstream) == result:
                continue
            full = self._with_namespace(result, upstream)
            public = rule.reverse(full)
            if public is None or public == name:
                continue
            decided = self._deciding(public).get(upstream)
            if (
                decided is not None
                and decided.apply(public) == full
                and not self._sources(public)
            ):
                return public, f"'{name}' is short for '{public}', "
        return name, ""

    def _apply(self, rule: Rule, upstream: str, name: str) -> str | None:
        """Return an upstream's name for a public one, with its namespace."""
        result = rule.apply(name)
        if result is None:
            return None
        full = self._with_namespace(result, upstream)
        return full if is_name(full) else None

    def _is_held(self, name: str) -> bool:
        """Tell whether the first choice can hold a name: writes go to it alone."""
        first = next(iter(self._deciding(name).items()), None)
        return first is not None and self._apply(first[1], first[0], name) is not None

    def _publics(self, name: str, upstream: str) -> Iterator[tuple[Rule, str]]:
        """Yield the canonical public names of an upstream's name, and by which rule."""
        full = self._with_namespace(name, upstream)
        forms = [full]
        namespace = self._default_namespaces.get(upstream)
        short = full.removeprefix(f"{namespace}/") if namespace else full
        if short != full and "/" not in short:
            forms.append(short)
        for rule in self._rules_to(upstream):
            for form in forms:
                public = rule.reverse(form)
                if (
                    public is not None
                    and self._deciding(public).get(upstream) is rule
                    and self._apply(rule, upstream, public) == full
                    and self._is_held(public)
                    and not self._sources(public)
                    and self._whole(public)[0] == public
                ):
                    yield rule, public

    def _with_namespace(self, name: str, upstream: str) -> str:
        namespace = self._default_namespaces.get(upstream)
        return f"{namespace}/{name}" if namespace and "/" not in name else name

    def _sources(self, name: str) -> list[tuple[Rule, str]]:
        """Return the other names that the rules make `name` of."""
        sources = []
        for rule in self.rules:
            source = None if rule.section else rule.reverse(name)
            if source is not None and source != name and self._decides(rule, source):
                sources.append((rule, source))
        return sources

    def _check_upstream(self, rule: Rule) -> None:
        if not rule.section and not self._listed:
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
            sources = self._sources(name)
            if self._decides(rule, name) and not sources:
                return
            if sources:
                blocker, because = sources[0][0], "takes its names as already mapped"
                continue
            deciding = self._deciding(name)
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

    def _probes(self) -> Iterable[str]:
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

    def _check_invertible(self, name: str) -> None:
        for upstream in self.upstreams:
            canonical = list(self._publics(name, upstream))
            if len(canonical) > 1:
                (one, one_source), (other, other_source), *_ = canonical
                raise InvalidRule(
                    f"'{one}' and '{other}' make one upstream name of two public "
                    f"ones: '{one_source}' and '{other_source}' both become '{name}'"
                )
