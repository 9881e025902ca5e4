"""Listeners and their certificates, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

#: A colon in an endpoint that no backslash stands before.
COLON = re.compile(r"(?<!\\):")


class Where(NamedTuple):
    """
    Where a listener listens, as its endpoint says it.

    `kind` is ``tcp``, ``unix`` or ``systemd``. `port` is 0 where the system chooses it,
    and `interface` is empty for all of them. `named` has all words with a name.
    """

    kind: str
    interface: str
    port: int
    path: PurePath | None
    named: dict[str, str]


@dataclass(frozen=True)
class Listener:
    """
    One line of ``listen``: `endpoint` is a Twisted server endpoint string.

    With `proxy_protocol`, connections begin with a PROXY line. With `redirects`,
    clients are sent on to https. The file of a unix socket belongs to `user` and
    `group`, where these are not empty.
    """

    text: str
    endpoint: str
    tls: bool
    proxy_protocol: bool = False
    redirects: bool = False
    user: str = ""
    group: str = ""

    @property
    def where(self) -> Where:
        """Where it listens."""
        kind, *words = COLON.split(self.endpoint)
        words = [re.sub(r"\\(.)", r"\1", word) for word in words]
        named = dict(word.split("=", 1) for word in words if "=" in word)
        first = next((word for word in words if "=" not in word), "")
        path = named.get("address") or first
        port = named.get("port") or first
        is_number = re.fullmatch("[0-9]{1,5}", port)
        return Where(
            kind,
            named.get("interface", "").strip("[]"),
            int(port) if kind == "tcp" and is_number else 0,
            PurePath(path) if kind == "unix" else None,
            named,
        )


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate (with its chain) and its key; `host` is empty for the default."""

    host: str
    certificate: PurePath
    key: PurePath
