"""The TLS contexts that clients are served with: one for each certificate."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from regbroker.transport.tls.session_tickets import TicketKeys


@implementer(IOpenSSLServerConnectionCreator)
class ServerOptions:
    """
    Makes connections with the context of a server name.

    `default` is for clients that ask for no name of `others`, whose names may be ``*.``
    wildcards. A connection has the keys of `tickets`. It resumes a session only under
    the session id context of the name's context.
    """

    def __init__(
        self,
        default: SSL.Context,
        others: Mapping[str, SSL.Context],
        tickets: TicketKeys,
    ) -> None:
        self._default = default
        self._others = others
        self._tickets = tickets

    @property
    def needs_name(self) -> bool:
        """Whether the server name makes a difference."""
        return bool(self._others)

    def getContext(self) -> SSL.Context:
        """Return the context for clients that ask for no name in particular."""
        return self._default

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Return a connection through memory, with the default certificate."""
        return self.connection(None)

    def connection(self, over: socket.socket | None) -> SSL.Connection:
        """
        Return a connection with the default certificate; see `choose`.

        OpenSSL reads from the socket and writes to it; without one, it has memory.
        """
        connection = SSL.Connection(self._tickets.context(), over)
        connection.set_context(self._default)
        # OpenSSL has copied this from the context with the keys.
        connection.set_verify(self._default.get_verify_mode())
        return connection

    def choose(self, connection: SSL.Connection, name: str) -> None:
        """
        Have a connection show the certificate for a server name.

        Before it reads a byte: OpenSSL looks for a session to resume first, then calls
        back for the name (`tls_early_post_process_client_hello`).
        """
        found = self._others.get(name) or self._others.get(
            "*." + name.partition(".")[2]
        )
        if found is not None:
            connection.set_context(found)
