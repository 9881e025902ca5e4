"""
Our certificates towards clients, picked by SNI.

TLS 1.2 at least, forward secrecy only, HTTP/1.1 alone in ALPN.
"""

from __future__ import annotations

import hashlib
import time
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from pathlib import Path

from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions

from regbroker.errors import ConfigurationError
from regbroker.runtime.unreadable import why_unreadable
from regbroker.transport.certificates.pem_files import (
    WrongCertificate,
    WrongKey,
    load_chain,
    load_pair,
)
from regbroker.transport.listening.listeners import CertificateFiles
from regbroker.transport.tls.server_options import ServerOptions
from regbroker.transport.tls.session_tickets import COMMON_OPTIONS, TicketKeys

#: What ALPN offers, on both sides.
PROTOCOLS = [b"http/1.1"]

#: The certificates of all public CAs are a quarter of a megabyte.
MAX_PEM_BYTES = 4 * 1024 * 1024


def read_pem(path: Path) -> bytes:
    """
    Return what a PEM file holds, without a byte order mark.

    Raises `OSError`, and `ValueError` for what is no file with certificates.
    """
    # A pipe would stop the reactor until somebody writes to it.
    if path.exists() and not path.is_file():
        raise WrongCertificate("no regular file")
    with path.open("rb") as file:
        data = file.read(MAX_PEM_BYTES + 1)
    if len(data) > MAX_PEM_BYTES:
        raise WrongCertificate(f"it has more than {MAX_PEM_BYTES} bytes")
    return data.removeprefix(BOM_UTF8)


def read_key_pem(path: Path) -> bytes:
    """Return what the PEM file of a key holds; raises `WrongKey`."""
    try:
        return read_pem(path)
    except (OSError, WrongCertificate) as error:
        raise WrongKey(_words(error)) from None


def certificate_options(
    certificate_pem: bytes,
    key_pem: bytes,
    others: Mapping[str, SSL.Context] | None = None,
    names: tuple[str, str] = ("FILE", "FILE"),
    client_ca: bytes | None = None,
    tickets: TicketKeys | None = None,
    host: str = "",
) -> ServerOptions:
    """
    Return server options for a certificate with its chain, and its key.

    `others` are contexts for further server names, ``*.`` wildcards included; `names`
    are those of the files. With `client_ca`, PEM certificates, clients are asked for a
    certificate that one of these has issued; who shows none is served, too. Sessions
    resume with the keys of `tickets`, and for the same `host`, certificate and
    `client_ca` only. Raises `ValueError` that says what is wrong with the files'
    contents.
    """
    chain, key = load_pair(certificate_pem, key_pem, names)
    authorities = load_chain(client_ca) if client_ca is not None else []
    options = CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(key),
        certificate=crypto.X509.from_cryptography(chain[0]),
        extraCertChain=[crypto.X509.from_cryptography(c) for c in chain[1:]],
        acceptableProtocols=PROTOCOLS,
        verify=bool(authorities),
        caCerts=[crypto.X509.from_cryptography(c) for c in authorities] or None,
        requireCertificate=False,
        **COMMON_OPTIONS,
    )
    try:
        context = options.getContext()
        if authorities:
            # Clients with several certificates choose by these names.
            context.set_client_ca_list(
                [crypto.X509.from_cryptography(c).get_subject() for c in authorities]
            )
    except SSL.Error as error:
        raise WrongCertificate(f"OpenSSL refuses it: {_reason(error)}") from None
    context.set_session_id(_session_context(host, certificate_pem, client_ca or b""))
    return ServerOptions(context, others or {}, tickets or TicketKeys(time.monotonic))


def _words(error: Exception) -> str:
    """Return what is wrong with a file, whose path is said beside it."""
    return why_unreadable(error) if isinstance(error, OSError) else str(error)


def _session_context(*parts: str | bytes) -> bytes:
    """Return the 32 bytes that OpenSSL compares before it resumes a session."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(hashlib.sha256(data).digest())
    return digest.digest()


def _reason(error: SSL.Error) -> str:
    """Return OpenSSL's own words for an error, and what to do about usual ones."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reason = ", ".join(str(entry[-1]) for entry in queue) or "it does not say why"
    if "too small" in reason:
        return f"{reason}; make a new one, P-256 or RSA with 2048 bits"
    if "md too weak" in reason:
        return f"{reason}; have one issued with SHA-256"
    return reason


def load_certificates(
    files: Iterable[CertificateFiles],
    fallback: tuple[Path, Path] | None,
    client_ca: Path | None = None,
    tickets: TicketKeys | None = None,
) -> ServerOptions:
    """
    Return the server options for all configured certificates.

    `fallback` are the certificate and key served to names that have none, when
    there is no ``[tls]`` section; without it the first one serves. `client_ca` is the
    file with who certifies clients, `tickets` are the keys of sessions that resume.
    Raises `ConfigurationError` with every file that cannot be used.
    """
    problems: list[str] = []
    authorities = None
    if client_ca is not None:
        try:
            authorities = read_pem(client_ca)
            load_chain(authorities)
        except (OSError, ValueError) as error:
            problems.append(f"[regbroker] client-ca: {client_ca}: {_words(error)}")
            authorities = None
    others: dict[str, SSL.Context] = {}
    default: tuple[bytes, bytes] | None = None
    for entry in files:
        try:
            pair = read_pem(Path(entry.certificate)), read_key_pem(Path(entry.key))
            names = str(entry.certificate), str(entry.key)
            options = certificate_options(
                *pair, names=names, client_ca=authorities, host=entry.host
            )
        except (OSError, ValueError) as error:
            section = f"tls {entry.host}".strip()
            wrong_key = isinstance(error, WrongKey)
            option, path = (
                ("key", entry.key) if wrong_key else ("certificate", entry.certificate)
            )
            problems.append(f"[{section}] {option}: {path}: {_words(error)}")
            continue
        if entry.host:
            others[entry.host] = options.getContext()
        if not entry.host or (default is None and fallback is None):
            default = pair
    if problems:
        raise ConfigurationError(problems)
    if default is None and fallback is not None:
        default = fallback[0].read_bytes(), fallback[1].read_bytes()
    assert default is not None
    return certificate_options(*default, others, client_ca=authorities, tickets=tickets)
