"""
The log of connections that TLS has ended: the client, the listener, and why.

No request comes of such a connection, so nothing else tells of it. Who hangs up in the
middle of a handshake without a word has no line: health checks and scanners do that.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regbroker.protocol.addresses import as_ipv4
from regbroker.runtime.bounded_lines import (
    MAX_LINES,
    MAX_LINES_OF_A_CLIENT,
    BoundedLines,
)

_log = Logger()


class FailedTLS:
    """
    Tells of connections that TLS has ended, within bounds.

    `clock` is an `IReactorTime`.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._lines = BoundedLines(clock, _tell_left_out)

    def tell(self, client: str, listener: str, error: SSL.Error, refused: str) -> None:
        """
        Tell of one connection.

        `client` is its peer, `listener` the line of the configuration. `refused` is why
        the client's certificate was refused, empty where it was not.
        """
        client = as_ipv4(client)
        if not self._lines.has_room(client):
            return
        _log.info(
            "client={client} listener={listener} TLS failed: {reason}",
            client=client,
            listener=listener,
            reason=_reason(error, refused),
        )

    def stop(self) -> None:
        """Log the count of what was left out so far, and stop the timer."""
        self._lines.stop()


def _reason(error: SSL.Error, refused: str) -> str:
    """Return OpenSSL's words, and whose they are."""
    if refused:
        return f"the client's certificate is refused: {refused}"
    # The last entry is the cause of the others; an error may have none.
    queue = error.args[0] if error.args else ()
    words = str(queue[-1][-1]) if queue else "OpenSSL does not say why"
    # OpenSSL names an alert of the other side so, as in "tlsv1 alert unknown ca".
    return f"the client says: {words}" if " alert " in words else words


def _tell_left_out(left_out: int) -> None:
    _log.info(
        "{left_out} more connections that TLS has ended in the last minute have no "
        "line of their own; at most {of_a_client} of one address and {in_all} in all "
        "have",
        left_out=left_out,
        of_a_client=MAX_LINES_OF_A_CLIENT,
        in_all=MAX_LINES,
    )
