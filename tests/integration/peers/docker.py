"""A dockerd of our own, as `docker` asks it: it pulls and pushes, and runs nothing."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from .processes import Daemon, Finished, base_environment, require_programs
from .transcript import Transcript

REPLY_SECONDS = 120.0


class Docker:
    """A running dockerd with an empty store, and the login of one user.

    `mirror` is a URL that it asks for images of Docker Hub first.
    """

    def __init__(
        self,
        directory: Path,
        authority_pem: bytes,
        transcript: Transcript,
        mirror: str = "",
    ) -> None:
        require_programs("dockerd", "containerd", root=True)
        directory.mkdir()
        authority = directory / "ca.crt"
        authority.write_bytes(authority_pem)
        configuration = directory / "daemon.json"
        configuration.write_text("{}")
        self._socket = directory / "docker.sock"
        self._transcript = transcript
        self._login: dict[str, str] = {}
        self._daemon = Daemon(
            [
                *("dockerd", "--debug", "--config-file", configuration),
                *("--data-root", directory / "data", "--pidfile", directory / "pid"),
                *("--exec-root", directory / "exec", "--storage-driver", "vfs"),
                *("--host", f"unix://{self._socket}", "--bridge", "none"),
                *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
                *(("--registry-mirror", mirror) if mirror else ()),
            ],
            directory / "dockerd.log",
            base_environment(directory / "home") | {"SSL_CERT_FILE": str(authority)},
        )
        self._daemon.wait_for("API listen on")

    def stop(self) -> None:
        """End it."""
        self._transcript.add("dockerd", self._daemon.output())
        self._daemon.stop()

    def login(self, host: str, user: str, password: str) -> Finished:
        """`docker login`; the credentials stay for later requests."""
        login = {"username": user, "password": password, "serveraddress": host}
        done = self._ask("POST", "/auth", login)
        if done.status == 0:
            self._login = login
        return done

    def pull(self, reference: str, tag: str) -> Finished:
        """`docker pull HOST/NAME:TAG`, or `--all-tags` with an empty tag."""
        return self._ask("POST", "/images/create", fromImage=reference, tag=tag)

    def tag(self, image: str, repository: str, tag: str) -> Finished:
        """`docker tag IMAGE HOST/NAME:TAG`."""
        return self._ask("POST", f"/images/{image}/tag", repo=repository, tag=tag)

    def push(self, repository: str, tag: str) -> Finished:
        """`docker push HOST/NAME:TAG`."""
        return self._ask("POST", f"/images/{repository}/push", tag=tag)

    def search(self, term: str) -> Finished:
        """`docker search HOST/TERM`: what is found, as JSON."""
        return self._ask("GET", "/images/search", term=term)

    def digests_of(self, image: str) -> list[str]:
        """The manifest digests that the store has for an image, with their names."""
        found = json.loads(self._ask("GET", f"/images/{image}/json").stdout)
        digests: list[str] = found["RepoDigests"]
        return digests

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, str] | None = None,
        **query: str,
    ) -> Finished:
        """What the daemon answers; status 1 for an error, also one in the stream."""
        connection = _Connection(self._socket)
        auth = base64.urlsafe_b64encode(json.dumps(self._login).encode()).decode()
        headers = {"X-Registry-Auth": auth, "Content-Type": "application/json"}
        target = f"{path}?{urlencode(query)}"
        connection.request(method, target, json.dumps(body or {}), headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        self._transcript.add(f"docker {path}", text)
        failed = response.status >= 400 or '"error"' in text
        return Finished(int(failed), text, "")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=REPLY_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
