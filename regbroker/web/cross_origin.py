"""CORS: preflights are answered here, and replies get their CORS headers."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.web.server import Request

from regbroker.errors import Denied
from regbroker.protocol.cors import (
    allowed_origin,
    is_preflight,
    preflight_headers,
    reply_headers,
)
from regbroker.protocol.headers import Header
from regbroker.protocol.origins import parse_origin
from regbroker.transport.server.replies import set_status
from regbroker.web.client_request import ClientRequest
from regbroker.web.search import PATHS as SEARCH_PATHS

#: Methods that change nothing.
_WITHOUT_EFFECT = ("GET", "HEAD", "OPTIONS")

_READING = "GET, HEAD"
_WRITING = "GET, HEAD, POST, PUT, PATCH, DELETE"
_TOKENS = "GET, POST"


class CrossOrigin:
    """
    What one registry tells the browsers of web pages.

    `origins` are those that are allowed, as in `regbroker.protocol.cors`; with
    `read_only` nothing of ``/v2`` may be written.
    """

    def __init__(self, origins: tuple[str, ...], read_only: bool = False) -> None:
        self._origins = origins
        self._api_methods = _READING if read_only else _WRITING

    def answer(self, request: ClientRequest, token_path: str) -> bool:
        """
        Mark the reply to come; True when it was a preflight and is answered.

        `token_path` is where the token service is for this request. Raises `Denied`
        when a page that may not use the registry wants to change something: a browser
        sends a form, credentials and all, without asking first.
        """
        http = request.http
        origins = [value.decode("latin-1") for value in request.headers.all(b"origin")]
        origin = allowed_origin(self._origins, origins)
        if origin is None and origins and request.method not in _WITHOUT_EFFECT:
            own = parse_origin(request.forwarded.scheme, request.forwarded.host)
            ours = () if own is None else (str(own),)
            if allowed_origin(ours, origins) is None:
                _add(http, reply_headers(None))
                raise Denied("pages of this origin may not use this registry")
        methods = self._methods(request, token_path)
        wanted = request.headers.text(b"access-control-request-method")
        asks = is_preflight(request.method, wanted)
        if origin is None or methods is None or not asks:
            _add(http, reply_headers(origin))
            return False
        _add(http, preflight_headers(origin, methods))
        set_status(http, 204)
        http.finish()
        return True

    def _methods(self, request: ClientRequest, token_path: str) -> str | None:
        if request.is_for_api:
            return self._api_methods
        if request.path.rstrip("/") == token_path:
            return _TOKENS
        return _READING if request.path in SEARCH_PATHS else None


def _add(request: Request, headers: Iterable[Header]) -> None:
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)
