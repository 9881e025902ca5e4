"""
The status page: everything that is known, for people, as HTML.

Texts that clients have chosen are in it. So all of it is made by
`twisted.web.template`, which escapes, and a content security policy lets nothing run
but the page's own script. The page fetches its contents anew every two seconds. It
loads nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from twisted.web.template import Tag, flattenString, tags

from regbroker.admin.monitor import Monitor
from regbroker.admin.root import Page, View
from regbroker.admin.sections import contents
from regbroker.admin.transfers import TransferRates

_HTML = "text/html; charset=utf-8"


def _asset(name: str) -> str:
    return files("regbroker.admin").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest())
    return f"'sha256-{digest.decode()}'"


STYLE = _asset("status.css")
SCRIPT = _asset("status.js")

POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_digest(STYLE)}",
        f"script-src {_digest(SCRIPT)}",
        "connect-src 'self'",
        # Browsers ask for an icon, which is in the page.
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
)

#: Two boxes, one behind the other.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'"
    "%3E%3Crect width='10' height='10' rx='2' fill='%2395a8f5'/%3E%3Crect x='5' y='5' "
    "width='10' height='10' rx='2' fill='%233d5bd9'/%3E%3C/svg%3E"
)


def _document(inside: Any) -> Tag:
    head = tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.meta(name="robots", content="noindex"),
        tags.title("regbroker"),
        tags.link(rel="icon", href=_ICON),
        tags.style(STYLE),
    )
    body = tags.body(
        tags.div(id="note", role="status"),
        tags.div(inside, id="status"),
        tags.script(SCRIPT),
    )
    return tags.html(head, body, lang="en")


def status_views(monitor: Monitor) -> dict[bytes, View]:
    """Return the views of the status page: the page, and what it fetches anew."""
    rates = TransferRates(monitor.seconds)

    def inside() -> Any:
        monitor.refresh()
        progress = monitor.watched.under_way.progress()
        return contents(monitor, rates.transfers(progress))

    async def page() -> Page:
        await monitor.gather()
        body = await flattenString(None, _document(inside()))
        return Page(200, _HTML, b"<!DOCTYPE html>\n" + body, _HEADERS)

    async def fragment() -> Page:
        await monitor.gather()
        return Page(200, _HTML, await flattenString(None, inside()), _HEADERS)

    return {b"/": page, b"/status": fragment}
