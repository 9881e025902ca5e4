"""
Connections that are looked at closely: each step of reaching a server by itself.

Certificates are judged afterwards, so that all that is wrong with one is shown.
Nothing is sent to a server whose certificate is not trusted but the question itself,
without credentials: callers see to that.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import (
    ConnectError,
    ConnectionRefusedError,
    NoRouteError,
    TCPTimedOutError,
)
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from regbroker.cli.doctor.answers import is_complete
from regbroker.runtime.name_lookups import in_thread
from regbroker.runtime.reactor import IMainReactor
from regbroker.transport.certificates.pem_files import load_chain
from regbroker.transport.certificates.served import read_pem

#: Of a body: a manifest may have four megabytes, and is read whole.
MAX_BODY = 4 * 1024 * 1024


#: What keeps somebody from a unix socket.
_KINDS = {errno.ENOENT: "missing", errno.ENOTDIR: "missing", errno.EACCES: "denied"}


class Failed(Exception):
    """A step failed; `kind` is one of the words of `regbroker.cli.doctor.diagnosis`."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


@implementer(IOpenSSLClientConnectionCreator)
class Looking:
    """
    A TLS client that finishes each handshake, and keeps what OpenSSL objects to.

    `errors` are pairs of depth and X509_V_ERR number; `chain` is what was shown.
    `identity` is a client certificate of
    `regbroker.transport.client.trust.client_identity`.
    """

    def __init__(
        self,
        host: str,
        ca_file: Path | None,
        protocols: Sequence[bytes],
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self._host = host
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        if protocols:
            self._context.set_alpn_protos(list(protocols))
        if ca_file is None:
            self._context.set_default_verify_paths()
        else:
            store = self._context.get_cert_store()
            for each in load_chain(read_pem(ca_file)) if store else ():
                store.add_cert(crypto.X509.from_cryptography(each))  # type: ignore
        if identity:
            self._context.use_certificate(identity["certificate"])
            for each in identity["extraCertChain"]:
                self._context.add_extra_chain_cert(each)
            self._context.use_privatekey(identity["privateKey"])
        self._context.set_verify(SSL.VERIFY_PEER, self._note)
        self.errors: list[tuple[int, int]] = []
        self.connection: SSL.Connection | None = None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Return a connection that asks for the host by SNI."""
        self.connection = SSL.Connection(self._context, None)
        try:
            ip_address(self._host)
        except ValueError:
            self.connection.set_tlsext_host_name(self._host.encode("idna"))
        self.connection.set_connect_state()
        return self.connection

    def _note(self, _: Any, __: Any, error: int, depth: int, ok: int) -> bool:
        if not ok:
            self.errors.append((depth, error))
        return True

    @property
    def chain(self) -> list[x509.Certificate]:
        """The certificates that the server has shown, its own first."""
        shown = self.connection.get_peer_cert_chain() if self.connection else None
        return [each.to_cryptography() for each in shown or ()]

    @property
    def version(self) -> str:
        """The protocol that was agreed on."""
        return self.connection.get_protocol_version_name() if self.connection else ""


@implementer(IHandshakeListener)
class Peer(Protocol):
    """One connection: `secured` fires when a handshake is over."""

    def __init__(self) -> None:
        self.secured: Deferred[None] = Deferred()
        self._data = b""
        self._ended: Deferred[bytes] | None = None
        self._is_enough: Callable[[bytes], bool] = bool
        self._lost: Failure | None = None

    def handshakeCompleted(self) -> None:
        """Note that the server speaks TLS."""
        if not self.secured.called:
            self.secured.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Gather an answer."""
        self._data += data
        if self._is_enough(self._data):
            self._end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End what is waited for."""
        self._lost = reason
        if not self.secured.called:
            self.secured.errback(reason)
        self._end()

    def ask(
        self, request: bytes, is_enough: Callable[[bytes], bool]
    ) -> Deferred[bytes]:
        """Send a request; fires with what has come until that is enough, or the end."""
        self._is_enough = is_enough
        ended: Deferred[bytes] = Deferred()
        self._ended = ended
        if self._lost is not None:
            self._end()
        elif self.transport is not None:
            self.transport.write(request)
        return ended

    def close(self) -> None:
        """End the connection at once."""
        # Nobody waits for the handshake of a connection that is given up.
        self.secured.addErrback(lambda _: None)
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    @property
    def lost(self) -> BaseException | None:
        """Why the connection has ended; None while it has not."""
        return self._lost.value if self._lost is not None else None

    def _end(self) -> None:
        if self._ended is not None and not self._ended.called:
            self._ended.callback(self._data)


async def resolve(reactor: IMainReactor, host: str, timeout: float) -> list[str]:
    """Return a host's addresses; raises `Failed`."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    try:
        entries = await in_thread(reactor, host).addTimeout(timeout, reactor)
    except (OSError, ValueError, RuntimeError) as error:
        raise Failed("name", getattr(error, "strerror", None) or str(error)) from None
    except TimeoutError:
        raise Failed("name", f"no answer within {timeout:g} s") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def endpoint(
    reactor: IMainReactor, address: str, port: int, timeout: float
) -> IStreamClientEndpoint:
    """Return what connects to an address."""
    kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
    made: IStreamClientEndpoint = kind(reactor, address, port, timeout)
    return made


async def dial(
    reactor: IMainReactor,
    endpoint: IStreamClientEndpoint,
    timeout: float,
    tls: Looking | None = None,
) -> Peer:
    """Return a connection, TLS agreed on; raises `Failed`, or as the endpoint does."""
    if tls is not None:
        endpoint = wrapClientTLS(tls, endpoint)
    try:
        made: Any = endpoint.connect(Factory.forProtocol(Peer))
        peer: Peer = await made
    except ConnectionRefusedError:
        raise Failed("refused") from None
    except (ConnectTimeout, TCPTimedOutError):
        raise Failed("timeout") from None
    except NoRouteError as error:
        raise Failed("unreachable", str(error)) from None
    except ConnectError as error:
        detail = os.strerror(error.osError) if error.osError else str(error)
        raise Failed(_KINDS.get(error.osError, "unreachable"), detail) from None
    if tls is None:
        # Here there is nothing to wait for, and maybe the end has come already.
        peer.secured.addErrback(lambda _: None)
        return peer
    try:
        await peer.secured.addTimeout(timeout, reactor)
    except TimeoutError:
        peer.close()
        raise Failed("tls-timeout") from None
    except SSL.Error as error:
        raise Failed("tls", _words(error)) from None
    except Exception as error:
        raise Failed("tls", str(error) or type(error).__name__) from None
    return peer


async def ask(
    reactor: IMainReactor,
    peer: Peer,
    request: bytes,
    timeout: float,
    limit: int = MAX_BODY,
) -> bytes:
    """Return what a server says to a request, and close; raises `Failed`."""
    has_body = not request.startswith(b"HEAD ")
    asked = peer.ask(request, lambda data: is_complete(data, limit, has_body=has_body))
    try:
        data = await asked.addTimeout(timeout, reactor)
    except TimeoutError:
        raise Failed("silent") from None
    finally:
        peer.close()
    if not data and isinstance(peer.lost, SSL.Error):
        # In TLS 1.3 a server judges a client's certificate after the handshake.
        raise Failed("tls", _words(peer.lost))
    if not data:
        raise Failed("closed")
    return data


def _words(error: SSL.Error) -> str:
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(str(entry[-1]) for entry in queue)
