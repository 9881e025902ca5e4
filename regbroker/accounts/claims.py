"""
Claims: what an issuer says about somebody, looked up and compared as texts.

A claim is named as the token names it. One inside of an object is written with a dot
after the object's name, as ``kubernetes.io.serviceaccount.name``: the longest beginning
that names a claim counts first, since names have dots themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from regbroker.accounts.globs import glob_matches

#: How a claim is written in a condition, a pattern or a user.
CLAIM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*")

#: Finds the named conditions of an identity that hold for claims.
NamedConditions = Callable[[Mapping[str, object]], frozenset[str]]


def no_conditions(claims: Mapping[str, object]) -> frozenset[str]:
    """Return that no named condition holds: there are none."""
    return frozenset()


def claim(claims: Mapping[str, object], name: str) -> object | None:
    """Return the value of a claim; None for one that is not there."""
    if name in claims:
        return claims[name]
    end = len(name)
    while (end := name.rfind(".", 0, end)) > 0:
        inner = claims.get(name[:end])
        if isinstance(inner, Mapping):
            return claim(inner, name[end + 1 :])
    return None


def text_of(value: object) -> str | None:
    """
    Return a claim's value as the text that it is compared as.

    Numbers are in digits, and truth is ``true`` or ``false``. None for what is no
    single value: lists, objects, fractions, null.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Longer ones cost time to write out, and nobody means them.
        return str(value) if value.bit_length() <= 64 else None
    return value if isinstance(value, str) else None


def texts_of(value: object) -> tuple[str, ...]:
    """Return a claim's value as texts: of a list, each that is one."""
    values = value if isinstance(value, list | tuple) else (value,)
    return tuple(text for each in values if (text := text_of(each)) is not None)


@dataclass(frozen=True)
class Condition:
    """
    A condition on a claim, which `parse_condition` makes.

    It holds when one of the claim's values is one of `alternatives`, in which ``*``
    stands for any text. Without alternatives, `claim` is the name of a condition of the
    ``[identity NAME]``.
    """

    claim: str
    alternatives: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.alternatives:
            return self.claim
        return f"{self.claim}={'|'.join(self.alternatives)}"

    def holds(self, claims: Mapping[str, object], named: frozenset[str]) -> bool:
        """Tell whether it holds; `named` are the named conditions that do."""
        if not self.alternatives:
            return self.claim in named
        return any(self.takes(text) for text in texts_of(claim(claims, self.claim)))

    def takes(self, text: str) -> bool:
        """Tell whether a claim with this value fulfils the condition."""
        return any(glob_matches(each, text) for each in self.alternatives)


def parse_condition(text: str) -> Condition:
    """Parse ``claim=text|text``, or the name of a condition; raises `ValueError`."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if CLAIM.fullmatch(name) is None:
        raise ValueError(
            f"'{text.strip()}' is no condition; write claim=text, for example "
            "repository_owner=acme"
        )
    if not equals:
        return Condition(name)
    alternatives = tuple(each.strip() for each in value.split("|"))
    if not all(alternatives):
        raise ValueError(f"'{text.strip()}': write a text after the =, or * for any")
    return Condition(name, alternatives)
