"""
A connection to a directory: one question at a time, bytes by ldaptor.

Of ldaptor we use the messages (`pureldap`, `pureber`), which load neither its
pyparsing nor its passlib. Its own client protocol waits for ever, leaves
errors unhandled when a connection dies in a search, and takes what came before
StartTLS for an answer that came after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from regbroker.accounts.ldap.answers import (
    Answer,
    DirectoryError,
    Entry,
    found,
    result_of,
)
from regbroker.accounts.ldap.filter_encoding import wire_filter
from regbroker.accounts.ldap.filters import Filter
from regbroker.errors import ConfigurationError

try:
    from ldaptor.protocols import pureber, pureldap
except ImportError:
    pureldap = None

#: An answer is some attributes of an entry, or the names of all groups of one
#: user; each of a hundred thousand groups would have forty bytes.
MAX_ANSWER_BYTES = 4 * 1024 * 1024

_SCOPES = {"base": 0, "one": 1, "sub": 2}


def require_ldaptor() -> None:
    """Raise `ConfigurationError` when ldaptor is not installed."""
    if pureldap is None:
        raise ConfigurationError(
            ["ldap: needs regbroker[ldap]: pip install 'regbroker[ldap]'"]
        )


def in_vain(what: str) -> Callable[[Any, float], None]:
    """Return what `Deferred.addTimeout` is to call: it raises `DirectoryError`."""

    def raise_error(outcome: Any, timeout: float) -> None:
        raise DirectoryError(f"waited {timeout:g} s in vain for {what}")

    return raise_error


class Connection(Protocol):
    """
    A client's side of LDAP.

    Each question returns a Deferred, which fails with `DirectoryError` for an
    answer that cannot be understood or takes longer than `timeout` seconds, and
    with the reason when the connection ends. To cancel it ends the connection.
    `on_lost` is called with the connection at its end.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        timeout: float,
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._reactor = reactor
        self._timeout = timeout
        self._on_lost = on_lost
        self._buffer = b""
        self._received = 0
        self._number = 0
        self._waiting: Deferred[list[Any]] | None = None
        self._answer: list[Any] = []
        self._lost: Failure | None = None
        self._timer: Any = None

    def start_tls(self) -> Deferred[Answer]:
        """Ask to go on with TLS; the result."""
        request = pureldap.LDAPStartTLSRequest()
        return self._ask("StartTLS", request).addCallback(result_of)

    def begin_tls(self, options: Any) -> None:
        """Begin TLS. What is asked next is not sent before the other is verified."""
        if self._buffer:
            self.drop()
            raise DirectoryError("it sent something between StartTLS and TLS")
        transport: Any = self.transport
        transport.startTLS(options)

    def bind(self, what: str, dn: bytes, password: bytes) -> Deferred[Answer]:
        """Bind; the result. `what` is for errors, as in a search."""
        request = pureldap.LDAPBindRequest(dn=dn, auth=password)
        return self._ask(what, request).addCallback(result_of)

    def search(
        self,
        what: str,
        base: str,
        scope: str,
        filter: Filter,
        attributes: Iterable[str],
        most: int = 0,
    ) -> Deferred[tuple[Answer, list[Entry]]]:
        """
        Search; the result and the entries.

        The directory is asked to stop after `most` entries; 0 is no limit.
        References to other directories are not followed.
        """
        request = pureldap.LDAPSearchRequest(
            baseObject=base,
            scope=_SCOPES[scope],
            sizeLimit=most,
            timeLimit=ceil(self._timeout),
            filter=wire_filter(filter),
            attributes=list(attributes),
        )
        return self._ask(what, request).addCallback(found)

    def finish(self) -> None:
        """Say goodbye; what does not end in time is dropped."""
        if self.transport is None or self._lost is not None:
            return
        if self._waiting is not None:
            self.drop()
            return
        self._send(pureldap.LDAPUnbindRequest())
        self._timer = self._reactor.callLater(self._timeout, self.drop)
        self.transport.loseConnection()

    def drop(self) -> None:
        """End at once."""
        if self._lost is None:
            transport: Any = self.transport
            transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Collect an answer's messages."""
        self._buffer += data
        self._received += len(data)
        try:
            if self._received > MAX_ANSWER_BYTES:
                raise DirectoryError(f"its answer exceeds {MAX_ANSWER_BYTES} bytes")
            self._read_messages()
        except DirectoryError as error:
            self._fail(error)
        except Exception:
            # Whatever ldaptor stumbles over: assertions, tags, text, depth.
            self._fail(DirectoryError("what it answers is not LDAP"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail the question that waits for its answer."""
        self._lost = reason
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        waiting, self._waiting = self._waiting, None
        self._on_lost(self)
        if waiting is not None:
            waiting.errback(reason)

    def _ask(self, what: str, request: Any) -> Deferred[list[Any]]:
        if self._lost is not None:
            return fail(self._lost)
        assert self._waiting is None
        waiting: Deferred[list[Any]] = Deferred(self._cancel)
        self._waiting = waiting
        waiting.addTimeout(self._timeout, self._reactor, in_vain(what))
        self._answer, self._received = [], len(self._buffer)
        self._send(request)
        return waiting

    def _send(self, request: Any) -> None:
        self._number += 1
        assert self.transport is not None
        self.transport.write(pureldap.LDAPMessage(request, id=self._number).toWire())

    def _cancel(self, _: Deferred[list[Any]]) -> None:
        self._waiting = None
        self.drop()

    def _read_messages(self) -> None:
        while self._buffer:
            try:
                message, length = pureber.berDecodeObject(_DECODER, self._buffer)
            except pureber.BERExceptionInsufficientData:
                return
            self._buffer = self._buffer[length:]
            self._take(message)

    def _take(self, message: Any) -> None:
        if message.id == 0:
            raise DirectoryError("it says that it ends the connection")
        if self._waiting is None or message.id != self._number:
            raise DirectoryError("it answers what nobody asked")
        self._answer.append(message.value)
        if isinstance(message.value, pureldap.LDAPResult):
            waiting, self._waiting = self._waiting, None
            waiting.callback(self._answer)

    def _fail(self, error: DirectoryError) -> None:
        self._buffer = b""
        waiting, self._waiting = self._waiting, None
        self.drop()
        if waiting is not None:
            waiting.errback(error)


def _decoder() -> Any:
    class Strict(pureber.BERDecoderContext):  # type: ignore[misc]
        # ldaptor prints unknown tags to stdout, and goes on without them.
        def lookup_id(self, id: int) -> Any:
            known = super().lookup_id(id)
            if known is None:
                raise DirectoryError("what it answers is not LDAP")
            return known

    inner = pureldap.LDAPBERDecoderContext(fallback=Strict())
    message = pureldap.LDAPBERDecoderContext_LDAPMessage(fallback=inner, inherit=inner)
    return pureldap.LDAPBERDecoderContext_TopLevel(fallback=Strict(), inherit=message)


_DECODER = _decoder() if pureldap is not None else None
