"""nginx: as object storage, which hands out files and will have no Authorization, and
as a proxy that has a registry below a path."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from .certificates import Authority
from .processes import Daemon, base_environment, require_programs

CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
    log_format seen escape=json '$request_method\\t$uri\\t$status\\t$http_authorization'
        '\\t$http_cookie\\t$http_x_forwarded_for\\t$http_range';
    access_log {directory}/access.log seen;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        {server}
    }}
}}
"""

STORAGE = """\
        # as S3 does, which would have to choose between it and the signature
        if ($http_authorization) {{ return 400; }}
        add_header X-Amz-Request-Id 1;
        root {root};
"""

# a path behind the address: nginx takes away what the location matched
STRIPPING = """\
        client_max_body_size 0;
        location {path}/ {{
            proxy_pass http://127.0.0.1:{target}/;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_http_version 1.1;
            proxy_request_buffering off;
        }}
        location / {{ return 421; }}
"""

ASKING = """\
        ssl_client_certificate {root};
        ssl_verify_client on;
        client_max_body_size 0;
        location / {{
            proxy_pass http://127.0.0.1:{target};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_http_version 1.1;
            proxy_request_buffering off;
        }}
"""


@dataclass(frozen=True)
class Seen:
    """One request as nginx saw it; headers that were not there are empty."""

    method: str
    path: str
    status: int
    authorization: str
    cookie: str
    forwarded_for: str
    range: str


class Nginx:
    """Serves the files below `root` over TLS, which need not be there yet."""

    def __init__(self, directory: Path, root: Path, authority: Authority) -> None:
        self._prepare(directory, STORAGE.format(root=root), authority)

    def _prepare(self, directory: Path, server: str, authority: Authority) -> None:
        require_programs("nginx")
        directory.mkdir()
        self.directory = directory
        # nginx cannot have the kernel choose a port, but inherits open sockets.
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        certificate, key = authority.issue("127.0.0.1").write(directory, "server")
        self._configuration = directory / "nginx.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                # its worker is nobody otherwise, and may not read what is a test's
                user="user root;" if os.geteuid() == 0 else "",
                directory=directory,
                port=self.port,
                certificate=certificate,
                key=key,
                server=server,
            )
        )
        self._daemon: Daemon | None = None

    @property
    def host(self) -> str:
        """`ADDRESS:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"https://{self.host}"

    def start(self) -> None:
        """Start it, and wait for it."""
        descriptor = self._listening.fileno()
        self._daemon = Daemon(
            ["nginx", "-e", "stderr", "-p", self.directory, "-c", self._configuration],
            self.directory / "nginx.log",
            {**base_environment(self.directory / "home"), "NGINX": f"{descriptor};"},
            [descriptor],
        )
        self._daemon.wait_for("start worker process ")

    def stop(self) -> None:
        """End it; harmless when it is not running."""
        self._listening.close()
        if self._daemon is not None:
            self._daemon.stop()

    def seen(self) -> list[Seen]:
        """Every request answered so far, oldest first; written behind the replies."""
        log = self.directory / "access.log"
        lines = log.read_text().splitlines() if log.exists() else []
        fields = [line.split("\t") for line in lines]
        return [
            Seen(method, path, int(status), *others)
            for method, path, status, *others in fields
        ]


class StrippingNginx(Nginx):
    """
    Ends TLS for a registry that speaks plain HTTP on `port`, below `path` alone.

    The registry never sees the path, and writes its Locations without it.
    """

    def __init__(
        self, directory: Path, path: str, port: int, authority: Authority
    ) -> None:
        server = STRIPPING.format(path=path, target=port)
        self._prepare(directory, server, authority)


class AskingNginx(Nginx):
    """Ends TLS for a registry on `port`, for those whom the authority has certified."""

    def __init__(self, directory: Path, port: int, authority: Authority) -> None:
        root = directory.with_suffix(".root.pem")
        root.write_bytes(authority.certificate_pem())
        self._prepare(directory, ASKING.format(target=port, root=root), authority)
