"""
The health check of balancers, on the public listeners.

A balancer asks every second or so, by address, with a Host of its own making or none.
So what it asks for is answered before anything is looked at, and is not in the log.
Upstreams do not count here: with an upstream down, a balancer would take out every
regbroker at once, and with them the registries whose upstreams are well.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.server import Request

from regbroker.transport.server.replies import send_json


class Health:
    """
    Answers health checks at one path.

    `is_draining` tells whether the balancer should send new clients elsewhere.
    """

    def __init__(self, path: str, is_draining: Callable[[], bool]) -> None:
        self._target = path.encode("ascii")
        self._is_draining = is_draining

    def answer(self, request: Request) -> bool:
        """
        Answer a GET or HEAD of the path: 200, or 503 while draining.

        Return False, and do nothing, for every other request.
        """
        path = request.uri.split(b"?", 1)[0]
        if path != self._target or request.method not in (b"GET", b"HEAD"):
            return False
        request.setHeader(b"Cache-Control", b"no-store")
        if self._is_draining():
            send_json(request, {"status": "draining"}, 503)
        else:
            send_json(request, {"status": "ok"})
        return True
