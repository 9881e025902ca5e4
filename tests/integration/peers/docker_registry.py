"""Debian's `docker-registry` as the upstream."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .certificates import Authority
from .processes import Daemon, base_environment

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
  addr: 127.0.0.1:{port}
  secret: the same after a restart
  tls:
    certificate: {certificate}
    key: {key}
auth:
  token:
    realm: {realm}
    service: {service}
    issuer: {issuer}
    rootcertbundle: {root_certificate}
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


class DockerRegistry:
    """A registry over TLS that wants tokens, storing in a directory of the test.

    It can be stopped and started again: the port and the stored images stay.
    """

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        *,
        realm: str,
        service: str,
        issuer: str,
    ) -> None:
        directory.mkdir()
        self.directory = directory
        self.port = 0
        self._daemon: Daemon | None = None
        certificate, key = authority.issue("127.0.0.1", "localhost").write(
            directory, "server"
        )
        root_certificate = directory / "root.crt"
        root_certificate.write_bytes(authority.certificate_pem())
        self._values = {
            "directory": directory,
            "certificate": certificate,
            "key": key,
            "realm": realm,
            "service": service,
            "issuer": issuer,
            "root_certificate": root_certificate,
        }

    @property
    def host(self) -> str:
        """`ADDRESS:PORT`, as in an image name."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"https://{self.host}"

    def start(self) -> None:
        """Start it, on the port it had before if it had one, and wait for it."""
        configuration = self.directory / "config.yml"
        configuration.write_text(CONFIGURATION.format(port=self.port, **self._values))
        self._daemon = Daemon(
            ["docker-registry", "serve", configuration],
            self.directory / "registry.log",
            base_environment(self.directory / "home"),
        )
        match = self._daemon.wait_for(r"listening on 127\.0\.0\.1:(\d+), tls")
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
