"""
What a directory knows of a user: the entry, its groups, its name and the version of its
password.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from twisted.logger import Logger

from regbroker.accounts.ldap.answers import DirectoryError, Entry, accept
from regbroker.accounts.ldap.connection import Connection
from regbroker.accounts.ldap.filters import Filter, fill
from regbroker.accounts.ldap.names import is_below, own_value, parse_name
from regbroker.accounts.ldap.refusals import DISABLED_ATTRIBUTES
from regbroker.accounts.ldap.url import LdapUrl

_log = Logger()

#: What changes with a password, the best sign first: password policies of
#: OpenLDAP and others, Active Directory, and what changes with the whole entry.
PASSWORD_VERSION_ATTRIBUTES = (
    "pwdChangedTime",
    "pwdLastSet",
    "entryCSN",
    "modifyTimestamp",
    "whenChanged",
)

_SIZE_LIMIT_EXCEEDED = 4


@dataclass(frozen=True)
class DirectorySearch:
    """
    Where users and groups are.

    `group_filter` is a value of `regbroker.accounts.ldap.filters.parse_group_filter`.
    Without `group_base` nothing is searched for groups, and all that the
    entry's ``memberOf`` names count.
    """

    url: LdapUrl
    group_base: str
    group_filter: Filter

    async def entry(self, connection: Connection, user: str) -> Entry | None:
        """Return the user's entry; None unless exactly one matches."""
        url = self.url
        what = f"the search below '{url.base}'"
        wanted = [
            url.attribute,
            "memberOf",
            *PASSWORD_VERSION_ATTRIBUTES,
            *DISABLED_ATTRIBUTES,
        ]
        answer, entries = await connection.search(
            what, url.base, url.scope, url.user_filter(user), wanted, most=2
        )
        if answer.code == _SIZE_LIMIT_EXCEEDED or len(entries) > 1:
            _log.warn(
                "ldap {url}: more than one entry for {user}, so none counts",
                url=str(url),
                user=ascii(user),
            )
            return None
        accept(what, answer)
        # An empty name is the directory itself; binding with it is anonymous.
        return entries[0] if entries and entries[0].dn else None

    async def groups(
        self, connection: Connection, user: str, dn: bytes
    ) -> frozenset[str]:
        """Return the names of the groups that name the user or the entry."""
        if not self.group_base:
            return frozenset()
        what = f"the search below '{self.group_base}'"
        answer, entries = await connection.search(
            what,
            self.group_base,
            "sub",
            fill(self.group_filter, {b"dn": dn, b"user": user.encode()}),
            ["cn"],
        )
        if answer.code == _SIZE_LIMIT_EXCEEDED:
            # Which groups are missing, nobody knows.
            raise DirectoryError(
                f"{what}: {user!a} is in more groups than the directory tells at once "
                "(sizeLimitExceeded); raise that limit for ldap-bind-dn, or write a "
                "narrower ldap-group-filter"
            )
        accept(what, answer)
        return frozenset(name for entry in entries for name in entry.values("cn"))

    def entry_groups(self, entry: Entry) -> frozenset[str]:
        """Return the names of the groups that the entry itself shows."""
        base = parse_name(self.group_base)
        names = set()
        for group in entry.values("memberOf"):
            try:
                # Whoever may make groups elsewhere is not to make ours.
                if is_below(parse_name(group), base):
                    names.add(own_value(group))
            except ValueError:
                continue
        return frozenset(names - {""})


def account_name(entry: Entry, attribute: str, typed: str) -> str:
    """
    Return the user's name as the directory writes it.

    It takes ``ALICE`` for ``alice``; access rules and namespaces do not.
    """
    values = entry.values(attribute)
    if typed in values:
        return typed
    folded = _folded(typed)
    alike = [value for value in values if _folded(value) == folded]
    return (alike or (values if len(values) == 1 else []) or [typed])[0]


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def password_version(entry: Entry) -> str:
    """Return what changes with the password; empty when nothing is readable."""
    for attribute in PASSWORD_VERSION_ATTRIBUTES:
        values = entry.values(attribute)
        if values:
            # Identity tokens that are out carry hashes with this prefix.
            parts = [b"regbroker ldap stamp", entry.dn, attribute.encode()]
            parts += [value.encode() for value in values]
            return sha256(b"\0".join(parts)).hexdigest()[:16]
    return ""
