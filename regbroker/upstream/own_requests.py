"""
What regbroker's own requests to an upstream say, and which replies are answers.

They find out who issues tokens, whether a login is good, and whether the upstream
answers at all. None of them changes anything there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Protocol

from regbroker import __version__
from regbroker.causes import Cause
from regbroker.errors import TooManyRequests, UpstreamUnavailable
from regbroker.protocol.headers import Header, via
from regbroker.protocol.retry_after import passed_on
from regbroker.transport.bodies.upload import gather_body
from regbroker.transport.client.reply import Reply

USER_AGENT: Header = (b"User-Agent", f"regbroker/{__version__}".encode())

#: The headers of each request of our own.
OWN_HEADERS: tuple[Header, ...] = (USER_AGENT, via(()))

#: An upload that no registry has: to cancel it changes nothing.
_NO_UPLOAD = "00000000-0000-0000-0000-000000000000"


class SendRequest(Protocol):
    """Sends a request to an upstream, as `Upstream.request` does."""

    def __call__(
        self, method: str, target: str, headers: Iterable[Header], /
    ) -> Awaitable[Reply]:
        """Return the reply when its headers are in."""


async def ask_for_ourselves(
    send: SendRequest,
    method: str,
    target: str,
    *,
    authorization: bytes | None = None,
    max_bytes: int = 0,
) -> tuple[Reply, str]:
    """
    Send a request of our own; return its answer, and the answer's body as text.

    A body of at most `max_bytes` is read. With 0, none is read, and the connection
    ends. Raises as `check_answered`, as `send`, and as `gather_body`.
    """
    headers = list(OWN_HEADERS)
    if authorization is not None:
        headers.append((b"Authorization", authorization))
    reply = await send(method, target, headers)
    body = b""
    if max_bytes:
        body = await gather_body(reply, max_bytes)
    else:
        reply.abort()
    check_answered(reply)
    return reply, body.decode("utf-8", "replace")


def check_answered(reply: Reply) -> None:
    """
    Raise the error for a reply of an upstream that cannot answer now.

    429 raises `TooManyRequests`, 500 and above raise `UpstreamUnavailable`. Both carry
    the reply's ``Retry-After``.
    """
    if reply.status < 500 and reply.status != 429:
        return
    headers = passed_on(reply.header(b"Retry-After"))
    message = f"the upstream registry answered with status {reply.status}"
    if reply.status == 429:
        raise TooManyRequests(message, headers=headers)
    raise UpstreamUnavailable(message, headers=headers, cause=Cause.UPSTREAM_FAILED)


def proof_target(name: str) -> str:
    """Return a target that reads from a repository, and costs the upstream little."""
    return f"/v2/{name}/tags/list?n=1"


def missing_upload(name: str) -> str:
    """Return the target of an upload that does not exist in a repository."""
    return f"/v2/{name}/blobs/uploads/{_NO_UPLOAD}"
