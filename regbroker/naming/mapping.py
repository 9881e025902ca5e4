"""
From public to upstream repository names and back: the one place where names are
mapped.

Which rule decides about a name says `regbroker.naming.rule_table`. A public name leads
to one upstream or to several, which are then asked in turn.

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
from functools import lru_cache

from regbroker.errors import NameUnknown
from regbroker.naming.rule_table import RuleTable
from regbroker.naming.rules import InvalidRule, Pattern, Rule
from regbroker.protocol.names import MAX_NAME_LENGTH, check_name, is_name

#: Names that were mapped last; to map one again costs thirty times as much.
MAX_REMEMBERED = 4096


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
        self._table = RuleTable(rules, listed)
        namespaces = default_namespaces or {}
        #: The rules, those first that decide first.
        self.rules = self._table.rules
        #: The same by their public patterns.
        self.by_public = self._table.by_public
        #: All upstreams, in the order in which they are asked.
        self.upstreams = self._table.upstreams
        self._default_namespaces = {
            upstream: namespaces[upstream]
            for upstream in self.upstreams
            if namespaces.get(upstream)
        }
        #: The public patterns, for people.
        self.namespaces = ", ".join(sorted({str(rule.public) for rule in self.rules}))
        for name in self._table.probes():
            self._check_invertible(name)
        self._remembered_routes = lru_cache(MAX_REMEMBERED)(self._find_routes)
        self._remembered_public = lru_cache(MAX_REMEMBERED)(self._find_public)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameMapping) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self.rules)

    @property
    def _value(self) -> tuple[object, ...]:
        return self.rules, self._table.listed, self._default_namespaces

    def __repr__(self) -> str:
        return f"<NameMapping {'; '.join(map(str, self.rules))}>"

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The lists of upstreams that names lead to, each once."""
        return self._table.groups

    @property
    def unused_rules(self) -> tuple[Rule, ...]:
        """The rules for all upstreams where each upstream has a rule of its own."""
        return self._table.unused_rules

    def group(self, name: str) -> tuple[str, ...]:
        """Return which of `groups` a name leads to."""
        return tuple(self._table.deciding(self._canonical(name)[0]))

    def route(self, name: str) -> Route:
        """Return the first of `routes`."""
        return self.routes(name)[0]

    def routes(self, name: str) -> tuple[Route, ...]:
        """
        Return where a name that a client wrote leads, first choice first.

        Raises `NameInvalid` for what is no repository name, `NameUnknown` for
        a name that no rule maps.
        """
        return self._remembered_routes(check_name(name))

    def _find_routes(self, name: str) -> tuple[Route, ...]:
        canonical, why = self._canonical(name)
        routes = tuple(
            Route(canonical, upstream, upstream_name, rule, f"{why}by '{rule}'")
            for upstream, rule in self._table.deciding(canonical).items()
            if (upstream_name := self._apply(rule, upstream, canonical)) is not None
        )
        is_dead_end = canonical == name and self._table.sources(name)
        if is_dead_end or not self._is_held(canonical):
            raise NameUnknown(
                f"no namespace rule maps this name; namespaces here: {self.namespaces}",
                detail={"name": name},
            )
        return routes

    def to_public(self, name: str, upstream: str) -> str | None:
        """Return the canonical public name of an upstream's name, or None."""
        if len(name) > MAX_NAME_LENGTH:
            return self._find_public(name, upstream)
        return self._remembered_public(name, upstream)

    def _find_public(self, name: str, upstream: str) -> str | None:
        canonical = next(self._publics(name, upstream), None)
        return None if canonical is None else canonical[1]

    def default_namespace(self, upstream: str) -> str:
        """Return the namespace of an upstream's names without one, or ''."""
        return self._default_namespaces.get(upstream, "")

    def has_only_aliases(self, name: str) -> bool:
        """Tell whether `name`, and all below it, is taken as already mapped."""
        return self._table.has_sources_below(name)

    def choice(self, public: Pattern) -> Mapping[str, Rule]:
        """Return the upstreams that a public pattern leads to, and by which rule."""
        return self._table.choice(public)

    def _canonical(self, name: str) -> tuple[str, str]:
        """Return the canonical name for what a client wrote, and why if it differs."""
        for _, source in self._table.sources(name):
            if not self._table.sources(source):
                return self._whole(source)[0], f"'{name}' is already mapped, "
        return self._whole(name)

    def _whole(self, name: str) -> tuple[str, str]:
        """Return the name that another may be short for, and why."""
        if not self._default_namespaces:
            return name, ""
        for upstream, rule in self._table.deciding(name).items():
            # Of several upstreams, one with a default namespace makes the name its.
            result = rule.apply(name)
            if result is None or self._with_namespace(result, upstream) == result:
                continue
            full = self._with_namespace(result, upstream)
            public = rule.reverse(full)
            if public is None or public == name:
                continue
            decided = self._table.deciding(public).get(upstream)
            if (
                decided is not None
                and decided.apply(public) == full
                and not self._table.sources(public)
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
        first = next(iter(self._table.deciding(name).items()), None)
        return first is not None and self._apply(first[1], first[0], name) is not None

    def _publics(self, name: str, upstream: str) -> Iterator[tuple[Rule, str]]:
        """Yield the canonical public names of an upstream's name, and by which rule."""
        full, *_ = forms = _forms(name, self.default_namespace(upstream))
        for form in forms:
            for rule in self._table.rules_to(upstream, form):
                public = rule.reverse(form)
                if (
                    public is not None
                    and self._table.deciding(public).get(upstream) is rule
                    and self._apply(rule, upstream, public) == full
                    and self._is_held(public)
                    and not self._table.sources(public)
                    and self._whole(public)[0] == public
                ):
                    yield rule, public

    def _with_namespace(self, name: str, upstream: str) -> str:
        namespace = self._default_namespaces.get(upstream)
        return f"{namespace}/{name}" if namespace and "/" not in name else name

    def _check_invertible(self, name: str) -> None:
        namespaces = {"", *self._default_namespaces.values()}
        forms = {form for each in namespaces for form in _forms(name, each)}
        for upstream in self._table.meeting(forms):
            canonical = list(self._publics(name, upstream))
            if len(canonical) > 1:
                (one, one_source), (other, other_source), *_ = canonical
                raise InvalidRule(
                    f"'{one}' and '{other}' make one upstream name of two public "
                    f"ones: '{one_source}' and '{other_source}' both become '{name}'"
                )


def _forms(name: str, namespace: str) -> list[str]:
    """Return an upstream's name with its namespace, and then what is short for it."""
    if not namespace:
        return [name]
    full = name if "/" in name else f"{namespace}/{name}"
    short = full.removeprefix(f"{namespace}/")
    return [full, short] if short != full and "/" not in short else [full]
