"""
What the query of a request may hold, endpoint by endpoint, and what goes upstream.

`docs/queries.md` is printed from here. What an endpoint does not know is dropped: an
upstream may understand more than we do, and a name or a right that nobody has looked
at would hide there. What it knows comes once, unless its row says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_plus

from regbroker.errors import BadRequest, DigestInvalid, TagInvalid
from regbroker.protocol.names import Endpoint, is_algorithm, is_digest, is_name, is_tag
from regbroker.protocol.queries import Piece, Query, value_of

MOUNT, FROM = "mount", "from"

#: The parameter of our links that carries a place in an upstream's catalog.
PLACE = "place"

#: One of these, with what some servers take away before it and behind it. It is matched
#: from the beginning: to look for it would take the square of a name's length.
_ABOUT_A_MOUNT = re.compile(rf"[^a-z]*(?:{MOUNT}|{FROM})[^a-z\[]*(?:\[.*)?", re.DOTALL)


class Others(Enum):
    """What becomes of parameters that an endpoint does not know."""

    DROPPED = "dropped"
    STATE = (
        "the upstream's own upload state, as its Location had it: pass byte for byte; "
        "`mount` and `from` are dropped"
    )
    PAGING = "the upstream's own paging, as its Link had it: pass byte for byte"
    FREE = "the extension's own: pass byte for byte"
    OURS = "dropped; what is asked of the upstream is regbroker's own"


def _digest(value: str) -> None:
    if not is_digest(value):
        raise DigestInvalid("this is not a digest: algorithm:encoded")


def _tag(value: str) -> None:
    if not is_tag(value):
        raise TagInvalid("this is not a tag")


def _algorithm(value: str) -> None:
    if not is_algorithm(value):
        raise BadRequest("digest-algorithm is no algorithm of digests")


def _anything(value: str) -> None:
    """Let the upstream say what is wrong with it."""


@dataclass(frozen=True)
class Parameter:
    """One that an endpoint knows; `check` raises `ClientError` for wrong values."""

    name: str
    what: str
    check: Callable[[str], None] = _anything
    may_repeat: bool = False


@dataclass(frozen=True)
class Entry:
    """What the query of an endpoint may hold, for some methods; empty for all."""

    endpoint: Endpoint
    methods: tuple[str, ...]
    known: tuple[Parameter, ...] = ()
    others: Others = Others.DROPPED


_N = Parameter("n", "how many are wanted")
_LAST = Parameter("last", "where the page begins")

_PLACE = Parameter(PLACE, "where it begins at an upstream, sealed by regbroker")

TABLE = (
    Entry(Endpoint.BASE, ()),
    Entry(Endpoint.CATALOG, (), (_N, _LAST, _PLACE), Others.OURS),
    Entry(Endpoint.TAGS, (), (_N, _LAST), Others.PAGING),
    Entry(
        Endpoint.REFERRERS,
        (),
        (Parameter("artifactType", "a filter", may_repeat=True), _N, _LAST),
        Others.PAGING,
    ),
    Entry(
        Endpoint.MANIFEST,
        ("PUT",),
        (Parameter("tag", "a tag to give it", _tag, may_repeat=True),),
    ),
    Entry(Endpoint.MANIFEST, ()),
    Entry(Endpoint.BLOB, ()),
    Entry(
        Endpoint.UPLOADS,
        ("POST",),
        (
            Parameter("digest", "of a blob that is sent at once", _digest),
            Parameter("digest-algorithm", "what the digest will be", _algorithm),
            Parameter(
                MOUNT,
                "a digest; only with one `from`, a name that is served here and that "
                "the client may pull; else it is an ordinary upload",
            ),
            Parameter(FROM, "belongs to `mount`; goes up as the upstream's name"),
        ),
    ),
    Entry(
        Endpoint.UPLOAD,
        ("PUT",),
        (Parameter("digest", "of the whole blob", _digest),),
        Others.STATE,
    ),
    Entry(Endpoint.UPLOAD, (), (), Others.STATE),
    Entry(Endpoint.EXTENSION, (), (), Others.FREE),
)


def entry_for(endpoint: Endpoint, method: str) -> Entry:
    """Return what is said of a method of an endpoint."""
    return next(
        entry
        for entry in TABLE
        if entry.endpoint is endpoint and method in (entry.methods or (method,))
    )


def upstream_query(endpoint: Endpoint, method: str, query: Query) -> Query:
    """
    Return what of a client's query goes upstream, each piece as it came.

    Raises `BadRequest` for what comes twice, and what a parameter's check raises.
    """
    if not query.text:
        return query
    entry = entry_for(endpoint, method)
    if endpoint is Endpoint.UPLOADS and ";" in query.text:
        # Some upstreams take it for "&": a name could hide behind it.
        raise BadRequest("the query of an upload has no ';'")
    kept = query
    if entry.others is not Others.OURS:
        kept = Query.of_pieces(_kept(entry, query))
    if endpoint is Endpoint.UPLOADS and not _is_mount(kept):
        kept = kept.without(MOUNT, FROM)
    _check(entry, kept)
    return kept


def _kept(entry: Entry, query: Query) -> Iterator[Piece]:
    known = {parameter.name for parameter in entry.known}
    for name, raw in query.pieces:
        if name in known or entry.others in (Others.PAGING, Others.FREE):
            yield name, raw
        elif entry.others is Others.STATE:
            _, *more = raw.split(";")
            names = (unquote_plus(one.partition("=")[0]) for one in more)
            if any(map(_is_about_a_mount, names)):
                raise BadRequest("the state of an upload has no mount behind a ';'")
            if not _is_about_a_mount(name):
                yield name, raw


def _check(entry: Entry, query: Query) -> None:
    for parameter in entry.known:
        raw_values = [raw for name, raw in query.pieces if name == parameter.name]
        if len(raw_values) > 1 and not parameter.may_repeat:
            raise BadRequest(f"{parameter.name} stands more than once in the query")
        for raw in raw_values:
            parameter.check(value_of(raw))


def _is_mount(query: Query) -> bool:
    mounts, sources = query.values(MOUNT), query.values(FROM)
    return (
        len(mounts) == len(sources) == 1
        and is_digest(mounts[0])
        and is_name(sources[0])
    )


def _is_about_a_mount(name: str) -> bool:
    """Tell whether some server may take a parameter for one of a mount."""
    return _ABOUT_A_MOUNT.fullmatch(name.lower()) is not None
