"""
Assembly of identities: the keys of their issuers, and what verifies their JWTs.
"""

from __future__ import annotations

import time
from pathlib import Path, PurePath

from twisted.application.service import Service

from regbroker.accounts.identity.issuer import Fetch, Fetched, Issuer, IssuerFailed
from regbroker.accounts.identity.key_cache import KeyCache
from regbroker.accounts.identity.key_file import KeyFile
from regbroker.accounts.identity.keys import MAX_BYTES, KeySet, parse_key_set
from regbroker.accounts.identity.verifier import Expected, Verifier
from regbroker.assembly.named_conditions import named_conditions
from regbroker.errors import ConfigurationError, RedirectRefused, UpstreamError
from regbroker.protocol.urls import parse_url
from regbroker.runtime.reactor import INetworkReactor
from regbroker.runtime.watched_file import read_file
from regbroker.settings.config import (
    DEFAULT_CONNECT_TIMEOUT,
    IdentityConfig,
)
from regbroker.transport.client.trust import Trust
from regbroker.upstream.dialling import way_out
from regbroker.upstream.documents import Documents


class IssuerKeysService(Service):
    """
    The keys of one ``[identity NAME]``: `keys` work while it runs.

    Raises `ConfigurationError`.
    """

    def __init__(self, entry: IdentityConfig, reactor: INetworkReactor) -> None:
        self.entry = entry
        self._documents: Documents | None = None
        self.keys: KeyCache | KeyFile
        if isinstance(entry.jwks, PurePath):
            self.keys = KeyFile(Path(entry.jwks), reactor.seconds)
            return
        self._documents = _documents(entry, reactor)
        issuer = Issuer(entry.issuer, entry.jwks, _fetch_with(self._documents))
        self.keys = KeyCache(entry.name, issuer.keys, reactor)

    def startService(self) -> None:
        """Get the keys; an issuer that is down is asked until it is not."""
        super().startService()
        self.keys.open()

    def stopService(self) -> None:
        """End what is under way."""
        super().stopService()
        self.keys.close()
        if self._documents is not None:
            self._documents.close()


async def fetch_keys(entry: IdentityConfig, reactor: INetworkReactor) -> KeySet:
    """
    Return the keys of one section now, once.

    Raises `IssuerFailed`, also for a file, and `ConfigurationError`.
    """
    if isinstance(entry.jwks, PurePath):
        try:
            return parse_key_set(read_file(Path(entry.jwks), MAX_BYTES)[0])
        except (OSError, ValueError) as error:
            raise IssuerFailed(f"{entry.jwks}: {error}") from None
    documents = _documents(entry, reactor)
    try:
        issuer = Issuer(entry.issuer, entry.jwks, _fetch_with(documents))
        return (await issuer.keys()).keys
    finally:
        documents.close()


def keys_of(entry: IdentityConfig) -> tuple[object, ...]:
    """Return what of a section its keys depend on: while it is the same, they stay."""
    return (
        entry.issuer,
        entry.jwks,
        entry.ca_file,
        entry.proxy,
        entry.proxy_credentials_file,
    )


def build_verifier(entry: IdentityConfig, keys: KeyCache | KeyFile) -> Verifier:
    """Return what verifies the JWTs of one section; raises `ConfigurationError`."""
    expected = Expected(
        name=entry.name,
        issuer=entry.issuer,
        audience=entry.audience,
        algorithms=entry.algorithms,
        leeway=entry.leeway,
        required=entry.required_claims,
        user=entry.user,
        groups=entry.groups,
    )
    return Verifier(expected, keys, time.time, named_conditions(entry))


def _documents(entry: IdentityConfig, reactor: INetworkReactor) -> Documents:
    """Return what fetches from an issuer: from its own host, and from public ones."""
    try:
        trust = Trust(
            Path(entry.ca_file) if entry.ca_file else None,
            way_out(entry, reactor.seconds),
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"[identity {entry.name}] {error}"]) from error
    # Those hosts the operator has written himself.
    written = (entry.issuer, entry.jwks if isinstance(entry.jwks, str) else "")
    places = [place for text in written if (place := parse_url(text)) is not None]
    return Documents(
        f"the issuer of [identity {entry.name}]",
        MAX_BYTES,
        trust,
        DEFAULT_CONNECT_TIMEOUT,
        reactor,
        frozenset(place.origin.host for place in places),
        f"write the URL of the keys as jwks in [identity {entry.name}]",
    )


def _fetch_with(documents: Documents) -> Fetch:
    async def fetch(url: str) -> Fetched:
        try:
            document = await documents.ask("GET", url)
        except RedirectRefused as error:
            raise IssuerFailed(f"{url}: {error.why}") from error
        except UpstreamError as error:
            raise IssuerFailed(f"{url}: {error.message}") from error
        cache_control = document.header(b"Cache-Control") or b""
        return Fetched(document.status, document.body, cache_control.decode("latin-1"))

    return fetch
