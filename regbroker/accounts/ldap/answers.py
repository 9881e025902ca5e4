"""What a directory answers: results and entries, out of ldaptor's messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

try:
    from ldaptor.protocols import pureldap
    from ldaptor.protocols.ldap import ldaperrors
except ImportError:
    pureldap = None

#: Of what a directory says to people; Active Directory's sentences have 150 characters.
MAX_MESSAGE_LENGTH = 300


class DirectoryError(Exception):
    """The directory does not do what it is there for; the text says what."""


@dataclass(frozen=True)
class Entry:
    """What a search has found: a DN, attributes in lower case with their values."""

    dn: bytes
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]

    def values(self, attribute: str) -> list[str]:
        """Return an attribute's values, sorted, without those that are no text."""
        texts = []
        for name, values in self.attributes:
            # Behind a semicolon stand options, such as Active Directory's range.
            if name.partition(";")[0] == attribute.lower():
                texts += [value for value in values if _is_utf8(value)]
        return sorted(value.decode() for value in texts)


@dataclass(frozen=True)
class Answer:
    """The result of a request: its code, and what is said to people, '' for nothing."""

    code: int
    message: str = ""

    def __str__(self) -> str:
        known = ldaperrors.LDAPExceptionCollection.collection.get(self.code)
        name = known.name.decode() if known is not None else f"result {self.code}"
        return f"{name}: {self.message}" if self.message else name


def accept(what: str, answer: Answer) -> None:
    """Raise `DirectoryError` when the result of `what` is not success."""
    if answer.code:
        raise DirectoryError(f"{what}: it answers {answer}")


def result_of(answer: list[Any]) -> Answer:
    """Return the result, which the last of an answer's messages has."""
    result = answer[-1]
    # ldaptor takes any value for a message.
    text = result.errorMessage if isinstance(result.errorMessage, bytes) else b""
    message = text.decode("utf-8", "replace")[:MAX_MESSAGE_LENGTH]
    # Active Directory's ends with NUL.
    printable = "".join(each if each.isprintable() else " " for each in message)
    return Answer(result.resultCode, " ".join(printable.split()))


def found(answer: list[Any]) -> tuple[Answer, list[Entry]]:
    """Return the result of a search, and the entries."""
    entries = [
        Entry(
            message.objectName,
            tuple(
                (name.decode("ascii", "replace").lower(), tuple(values))
                for name, values in message.attributes
            ),
        )
        for message in answer
        if isinstance(message, pureldap.LDAPSearchResultEntry)
    ]
    return result_of(answer), entries


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
