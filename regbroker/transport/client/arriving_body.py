"""
A reply's body as it arrives: held until somebody takes it, then passed on.
"""

from __future__ import annotations

from typing import Protocol


class BodyReceiver(Protocol):
    """Takes a reply's body."""

    def body_received(self, data: bytes) -> None:
        """Take the next bytes."""

    def body_ended(self) -> None:
        """Note that the body is complete."""

    def body_broken(self, error: Exception) -> None:
        """Note that no more of the body comes, though it is not complete."""


class Source(Protocol):
    """The connection that a body arrives on; pauses and resumes it, or ends it."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Close the connection at once."""


class ArrivingBody:
    """
    The body of one reply.

    `source` is let go of with the last byte: the connection may be another request's
    by then.
    """

    _receiver: BodyReceiver | None = None
    _error: Exception | None = None
    _is_held = False
    _is_paused = False

    def __init__(self, source: Source) -> None:
        self._source: Source | None = source
        self._pieces: list[bytes] = []
        self.is_complete = False

    # From the connection.

    def received(self, data: bytes) -> None:
        """Take bytes from the connection."""
        if self._receiver is not None:
            self._receiver.body_received(data)
        else:
            self._pieces.append(data)

    def completed(self) -> None:
        """Note that all has come."""
        self._source = None
        self.is_complete = True
        if self._receiver is not None:
            self._receiver.body_ended()

    def broke_off(self, error: Exception) -> None:
        """Note that the connection has ended before the body."""
        self._source = None
        self._error = error
        if self._receiver is not None:
            self._receiver.body_broken(error)

    def hold(self) -> None:
        """Pause the connection while nobody takes the body."""
        if self._source is not None and self._receiver is None and not self._is_held:
            self._is_held = True
            self._source.pause()

    # To the receiver.

    def take(self) -> bytes | None:
        """Return the whole body if it has come, and nobody takes it yet; else None."""
        if not self.is_complete or self._receiver is not None:
            return None
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def deliver(self, receiver: BodyReceiver) -> None:
        """Give what has come to a receiver, and then what comes."""
        self._receiver = receiver
        pieces, self._pieces = self._pieces, []
        if pieces:
            receiver.body_received(b"".join(pieces))
        if self.is_complete:
            receiver.body_ended()
        elif self._error is not None:
            receiver.body_broken(self._error)
        elif self._is_held:
            self._is_held = False
            if not self._is_paused and self._source is not None:
                self._source.resume()

    def abort(self) -> None:
        """Close the connection at once, unless the body is complete."""
        if self._source is not None:
            self._source.abort()

    def pause(self) -> None:
        """Let the receiver have no more for now."""
        self._is_paused = True
        if self._source is not None and not self._is_held:
            self._source.pause()

    def resume(self) -> None:
        """Let the receiver have more."""
        self._is_paused = False
        if self._source is not None and not self._is_held:
            self._source.resume()
