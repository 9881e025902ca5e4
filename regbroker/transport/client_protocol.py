"""
One connection to an upstream: `twisted.web.client`'s protocol, and what a relay needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.runtime.slots import Slot
from regbroker.transport.reply_headers import check_as_they_come
from regbroker.transport.strict_channel import MAX_HEADERS_BYTES
from regbroker.transport.twisted_private import (
    ClientInternals,
    HTTPClientParser,
    is_between_messages,
)

#: An early reply is an error document. It is read while the request's body is
#: still on its way, without anybody to hold it back.
MAX_EARLY_REPLY_BYTES = 1024 * 1024

#: A reply's status line and headers, interim replies included.
MAX_HEADER_BYTES = 256 * 1024

#: One line of a reply's headers: some registries keep the state of an upload in its
#: Location. As much as a client may send in all.
MAX_HEADER_LINE_BYTES = MAX_HEADERS_BYTES


@implementer(IHandshakeListener)
class UpstreamProtocol(ClientInternals):
    """One connection to an upstream."""

    transport: Any

    def __init__(
        self,
        on_idle: Callable[[Any], None],
        on_spilling: Callable[[], None],
        clock: IReactorTime,
    ) -> None:
        super().__init__(on_idle)
        self._on_spilling = on_spilling
        #: The place that its request has among those that may be under way.
        self.slot: Slot | None = None
        #: Whether bytes came after a reply that were no part of it.
        self.spills = False
        #: Whether its last reply was one that never has a body.
        self.was_bodiless = False
        self.idle_since: float = clock.seconds()
        #: When it was ready for its first request.
        self.opened: float = clock.seconds()
        self.used = False
        self.on_continue: Callable[[], None] | None = None
        self.secured: Deferred[None] = Deferred()
        self.closed_in_order = False
        #: What is larger than it may be, so that the end is regbroker's doing.
        self.too_large = ""
        self._early_bytes = 0
        self.header_bytes = 0

    def handshakeCompleted(self) -> None:
        """Note that the peer's certificate has been verified."""
        if not self.secured.called:
            self.secured.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Parse; see to interim replies and to replies that come early."""
        if self.on_continue is not None:
            on_continue, self.on_continue = self.on_continue, None
            if data.startswith(b"HTTP/1.1 100"):
                on_continue()
        parser = self.parser
        if parser is None or (self.was_bodiless and _is_left_over(parser, data)):
            # Between requests nothing may arrive; what does would be taken as
            # the answer to the next request.
            self._spill()
            self.transport.abortConnection()
            return
        super().dataReceived(data)
        if parser.state in ("STATUS", "HEADER"):
            self.header_bytes += len(data)
            if self.header_bytes > MAX_HEADER_BYTES:
                self.too_large = f"headers of more than {MAX_HEADER_BYTES} bytes"
                self.transport.abortConnection()
                return
        if self.state == "TRANSMITTING":
            self._early_bytes += len(data)
            if self._early_bytes > MAX_EARLY_REPLY_BYTES:
                self.too_large = (
                    f"more than {MAX_EARLY_REPLY_BYTES} bytes before the request's "
                    "body was complete"
                )
                self.transport.abortConnection()
            else:
                self.transport.resumeProducing()
        elif self.state == "TRANSMITTING_AFTER_RECEIVING_RESPONSE":
            # The rest of the body would keep the connection open for nothing.
            self.transport.abortConnection()

    def begin(self, on_continue: Callable[[], None] | None, slot: Slot | None) -> None:
        """Note that the next request is sent now."""
        self.used = True
        self.on_continue = on_continue
        self.header_bytes = 0
        self.slot = slot

    def bound_headers(self) -> HTTPClientParser | None:
        """
        Return the parser of the reply to the request that was just sent.

        A line of the reply's headers may be as long as one of a client's, and none
        has a control character. None is returned when the request was not sent.
        """
        parser: Any = self.parser
        if parser is not None:
            parser.MAX_LENGTH = MAX_HEADER_LINE_BYTES
            parser.lineLengthExceeded = self._line_too_long
            check_as_they_come(parser)
        checked: HTTPClientParser | None = parser
        return checked

    def free(self) -> None:
        """Give back the place that its request has taken."""
        slot, self.slot = self.slot, None
        if slot is not None:
            slot.free()

    def _line_too_long(self, line: bytes) -> None:
        name = re.match(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}(?=:)", line)
        what = f"the header {name[0].decode()}" if name else "a header line"
        self.too_large = f"{what} with more than {MAX_HEADER_LINE_BYTES} bytes"
        self.transport.abortConnection()

    def reply_complete(self, rest: bytes) -> None:
        """Note whether the reply was one without a body, and what came after it."""
        parser = self.parser
        if parser is not None:
            code = getattr(parser.response, "code", 0)
            is_head = parser.request.method == b"HEAD"
            self.was_bodiless = is_head or code in (204, 304)
        if rest:
            self._spill()

    def _spill(self) -> None:
        self.spills = True
        self._on_spilling()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail the wait for the handshake; note how the connection ended."""
        self.closed_in_order = reason.check(ConnectionDone) is not None
        self.free()
        if not self.secured.called:
            self.secured.errback(reason)
        parser = self.parser
        if (
            self.state == "TRANSMITTING"
            and parser is not None
            and parser.bodyDecoder is not None
        ):
            # The reply has begun, and that the upstream has said it counts for
            # more than that it did not wait for the rest of the request.
            self.prefer_reply()
        super().connectionLost(reason)


def _is_left_over(parser: HTTPClientParser, data: bytes) -> bool:
    """Tell whether bytes belong to the reply before, mostly the one to a HEAD."""
    head = b"HTTP/1."
    return is_between_messages(parser) and not data.startswith(head[: len(data)])
