"""
What regbroker itself says: JSON documents and errors, rendered in one place.

Every reply carries ``Docker-Distribution-Api-Version``, as docker's clients
expect of anything that calls itself a registry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from twisted.web.server import Request

from regbroker.errors import HTTPError
from regbroker.protocol.by_name import ByName
from regbroker.protocol.header_list import HeaderList
from regbroker.protocol.headers import Header
from regbroker.transport.reply_heads import reason_phrase
from regbroker.transport.streaming_request import StreamingRequest

API_VERSION = (b"Docker-Distribution-Api-Version", b"registry/2.0")
SERVER = b"regbroker"

#: What a reply has once, and nobody else says: fields in lower case.
_OURS = frozenset({b"date", b"server", API_VERSION[0].lower()})
_IS_OURS = ByName(lambda name: name.lower() in _OURS)
_OF_A_BODY = ByName(lambda name: name.lower() in (b"content-type", b"content-length"))

#: What tells a client which line of the log is about its request.
REQUEST_ID = b"X-Request-ID"


def set_status(request: Request, status: int) -> None:
    """Set the status line and the headers that every reply carries."""
    request.setResponseCode(status, reason_phrase(status))
    request.responseHeaders.setRawHeaders(b"Server", [SERVER])
    request.responseHeaders.setRawHeaders(API_VERSION[0], [API_VERSION[1]])
    request.defaultContentType = None


def send_head(request: Request, status: int, headers: HeaderList) -> None:
    """
    Begin a reply with these headers, and those that every reply carries.

    They are sent as they are, with the first byte of the body or at its end. Those in
    ``request.responseHeaders`` come before them.
    """
    if isinstance(request, StreamingRequest):
        every = HeaderList(((b"Server", SERVER), API_VERSION))
        before = request.headers_before()
        every += [header for header in (*before, *headers) if not _IS_OURS[header[0]]]
        request.begin(status, every)
        return
    # A site of another program.
    set_status(request, status)
    for name, value in headers:
        if not _IS_OURS[name]:
            request.responseHeaders.addRawHeader(name, value)


def reply_header(request: Request, name: bytes) -> bytes | None:
    """Return the first value of a header of a reply, as far as it is known."""
    if isinstance(request, StreamingRequest):
        return request.reply_header(name)
    values = request.responseHeaders.getRawHeaders(name)
    return values[0] if values else None


def send_whole(request: Request, status: int, headers: HeaderList, body: bytes) -> None:
    """Send a whole reply; `headers` say what `body` is, and how long."""
    send_head(request, status, headers)
    request.write(body)
    request.finish()


def send_bytes(
    request: Request,
    status: int,
    content_type: bytes,
    body: bytes,
    headers: Iterable[Header] = (),
) -> None:
    """Send a whole reply with a body of known length; `headers` are sent with it."""
    whole = HeaderList([header for header in headers if not _OF_A_BODY[header[0]]])
    whole.append((b"Content-Type", content_type))
    whole.append((b"Content-Length", b"%d" % len(body)))
    send_whole(request, status, whole, body)


def send_json(request: Request, document: Any, status: int = 200) -> None:
    """Send a JSON document."""
    body = json.dumps(document).encode() + b"\n"
    send_bytes(request, status, b"application/json", body)


def send_error(request: Request, error: HTTPError) -> None:
    """Send an error as an OCI document: the one place where errors become replies."""
    request_id = reply_header(request, REQUEST_ID) or b""
    body = error.body(request_id.decode())
    send_bytes(request, error.status, b"application/json", body, error.headers)
