"""
One request to the registry, parsed and with its rights; and replies without a body.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twisted.web.server import Request

from regbroker.protocol.names import Target
from regbroker.sandbox.digests import Digest
from regbroker.sandbox.token_endpoint import Form, first
from regbroker.sandbox.tokens import Grant
from regbroker.transport.replies import set_status


@dataclass(frozen=True)
class Call:
    """A request, what it is for, its query, and what its token allows."""

    request: Request
    target: Target
    query: Form
    grant: Grant

    @property
    def name(self) -> str:
        """The repository's name, on endpoints that have one."""
        assert self.target.name is not None
        return self.target.name

    @property
    def reference(self) -> str:
        """The tag, digest or upload id, on endpoints that have one."""
        assert self.target.reference is not None
        return self.target.reference

    def has(self, parameter: str) -> bool:
        """Tell whether the query has this parameter."""
        return parameter in self.query

    def parameter(self, name: str) -> str:
        """Return the parameter's first value in the query, or nothing."""
        return first(self.query, name)

    def set_digest(self, digest: Digest) -> None:
        """Set the headers that name the content."""
        self.request.setHeader("Docker-Content-Digest", str(digest))
        self.request.setHeader("ETag", f'"{digest}"')

    def not_modified(self, digest: Digest) -> bool:
        """Answer 304 and return True if the client holds the content already."""
        known = self.request.getHeader("If-None-Match") or ""
        if f'"{digest}"' not in known.split(", "):
            return False
        self.set_digest(digest)
        send_empty(self.request, 304)
        return True


def send_empty(
    request: Request, status: int, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a reply without a body."""
    set_status(request, status)
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)
    if status not in (204, 304):
        request.setHeader("Content-Length", "0")
    request.finish()
