"""
Query strings, changed only where they must be.

Upload Locations carry signed state in their query, and a registry may verify
it byte for byte. So a query is a sequence of raw ``name=value`` pieces; a piece
that nobody changes is written back exactly as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from urllib.parse import quote, unquote_plus, urljoin

from regbroker.errors import BadRequest

#: No client has more to say: a token request names 128 scopes and some words beside
#: them, a list two parameters. Each costs time before the client is known.
MAX_PIECES = 256

#: What stands before a path so that `urljoin` takes none for a host.
_ANY_HOST = "http://host"

Piece = tuple[str, str]
"""A parameter's decoded name, and the raw text of the whole ``name=value``."""


class Query:
    """A query, or a form; its `text` is taken apart when somebody looks into it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        # Values may be secret.
        return f"<Query of {len(self.text)} characters>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The parameters in order, empty ones included."""
        return tuple((_name(raw), raw) for raw in self.text.split("&"))

    @classmethod
    def of_pieces(cls, pieces: Iterable[Piece]) -> Query:
        """Return the query of some pieces, which need not be taken apart again."""
        kept = tuple(pieces)
        query = cls("&".join(raw for _, raw in kept))
        if kept:
            query.__dict__["pieces"] = kept
        return query

    def parameters(self) -> list[tuple[str, str]]:
        """Return the decoded names and values, in order."""
        return [(name, value_of(raw)) for name, raw in self.pieces if raw]

    def values(self, name: str) -> list[str]:
        """Return every decoded value of one parameter."""
        if not self.text:
            return []
        return [value_of(raw) for key, raw in self.pieces if key == name and raw]

    def without(self, *names: str) -> Query:
        """Return the query without some parameters, the rest byte for byte."""
        if not self.text or not any(name in names for name, _ in self.pieces):
            return self
        return Query.of_pieces(piece for piece in self.pieces if piece[0] not in names)

    def replaced(self, name: str, change: Callable[[str], str]) -> Query:
        """Return the query with `change` applied to the values of one parameter."""
        return Query.of_pieces(
            (key, f"{raw.partition('=')[0]}={_quote(change(value_of(raw)))}")
            if key == name
            else (key, raw)
            for key, raw in self.pieces
        )


#: That of all targets without one.
NO_QUERY = Query("")


def parse_query(text: str | Query) -> Query:
    """
    Return a client's query or form.

    One that is parsed comes back as it is. Raises `BadRequest` for more than
    `MAX_PIECES` pieces, before any is looked at.
    """
    if isinstance(text, Query):
        return text
    pieces = text.count("&") + 1
    if pieces > MAX_PIECES:
        raise BadRequest(
            f"a query, or a form, has at most {MAX_PIECES} parameters, and this one "
            f"has {pieces}; ask for less at once, in several requests"
        )
    return Query(text)


def split_target(target: str) -> tuple[str, str]:
    """Split a request target into path and query (without the ``?``)."""
    path, _, query = target.partition("?")
    return path, query


def join_target(path: str, query: str | Query) -> str:
    """Put path and query together again."""
    text = str(query)
    return f"{path}?{text}" if text else path


def resolved_target(here: str, reference: str) -> str:
    """Return the target that a reference without a host leads to from another one."""
    if reference.startswith("/"):
        return reference
    if not reference:
        # RFC 3986, 5.2.2: where nothing is said, the query stays, too.
        return here
    path, _ = split_target(here)
    if reference.startswith("?"):
        return path + reference
    # A path that begins with "//" is no host: here it stands behind one.
    return urljoin(_ANY_HOST + path, reference).removeprefix(_ANY_HOST)


def parameters(query: str | Query) -> list[tuple[str, str]]:
    """Return the decoded names and values of a query, in order."""
    return _query(query).parameters()


def values(query: str | Query, name: str) -> list[str]:
    """Return every decoded value of one parameter."""
    return _query(query).values(name)


def only(query: str, *names: str) -> str:
    """Return the query's parameters of these names alone, byte for byte."""
    pieces = Query(query).pieces
    return str(Query.of_pieces(piece for piece in pieces if piece[0] in names))


def replaced(query: str, name: str, change: Callable[[str], str]) -> str:
    """Return the query with `change` applied to the values of one parameter."""
    return str(Query(query).replaced(name, change))


def value_of(raw: str) -> str:
    """Return the decoded value of a raw ``name=value``."""
    # Passwords may be in other encodings than UTF-8: no byte is lost.
    return unquote_plus(raw.partition("=")[2], errors="surrogateescape")


def _query(query: str | Query) -> Query:
    return query if isinstance(query, Query) else Query(query)


def _quote(value: str) -> str:
    return quote(value, safe="/:", errors="surrogateescape")


def _name(raw: str) -> str:
    return unquote_plus(raw.partition("=")[0]) if raw else raw
