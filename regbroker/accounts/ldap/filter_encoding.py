"""Filters in the form in which ldaptor sends them."""

from __future__ import annotations

from typing import Any

from regbroker.accounts.ldap.filters import Compound, Filter, Item

try:
    from ldaptor.protocols import pureldap
except ImportError:
    pureldap = None


def wire_filter(filter: Filter) -> Any:
    """Return ldaptor's form of a filter."""
    if isinstance(filter, Compound):
        parts = [wire_filter(part) for part in filter.parts]
        if filter.operator == "!":
            return pureldap.LDAPFilter_not(parts[0])
        both = {"&": pureldap.LDAPFilter_and, "|": pureldap.LDAPFilter_or}
        return both[filter.operator](parts)
    if filter.operator == ":=":
        attribute, dn, rule = filter.extensible()
        return pureldap.LDAPFilter_extensibleMatch(
            type=attribute,
            # False is not to be said (RFC 4511, section 5.1), and ldaptor does.
            dnAttributes=dn or None,
            matchingRule=rule,
            matchValue=filter.pieces[0],
        )
    if len(filter.pieces) > 1:
        return _wire_substrings(filter)
    comparison = {
        "=": pureldap.LDAPFilter_equalityMatch,
        "~=": pureldap.LDAPFilter_approxMatch,
        ">=": pureldap.LDAPFilter_greaterOrEqual,
        "<=": pureldap.LDAPFilter_lessOrEqual,
    }[filter.operator]
    return comparison(
        attributeDesc=pureldap.LDAPAttributeDescription(filter.attribute),
        assertionValue=pureldap.LDAPAssertionValue(filter.pieces[0]),
    )


def _wire_substrings(item: Item) -> Any:
    first, *middle, last = item.pieces
    if not (first or middle or last):
        return pureldap.LDAPFilter_present(item.attribute)
    pieces = [pureldap.LDAPFilter_substrings_initial(first)] if first else []
    pieces += [pureldap.LDAPFilter_substrings_any(piece) for piece in middle]
    pieces += [pureldap.LDAPFilter_substrings_final(last)] if last else []
    return pureldap.LDAPFilter_substrings(type=item.attribute, substrings=pieces)
