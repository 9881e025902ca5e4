"""
The hosts that ``[registry *]`` stands for, where the operator names them.

Whatever host a client asks for goes to the upstream as X-Forwarded-Host, and into the
realm that the client is sent to. The names of the hosts decide which ones these can be.
"""

from __future__ import annotations

from collections.abc import Sequence

_STAR = "*."


def is_served(host: str, patterns: Sequence[str]) -> bool:
    """
    Tell whether `host` is one of those meant; without `patterns`, all are.

    `host` is in lower case, without a port. A pattern is a host or ``*.DOMAIN``,
    which means one label before the domain, as it does in certificates.
    """
    if not patterns:
        return True
    label, dot, domain = host.partition(".")
    return host in patterns or bool(label and dot and _STAR + domain in patterns)


def host_to_try(host: str, patterns: Sequence[str]) -> str:
    """Return a host that a registry for `host`, or ``*``, answers for."""
    if host != "*":
        return host
    if not patterns:
        return "localhost"
    plain = (pattern for pattern in patterns if not pattern.startswith(_STAR))
    return next(plain, "registry" + patterns[0].removeprefix("*"))
