"""Listeners and their certificates, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath


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


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate (with its chain) and its key; `host` is empty for the default."""

    host: str
    certificate: PurePath
    key: PurePath
