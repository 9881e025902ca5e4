"""Whether somebody can log in as a user, as far as files tell."""

from __future__ import annotations

from pathlib import Path

from regbroker.runtime.unreadable import why_unreadable
from regbroker.settings.config import Config, HtpasswdConfig, RobotsConfig


def why_unknown(config: Config, accounts: str, user: str) -> str:
    """
    Say why there is no such user in an ``[accounts NAME]``; '' if there may be.

    Files are read, and nobody is asked: a directory may know any user.
    """
    if accounts not in config.accounts:
        return ""
    said = []
    for source in config.accounts[accounts].sources:
        if isinstance(source, RobotsConfig):
            if user in source.users:
                return ""
            continue
        if not isinstance(source, HtpasswdConfig):
            return ""
        try:
            # What knows the hashes takes long to load.
            from regbroker.accounts.htpasswd_file import parse, read

            contents = parse(read(Path(source.path)))
        except (OSError, ValueError) as error:
            why = why_unreadable(error) if isinstance(error, OSError) else error
            said.append(f"'{user}' is not found in {source.path}: {why}")
            continue
        if user in contents.hashes:
            return ""
        said.append(f"'{user}' is not in {source.path}, or has no hash there")
    if config.accounts[accounts].application:
        return ""
    return (
        "; ".join(said) or f"'{user}' is not among the robots of [accounts {accounts}]"
    )
