"""podman as a registry client: it stores images and runs no containers."""

from __future__ import annotations

import json
from pathlib import Path

from .processes import Finished, client_environment, require_programs, run
from .transcript import Transcript

CONFIGURATION = """\
[engine]
lock_type = "file"
image_copy_tmp_dir = "{directory}/tmp"
"""


class Podman:
    """Runs podman commands with a store of its own."""

    def __init__(
        self, directory: Path, authority_pem: bytes, transcript: Transcript
    ) -> None:
        require_programs("podman", root=True)
        self._directory = directory
        self._authority_pem = authority_pem
        self._environment = client_environment(directory)
        configuration = directory / "containers.conf"
        configuration.write_text(CONFIGURATION.format(directory=directory))
        self._transcript = transcript
        self._storage = [
            *("--root", str(directory / "storage")),
            *("--runroot", str(directory / "run" / "storage")),
            *("--tmpdir", str(directory / "run" / "libpod")),
            *("--storage-driver", "vfs"),
            *("--cgroup-manager", "cgroupfs"),
            *("--events-backend", "none"),
            *("--network-config-dir", str(directory / "networks")),
        ]

    def trust(self, host: str) -> None:
        """Accept our authority for a registry, as an administrator would set it up."""
        directory = self._directory / ".config" / "containers" / "certs.d" / host
        directory.mkdir(parents=True)
        (directory / "ca.crt").write_bytes(self._authority_pem)

    def run(self, *words: str, stdin: str = "") -> Finished:
        """Run a podman command, with debug output, and keep what it saw."""
        done = run(
            ["podman", "--log-level", "debug", *self._storage, *words],
            self._environment,
            stdin,
        )
        self._transcript.add(f"podman {words[0]}", done.output)
        return done

    def login(self, host: str, user: str, password: str) -> Finished:
        """Log in; the credentials stay for later commands."""
        return self.run(
            "login", "--username", user, "--password-stdin", host, stdin=password
        )

    def pull(self, reference: str) -> Finished:
        """Pull `HOST/NAME:TAG`, or any other source, into the store."""
        return self.run("pull", reference)

    def push(self, image: str, reference: str) -> str:
        """Push an image of the store; the digest that its manifest got."""
        digest_file = self._directory / "digest"
        digest_file.unlink(missing_ok=True)
        done = self.run("push", "--digestfile", str(digest_file), image, reference)
        if done.status != 0:
            raise AssertionError(f"podman push failed:\n{done.output}")
        return digest_file.read_text()

    def digest_of(self, image: str) -> str:
        """The manifest digest that the store has for an image."""
        done = self.run("image", "inspect", "--format", "{{.Digest}}", image)
        return done.stdout.strip()

    def search(self, term: str, limit: int = 25) -> list[str]:
        """The names that `podman search HOST/TERM` finds, `limit` at most."""
        most = ("--limit", str(limit))
        done = self.run("search", *most, "--format", "{{.Name}}", term)
        if done.status != 0:
            raise AssertionError(f"podman search failed:\n{done.output}")
        return sorted(done.stdout.split())

    def search_tags(self, repository: str) -> list[str]:
        """The tags that `podman search --list-tags HOST/NAME` finds."""
        done = self.run("search", "--list-tags", "--format", "json", repository)
        if done.status != 0:
            raise AssertionError(f"podman search failed:\n{done.output}")
        return sorted(tag for found in json.loads(done.stdout) for tag in found["Tags"])
