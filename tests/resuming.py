"""Clients that resume TLS sessions: the standard library's, in memory."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from regbroker.transport.tls.server_names import ServerTLSFactory
from regbroker.transport.tls.server_options import ServerOptions
from tests.tlspeer import Inner


@dataclass(frozen=True)
class Connected:
    """What a handshake has come to."""

    is_resumed: bool
    #: The names in the certificate that the client was shown, also in a session before.
    names: set[str]
    #: The common name in the certificate that the client has shown, for the server.
    client: str | None
    session: Any


class ResumingClient:
    """
    Speaks TLS up to `newest`, and shows the certificate in `identity`, two files.

    `piece` is how many bytes the server is given at a time.
    """

    def __init__(
        self,
        newest: ssl.TLSVersion,
        identity: tuple[Path, Path] | None = None,
        piece: int = 2**14,
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._context.maximum_version = newest
        if identity is not None:
            self._context.load_cert_chain(*identity)
        self._piece = piece

    def connect(
        self, options: ServerOptions, host: str = "a.test", session: Any = None
    ) -> Connected:
        """Connect to a server with these options, and end in order."""
        inner = Inner()
        factory: Any = ServerTLSFactory(options, Factory.forProtocol(lambda: inner))
        factory.call_later = Clock().callLater
        server: Any = factory.buildProtocol(None)
        transport: Any = StringTransport()
        server.makeConnection(transport)
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self._context.wrap_bio(
            received, sent, server_hostname=host, session=session
        )

        def carry() -> None:
            data = sent.read()
            for start in range(0, len(data), self._piece):
                server.dataReceived(data[start : start + self._piece])
            received.write(transport.value())
            transport.clear()

        while inner.handshakes == 0:
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
            carry()
        # The tickets of TLS 1.3 come after the handshake.
        with suppress(ssl.SSLWantReadError):
            client.read()
        der = client.getpeercert(True)
        assert der is not None
        shown = x509.load_der_x509_certificate(der).extensions
        names = shown.get_extension_for_class(x509.SubjectAlternativeName).value
        peer = server.getPeerCertificate()
        connected = Connected(
            bool(client.session_reused),
            {str(name.value) for name in names},
            str(peer.to_cryptography().subject.rfc4514_string()) if peer else None,
            client.session,
        )
        with suppress(ssl.SSLWantReadError):
            client.unwrap()
        carry()
        return connected
