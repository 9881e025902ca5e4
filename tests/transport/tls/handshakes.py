"""Two ends of TLS in memory, without a transport."""

from __future__ import annotations

import contextlib

from OpenSSL import SSL

from regbroker.transport.certificates.served import certificate_options
from regbroker.transport.pyopenssl_private import receive
from regbroker.transport.tls.memory_bios import drain
from tests.certificates import Looking, issued


def connected(newest: int = SSL.TLS1_3_VERSION) -> tuple[SSL.Connection, ...]:
    """A client and a server after their handshake."""
    pair = issued("a.test")
    context = certificate_options(pair.certificate, pair.key).getContext()
    client = Looking("a.test", newest=newest).clientConnectionForTLS(None)
    server = SSL.Connection(context, None)
    server.set_accept_state()
    shake_hands(client, server)
    return client, server


def shake_hands(client: SSL.Connection, server: SSL.Connection) -> None:
    """Let both have their handshake."""
    ends = (client, server)
    for one, other in (ends, ends[::-1]) * 3:
        with contextlib.suppress(SSL.WantReadError):
            one.do_handshake()
        for record in drain(one):
            other.bio_write(record)
    # What the server has to say after the handshake is read, too.
    assert receive(client) == (b"", None)
