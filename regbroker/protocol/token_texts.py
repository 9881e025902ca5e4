"""
Texts that hold a token where a name or a password should stand.

What is pasted into the wrong field, or comes with the end of its line, is a secret all
the same: it goes into no log, and to nobody who checks passwords.
"""

from __future__ import annotations

import re

#: What every robot token begins with: so it is known from a password and from any other
#: token, and by programs that look for secrets in sources and logs.
ROBOT_PREFIX = "rbrobot_"

_IN_WORD = "[A-Za-z0-9_-]"

#: A JWS (RFC 7515, 7.1) whose header and claims begin as JSON objects do: with a brace,
#: and a quote or white space. Nobody has a password like that. It begins where another
#: word ends, so that each character is looked at a few times at most: a form of 64 KiB
#: takes 3 ms. That is looked at last, since few texts have such a beginning.
_JWT = re.compile(
    r"(?P<jwt>e(?:yJ|yA|wo|w0|wk)"
    rf"(?:(?<!{_IN_WORD}...)|(?<={ROBOT_PREFIX}...)(?<!{_IN_WORD}{ROBOT_PREFIX}...))"
    rf"{_IN_WORD}{{8,}}\.e{_IN_WORD}+\.{_IN_WORD}*)",
    re.DOTALL,
)


def jwt_in(text: str) -> str:
    """Return the first JWT in a text, also of a robot token; '' for none."""
    match = _JWT.search(text)
    return "" if match is None else match["jwt"]


def user_for_log(user: str) -> str:
    """Return a user's name for the log; ``-`` for a token in its place."""
    return "-" if ROBOT_PREFIX in user or jwt_in(user) else user
