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

from regbroker.causes import Cause, Kind, Side, cause_of
from regbroker.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from regbroker.protocol.origins import Origin
from regbroker.transport.client.protocol import BodyFailed
from regbroker.transport.client.reply import MalformedReply, ReplyTooLarge
from regbroker.transport.client.tunnel_failures import TunnelFailed

#: The server that is asked mostly, in the words of an error.
UPSTREAM = Side.UPSTREAM.value

#: What OpenSSL says of an answer that is no TLS.
_NO_TLS = "wrong version number"

_log = Logger()


def unanswered(what: str) -> UpstreamTimeout:
    """Return the error of a server, named for people, that does not answer in time."""
    return UpstreamTimeout(f"{what} did not answer", cause=cause_of(what, Kind.IDLE))


def _in_words(reason: BaseException, host: str) -> str:
    """Return what has happened, for the log; what is rare keeps Twisted's words."""
    if isinstance(reason, TunnelFailed):
        return str(reason)
    if isinstance(reason, MalformedReply):
        return f"what it answers is not HTTP: {reason}"
    if isinstance(reason, ReplyTooLarge):
        return f"it sent {reason}"
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
        hint = "; does it speak plain http?" if _NO_TLS in problems else ""
        problem = ", ".join(problems) or "TLS ended early"
        return f"no trusted TLS connection: {problem}{hint}"
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
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, CancelledError | ConnectingCancelledError):
        return CancelledError()
    if isinstance(error, BodyFailed):
        return error.error
    _log.warn(
        "{what}, {origin}: {reason}",
        what=what,
        origin=str(origin),
        reason=_in_words(error, origin.host),
    )
    if isinstance(error, ReplyTooLarge):
        return UpstreamMalformed(f"{what} sent {error}", cause=Cause.BOUND_REACHED)
    if isinstance(error, TunnelFailed):
        cause = error.cause or cause_of(what, Kind.UNREACHABLE)
        return UpstreamUnavailable(f"{what} cannot be reached", cause=cause)
    unreachable, idle = cause_of(what, Kind.UNREACHABLE), cause_of(what, Kind.IDLE)
    if isinstance(error, SSL.Error):
        return UpstreamUnavailable(
            f"no trusted TLS connection to {what} can be made", cause=unreachable
        )
    if isinstance(error, TimeoutError | HandshakeTimeout):
        return UpstreamTimeout(f"{what} cannot be reached in time", cause=idle)
    if isinstance(error, ConnectError | DNSLookupError | UserError | OSError):
        return UpstreamUnavailable(f"{what} cannot be reached", cause=unreachable)
    if isinstance(error, ConnectionLost | ConnectionDone | ConnectionAborted):
        return UpstreamUnavailable(
            f"{what} closed the connection without an answer",
            cause=cause_of(what, Kind.BROKE_OFF),
        )
    return UpstreamMalformed(
        f"what {what} answered is not HTTP", cause=cause_of(what, Kind.MALFORMED)
    )
