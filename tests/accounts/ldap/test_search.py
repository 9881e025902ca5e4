"""What is made of what a directory knows."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.ldap.answers import Answer, DirectoryError, Entry
from regbroker.accounts.ldap.connection import Connection
from regbroker.accounts.ldap.filters import parse_group_filter
from regbroker.accounts.ldap.refusals import DISABLED_ATTRIBUTES
from regbroker.accounts.ldap.search import (
    PASSWORD_VERSION_ATTRIBUTES,
    DirectorySearch,
    account_name,
    password_version,
)
from regbroker.accounts.ldap.url import parse_ldap_url

T = TypeVar("T")

URL = parse_ldap_url("ldap://h/ou=people,dc=x?uid?one?(objectclass=person)")
FILTER = parse_group_filter("(|(member=${dn})(memberUid=${user}))")


def entry(dn: str = "uid=alice,dc=x", **attributes: str | list[str]) -> Entry:
    """An entry that a search has found."""
    return Entry(
        dn.encode(),
        tuple(
            (
                name.lower(),
                tuple(v.encode() for v in ([value] if value is str(value) else value)),
            )
            for name, value in attributes.items()
        ),
    )


class FakeConnection:
    """Answers searches, and remembers them."""

    def __init__(self, code: int = 0, *entries: Entry) -> None:
        self._answer = Answer(code), list(entries)
        self.asked: list[tuple[Any, ...]] = []

    def search(
        self,
        what: str,
        base: str,
        scope: str,
        filter: Any,
        attributes: list[str],
        most: int = 0,
    ) -> Deferred[tuple[Answer, list[Entry]]]:
        """Search."""
        self.asked.append((base, scope, str(filter), attributes, most))
        return succeed(self._answer)


class SearchesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.searches = DirectorySearch(URL, "ou=groups,dc=x", FILTER)

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes out at once."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def refused(self, work: Coroutine[Any, Any, object]) -> str:
        """The directory is at fault; what is said."""
        failure = self.failureResultOf(Deferred.fromCoroutine(work), DirectoryError)
        return str(failure.value)

    def entry(self, connection: FakeConnection, user: str = "alice") -> Entry | None:
        """The user's entry."""
        given = cast(Connection, connection)
        return self.result(self.searches.entry(given, user))

    def test_entry(self) -> None:
        """One is asked for as the URL says, with what is needed of it."""
        found = entry(uid="alice")
        connection = FakeConnection(0, found)
        self.assertIs(self.entry(connection, "a*"), found)
        filter = r"(&(objectclass=person)(uid=a\2a))"
        wanted = ["uid", "memberOf", *PASSWORD_VERSION_ATTRIBUTES]
        wanted += DISABLED_ATTRIBUTES
        self.assertEqual(
            connection.asked, [("ou=people,dc=x", "one", filter, wanted, 2)]
        )

    def test_not_one_entry(self) -> None:
        """None, two, one of more than may be told, and one without a name."""
        with capturedLogs() as events:
            for code, entries in (
                (0, []),
                (0, [entry(), entry("uid=other,dc=x")]),
                (4, [entry()]),
                (4, [entry(), entry("uid=other,dc=x")]),
                (0, [entry("")]),
            ):
                self.assertIsNone(self.entry(FakeConnection(code, *entries)))
        self.assertEqual(len(events), 3)
        self.assertIn("more than one entry for 'alice'", str(formatEvent(events[0])))

    def test_refused(self) -> None:
        """A search that fails is no unknown user."""
        for code in (1, 3, 10, 32, 50, 51):
            given = cast(Connection, FakeConnection(code))
            self.refused(self.searches.entry(given, "alice"))

    def test_groups(self) -> None:
        """All names of the groups that are found."""
        connection = FakeConnection(
            0, entry("cn=a", cn=["a", "also a"]), entry("cn=b", CN="b"), entry("cn=c")
        )
        given = cast(Connection, connection)
        dn = b"cn=x)\\,dc=x"
        groups = self.result(self.searches.groups(given, "${dn}*", dn))
        self.assertEqual(groups, {"a", "also a", "b"})
        filter = r"(|(member=cn=x\29\5c,dc=x)(memberUid=${dn}\2a))"
        self.assertEqual(
            connection.asked, [("ou=groups,dc=x", "sub", filter, ["cn"], 0)]
        )

    def test_groups_refused(self) -> None:
        """Groups that cannot be had are not the same as none."""
        given = cast(Connection, FakeConnection(4, entry(cn="a")))
        said = self.refused(self.searches.groups(given, "alice", b"uid=alice"))
        self.assertIn("'alice' is in more groups than the directory tells", said)
        self.assertIn("sizeLimitExceeded", said)
        given = cast(Connection, FakeConnection(1))
        said = self.refused(self.searches.groups(given, "alice", b"uid=alice"))
        self.assertIn("it answers operationsError", said)

    def test_no_groups(self) -> None:
        """Nothing is searched when nothing is said of groups."""
        connection = FakeConnection()
        given = cast(Connection, connection)
        searches = DirectorySearch(URL, "", FILTER)
        self.assertEqual(self.result(searches.groups(given, "a", b"b")), set())
        self.assertEqual(connection.asked, [])

    def test_entry_groups(self) -> None:
        """Those below the base for groups, or all without one."""
        shown = entry(
            memberOf=[
                "cn=Domain Users,OU=Groups,DC=x",
                "cn=a\\,b,ou=groups,dc=x",
                "cn=admins,ou=elsewhere,dc=x",
                "what is this",
            ]
        )
        ours = {"Domain Users", "a,b"}
        self.assertEqual(self.searches.entry_groups(shown), ours)
        anywhere = DirectorySearch(URL, "", FILTER)
        self.assertEqual(anywhere.entry_groups(shown), {*ours, "admins"})


class NameTests(SynchronousTestCase):
    def test_as_the_directory_writes_it(self) -> None:
        """What was typed counts only when the directory shows nothing like it."""
        for values, typed, name in (
            (["alice"], "alice", "alice"),
            (["alice"], "ALICE", "alice"),
            (["alice"], "  Alice ", "alice"),
            (["alice"], "alice\u00ad", "alice"),
            (["al", "alice"], "al", "al"),
            (["al", "alice"], "Alice", "alice"),
            (["al", "alice"], "other", "other"),
            ([], "Alice", "Alice"),
        ):
            self.assertEqual(account_name(entry(uid=values), "uid", typed), name)


class PasswordVersionTests(SynchronousTestCase):
    def test_best_sign(self) -> None:
        """The password's own time counts before that of the entry."""
        all = dict.fromkeys(PASSWORD_VERSION_ATTRIBUTES, "1")
        first = password_version(entry(**all))
        for attribute in PASSWORD_VERSION_ATTRIBUTES[1:]:
            self.assertEqual(password_version(entry(**{**all, attribute: "2"})), first)
        self.assertNotEqual(
            password_version(entry(**{**all, PASSWORD_VERSION_ATTRIBUTES[0]: "2"})),
            first,
        )

    def test_all_differ(self) -> None:
        """Other attributes, values and users make other versions."""
        password_versions = [
            password_version(entry(dn, **{attribute: value}))
            for dn in ("uid=a", "uid=b")
            for attribute in PASSWORD_VERSION_ATTRIBUTES
            for value in ("1", "2")
        ]
        self.assertEqual(len(set(password_versions)), len(password_versions))
        for one in password_versions:
            self.assertRegex(one, r"\A[0-9a-f]{16}\Z")

    def test_none(self) -> None:
        """Without an attribute that can be read there is no version."""
        self.assertEqual(password_version(entry(uid="alice", modifyTimestamp=[])), "")
