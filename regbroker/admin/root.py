"""
What the admin listener answers: ``/live``, ``/ready`` and ``/metrics``, and pages.

Without accounts: everybody who reaches the listener may read all of it, and there is
nothing that could be changed. What programs ask for is answered whatever the Host.
Pages are not: a web site whose name leads to 127.0.0.1 could have the operator's own
browser read them on loopback (DNS rebinding).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from regbroker.admin.monitor import Monitor
from regbroker.protocol.addresses import is_loopback, is_resolved

_log = Logger()

#: The format that every version of Prometheus reads.
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Page:
    """One answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


#: Returns what is to be answered now.
View = Callable[[], Awaitable[Page]]


def json_page(document: Any, status: int = 200) -> Page:
    """Return a page with a JSON document."""
    body = json.dumps(document, indent=2).encode() + b"\n"
    return Page(status, "application/json", body)


def text_page(status: int, text: str, *headers: tuple[str, str]) -> Page:
    """Return a page with a line of text."""
    return Page(status, "text/plain; charset=utf-8", f"{text}\n".encode(), headers)


class AdminRoot(Resource):
    """
    Answers GET and HEAD of `views` and `pages`, which are by path.

    On loopback, `pages` are for who asks by address or for ``localhost``.
    """

    isLeaf = True
    streams = True

    def __init__(
        self, views: Mapping[bytes, View], pages: Mapping[bytes, View]
    ) -> None:
        super().__init__()
        self._views = {**pages, **views}
        self._pages = frozenset(pages)

    def render(self, request: Any) -> int:
        """Answer any request."""
        work = Deferred.fromCoroutine(self._answer(request))
        request.notifyFinish().addErrback(lambda _: work.cancel())
        work.addErrback(self._failed, request)
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        path = request.uri.split(b"?", 1)[0]
        view = self._views.get(path)
        if view is None:
            paths = ", ".join(path.decode() for path in self._views)
            page = text_page(404, f"there is nothing here; there are {paths}")
        elif request.method not in (b"GET", b"HEAD"):
            page = text_page(405, "GET and HEAD only", ("Allow", "GET, HEAD"))
        elif path in self._pages and _is_led_here(request):
            page = text_page(421, "this page is at http://localhost and by address")
        else:
            page = await view()
        _send(request, page)

    def _failed(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):
            # The client has left.
            return
        _log.failure("admin: {path}", failure, path=request.uri.decode("latin-1"))
        _send(request, text_page(500, "regbroker failed at this; its log says why"))


def _is_led_here(request: Request) -> bool:
    """Tell whether a name of DNS has led a browser to a loopback address."""
    own = getattr(request.getHost(), "host", "")
    host = request.getRequestHostname().decode("latin-1")
    return is_loopback(own) and is_resolved(host)


def _send(request: Request, page: Page) -> None:
    request.setResponseCode(page.status)
    headers = (
        ("Content-Type", page.content_type),
        ("Content-Length", str(len(page.body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Server", "regbroker"),
        *page.headers,
    )
    for name, value in headers:
        request.responseHeaders.setRawHeaders(name, [value])
    request.write(page.body)
    request.finish()


def probes(monitor: Monitor) -> dict[bytes, View]:
    """Return the views for programs: whether it lives, is ready, and its metrics."""

    async def live() -> Page:
        return json_page({"live": True})

    async def ready() -> Page:
        found = await monitor.readiness()
        document, is_ready = found.document(), found.is_ready
        if monitor.others is not None:
            is_ready = is_ready and monitor.others.is_serving
            document |= {"ready": is_ready, "workers": monitor.others.states}
        return json_page(document, 200 if is_ready else 503)

    async def metrics() -> Page:
        # Nobody waits for an upstream here; what it says is there at the next scrape.
        monitor.refresh()
        await monitor.gather()
        return Page(200, _METRICS_TYPE, monitor.text())

    return {b"/live": live, b"/ready": ready, b"/metrics": metrics}
