"""The root of a service as a resource for the sites of other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from regbroker.errors import Stopping
from regbroker.transport.server.replies import send_error

_NOT_RUNNING = "the service of this registry was not started, or was stopped"


class CurrentRoot(Resource):
    """
    Has each request answered by the generation that is in use as it comes.

    It is for sites of other programs: our own site has the generation's root itself.
    Such a site may serve before the service does, and after it: while `is_running` says
    no, the answer is 503.
    """

    isLeaf = True
    streams = True
    current: Any

    def __init__(self, is_running: Callable[[], bool]) -> None:
        super().__init__()
        self._is_running = is_running

    def render(self, request: Any) -> Any:
        if not self._is_running():
            send_error(request, Stopping(_NOT_RUNNING))
            return NOT_DONE_YET
        return self.current.render(request)
