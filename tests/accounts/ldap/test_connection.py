"""The client's side of LDAP: what goes out, what comes back, and how it ends."""

from __future__ import annotations

from typing import Any

from ldaptor.protocols import pureber, pureldap
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap import connection
from regbroker.accounts.ldap.answers import Answer, DirectoryError, Entry
from regbroker.accounts.ldap.connection import (
    MAX_ANSWER_BYTES,
    Connection,
    require_ldaptor,
)
from regbroker.accounts.ldap.filters import ANY_ENTRY
from regbroker.errors import ConfigurationError

TIMEOUT = 5.0


class Transport(StringTransport):
    """A transport that begins TLS and ends at once."""

    def __init__(self) -> None:
        super().__init__()
        self.tls: list[object] = []
        self.aborting = False

    def abortConnection(self) -> None:
        """End at once."""
        self.aborting = True

    def startTLS(self, options: object) -> None:
        """Begin TLS."""
        self.tls.append(options)


def message(value: Any, number: int = 1) -> bytes:
    """What a directory sends."""
    wire: bytes = pureldap.LDAPMessage(value, id=number).toWire()
    return wire


def bound(code: int = 0) -> Any:
    """The answer to a bind."""
    return pureldap.LDAPBindResponse(resultCode=code)


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lost: list[Connection] = []
        self.connection = Connection(self.clock, TIMEOUT, self.lost.append)
        self.transport = Transport()
        self.connection.makeConnection(self.transport)

    def bind(self) -> Deferred[Answer]:
        """Some question."""
        return self.connection.bind("the bind", b"cn=a", b"secret")

    def search(self, **options: Any) -> Deferred[tuple[Answer, list[Entry]]]:
        """Another one."""
        return self.connection.search(
            "the search", "dc=x", "sub", ANY_ENTRY, ["uid", "cn"], **options
        )

    def end(self) -> None:
        """The connection ends."""
        self.connection.connectionLost(Failure(ConnectionDone()))

    def assert_broken(self, deferred: Deferred[Any], words: str) -> None:
        """The question has failed, and the connection is no longer used."""
        failure = self.failureResultOf(deferred, DirectoryError)
        self.assertIn(words, failure.getErrorMessage())
        self.assertTrue(self.transport.aborting)
        self.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bind(self) -> None:
        """The DN and the password go out, the result comes back."""
        asked = self.bind()
        request = pureldap.LDAPBindRequest(dn=b"cn=a", auth=b"secret")
        self.assertEqual(self.transport.value(), message(request))
        self.connection.dataReceived(message(bound(49)))
        self.assertEqual(self.successResultOf(asked), Answer(49))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_byte_by_byte(self) -> None:
        """Answers arrive as they please; references are passed over."""
        asked = self.search(most=2)
        answer = b"".join(
            message(value)
            for value in (
                pureldap.LDAPSearchResultEntry(
                    "uid=a,dc=x", [("UID", ["b", "a", b"\xff"]), ("cn;x-y", ["c"])]
                ),
                pureldap.LDAPSearchResultReference(
                    uris=[pureldap.LDAPString("ldap://other/")]
                ),
                pureldap.LDAPSearchResultDone(resultCode=0),
            )
        )
        for position in range(len(answer)):
            self.assertNoResult(asked)
            self.connection.dataReceived(answer[position : position + 1])
        result, [entry] = self.successResultOf(asked)
        self.assertEqual((result, entry.dn), (Answer(0), b"uid=a,dc=x"))
        self.assertEqual(entry.values("uid"), ["a", "b"])
        self.assertEqual(entry.values("CN"), ["c"])
        self.assertEqual(entry.values("mail"), [])

    def test_controls(self) -> None:
        """Some directories say unasked that a password is about to expire."""
        asked = self.bind()
        expiring = [("2.16.840.1.113730.3.4.5", None, "86400")]
        self.connection.dataReceived(
            pureldap.LDAPMessage(bound(), id=1, controls=expiring).toWire()
        )
        self.assertEqual(self.successResultOf(asked), Answer(0))

    def test_one_after_the_other(self) -> None:
        """Each question has a number of its own, and its own answer."""
        for number, code in ((1, 0), (2, 49), (3, 0)):
            asked = self.bind()
            self.connection.dataReceived(message(bound(code), number))
            self.assertEqual(self.successResultOf(asked), Answer(code))

    def test_no_answer(self) -> None:
        """Waiting ends, and so does the connection."""
        asked = self.bind()
        self.clock.advance(TIMEOUT - 0.1)
        self.connection.dataReceived(message(bound())[:-1])
        self.assertNoResult(asked)
        self.clock.advance(0.1)
        self.assert_broken(asked, "waited 5 s in vain for the bind")

    def test_not_ldap(self) -> None:
        """Whatever comes instead of LDAP ends it, at the latest when time is up."""
        for data in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9,
            b"\x30\x03\x02\x01\x01",
            b"\x30\x05\x04\x03abc",
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04",
            b"\x00\x00",
            message(pureldap.LDAPBindRequest()),
            message(pureber.BERInteger(5)),
        ):
            self.setUp()
            asked = self.bind()
            self.connection.dataReceived(data)
            self.clock.advance(TIMEOUT)
            self.assert_broken(asked, "")

    def test_too_much(self) -> None:
        """An answer without end ends."""
        asked = self.search()
        entry = message(pureldap.LDAPSearchResultEntry("dc=x", [("cn", ["c" * 9999])]))
        for _ in range(MAX_ANSWER_BYTES // len(entry)):
            self.connection.dataReceived(entry)
        self.assertNoResult(asked)
        self.connection.dataReceived(entry)
        self.assert_broken(asked, "exceeds")

    def test_unasked(self) -> None:
        """Answers to no question, or to another one."""
        asked = self.bind()
        self.connection.dataReceived(message(bound(), 7))
        self.assert_broken(asked, "nobody asked")
        self.setUp()
        self.connection.dataReceived(message(bound()))
        self.assertTrue(self.transport.aborting)

    def test_notice_of_disconnection(self) -> None:
        """The directory may say that it ends the connection."""
        asked = self.bind()
        notice = pureldap.LDAPExtendedResponse(
            resultCode=52, responseName=b"1.3.6.1.4.1.1466.20036"
        )
        self.connection.dataReceived(message(notice, 0))
        self.assert_broken(asked, "ends the connection")

    def test_connection_ends(self) -> None:
        """Who waits is told, and so is who asks later."""
        asked = self.search()
        self.end()
        self.failureResultOf(asked, ConnectionDone)
        self.failureResultOf(self.bind(), ConnectionDone)
        self.assertEqual(self.lost, [self.connection])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """A question that nobody wants answered ends the connection."""
        asked = self.bind()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(self.transport.aborting)
        self.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_start_tls(self) -> None:
        """TLS begins when the directory agrees."""
        asked = self.connection.start_tls()
        self.assertEqual(
            self.transport.value(), message(pureldap.LDAPStartTLSRequest())
        )
        self.connection.dataReceived(
            message(pureldap.LDAPExtendedResponse(resultCode=0))
        )
        self.assertEqual(self.successResultOf(asked), Answer(0))
        self.connection.begin_tls("options")
        self.assertEqual(self.transport.tls, ["options"])

    def test_injected_before_tls(self) -> None:
        """What comes in clear behind the answer to StartTLS is nobody's answer."""
        asked = self.connection.start_tls()
        begun = asked.addCallback(lambda _: self.connection.begin_tls("options"))
        self.connection.dataReceived(
            message(pureldap.LDAPExtendedResponse(resultCode=0)) + message(bound(), 2)
        )
        self.failureResultOf(begun, DirectoryError)
        self.assertEqual(self.transport.tls, [])
        self.assertTrue(self.transport.aborting)

    def test_finish(self) -> None:
        """It says goodbye, and does not wait for ever for the end."""
        self.connection.finish()
        self.assertEqual(self.transport.value(), message(pureldap.LDAPUnbindRequest()))
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.aborting)
        self.clock.advance(TIMEOUT)
        self.assertTrue(self.transport.aborting)
        self.end()
        self.connection.finish()

    def test_finished(self) -> None:
        """When the directory says goodbye, too, there is nothing left to do."""
        self.connection.finish()
        self.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.transport.aborting)


class ErrorTests(SynchronousTestCase):
    def test_without_ldaptor(self) -> None:
        """Who asks for a directory without the extra is told what to install."""
        require_ldaptor()
        self.patch(connection, "pureldap", None)
        with self.assertRaises(ConfigurationError) as caught:
            require_ldaptor()
        self.assertIn("pip install 'regbroker[ldap]'", str(caught.exception))
