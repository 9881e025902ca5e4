"""The root of a service as a resource for the sites of other programs."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource


class CurrentRoot(Resource):
    """
    Has each request answered by the generation that is in use as it comes.

    It is for sites of other programs: our own site has the generation's root itself.
    """

    isLeaf = True
    current: Any

    def render(self, request: Any) -> Any:
        return self.current.render(request)
