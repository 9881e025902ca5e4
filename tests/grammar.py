"""What the property tests draw from, and how hard they try."""

from hypothesis import settings
from hypothesis import strategies as st

#: More than a few, for what has many cases; with random examples even more.
EXAMPLES = settings(max_examples=max(100, settings().max_examples))

components = st.from_regex(
    r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}", fullmatch=True
)

#: Repository names.
names = st.lists(components, min_size=1, max_size=4).map("/".join)

tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)

digests = st.from_regex(
    r"[a-z0-9]{1,6}([+._-][a-z0-9]{1,4}){0,2}:[A-Za-z0-9=_-]{1,64}", fullmatch=True
)

#: Text made of what the grammars give a meaning to, and some that they do not.
hostile = st.text(
    alphabet='ab1AZ:/,.;=-_*()"\\ \t\r\n%2eF?#&+@\x00é\udce9', max_size=60
)
