"""
The sections that say who may come in, and what for: accounts, identities and access.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath

from regbroker.accounts.access import AccessRules, Kind
from regbroker.accounts.access_section import InvalidAccess, parse_access
from regbroker.accounts.identity.users import parse_template
from regbroker.settings import references
from regbroker.settings.config import (
    CERTIFICATE,
    AccountsConfig,
    HtpasswdConfig,
    IdentityConfig,
    LdapConfig,
    RobotsConfig,
)
from regbroker.settings.options import ACCOUNTS, IDENTITY, LDAP, ROBOTS
from regbroker.settings.section import Section
from regbroker.settings.sections import check_proxy_credentials


def read_accounts(section: Section, name: str) -> AccountsConfig:
    """
    Read ``[accounts NAME]``.

    Sources are asked in the order in which they are written.
    """
    if name == "upstream":
        section.wrong("'upstream' is the upstream's own accounts; choose another name")
    elif name == CERTIFICATE:
        section.wrong("'certificate' is for client certificates; choose another name")
    section.check_names("accounts")
    fields = section.read(ACCOUNTS)
    files: tuple[PurePath, ...] = fields.get("sources", ())
    application: bool = fields.get("application", False)
    ldap = _read_ldap(section)
    robots = section.read(ROBOTS)
    sources: list[HtpasswdConfig | LdapConfig | RobotsConfig] = []
    for option in section.texts:
        if option == "htpasswd":
            sources += [HtpasswdConfig(path=path) for path in files]
        elif option == "ldap" and ldap is not None:
            sources.append(ldap)
        elif option == "robots" and robots:
            sources.append(RobotsConfig(**robots))
    if not (application or any(o in section for o in ("htpasswd", "ldap", "robots"))):
        section.wrong("no source of accounts; write htpasswd = FILE, or ldap = URL")
    return AccountsConfig(name=name, sources=tuple(sources), application=application)


def _read_ldap(section: Section) -> LdapConfig | None:
    fields = section.read(LDAP)
    if "ldap" not in section:
        for option in LDAP.options:
            if option.name in section:
                section.warn(option.name, "needs an ldap option beside it")
        return None
    if ("ldap-bind-dn" in section) != ("ldap-bind-password-file" in section):
        missing = (
            "ldap-bind-password-file" if "ldap-bind-dn" in section else "ldap-bind-dn"
        )
        section.problem(missing, "missing; DN and password file go together")
    return LdapConfig(**fields) if "url" in fields else None


def read_identity(section: Section, name: str) -> IdentityConfig | None:
    """Read ``[identity NAME]``; None for one that cannot be made sense of."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        section.wrong("the name may have letters, digits, and . _ - between them")
        return None
    if name in ("upstream", CERTIFICATE):
        section.wrong(f"'{name}' means something else in accounts; choose another name")
    section.check_names("identity")
    fields = section.read(IDENTITY)
    fields.setdefault("user", parse_template(f"{name}:${{sub}}"))
    jwks = fields.get("jwks")
    if isinstance(jwks, PurePath):
        for option in ("ca-file", "proxy"):
            if option in section:
                section.warn(option, "has no effect beside a file with the keys")
    check_proxy_credentials(section, fields.get("proxy"))
    if not {"issuer", "audience"} <= fields.keys():
        return None
    return IdentityConfig(name=name, **fields)


def read_access(section: Section, identities: Collection[str] = ()) -> AccessRules:
    """Read ``[access NAME]``: each option is a subject."""
    try:
        rules = parse_access(section.texts)
    except InvalidAccess as error:
        for problem in error.problems:
            subject, colon, text = problem.partition(": ")
            section.problem(subject, text) if colon else section.wrong(problem)
        return AccessRules(())
    for each in dict.fromkeys(grant.subject for grant in rules.grants):
        if each.kind is Kind.IDENTITY and each.name not in identities:
            missing = references.no_section("identity", each.name, identities)
            section.problem(str(each), missing)
    return rules
