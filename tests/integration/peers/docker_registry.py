"""Debian's `docker-registry` as the upstream."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .certificates import Authority
from .processes import Daemon, base_environment, require_programs

CONFIGURATION = """\
version: 0.1
log:
  level: info
  accesslog:
    disabled: false
storage:
  filesystem:
    rootdirectory: {directory}/blobs
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
http:
  net: {net}
  addr: {address}
  secret: the same after a restart
  prefix: {prefix}/
  headers: {headers}
"""

TLS = """\
  tls:
    certificate: {certificate}
    key: {key}
"""

TOKENS = """\
auth:
  token:
    realm: {realm}
    service: {service}
    issuer: {issuer}
    rootcertbundle: {root_certificate}
"""

HTPASSWD = """\
auth:
  htpasswd:
    realm: {realm}
    path: {path}
"""

MIDDLEWARE = """\
middleware:
  storage:
    - name: redirect
      options:
        baseurl: {redirect_to}
"""

PROXY = """\
proxy:
  remoteurl: {remote}
  username: {user}
  password: {password}
"""

ACCESS_LINE = re.compile(
    r'^\S+ - \S+ \[[^]]*\] "(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[\d.]+" '
    r"(?P<status>\d{3}) ",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Access:
    """One request that the registry has answered, from its access log."""

    method: str
    target: str
    status: int


@dataclass(frozen=True)
class Tokens:
    """The registry wants tokens of a token server."""

    realm: str
    service: str
    issuer: str


@dataclass(frozen=True)
class Remote:
    """The registry is a cache: another one, at a URL, has its images, for a user."""

    remote: str
    user: str = ""
    password: str = ""


@dataclass(frozen=True)
class Passwords:
    """The registry wants Basic credentials, and reads their bcrypt from a file."""

    path: Path
    realm: str = "upstream registry"


class DockerRegistry:
    """A registry that stores in a directory of the test.

    Without `authentication` everybody may do everything; without `tls` it speaks
    plain HTTP. With `socket` it listens there, and on no port. It is below `prefix`, a
    path, and says `headers` with every reply. With `redirect_to`, a URL, it sends who
    wants a blob there, to the path that the blob's file has below `storage`. With
    `cache` it has what is elsewhere, which it trusts the authority about. It can be
    stopped and started again: the port and the stored images stay.
    """

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        authentication: Tokens | Passwords | None = None,
        *,
        tls: bool = True,
        redirect_to: str = "",
        prefix: str = "",
        socket: Path | None = None,
        headers: Mapping[str, str] | None = None,
        cache: Remote | None = None,
    ) -> None:
        require_programs("docker-registry")
        directory.mkdir()
        self.directory = directory
        self.storage = directory / "blobs"
        self.port = 0
        self._daemon: Daemon | None = None
        self._scheme = "https" if tls else "http"
        certificate, key = authority.issue("127.0.0.1", "localhost").write(
            directory, "server"
        )
        root_certificate = directory / "root.crt"
        root_certificate.write_bytes(authority.certificate_pem())
        text = CONFIGURATION + (TLS if tls else "")
        text += MIDDLEWARE if redirect_to else ""
        values: dict[str, object] = {}
        if isinstance(authentication, Tokens):
            text += TOKENS
            values = vars(authentication)
        elif isinstance(authentication, Passwords):
            text += HTPASSWD
            values = vars(authentication)
        if cache is not None:
            text += PROXY
            values = {**values, **vars(cache)}
        self._text = text
        self._socket = socket
        self._values = {
            "directory": directory,
            "redirect_to": redirect_to,
            "prefix": prefix,
            "headers": json.dumps({k: [v] for k, v in (headers or {}).items()}),
            "certificate": certificate,
            "key": key,
            "root_certificate": root_certificate,
            **values,
        }

    @property
    def host(self) -> str:
        """`ADDRESS:PORT`, as in an image name."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"{self._scheme}://{self.host}"

    def start(self) -> None:
        """Start it, on the port it had before if it had one, and wait for it."""
        configuration = self.directory / "config.yml"
        socket, address = self._socket, f"127.0.0.1:{self.port}"
        configuration.write_text(
            self._text.format(
                net="unix" if socket else "tcp",
                address=socket or address,
                **self._values,
            )
        )
        self._daemon = Daemon(
            ["docker-registry", "serve", configuration],
            self.directory / "registry.log",
            base_environment(self.directory / "home")
            | {"SSL_CERT_FILE": str(self._values["root_certificate"])},
        )
        if socket:
            self._daemon.wait_for(f"listening on {re.escape(str(socket))}")
            return
        match = self._daemon.wait_for(r"listening on 127\.0\.0\.1:(\d+)")
        self.port = int(match[1])

    def stop(self) -> None:
        """End it; harmless when it is not running."""
        if self._daemon is not None:
            self._daemon.stop()

    def requests(self) -> list[Access]:
        """Every request answered so far, oldest first."""
        log = self.directory / "registry.log"
        text = log.read_text(errors="backslashreplace") if log.exists() else ""
        return [
            Access(match["method"], match["target"], int(match["status"]))
            for match in ACCESS_LINE.finditer(text)
        ]
