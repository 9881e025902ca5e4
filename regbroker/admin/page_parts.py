"""Tags that several sections of the status page are made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from twisted.web.template import Tag, tags

from regbroker.admin.readable import ago


def card(title: str, inside: Any, count: int | None = None) -> Tag:
    """Return a box with a heading, and the number of things in it."""
    heading = tags.h2(title)
    if count is not None:
        heading(tags.span(f" · {count}", class_="count"))
    return tags.section(heading, inside, class_="card")


def pill(text: str, kind: str = "") -> Tag:
    """Return a word in a coloured frame; `kind` is a class of the style sheet."""
    return tags.span(text, class_=f"pill {kind}".strip())


def point_in_time(at: float, now: float) -> Tag:
    """Return how long ago a moment was, and the moment itself below the pointer."""
    moment = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")
    return tags.time(ago(now - at), datetime=moment, title=moment)


def list_of(items: Iterable[Any], otherwise: str) -> Tag:
    """Return a list of items, or the sentence `otherwise` when there are none."""
    rows = [tags.li(item) for item in items]
    return tags.ul(rows, class_="rows") if rows else tags.p(otherwise, class_="empty")
