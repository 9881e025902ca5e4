"""
What is wrong with the passwords of our own accounts, without asking anybody.

It is apart from what builds upstreams, so that ``regbroker check`` need not load that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regbroker.settings.config import Config, LdapConfig
from regbroker.upstream.credentials import (
    environment_password,
    password_oddity,
    password_problem,
)

_REMEDY = "leave there the password alone, on one line"


def problems_with_credentials(config: Config) -> Iterator[str]:
    """Say which passwords of our own accounts cannot be ones; starts nothing."""
    for name, entry in config.upstreams.items():
        option, problem = "", None
        if entry.password_file is not None:
            option = "password-file"
            problem = password_problem(Path(entry.password_file))
        elif entry.password_env:
            option = "password-env"
            try:
                environment_password(entry.password_env)
            except ValueError as error:
                problem = str(error)
        if problem is not None:
            yield f"[upstream {name}] {option}: {problem}"


def credential_warnings(config: Config) -> Iterator[str]:
    """Say which files hold more than a password, though they can be used."""
    for name, entry in config.upstreams.items():
        if entry.password_file is not None:
            odd = password_oddity(Path(entry.password_file), entry.username)
            if odd is not None:
                yield f"[upstream {name}] password-file: {odd}; {_REMEDY}"
    for name, accounts in config.accounts.items():
        for source in accounts.sources:
            if isinstance(source, LdapConfig) and source.bind_password_file:
                odd = password_oddity(Path(source.bind_password_file), source.bind_dn)
                if odd is not None:
                    yield f"[accounts {name}] ldap-bind-password-file: {odd}; {_REMEDY}"
