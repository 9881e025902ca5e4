"""
The listener that sends clients on to https: every request is answered with 308.

308 (RFC 9110, 15.4.9) keeps the method. The host is checked as for every other request,
so that nobody is sent to a host that is not served here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource

from regbroker.protocol.origins import Origin, parse_origin
from regbroker.protocol.queries import split_target
from regbroker.web.client_request import ClientRequest


class HttpsRedirect(Resource):
    """
    The root of the redirecting listeners.

    `root.current` is the `VirtualHosts` in use; `port` returns the port of the TLS
    listener.
    """

    isLeaf = True
    streams = True

    def __init__(self, root: Any, port: Callable[[], int]) -> None:
        super().__init__()
        self._root = root
        self._port = port

    def render(self, request: Any) -> int:
        """Answer any method."""
        answered: int = self._root.current.redirect(request, self._port())
        return answered


def https_url(request: ClientRequest, public_url: Origin | None, port: int) -> str:
    """
    Return the https URL of what a request asks for.

    It has the host of the request and this port, unless `public_url` says how clients
    reach the registry.
    """
    if public_url is not None and public_url.scheme == "https":
        origin = public_url
    else:
        asked = parse_origin("https", request.forwarded.host)
        assert asked is not None, "the registry was picked by this host"
        origin = Origin("https", asked.host, port)
    path, query = split_target(request.http.uri.decode("ascii"))
    # "OPTIONS *" has no path.
    target = path if path.startswith("/") else "/"
    return f"{origin}{target}?{query}" if query else f"{origin}{target}"
