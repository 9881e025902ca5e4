"""
Everything that regbroker itself can refuse or fail at, as one tree::

    RegbrokerError
    |-- ConfigurationError        the ini file; carries every problem at once
    |-- StateError                the machine: a port, a file, a directory
    `-- HTTPError                 becomes the reply to one request
        |-- ClientError           the client's fault
        |   |-- BadRequest            400  UNSUPPORTED
        |   |-- NameInvalid           400  NAME_INVALID
        |   |-- DigestInvalid         400  DIGEST_INVALID
        |   |-- TagInvalid            400  TAG_INVALID
        |   |-- ExchangeRefused       400  UNAUTHORIZED
        |   |-- Unauthorized          401  UNAUTHORIZED
        |   |-- Denied                403  DENIED
        |   |-- NameUnknown           404  NAME_UNKNOWN
        |   |-- UploadUnknown         404  BLOB_UPLOAD_UNKNOWN
        |   |-- EndpointUnknown       404  UNSUPPORTED
        |   |-- MethodNotAllowed      405  UNSUPPORTED
        |   |-- BodyTooSlow           408  UNKNOWN
        |   |-- BodyTooLarge          413  SIZE_INVALID
        |   |-- HostUnknown           421  NAME_UNKNOWN
        |   |-- TooManyRequests       429  TOOMANYREQUESTS
        |   `-- HeadersTooLarge       431  UNSUPPORTED
        |-- AccountsUnavailable   503  UNAVAILABLE
        |-- TooManyConnections    503  UNAVAILABLE
        |-- Stopping              503  UNAVAILABLE
        |-- LoopDetected          508  UNSUPPORTED
        `-- UpstreamError         the upstream's fault
            |-- UpstreamMalformed     502  UNKNOWN
            |-- RedirectRefused       502  UNKNOWN
            |-- UpstreamUnavailable   503  UNAVAILABLE
            |   `-- OwnAccountRefused 503  UNAVAILABLE
            |-- UpstreamTimeout       504  UNAVAILABLE
            |-- StorageRefused        as the storage says, or fails
            |-- TokensUnavailable     as the token service says
            `-- UpstreamRefused       as the upstream says

The codes are those of the OCI distribution specification, with Docker's
``TAG_INVALID``, ``UNAVAILABLE`` and ``UNKNOWN`` where the specification has
none. `regbroker.transport.server.replies.send_error` is the one place that renders
them. The module stays whole, as it is one tree.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from regbroker.causes import Cause

_encode = json.JSONEncoder().encode

#: Documents of errors that are kept, and how long their sentences may be.
_MAX_DOCUMENTS = 128
_MAX_KEPT = 300


@lru_cache(maxsize=_MAX_DOCUMENTS)
def _document(code: str, message: str) -> bytes:
    """Return an error's document, with ``%b`` in the place of the request's id."""
    error = {"code": code, "message": message, "detail": {"request_id": "%b"}}
    before, after = _encode({"errors": [error]}).rsplit("%b", 1)
    return f"{before.replace('%', '%%')}%b{after}\n".encode()


class RegbrokerError(Exception):
    """Anything that regbroker refuses or fails at on purpose."""


class ConfigurationError(RegbrokerError):
    """
    The configuration cannot be served.

    `problems` holds every problem, each a line that names section and option.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StateError(RegbrokerError):
    """The machine does not give what the configuration needs."""


class HTTPError(RegbrokerError):
    """
    The reply to one request: a status, an OCI code and a sentence for people.

    `headers` are sent with it, in order; `detail` is any JSON value. `cause` is
    what the log says: by default that of the class.
    """

    status = 500
    code = "UNKNOWN"
    cause = Cause.DONE

    def __init__(
        self,
        message: str,
        *,
        detail: Any = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        cause: Cause | None = None,
    ) -> None:
        super().__init__(message)
        if cause is not None:
            self.cause = cause
        self.message = message
        self.detail = detail
        self.headers = tuple(headers)

    def header(self, name: bytes) -> str | None:
        """Return the first value of a header that is sent with it, or None."""
        values = (v for n, v in self.headers if n.lower() == name.lower())
        value = next(values, None)
        return None if value is None else value.decode("latin-1")

    def body(self, request_id: str = "") -> bytes:
        """
        Return the OCI error document, UTF-8 JSON.

        `request_id` stands in its detail, if that is an object. Clients may have
        any detail, and most do not show it.
        """
        detail = self.detail
        is_plain = request_id.isascii() and request_id.isalnum()
        if detail is None and is_plain and len(self.message) <= _MAX_KEPT:
            # Most errors: nothing in them differs from one request to the next.
            return _document(self.code, self.message) % request_id.encode("ascii")
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if request_id and (detail is None or isinstance(detail, dict)):
            detail = {**(detail or {}), "request_id": request_id}
        if detail is not None:
            error["detail"] = detail
        return _encode({"errors": [error]}).encode() + b"\n"


_CLOSE = ((b"Connection", b"close"),)


class ClientError(HTTPError):
    """The client's fault; nothing of it reached the upstream."""

    status = 400
    code = "UNSUPPORTED"


class BadRequest(ClientError):
    """The request breaks HTTP or the protocol."""


class NameInvalid(ClientError):
    """The repository name is outside the OCI grammar."""

    code = "NAME_INVALID"


class DigestInvalid(ClientError):
    """The digest is not ``algorithm:encoded``."""

    code = "DIGEST_INVALID"


class TagInvalid(ClientError):
    """The reference is neither a tag nor a digest."""

    code = "TAG_INVALID"


class Unauthorized(ClientError):
    """Credentials are needed; `headers` carries the challenges."""

    status = 401
    code = "UNAUTHORIZED"


class ExchangeRefused(ClientError):
    """
    A token exchange is refused; its document is that of OAuth (RFC 6749, 5.2).

    `error` is one of its codes, such as ``invalid_request``.
    """

    code = "UNAUTHORIZED"

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message, headers=((b"Cache-Control", b"no-store"),))
        self.error = error

    def body(self, request_id: str = "") -> bytes:
        """Return the document of OAuth, UTF-8 JSON."""
        document = {"error": self.error, "error_description": self.message}
        return json.dumps(document).encode() + b"\n"


class Denied(ClientError):
    """The account may not do that; new credentials would not help."""

    status = 403
    code = "DENIED"


class NameUnknown(ClientError):
    """No namespace rule maps this repository name."""

    status = 404
    code = "NAME_UNKNOWN"


class UploadUnknown(ClientError):
    """The upload is none that was begun here, or the key that sealed it is gone."""

    status = 404
    code = "BLOB_UPLOAD_UNKNOWN"


class EndpointUnknown(ClientError):
    """The path is no endpoint of the distribution API."""

    status = 404


class MethodNotAllowed(ClientError):
    """The endpoint exists, the method does not; `headers` carries Allow."""

    status = 405


class BodyTooSlow(ClientError):
    """The client sends its body too slowly, or not at all; its connection ends."""

    status = 408
    code = "UNKNOWN"
    cause = Cause.CLIENT_SLOW

    def __init__(self, message: str, cause: Cause = Cause.CLIENT_SLOW) -> None:
        super().__init__(message, headers=_CLOSE, cause=cause)


class BodyTooLarge(ClientError):
    """A body that has to be read whole is larger than its bound."""

    status = 413
    code = "SIZE_INVALID"
    cause = Cause.BOUND_REACHED


class HostUnknown(ClientError):
    """No registry is configured for the Host that was asked for."""

    status = 421
    code = "NAME_UNKNOWN"


class TooManyRequests(ClientError):
    """Too many wrong passwords; `headers` carries Retry-After."""

    status = 429
    code = "TOOMANYREQUESTS"
    cause = Cause.BOUND_REACHED


class HeadersTooLarge(ClientError):
    """The request line and headers exceed their bound."""

    status = 431


class AccountsUnavailable(HTTPError):
    """Our own side: the directory is down that could tell a right password."""

    status = 503
    code = "UNAVAILABLE"
    cause = Cause.ACCOUNTS_UNAVAILABLE


class TooManyConnections(HTTPError):
    """There are too many connections, from everywhere or from one address."""

    status = 503
    code = "UNAVAILABLE"
    cause = Cause.BOUND_REACHED

    def __init__(self, message: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        super().__init__(message, headers=(*headers, *_CLOSE))


class Stopping(HTTPError):
    """regbroker is being stopped and has not answered yet, or does not run."""

    status = 503
    code = "UNAVAILABLE"
    cause = Cause.STOPPED

    def __init__(self, message: str = "regbroker was stopped") -> None:
        super().__init__(message, headers=_CLOSE)


class LoopDetected(HTTPError):
    """What is configured here, or an upstream's redirect, leads back to here."""

    status = 508
    code = "UNSUPPORTED"
    cause = Cause.LOOP


class UpstreamError(HTTPError):
    """The upstream's fault."""

    status = 502


class UpstreamMalformed(UpstreamError):
    """The upstream's answer cannot be understood or must not be passed on."""

    cause = Cause.UPSTREAM_MALFORMED


class RedirectRefused(UpstreamError):
    """
    The upstream redirects to where regbroker does not lead or follow.

    `why` is for the log: a client is not told what lies behind, `message` at most.
    """

    cause = Cause.REDIRECT_REFUSED

    def __init__(
        self,
        why: str,
        message: str = "the upstream redirects to where regbroker does not follow",
    ) -> None:
        super().__init__(message)
        self.why = why


class UpstreamUnavailable(UpstreamError):
    """The upstream cannot be reached, or its certificate is not trusted."""

    status = 503
    code = "UNAVAILABLE"
    cause = Cause.UPSTREAM_UNREACHABLE


class OwnAccountRefused(UpstreamUnavailable):
    """The upstream does not take regbroker's own account: no outage, for others."""

    cause = Cause.OWN_ACCOUNT_REFUSED


class UpstreamTimeout(UpstreamError):
    """The upstream did not answer in time."""

    status = 504
    code = "UNAVAILABLE"
    cause = Cause.UPSTREAM_IDLE


class StorageRefused(UpstreamError):
    """
    The storage that the upstream redirects to said no, or nothing: our words.

    The status is the storage's, or says how it has failed.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        cause: Cause | None = None,
    ) -> None:
        super().__init__(message, headers=headers, cause=cause)
        self.status = status
        self.code = code


class TokensUnavailable(UpstreamError):
    """The upstream's token service gives no token now, and says 429 or nothing."""

    code = "UNAVAILABLE"
    cause = Cause.TOKENS_FAILED

    def __init__(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        cause: Cause | None = None,
    ) -> None:
        super().__init__(
            "the upstream's token service gives no token now",
            headers=headers,
            cause=cause,
        )
        self.status = status
        self.code = code_for_status(status)


class UpstreamRefused(UpstreamError):
    """The upstream said no: its status and its document, names mapped back."""

    def __init__(
        self, status: int, document: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__(f"the upstream answered with status {status}", headers=headers)
        self.status = status
        self._document = document

    def body(self, request_id: str = "") -> bytes:
        """Return the upstream's OCI document, which is not ours to add to."""
        return self._document


#: The OCI code that says the same as an HTTP status, for upstream replies
#: that bring no code of their own.
CODES_BY_STATUS = {
    400: "UNSUPPORTED",
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    413: "SIZE_INVALID",
    416: "UNSUPPORTED",
    429: "TOOMANYREQUESTS",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}


#: An upstream that answers so may be well again later, and another one now.
FAILING_STATUSES = frozenset({429, 502, 503, 504})


def code_for_status(status: int) -> str:
    """Return the OCI code for an HTTP error status."""
    return CODES_BY_STATUS.get(status, "UNKNOWN")
