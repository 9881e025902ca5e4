"""What a failed request to a server becomes: for the log, and for the client."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as HandshakeTimeout
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
    UserError,
)
from twisted.logger import Logger
from twisted.web.client import RequestGenerationFailed

from regbroker.causes import Kind, Side, cause_of
from regbroker.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.origins import Origin
from regbroker.transport.reply_headers import UnsoundHeader
from regbroker.transport.tunnel import TunnelFailed
from regbroker.transport.twisted_private import wrapped_errors

#: The server that is asked mostly, in the words of an error.
UPSTREAM = Side.UPSTREAM.value

_log = Logger()


def was_cancelled(error: BaseException) -> bool:
    """Tell whether a request ended because nobody wanted its answer any more."""
    cancelled = CancelledError | ConnectingCancelledError
    return any(isinstance(reason, cancelled) for reason in wrapped_errors(error))


def _in_words(reason: BaseException, host: str) -> str:
    """Return what has happened, for the log; what is rare keeps Twisted's words."""
    if isinstance(reason, TunnelFailed):
        return str(reason)
    if isinstance(reason, ConnectionDone):
        return "it closed the connection before its answer was complete"
    if isinstance(reason, ConnectionLost | ConnectionAborted):
        return "the connection broke off before the answer was complete"
    if isinstance(reason, DNSLookupError):
        return f"no address for {host} is found"
    if isinstance(reason, ConnectionRefusedError):
        return "it refuses connections"
    if isinstance(reason, TimeoutError):
        return "no connection in time"
    if isinstance(reason, HandshakeTimeout):
        return "no TLS handshake in time"
    if isinstance(reason, SSL.Error):
        stack = reason.args[0] if reason.args else ()
        problems = [str(entry[-1]) for entry in stack if isinstance(entry, tuple)]
        return f"no trusted TLS connection: {', '.join(problems) or 'TLS ended early'}"
    return f"{type(reason).__name__}: {reason}"


def converted_error(
    error: Exception, origin: Origin, what: str = UPSTREAM
) -> Exception:
    """
    Return what a failed request becomes: an `UpstreamError`, mostly.

    `what` names the server, for people. The log gets the details, the client a
    sentence. What is no failure of the upstream's (a cancellation, a client that
    went away) comes back as it is.
    """
    reasons = wrapped_errors(error)
    first = reasons[0] if reasons else error
    if isinstance(error, UpstreamError | CancelledError) or was_cancelled(error):
        return error if isinstance(error, UpstreamError) else CancelledError()
    if isinstance(error, RequestGenerationFailed):
        return first if isinstance(first, Exception) else error
    # Of a failed connection there may be several, one for each address.
    words = dict.fromkeys(_in_words(reason, origin.host) for reason in reasons)
    _log.warn(
        "{what}, {origin}: {reason}",
        what=what,
        origin=str(origin),
        reason=", ".join(words),
    )
    if any(isinstance(reason, UnsoundHeader) for reason in reasons):
        return UpstreamMalformed(
            f"what {what} answered has a control character in a header",
            cause=cause_of(what, Kind.MALFORMED),
        )
    if isinstance(first, TunnelFailed):
        cause = first.cause or cause_of(what, Kind.UNREACHABLE)
        return UpstreamUnavailable(f"{what} cannot be reached", cause=cause)
    unreachable, idle = cause_of(what, Kind.UNREACHABLE), cause_of(what, Kind.IDLE)
    if any(isinstance(reason, SSL.Error) for reason in reasons):
        return UpstreamUnavailable(
            f"no trusted TLS connection to {what} can be made", cause=unreachable
        )
    if any(isinstance(reason, TimeoutError | HandshakeTimeout) for reason in reasons):
        return UpstreamTimeout(f"{what} cannot be reached in time", cause=idle)
    if isinstance(error, ConnectError | DNSLookupError | UserError | OSError):
        return UpstreamUnavailable(f"{what} cannot be reached", cause=unreachable)
    ended = ConnectionLost | ConnectionDone | ConnectionAborted
    if any(isinstance(reason, ended) for reason in reasons):
        return UpstreamUnavailable(
            f"{what} closed the connection without an answer",
            cause=cause_of(what, Kind.BROKE_OFF),
        )
    return UpstreamMalformed(
        f"what {what} answered is not HTTP", cause=cause_of(what, Kind.MALFORMED)
    )
