"""
Names of users and groups that are made of claims.

``ci:${repository}`` is a template: text of its own, and claims. What a claim holds is
escaped (RFC 3986, 2.1), so that two different sets of claims make two different names:
what separates claims in the template does not occur in them any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from regbroker.accounts.claims import claim, text_of, texts_of
from regbroker.accounts.principals import MAX_USER_LENGTH

_CLAIM = re.compile(r"\$\{([A-Za-z0-9_][A-Za-z0-9_.:/-]*)\}")

#: What stays as it is beside letters, digits and ``_.-~``, where no template has it
#: between two claims: names with it are easier to read.
_KEPT = "/:@+="

#: What an escaped claim may have in it.
_ESCAPED = r"[A-Za-z0-9_.~%/:@+=-]+"

#: Groups that one claim may name; more would make each question about rights long.
MAX_GROUPS = 256


class UnfitClaim(ValueError):
    """A name cannot be made of these claims; the text says which is wrong."""


@dataclass(frozen=True)
class Template:
    """A template, which `parse_template` makes: texts, with `claims` between them."""

    texts: tuple[str, ...]
    claims: tuple[str, ...]

    def __str__(self) -> str:
        named = [f"${{{name}}}" for name in self.claims]
        return "".join(f"{t}{c}" for t, c in zip(self.texts, [*named, ""], strict=True))

    @property
    def beginning(self) -> str:
        """What all names begin with."""
        return self.texts[0]

    def name(self, claims: Mapping[str, object]) -> str:
        """Return the name; raises `UnfitClaim`."""
        values = []
        for each in self.claims:
            value = claim(claims, each)
            if value is None:
                raise UnfitClaim(f"{each} is missing")
            text = text_of(value)
            if not text:
                raise UnfitClaim(f"{each} is no text")
            values.append(text)
        return self._joined(values)

    def names(self, claims: Mapping[str, object]) -> frozenset[str]:
        """
        Return the name for each text of the one claim, which may be a list.

        A claim that is missing, or no text, makes none. Raises `UnfitClaim`.
        """
        texts = [text for text in texts_of(claim(claims, self.claims[0])) if text]
        if len(texts) > MAX_GROUPS:
            raise UnfitClaim(f"{self.claims[0]} has more than {MAX_GROUPS} values")
        return frozenset(self._joined([text]) for text in texts)

    def may_make(self, name: str) -> bool:
        """Tell whether some claims make this name."""
        return re.fullmatch(_ESCAPED.join(map(re.escape, self.texts)), name) is not None

    def _joined(self, values: list[str]) -> str:
        separators = "".join(self.texts[1:-1])
        safe = "".join(each for each in _KEPT if each not in separators)
        name = self.texts[0]
        for each, value, text in zip(self.claims, values, self.texts[1:], strict=True):
            # It is not escaped before: that makes three characters of one. JSON may
            # hold halves of a character, and they are not all the same.
            value = value[: MAX_USER_LENGTH + 1]
            escaped = quote(value, safe=safe, errors="surrogatepass")
            for one in set(separators) & set("_.-~"):
                escaped = escaped.replace(one, f"%{ord(one):02X}")
            name += escaped + text
            if len(name) > MAX_USER_LENGTH:
                raise UnfitClaim(f"{each} makes a name of more than {MAX_USER_LENGTH}")
        return name


def parse_template(text: str) -> Template:
    """Parse a template of one line; raises `ValueError` that says what is right."""
    parts = _CLAIM.split(text)
    texts, claims = tuple(parts[::2]), tuple(parts[1::2])
    if not claims:
        raise ValueError(f"'{text}' has no claim; write for example ci:${{repository}}")
    if any(re.fullmatch(r"[A-Za-z0-9_.~/:@+=-]*", each) is None for each in texts):
        raise ValueError(
            f"'{text}' is not understood; write letters, digits and _.~/:@+=- around "
            "claims, each as ${claim}"
        )
    if not texts[0]:
        raise ValueError(
            f"'{text}' begins with a claim, which could make any name; begin with a "
            "text of its own, for example ci:"
        )
    if any(re.search(r"[^A-Za-z0-9]", each) is None for each in texts[1:-1]):
        raise ValueError(
            f"'{text}': between two claims, write a character such as : or /"
        )
    return Template(texts, claims)


def parse_group_template(text: str) -> Template:
    """Parse a template with one claim, which may be a list; raises `ValueError`."""
    template = parse_template(text)
    if len(template.claims) != 1:
        raise ValueError(f"'{text}': a group is made of one claim")
    return template
