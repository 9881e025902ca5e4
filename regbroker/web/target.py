"""The target of a request, taken apart once, however many look at it."""

from __future__ import annotations

from typing import Any

from twisted.web.server import Request

from regbroker.protocol.queries import Query, join_target, parse_query, split_target

_ATTRIBUTE = "regbroker_target"


def target_of(request: Request) -> tuple[str, Query]:
    """
    Return path and query of a request.

    Raises `BadRequest` for a query of too many parameters.
    """
    known: tuple[bytes, str, Query] | None = getattr(request, _ATTRIBUTE, None)
    if known is not None and known[0] is request.uri:
        return known[1:]
    path, text = split_target(request.uri.decode("latin-1"))
    return _keep(request, path, parse_query(text))


def retarget(request: Request, path: str, query: Query) -> None:
    """Make it a request for something else."""
    request.uri = join_target(path, query).encode("latin-1")
    _keep(request, path, query)


def _keep(request: Any, path: str, query: Query) -> tuple[str, Query]:
    setattr(request, _ATTRIBUTE, (request.uri, path, query))
    return path, query
