"""
What regbroker itself says: JSON documents and errors, rendered in one place.

What every reply carries is in `regbroker.transport.server.reply_heads`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twisted.web.server import Request

from regbroker.errors import HTTPError
from regbroker.protocol.header_list import LOWER, HeaderList
from regbroker.protocol.headers import Header
from regbroker.transport.server.reply_heads import (
    API_VERSION,
    OF_A_BODY,
    OURS,
    REQUEST_ID,
    SERVER,
    reason_phrase,
)
from regbroker.transport.server.replying_request import ReplyingRequest


def set_request_id(request: Request, request_id: str) -> None:
    """Have the reply tell the client which line of the log is about its request."""
    if isinstance(request, ReplyingRequest):
        request.set_request_id(request_id.encode())
    else:
        request.setHeader(REQUEST_ID, request_id.encode())


def set_status(request: Request, status: int) -> None:
    """Set the status line and the headers that every reply carries."""
    request.setResponseCode(status, reason_phrase(status))
    for name, value in (SERVER, API_VERSION):
        request.responseHeaders.setRawHeaders(name, [value])
    request.defaultContentType = None


def send_head(request: Request, status: int, headers: HeaderList) -> None:
    """
    Begin a reply with these headers, and those that every reply carries.

    They are sent as they are, with the first byte of the body or at its end. Those in
    ``request.responseHeaders`` come before them.
    """
    if isinstance(request, ReplyingRequest):
        request.begin(status, headers)
        return
    # A site of another program.
    set_status(request, status)
    for name, value in headers:
        if LOWER[name] not in OURS:
            request.responseHeaders.addRawHeader(name, value)


def reply_header(request: Request, name: bytes) -> bytes | None:
    """Return the first value of a header of a reply, as far as it is known."""
    if isinstance(request, ReplyingRequest):
        return request.reply_header(name)
    values = request.responseHeaders.getRawHeaders(name)
    return values[0] if values else None


def send_whole(request: Request, status: int, headers: HeaderList, body: bytes) -> None:
    """Send a whole reply; `headers` say what `body` is, and how long."""
    if isinstance(request, ReplyingRequest):
        request.send(status, headers, body)
        return
    send_head(request, status, headers)
    request.write(body)
    request.finish()


def send_bytes(
    request: Request,
    status: int,
    content_type: bytes,
    body: bytes,
    headers: Sequence[Header] = (),
) -> None:
    """Send a whole reply with a body of this type; `headers` are sent with it."""
    if isinstance(request, ReplyingRequest):
        request.send(status, headers, body, content_type)
        return
    whole = HeaderList(field for field in headers if LOWER[field[0]] not in OF_A_BODY)
    whole.append((b"Content-Type", content_type))
    whole.append((b"Content-Length", b"%d" % len(body)))
    send_whole(request, status, whole, body)


def send_json(request: Request, document: Any, status: int = 200) -> None:
    """Send a JSON document."""
    body = json.dumps(document).encode() + b"\n"
    send_bytes(request, status, b"application/json", body)


def send_error(request: Request, error: HTTPError, request_id: str = "") -> None:
    """
    Send an error as an OCI document: the one place where errors become replies.

    The document names `request_id`, which the reply has as `REQUEST_ID` already.
    """
    body = error.body(request_id)
    send_bytes(request, error.status, b"application/json", body, error.headers)
