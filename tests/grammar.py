"""What the property tests draw from, and how hard they try."""

from hypothesis import settings
from hypothesis import strategies as st

#: More than a few, for what has many cases; with random examples even more.
EXAMPLES = settings(max_examples=max(100, settings().max_examples))

#: Drawn in a few pieces: from a regular expression it would be letter by letter, which
#: costs many times as much.
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_LOWER = _LETTERS + _DIGITS
_WORD = _LOWER + _LETTERS.upper()


def texts(alphabet: str, shortest: int, longest: int) -> st.SearchStrategy[str]:
    """Texts of these characters, with so many of them."""
    return st.text(alphabet, min_size=shortest, max_size=longest)


def joined(*pieces: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of these pieces, one after the other."""
    return st.tuples(*pieces).map("".join)


def parts(
    first: st.SearchStrategy[str], separators: list[str], longest: int
) -> st.SearchStrategy[str]:
    """Texts that begin with `first`, and have up to two shorter parts after it."""
    more = joined(st.sampled_from(separators), texts(_LOWER, 1, longest))
    return joined(first, st.lists(more, max_size=2).map("".join))


components = parts(texts(_LOWER, 1, 4), [".", "_", "__", "-", "--", "---"], 3)

#: Repository names.
names = st.lists(components, min_size=1, max_size=4).map("/".join)

tags = joined(texts(f"{_WORD}_", 1, 1), texts(f"{_WORD}._-", 0, 20))

digests = joined(
    parts(texts(_LOWER, 1, 6), ["+", ".", "_", "-"], 4),
    st.just(":"),
    texts(f"{_WORD}=_-", 1, 64),
)

#: Text made of what the grammars give a meaning to, and some that they do not.
hostile = st.text(
    alphabet='ab1AZ:/,.;=-_*()"\\ \t\r\n%2eF?#&+@\x00é\udce9', max_size=60
)
