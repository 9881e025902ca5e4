"""
Requests for the pages of an application, on a site in which bodies stream.

A resource that `streams` is rendered when the headers are in. Any other is a page: it
is rendered when the body is here, and finds `args` and `content` as in Twisted's site.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from regbroker.errors import HTTPError
from regbroker.transport.server.body_reading import receive_body
from regbroker.transport.server.request_bodies import ClientGone, StreamedBody
from regbroker.transport.twisted_private.http import RequestInternals


class PageRequest(RequestInternals):
    """A request whose resource the site has found: one that streams, or a page."""

    body: StreamedBody
    content: Any
    #: The page that waits for the body.
    _page: Any = None
    #: Whether the body was waited for. A page may have another one rendered then.
    _is_whole = False

    def render(self, resrc: Any) -> None:
        """Have the resource answer, or keep it until the body is here."""
        if self._is_whole or getattr(resrc, "streams", False):
            super().render(resrc)
            return
        self._page = resrc
        # Twisted's makes `content`, in memory or a file.
        super().gotLength(self.body.bytes_missing)
        whole = receive_body(self, self.content.write)
        whole.addCallbacks(self._arrived, self._not_arrived)
        whole.addErrback(self.processingFailed)

    def _arrived(self, _: None) -> None:
        self._is_whole = True
        if self.body.bytes_received:
            self.body.is_spooled = True
        # Twisted's parses the query and a form, and calls `process`.
        super().requestReceived(self.method, self.uri, self.clientproto)

    def _not_arrived(self, failure: Failure) -> None:
        failure.trap(ClientGone, HTTPError)
        error = failure.value
        if isinstance(error, HTTPError):
            self.setResponseCode(error.status)
            for name, value in error.headers:
                self.setHeader(name, value)
            self.finish()

    def process(self) -> None:
        """Have the resource of the path found, or the page that was found answer."""
        page, self._page = self._page, None
        if page is None:
            super().process()
            return
        try:
            super().render(page)
        except Exception:
            self.processingFailed(Failure())
