"""The npm package oidc-provider: a certified OpenID Connect issuer, over TLS."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import SkipTest

from .certificates import Authority
from .https_client import HttpsClient, basic
from .processes import Daemon, base_environment, require_programs
from .transcript import Transcript

SCRIPT = Path(__file__).with_suffix(".mjs")


def find_library() -> Path:
    """The package, as ``npm install --global`` puts it; skips the test without it."""
    require_programs("node", "npm")
    done = subprocess.run(
        ["npm", "root", "--global"], capture_output=True, text=True, check=True
    )
    path = Path(done.stdout.strip(), "oidc-provider", "lib", "index.js")
    if path.exists():
        return path
    message = "real peers wanted: oidc-provider is not installed (npm)"
    if os.environ.get("CI") == "true":
        raise AssertionError(message)
    raise SkipTest(message)


class OidcProvider:
    """
    An issuer that can be started again with other keys, at the same URL.

    `jobs` are the claims of each job's tokens, by its name.
    """

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        jobs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        directory.mkdir()
        self._library = find_library()
        self._directory = directory
        pair = authority.issue("localhost", "127.0.0.1")
        self._files = pair.write(directory, "issuer")
        self._authority = authority
        self._jobs = dict(jobs)
        self._daemon: Daemon | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.issuer = f"https://localhost:{self.port}"

    def start(self, *keys: Mapping[str, Any]) -> None:
        """Start it with private JWKs, of which the first signs."""
        settings = self._directory / "settings.json"
        settings.write_text(
            json.dumps(
                {
                    "port": self.port,
                    "certificate": str(self._files[0]),
                    "key": str(self._files[1]),
                    "jwks": {"keys": list(keys)},
                    "claims": self._jobs,
                    "issuer": self.issuer,
                }
            )
        )
        self._daemon = Daemon(
            ["node", SCRIPT, self._library, settings],
            self._directory / "log",
            base_environment(self._directory),
        )
        self._daemon.wait_for(r"listening on \d+")

    def stop(self) -> None:
        """End it; harmless when it is not running."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def token(self, audience: str, job: str) -> str:
        """A token for a job, with an audience."""
        client = HttpsClient(
            self.port, self._authority.certificate_pem(), Transcript(), "127.0.0.1"
        )
        form = f"grant_type=client_credentials&resource={audience}"
        reply = client.request(
            "POST",
            "/token",
            {
                "Authorization": basic(job, "secret-of-the-job"),
                "Content-Type": "application/x-www-form-urlencoded",
            },
            form.encode(),
        )
        if reply.status != 200:
            raise AssertionError(f"{reply.status}: {reply.body!r}")
        text: str = reply.json()["access_token"]
        return text
