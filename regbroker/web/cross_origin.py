"""CORS at the door of a registry: preflights answered, replies marked."""

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
from regbroker.protocol.origins import Origin
from regbroker.transport.replies import set_status
from regbroker.web.search import PATHS as SEARCH_PATHS

#: Methods that change nothing.
_WITHOUT_EFFECT = (b"GET", b"HEAD", b"OPTIONS")

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

    def answer(
        self, request: Request, path: str, token_path: str, own: Origin | None
    ) -> bool:
        """
        Mark the reply to come; True when it was a preflight and is answered.

        `token_path` is where the token service is for this request, `own` where the
        request came to. Raises `Denied` when a page that may not use the registry
        wants to change something: a browser sends a form, credentials and all,
        without asking first.
        """
        headers = request.requestHeaders
        given = [
            value.decode("latin-1") for value in headers.getRawHeaders(b"Origin", [])
        ]
        origin = allowed_origin(self._origins, given)
        # An upstream with rules of its own may refuse pages that it does not
        # know. It is not asked by one: we are.
        headers.removeHeader(b"Origin")
        if origin is None and given and request.method not in _WITHOUT_EFFECT:
            ours = () if own is None else (str(own),)
            if allowed_origin(ours, given) is None:
                _add(request, reply_headers(None))
                raise Denied("pages of this origin may not use this registry")
        methods = self._methods(path, token_path)
        wanted = request.getHeader("Access-Control-Request-Method")
        asks = is_preflight(request.method.decode("latin-1"), wanted)
        if origin is None or methods is None or not asks:
            _add(request, reply_headers(origin))
            return False
        _add(request, preflight_headers(origin, methods))
        set_status(request, 204)
        request.finish()
        return True

    def _methods(self, path: str, token_path: str) -> str | None:
        if path == "/v2" or path.startswith("/v2/"):
            return self._api_methods
        if path.rstrip("/") == token_path:
            return _TOKENS
        return _READING if path in SEARCH_PATHS else None


def _add(request: Request, headers: Iterable[Header]) -> None:
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)
