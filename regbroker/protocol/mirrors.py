"""
Sources: the registries that this one is a mirror of.

A client that asks a mirror says in the query, as ``ns``, which registry it
means: the host in the image's name (OCI distribution-spec, "Registry
Proxying"). The table of sources is closed. What a client names is looked up
there, and is never an address to connect to.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from regbroker.errors import NameUnknown
from regbroker.protocol.queries import Query, join_target, split_target, values

#: The parameter's name, which is ours alone: upstreams do not see it.
PARAMETER = "ns"


def mirrored_registry(
    query: str | Query, known: Collection[str], own: Collection[str]
) -> str | None:
    """
    Return the source that a query names, in lower case; None for none.

    `known` are the sources of the table, in lower case; `own` is what the
    registry is called that serves the request anyway. Raises `NameUnknown` for
    what is neither, and for several: to guess would be to serve a stranger's image
    under a name that the client trusts.
    """
    named = values(query, PARAMETER)
    if not named:
        return None
    namespaces = {value.lower() for value in named}
    if len(namespaces) == 1:
        (source,) = namespaces
        if source in known or source in {name.lower() for name in own}:
            return source
    raise NameUnknown(
        f"{PARAMETER} names no registry that is mirrored here; "
        f"sources known here: {', '.join(sorted(known)) or 'none'}"
    )


def with_ns(target: str, source: str) -> str:
    """Return path and query with a source at the end, the rest byte for byte."""
    if not source:
        return target
    path, query = split_target(target)
    named = f"{PARAMETER}={_quote(source)}"
    return join_target(path, f"{query}&{named}" if query else named)


def path_with_ns(path: str, source: str) -> str:
    """Return the path of a token service that tells which source is meant."""
    return f"{path}/{_quote(source)}" if source else path


def _quote(source: str) -> str:
    return quote(source, safe=":")
