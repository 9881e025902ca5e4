"""
One request to the registry, parsed and with its rights; and replies without a body.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twisted.web.server import Request

from regbroker.accounts.tokens import AccessToken
from regbroker.protocol.headers import Header
from regbroker.protocol.names import Target
from regbroker.protocol.queries import Query
from regbroker.sandbox.digests import Digest
from regbroker.transport.replies import set_status


@dataclass(frozen=True)
class Call:
    """A request, what it is for, its query, and what its token allows."""

    request: Request
    target: Target
    query: Query
    token: AccessToken

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

    def parameter(self, name: str) -> str | None:
        """Return the parameter's first value in the query, or None."""
        return next(iter(self.query.values(name)), None)

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
        self.send_empty(304)
        return True

    def send_created(
        self, kind: str, digest: Digest, headers: Iterable[Header] = ()
    ) -> None:
        """Say that a blob, or a manifest, is there now; `kind` is in its path."""
        self.set_digest(digest)
        location = f"/v2/{self.name}/{kind}/{digest}".encode()
        self.send_empty(201, [(b"Location", location), *headers])

    def send_empty(self, status: int, headers: Iterable[Header] = ()) -> None:
        """Send a reply without a body."""
        set_status(self.request, status)
        for name, value in headers:
            self.request.responseHeaders.addRawHeader(name, value)
        if status not in (204, 304):
            self.request.setHeader("Content-Length", "0")
        self.request.finish()
