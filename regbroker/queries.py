"""
Query strings, changed only where they must be.

Upload Locations carry signed state in their query, and a registry may verify
it byte for byte. So a query is a sequence of raw ``name=value`` pieces; a piece
that nobody changes is written back exactly as it came.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, unquote_plus

Piece = tuple[str, str]
"""A parameter's decoded name, and the raw text of the whole ``name=value``."""


def split_target(target: str) -> tuple[str, str]:
    """Split a request target into path and query (without the ``?``)."""
    path, _, query = target.partition("?")
    return path, query


def join_target(path: str, query: str) -> str:
    """Put path and query together again."""
    return f"{path}?{query}" if query else path


def parameters(query: str) -> list[tuple[str, str]]:
    """Return the decoded names and values of a query, in order."""
    return [(name, _value(raw)) for name, raw in _pieces(query) if raw]


def values(query: str, name: str) -> list[str]:
    """Return every decoded value of one parameter."""
    return [value for found, value in parameters(query) if found == name]


def without(query: str, *names: str) -> str:
    """Return the query without some parameters, the rest byte for byte."""
    return "&".join(raw for name, raw in _pieces(query) if name not in names)


def only(query: str, *names: str) -> str:
    """Return the query's parameters of these names alone, byte for byte."""
    return "&".join(raw for name, raw in _pieces(query) if name in names)


def replaced(query: str, name: str, change: Callable[[str], str]) -> str:
    """Return the query with `change` applied to the values of one parameter."""
    return "&".join(
        f"{raw.partition('=')[0]}={_quote(change(_value(raw)))}"
        if found == name
        else raw
        for found, raw in _pieces(query)
    )


def _quote(value: str) -> str:
    return quote(value, safe="/:", errors="surrogateescape")


def _pieces(query: str) -> list[Piece]:
    return [(unquote_plus(raw.partition("=")[0]), raw) for raw in query.split("&")]


def _value(raw: str) -> str:
    # Passwords may be in other encodings than UTF-8: no byte is lost.
    return unquote_plus(raw.partition("=")[2], errors="surrogateescape")
