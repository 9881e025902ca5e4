"""Random attribute names and filters."""

from __future__ import annotations

from hypothesis import strategies as st

from regbroker.accounts.ldap.filters import Compound, Filter, Item

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
PIECES = st.lists(st.binary(min_size=1, max_size=6), max_size=3)
SUBSTRINGS = st.builds(
    lambda first, middle, last: (first, *middle, last), st.binary(), PIECES, st.binary()
)
ITEMS = st.one_of(
    st.builds(
        lambda name, operator, value: Item(name, operator, (value,)),
        NAMES,
        st.sampled_from(["=", "~=", ">=", "<=", ":="]),
        st.binary(),
    ),
    st.builds(lambda name, pieces: Item(name, "=", pieces), NAMES, SUBSTRINGS),
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    ITEMS,
    lambda inner: st.one_of(
        st.builds(
            Compound, st.sampled_from("&|"), st.lists(inner, max_size=3).map(tuple)
        ),
        st.builds(lambda one: Compound("!", (one,)), inner),
    ),
    max_leaves=8,
)
