"""
The end of a peer: how OpenSSL tells it, and how long it is waited for.

Who has sent close_notify may wait for that of the peer (RFC 8446, 6.1). A peer may have
none: its program hangs, or leaves it to others to close. Such a connection would stay
for ever, with its memory and its descriptor.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from regbroker.transport.tls.negotiated import Negotiated

#: A peer that answers takes a round trip, and the time to read what was sent before.
END_SECONDS = 30.0

#: As OpenSSL says that a stream has ended without close_notify.
_NO_END = SSL.SysCallError(-1, "Unexpected EOF")


def is_end_of_file(error: SSL.Error) -> bool:
    """
    Tell whether a stream has ended without close_notify, as OpenSSL says it.

    An error of the socket is such an end, too.
    """
    if isinstance(error, SSL.SysCallError):
        return True
    queue = error.args[0] if error.args else None
    # An error without any reason is OpenSSL 4's way to say so.
    return not queue or str(queue[-1][-1]).casefold().startswith("unexpected eof")


class PeerEnd(Negotiated):
    """A connection that waits for its peer's end, and closes without it in time."""

    _awaiting: IDelayedCall | None = None

    def _await_end(self) -> None:
        """Close before long, whether the peer tells its end or not."""
        if self._awaiting is None:
            call_later = self.factory.call_later
            self._awaiting = call_later(END_SECONDS, self._end, _NO_END)

    def _end(self, error: SSL.Error | None) -> None:
        """Speak TLS no more, and close."""
        raise NotImplementedError

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Wait no more, and pass the end on."""
        if self._awaiting is not None and self._awaiting.active():
            self._awaiting.cancel()
        super().connectionLost(reason)
