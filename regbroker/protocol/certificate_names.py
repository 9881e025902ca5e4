"""
The user whom a client certificate names, in a form that no other certificate can take.

The user is the Common Name of the subject: every program that makes certificates sets
it, and there is one, while alternative names may be many. What could mean something
else in a name is written as ``%XX`` of its UTF-8, the ``%`` itself too: so two names
that differ stay apart, also in the log and in a pattern with ``${user}``.
"""

from __future__ import annotations

import re

#: Words that an ``[access NAME]`` section has for others than users.
_RESERVED = frozenset({"anonymous", "authenticated"})

_PLAIN = re.compile(r"[A-Za-z0-9._@+-]")

#: Longer names are cut elsewhere, and would not stay apart.
MAX_NAME_LENGTH = 200


def user_of_common_name(names: list[str]) -> str:
    """
    Return the user for the Common Names of a subject.

    Raises `ValueError` that says why there is none.
    """
    if len(names) != 1 or not names[0]:
        raise ValueError("its subject has no Common Name, or several")
    (name,) = names
    user = "".join(c if _PLAIN.fullmatch(c) else _quoted(c) for c in name)
    # A name that begins with @ is a group there.
    if user in _RESERVED or user.startswith("@"):
        user = _quoted(user[0]) + user[1:]
    if len(user) > MAX_NAME_LENGTH:
        raise ValueError(f"its Common Name is longer than {MAX_NAME_LENGTH} characters")
    return user


def _quoted(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
