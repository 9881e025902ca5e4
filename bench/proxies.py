"""Who is compared: each renames `team/…` to `acme_team/…` in front of one upstream."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.integration.peers.certificates import Authority
from tests.integration.peers.processes import Daemon, base_environment, poll

from .nginx import NginxServer


@dataclass(frozen=True, kw_only=True)
class Task:
    """
    What a proxy is to do.

    `upstream` is the port of the registry behind, `tokens` that of its token service;
    both speak TLS as `localhost`. Without `tls`, clients speak plain HTTP. With
    `keeps_manifests`, regbroker has `manifest-cache`; others have nothing that asks for
    rights each time. With `profile`, it writes there where its time went, when it ends.
    """

    directory: Path
    authority: Authority
    upstream: int
    tokens: int
    tls: bool = True
    workers: int = 1
    keeps_manifests: bool = False
    profile: Path | None = None

    @property
    def scheme(self) -> str:
        """What clients write before the host."""
        return "https" if self.tls else "http"

    def certificate(self) -> tuple[Path, Path]:
        """Write a certificate for the proxy, and its key; return the two paths."""
        return self.authority.issue("localhost", "127.0.0.1").write(
            self.directory, "proxy"
        )

    def root(self) -> Path:
        """Write the authority's certificate; return the path."""
        path = self.directory / "root.pem"
        path.write_bytes(self.authority.certificate_pem())
        return path


@dataclass(frozen=True)
class Running:
    """A proxy that serves at a port of 127.0.0.1; `pid` is its first process."""

    port: int
    pid: int
    stop: Callable[[], None]


# The first of the configurations that regbroker replaces, with names for this machine.
NGINX_COPIED = """\
    access_log {directory}/access.log;
    map $args $mapped_args {{
        ~(.*)scope=repository%3A(.*)   $1scope=repository%3Aacme_$2;
        default                        $args;
    }}
    server {{
        listen 127.0.0.1:{port} {ssl};
        server_name localhost;
        tcp_nodelay on;
        proxy_http_version 1.1;
        {certificates}
        ssl_protocols TLSv1.1 TLSv1.2;
        ssl_ciphers 'EECDH+AESGCM:EDH+AESGCM:AES256+EECDH:AES256+EDH';
        ssl_prefer_server_ciphers on;
        ssl_session_cache shared:SSL:10m;
        client_max_body_size 0;
        chunked_transfer_encoding on;
        proxy_buffering off;
        proxy_request_buffering off;
        location = /v2/ {{
            add_header Www-Authenticate
                'Bearer realm="{scheme}://localhost:{port}/auth",service="up"' always;
            proxy_pass https://127.0.0.1:{upstream}/v2/;
            proxy_hide_header Www-Authenticate;
        }}
        location /auth {{
            set $args $mapped_args;
            rewrite ^(.*)$ /token break;
            proxy_pass https://127.0.0.1:{tokens};
        }}
        location /v2/ {{
            rewrite ^/v2/(?:acme_)?(.+) /v2/acme_$1 break;
            proxy_pass https://127.0.0.1:{upstream};
        }}
    }}
"""

# The same by somebody who knows nginx well: connections that are kept, large buffers,
# TLS 1.3, a log that is written in pieces.
NGINX_TUNED = """\
    access_log {directory}/access.log combined buffer=64k flush=1s;
    map $args $mapped_args {{
        ~(.*)scope=repository%3A(.*)   $1scope=repository%3Aacme_$2;
        default                        $args;
    }}
    upstream registry {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        keepalive_requests 1000000;
    }}
    upstream tokens {{
        server 127.0.0.1:{tokens};
        keepalive 16;
        keepalive_requests 1000000;
    }}
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port} {ssl};
        server_name localhost;
        tcp_nodelay on;
        {certificates}
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:SSL:10m;
        ssl_buffer_size 16k;
        client_max_body_size 0;
        client_body_buffer_size 256k;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_ssl_session_reuse on;
        proxy_buffering on;
        proxy_buffer_size 128k;
        proxy_buffers 16 128k;
        proxy_busy_buffers_size 512k;
        proxy_max_temp_file_size 0;
        proxy_request_buffering off;
        location = /v2/ {{
            add_header Www-Authenticate
                'Bearer realm="{scheme}://localhost:{port}/auth",service="up"' always;
            proxy_pass https://registry/v2/;
            proxy_hide_header Www-Authenticate;
        }}
        location /auth {{
            set $args $mapped_args;
            rewrite ^(.*)$ /token break;
            proxy_pass https://tokens;
        }}
        location /v2/ {{
            rewrite ^/v2/(?:acme_)?(.+) /v2/acme_$1 break;
            proxy_pass https://registry;
        }}
    }}
"""


def _start_nginx(task: Task, http: str) -> Running:
    server = NginxServer(task.directory / "nginx")
    certificate, key = task.certificate()
    daemon = server.start(
        http.format(
            directory=task.directory,
            port=server.port,
            upstream=task.upstream,
            tokens=task.tokens,
            ssl="ssl" if task.tls else "",
            scheme=task.scheme,
            certificates=(
                f"ssl_certificate {certificate}; ssl_certificate_key {key};"
                if task.tls
                else ""
            ),
        ),
        task.workers,
    )
    return Running(server.port, daemon.pid, server.stop)


def start_nginx_copied(task: Task) -> Running:
    """Start nginx as people have it today."""
    return _start_nginx(task, NGINX_COPIED)


def start_nginx_tuned(task: Task) -> Running:
    """Start nginx as well as it can be set."""
    return _start_nginx(task, NGINX_TUNED)


HAPROXY = """\
global
    nbthread {workers}
    maxconn 8192
defaults
    mode http
    timeout connect 10s
    timeout client 900s
    timeout server 900s
    option http-keep-alive
    http-reuse always
frontend clients
    bind fd@{descriptor} {ssl}
    log stdout format raw local0
    option httplog
    http-request set-path /token if {{ path /auth }}
    http-request replace-path ^/v2/(.+) /v2/acme_\\1
    http-response replace-header WWW-Authenticate {realm}
    use_backend tokens if {{ path /token }}
    default_backend registry
backend registry
    server up 127.0.0.1:{upstream} ssl verify none
backend tokens
    server up 127.0.0.1:{tokens} ssl verify none
"""


def start_haproxy(task: Task) -> Running:
    """Start HAProxy with the same renaming of paths."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port: int = listening.getsockname()[1]
    certificate, key = task.certificate()
    pair = task.directory / "proxy.pem"
    pair.write_bytes(certificate.read_bytes() + key.read_bytes())
    configuration = task.directory / "haproxy.cfg"
    configuration.write_text(
        HAPROXY.format(
            descriptor=listening.fileno(),
            realm=(
                r"(.*)realm=\"[^\"]*\"(.*)"
                rf" \1realm=\"{task.scheme}://localhost:{port}/auth\"\2"
            ),
            upstream=task.upstream,
            tokens=task.tokens,
            workers=task.workers,
            ssl=f"ssl crt {pair}" if task.tls else "",
            scheme=task.scheme,
        )
    )
    daemon = Daemon(
        ["haproxy", "-db", "-f", configuration],
        task.directory / "haproxy.log",
        base_environment(task.directory / "home"),
        [listening.fileno()],
    )
    wait_for_port(daemon, port)

    def stop() -> None:
        daemon.stop()
        listening.close()

    return Running(port, daemon.pid, stop)


CADDY = """\
{{
    admin off
    auto_https off
    servers {{
        protocols h1 h2
    }}
    log {{
        output file {directory}/caddy.log
    }}
}}
{scheme}://localhost:{port} {{
    bind 127.0.0.1
    {tls}
    log {{
        output file {directory}/access.log
    }}
    handle /auth {{
        rewrite * /token?{{query}}
        reverse_proxy https://localhost:{tokens} {{
            {transport}
        }}
    }}
    handle {{
        uri path_regexp ^/v2/(.+) /v2/acme_$1
        reverse_proxy https://localhost:{upstream} {{
            header_down WWW-Authenticate {realm}
            {transport}
        }}
    }}
}}
"""

CADDY_TRANSPORT = """\
            transport http {{
                tls_trusted_ca_certs {root}
                tls_server_name localhost
                versions 1.1
                compression off
            }}
"""


def start_caddy(task: Task) -> Running:
    """Start Caddy with the same renaming of paths."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Caddy 2.6 takes no open socket: another process could have the port first.
        port: int = listening.getsockname()[1]
    certificate, key = task.certificate()
    configuration = task.directory / "Caddyfile"
    configuration.write_text(
        CADDY.format(
            directory=task.directory,
            port=port,
            upstream=task.upstream,
            tokens=task.tokens,
            tls=f"tls {certificate} {key}" if task.tls else "",
            realm=(f'`realm="[^"]*"` `realm="{task.scheme}://localhost:{port}/auth"`'),
            scheme=task.scheme,
            transport=CADDY_TRANSPORT.format(root=task.root()),
        )
    )
    daemon = Daemon(
        ["caddy", "run", "--config", configuration, "--adapter", "caddyfile"],
        task.directory / "caddy.out",
        base_environment(task.directory / "home") | {"GOMAXPROCS": str(task.workers)},
    )
    wait_for_port(daemon, port)
    return Running(port, daemon.pid, daemon.stop)


REGBROKER = """\
[regbroker]
listen = {listen}
state-directory = {directory}/state
max-connections = 4096
max-connections-per-address = 4096
{workers}
{tls}
[registry *]
upstream = up
namespaces = * = acme_*
[upstream up]
url = https://localhost:{upstream}
ca-file = {root}
realm = https://localhost:{tokens}/token
service = up
{manifests}
"""


def regbroker_configuration(task: Task) -> Path:
    """Write the configuration of regbroker; return the path."""
    kind = "tls" if task.tls else "tcp"
    certificate, key = task.certificate()
    configuration = task.directory / "regbroker.ini"
    configuration.write_text(
        REGBROKER.format(
            listen=f"{kind}:0:interface=127.0.0.1",
            directory=task.directory,
            workers=f"workers = {task.workers}" if task.workers > 1 else "",
            tls=(
                f"[tls]\ncertificate = {certificate}\nkey = {key}" if task.tls else ""
            ),
            upstream=task.upstream,
            tokens=task.tokens,
            root=task.root(),
            manifests="manifest-cache = 64M" if task.keeps_manifests else "",
        )
    )
    return configuration


def start_regbroker(task: Task) -> Running:
    """Start regbroker, as the systemd unit and the container image do."""
    serve: list[str | Path] = ["-m", "regbroker", "serve"]
    if task.profile:
        # Only twistd has the profiler.
        serve = ["-c", "from twisted.scripts.twistd import run; run()", "--nodaemon"]
        serve += ["--pidfile=", "--profile", task.profile, "--savestats", "regbroker"]
    daemon = Daemon(
        [sys.executable, *serve, "--config", regbroker_configuration(task)],
        task.directory / "regbroker.log",
        base_environment(task.directory / "home"),
    )
    port = daemon.wait_for(r"listening on https?://127\.0\.0\.1:(\d+)")[1]
    if task.workers > 1:
        for number in range(1, task.workers + 1):
            daemon.wait_for(f"worker {number}: serving")
    return Running(int(port), daemon.pid, daemon.stop)


def start_floor(task: Task) -> Running:
    """Start a relay of bytes, which costs as little as can be on Twisted."""
    words: list[str | Path] = [str(task.upstream), task.root()]
    if task.tls:
        certificate, key = task.certificate()
        words += ["--certificate", certificate, "--key", key]
    daemon = Daemon(
        [sys.executable, "-m", "bench.floor", *words],
        task.directory / "floor.log",
        base_environment(task.directory / "home")
        | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    port = daemon.wait_for(r"listening on (\d+)")[1]
    return Running(int(port), daemon.pid, daemon.stop)


Start = Callable[[Task], Running]

#: What a table calls `start_floor`: no proxy, and measured where that says something.
FLOOR = "bytes alone"

#: By the names that tables have. The first is what the others are compared with.
PROXIES: Mapping[str, Start] = {
    "nginx, copied": start_nginx_copied,
    "nginx, tuned": start_nginx_tuned,
    "HAProxy": start_haproxy,
    "Caddy": start_caddy,
    "regbroker": start_regbroker,
    FLOOR: start_floor,
}


def wait_for_port(daemon: Daemon, port: int) -> None:
    """Return when somebody accepts connections there."""

    def accepts() -> bool:
        if not daemon.is_running():
            raise AssertionError(f"{daemon.name} ended:\n{daemon.output()}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    poll(accepts, f"{daemon.name} on port {port}")
