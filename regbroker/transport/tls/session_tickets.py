"""
Keys of TLS session tickets, which live for a day.

Facts that shape this module (OpenSSL's ssl/ssl_lib.c and ssl/statem/extensions_srvr.c):

- A context makes random ticket keys as it is made, and there is no way to have others
  in Python: neither pyOpenSSL nor cryptography's binding has a call for them.
- The keys of a connection are those of the context that it was made with, also when it
  has got another context since (`SSL_set_SSL_CTX`), for another certificate.
- A process that is forked has the same contexts, so the same keys.

So connections are made with a context that has keys and no certificate. It is another
one each day: who gets hold of the keys in use cannot decrypt what was recorded a day
before (RFC 8446, 8.1; RFC 9325, 3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, TLSVersion

from regbroker.transport.tls.records import write_whole

#: What every connection has, whatever its certificate: TLS 1.2 suites with ephemeral
#: keys and authenticated encryption. Those of TLS 1.3 are all like that and are
#: OpenSSL's own affair.
COMMON_OPTIONS: dict[str, Any] = {
    "raiseMinimumTo": TLSVersion.TLSv1_2,
    "acceptableCiphers": AcceptableCiphers.fromOpenSSLCipherString(
        "ECDHE+AESGCM:ECDHE+CHACHA20"
    ),
    "enableSessionTickets": True,
}

#: Seconds that ticket keys live. With the end of keys, each client has one full
#: handshake more.
KEY_SECONDS = 86400.0

#: Seconds that a ticket lives: builds that come every hour resume.
TICKET_SECONDS = 7200


class TicketKeys:
    """
    Contexts with ticket keys: `context` returns the one of the day.

    `now` returns seconds, and never goes back. Forked processes agree as long as there
    are contexts that were made ahead (`make_ahead`), before the fork; then each goes on
    with its own.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began = now()
        #: By the number of their day.
        self._contexts: dict[int, SSL.Context] = {}

    def make_ahead(self, days: int) -> None:
        """Make the contexts of so many days, today's included."""
        for day in range(self._day(), self._day() + days):
            self._contexts[day] = self._made()

    def context(self) -> SSL.Context:
        """Return the context for new connections."""
        self.forget_old()
        day = self._day()
        if day not in self._contexts:
            self._contexts[day] = self._made()
        return self._contexts[day]

    def forget_old(self) -> None:
        """Forget the keys of days that are over."""
        for day in [day for day in self._contexts if day < self._day()]:
            # Connections that were made with it keep it as long as they live.
            del self._contexts[day]

    def _day(self) -> int:
        return int((self._now() - self._began) // KEY_SECONDS)

    def _made(self) -> SSL.Context:
        context: SSL.Context = CertificateOptions(**COMMON_OPTIONS).getContext()
        context.set_timeout(TICKET_SECONDS)
        # A connection keeps this, too, when it gets another context.
        write_whole(context)
        return context
