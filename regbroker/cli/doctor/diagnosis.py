"""Why a server was not reached, or is not trusted, in plain words: pure rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from cryptography import x509

from regbroker.causes import Cause
from regbroker.cli.doctor.steps import Trouble
from regbroker.protocol.origins import Origin
from regbroker.transport.certificates.rules import (
    hosts_of,
    is_for,
    name_of,
    validity_warnings,
    weaknesses,
)
from regbroker.transport.client.tunnel_failures import TunnelFailed


@dataclass(frozen=True)
class Identity:
    """Our own certificate: the option that has it, and whether it was shown."""

    option: str = ""
    is_shown: bool = False


NO_IDENTITY = Identity()

#: The option that names the listeners, in which no URL stands.
LISTEN = "[regbroker] listen"

#: Where something else answers than the regbroker that listens there by its file.
WHICH_PROGRAM = "see which program listens: ss -ltnp"

#: X509_V_ERR numbers that say that nobody known has signed.
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21, 27})


def connection_trouble(
    kind: str,
    detail: str,
    origin: Origin,
    where: str,
    called: str = "",
    identity: Identity = NO_IDENTITY,
) -> Trouble:
    """
    Say why a server was not reached; `where` is the option that names it.

    `called` is what the server is called where that is not host and port. `identity`
    is the certificate that was shown there.
    """
    port = called or f"port {origin.port} of {origin.host}"
    if kind == "name":
        return Trouble(
            f"the name {origin.host} is not known here: {detail}",
            f"check {where}, and the name servers in /etc/resolv.conf",
        )
    if kind == "refused":
        return Trouble(
            f"nothing listens on {port}: the connection was refused",
            f"check the port in {where}, and whether {_whose(where)} runs",
        )
    if kind == "timeout":
        return Trouble(
            f"no answer from {port} within the time-out: a firewall drops what is "
            "sent, or the host is down",
            f"check {where}, and the firewalls between here and there",
        )
    if kind == "unreachable":
        return Trouble(
            f"{origin.host} cannot be reached: {detail}",
            "check this machine's routes and its IPv6",
        )
    if kind in ("tls", "tls-timeout"):
        return _tls_trouble(kind, detail, port, where, identity)
    if kind == "silent":
        return Trouble(
            f"{port} takes the connection and does not answer in time",
            "look at the server's own log; it may be overloaded",
        )
    if kind == "closed" and origin.scheme == "http":
        return Trouble(
            f"{port} closed the connection without an answer; does it speak https?",
            _other_scheme("https", where),
        )
    return Trouble(
        f"{port} closed the connection without an answer",
        "look at the server's own log",
    )


def socket_trouble(path: PurePath, kind: str, detail: str, where: str) -> Trouble:
    """Say why nobody was reached on a unix socket."""
    if kind == "missing":
        return Trouble(
            f"there is no socket {path}",
            f"check the path in {where}, and whether {_whose(where)} runs",
        )
    if kind == "denied":
        return Trouble(
            f"the user that doctor runs as may not connect to {path}: {detail}",
            "run doctor as the user that regbroker runs as; that user needs the right "
            "to write to the socket, and to enter each directory above it",
        )
    if kind == "refused":
        return Trouble(
            f"nobody listens on the socket {path}: the connection was refused",
            f"check whether {_whose(where)} runs; what is left of one that has ended "
            "may be removed",
        )
    return Trouble(
        f"the socket {path} cannot be reached: {detail or kind}",
        f"check the path in {where}",
    )


def _whose(where: str) -> str:
    """Return what is to run where a connection was refused."""
    return "regbroker" if where == LISTEN else "the server"


def tunnel_trouble(error: TunnelFailed, origin: Origin) -> Trouble:
    """Say why there is no way through a proxy to a server."""
    if error.cause is None:
        advice = f"check whether {origin.host} can be reached from the proxy's machine"
    elif error.cause is Cause.PROXY_UNREACHABLE:
        advice = "check the address of the proxy, and look at its log"
    else:
        advice = (
            "look at the proxy's rules and at its log, or at proxy-credentials-file"
        )
    return Trouble(str(error), advice)


def _tls_trouble(
    kind: str, detail: str, port: str, where: str, identity: Identity
) -> Trouble:
    if kind == "tls-timeout":
        return Trouble(
            f"{port} does not answer to TLS; does it speak plain http?",
            _other_scheme("http", where, ", if nobody can listen in between"),
        )
    if "wrong version number" in detail or "record layer" in detail:
        return Trouble(
            f"{port} answers in plain text, and not in TLS; does it speak plain http?",
            _other_scheme("http", where, ", or the port of https"),
        )
    if "protocol version" in detail or "unsupported protocol" in detail:
        return Trouble(
            f"{port} speaks TLS older than 1.2 only",
            "let the server's operator switch on TLS 1.2",
        )
    if identity.is_shown and "alert" in detail and _is_refusal(detail):
        return Trouble(
            f"{port} does not accept the certificate of regbroker: {detail}",
            f"let the server's operator know the CA of {identity.option}, or have one "
            "issued by a CA that the server trusts",
        )
    if "certificate required" in detail or "bad certificate" in detail:
        return Trouble(
            f"{port} wants a certificate of the client",
            f"write {identity.option} and client-key"
            if identity.option
            else "let the server's operator say how clients log in",
        )
    return Trouble(
        f"TLS with {port} fails: {detail or 'the server closed the connection'}",
        "look at the server's own log, and at what it offers",
    )


def _other_scheme(scheme: str, where: str, more: str = "") -> str:
    """Advise to write another scheme, if a URL names the server."""
    return WHICH_PROGRAM if where == LISTEN else f"write {scheme}:// in {where}{more}"


def _is_refusal(detail: str) -> bool:
    words = ("certificate", "unknown ca", "decrypt error", "access denied")
    return any(word in detail for word in words)


def not_http(data: bytes, origin: Origin, where: str, called: str = "") -> Trouble:
    """Say what it may be that answered with something else than HTTP."""
    port = called or f"port {origin.port} of {origin.host}"
    # 21 is the type of an alert; a server of TLS sends one to a plain request.
    if origin.scheme == "http" and data[:2] == b"\x15\x03":
        return Trouble(
            f"{port} answered in TLS: it speaks https",
            _other_scheme("https", where),
        )
    shown = data[:20].decode("latin-1").encode("unicode_escape").decode()
    return Trouble(
        f"{port} does not speak HTTP: '{shown}'",
        f"check the port in {where}",
    )


def certificate_trouble(
    host: str,
    chain: Sequence[x509.Certificate],
    errors: Collection[tuple[int, int]],
    now: datetime,
    *,
    where: str = "",
    ca_option: str = "",
) -> Trouble | None:
    """
    Say why clients refuse a server's certificate; None where they do not.

    `errors` are OpenSSL's. With `ca_option` empty, the certificate may be self-signed.
    `where` is the option that names the host.
    """
    if not chain:
        return Trouble("the server has shown no certificate")
    problems, advice = [], []
    for depth, each in enumerate(chain):
        for text in validity_warnings(each, now):
            if "it expires on" in text:
                # It is good today.
                continue
            of = "the certificate" if not depth else f"{name_of(each)} in the chain"
            problems.append(f"{of} cannot be used: {text.partition(';')[0]}")
            advice.append("renew it, and restart or reload what serves it")
    if not is_for(chain[0], host):
        names = ", ".join(hosts_of(chain[0])[:5]) or "no host"
        problems.append(f"the certificate is not for {host}, but for {names}")
        advice.append(_other_name(host, where))
    if ca_option and any(error in _UNKNOWN_ISSUER for _, error in errors):
        problem, does = _unknown(chain, ca_option)
        problems.append(problem)
        advice.append(does)
    problems += [text.partition(";")[0] for text in weaknesses(chain[0])]
    if not problems:
        return None
    return Trouble("; ".join(problems), "; ".join(dict.fromkeys(filter(None, advice))))


def _other_name(host: str, where: str) -> str:
    """Advise what to write where a certificate is for another host."""
    if where == LISTEN:
        return f"write a certificate that is for {host} into [tls {host}]"
    return f"write one of these names in {where}" if where else ""


def _unknown(chain: Sequence[x509.Certificate], ca_option: str) -> tuple[str, str]:
    leaf, last = chain[0], chain[-1]
    if len(chain) == 1 and leaf.issuer == leaf.subject:
        return (
            "the certificate is signed by itself, so nobody here knows it",
            f"if it is right, write it into a file, and name that in {ca_option}",
        )
    issuer = last.issuer.rfc4514_string()
    alone = " (the server sends no certificate between)" if len(chain) == 1 else ""
    return (
        f"the CA that has signed it is not known here: {issuer}{alone}",
        f"name the CA's certificate in {ca_option}, or let the server send the whole "
        "chain",
    )
