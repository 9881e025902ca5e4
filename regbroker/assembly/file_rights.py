"""
What every user of the machine may do with the files that a configuration names.

Serving says the same as it reads each file, so this is for those who only look.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePath

from regbroker.runtime.watched_file import too_many_rights
from regbroker.settings.config import Config, HtpasswdConfig, LdapConfig


def file_rights(config: Config) -> Iterator[str]:
    """Yield a line for each file that others may use or change, with its option."""
    for option, path, is_secret in _files(config.in_use()):
        if not isinstance(path, PurePath):
            continue
        try:
            mode = os.stat(path).st_mode
        except OSError:
            # That the file cannot be read has been said already.
            continue
        problem = too_many_rights(mode, is_secret)
        if problem:
            yield f"{option}: {path}: {problem}"


def _files(config: Config) -> Iterator[tuple[str, object, bool]]:
    """Yield the option of each file that is read again, the file, if it is secret."""
    yield "[regbroker] signing-key", config.signing_key, True
    yield "[regbroker] revoked-tokens", config.revoked_tokens, False
    for upstream in config.upstreams.values():
        title = f"[upstream {upstream.name}]"
        yield f"{title} password-file", upstream.password_file, True
        proxy_credentials = upstream.proxy_credentials_file
        yield f"{title} proxy-credentials-file", proxy_credentials, True
    for accounts in config.accounts.values():
        title = f"[accounts {accounts.name}]"
        for source in accounts.sources:
            if isinstance(source, HtpasswdConfig):
                # Hashes are no secret as passwords are: web servers read them, too.
                yield f"{title} htpasswd", source.path, False
            elif isinstance(source, LdapConfig):
                password = source.bind_password_file
                yield f"{title} ldap-bind-password-file", password, True
    for identity in config.identities.values():
        title = f"[identity {identity.name}]"
        yield f"{title} jwks", identity.jwks, False
        proxy_credentials = identity.proxy_credentials_file
        yield f"{title} proxy-credentials-file", proxy_credentials, True
