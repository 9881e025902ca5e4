"""
What is wrong with identities beyond their sections: files, proxies, conditions.

A module of its own, since `regbroker check` does not load what fetches keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from regbroker.accounts.identity.keys import MAX_BYTES, parse_key_set
from regbroker.runtime.watched_file import WatchedFile
from regbroker.settings.config import Config
from regbroker.transport.trust import Trust
from regbroker.upstream.dialling import problems_with_proxy


def problems_with_identities(config: Config) -> Iterator[str]:
    """Say what is wrong with files, proxies and conditions; starts nothing."""
    for name, entry in config.identities.items():
        title = f"[identity {name}]"
        if isinstance(entry.jwks, PurePath):
            file = WatchedFile(
                Path(entry.jwks), parse_key_set, lambda: 0.0, max_bytes=MAX_BYTES
            )
            try:
                file.read()
            except ValueError as error:
                yield f"{title} jwks: {error}"
            continue
        for problem in problems_with_proxy(entry):
            yield f"{title} {problem}"
        try:
            Trust(Path(entry.ca_file) if entry.ca_file else None)
        except OSError:
            # That the file cannot be read has been said already.
            pass
        except ValueError as error:
            yield f"{title} ca-file: {entry.ca_file} holds no certificate: {error}"
