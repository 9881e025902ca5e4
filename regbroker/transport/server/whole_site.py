"""
A resource that is the whole of a site, and answers each request itself.

Twisted looks for the resource of a path first, and has that render the request. On a
site of ours, such a root is asked at once.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET


class WholeSite(Resource):
    """Answers requests for all paths, with any method; works on other sites, too."""

    isLeaf = True
    streams = True

    def answer(self, request: Any) -> None:
        """Answer a request, now or later; the request is finished then."""
        raise NotImplementedError

    def render(self, request: Any) -> int:
        """Answer a request of a site that asks as Twisted does."""
        self.answer(request)
        return NOT_DONE_YET
