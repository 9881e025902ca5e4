"""skopeo, with its certificates, credentials and caches in the test's directory."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from .certificates import Pair
from .processes import Finished, client_environment, require_programs, run
from .transcript import Transcript


class Skopeo:
    """Runs one skopeo command after the other as one user of one machine."""

    def __init__(
        self, directory: Path, authority_pem: bytes, transcript: Transcript
    ) -> None:
        require_programs("skopeo")
        self._certificates = directory / "certificates"
        self._certificates.mkdir(parents=True)
        (self._certificates / "ca.crt").write_bytes(authority_pem)
        self._environment = client_environment(directory)
        self._temporary = directory / "tmp"
        self._auth_file = directory / "auth.json"
        self._transcript = transcript

    def show(self, pair: Pair) -> None:
        """Show this certificate to registries."""
        (self._certificates / "client.cert").write_bytes(pair.certificate_pem())
        (self._certificates / "client.key").write_bytes(pair.key_pem())

    def run(self, *words: str | Path, stdin: str = "") -> Finished:
        """Run a skopeo command, with debug output, and keep what it saw."""
        done = run(
            ["skopeo", "--debug", "--tmpdir", self._temporary, *words],
            self._environment,
            stdin,
        )
        self._transcript.add(f"skopeo {words[0]}", done.output)
        return done

    def login(self, host: str, user: str, password: str) -> Finished:
        """Log in; the credentials stay for later commands."""
        return self.run(
            *("login", "--cert-dir", self._certificates),
            *("--username", user, "--password-stdin", host),
            stdin=password,
        )

    def use_identity_token(self, host: str, token: str) -> None:
        """Have a refresh token, instead of a password, for a registry."""
        nobody = base64.b64encode(b"nobody:").decode()
        entry = {"auth": nobody, "identitytoken": token}
        self._auth_file.write_text(json.dumps({"auths": {host: entry}}))

    def push(self, source: str, reference: str, *options: str) -> Finished:
        """Copy a local image to `HOST/NAME:TAG`."""
        return self.run(
            *("copy", "--dest-cert-dir", self._certificates),
            *options,
            *(source, f"docker://{reference}"),
        )

    def pull(self, reference: str, target: str) -> Finished:
        """Copy `HOST/NAME:TAG` to a local image."""
        return self.run(
            *("copy", "--src-cert-dir", self._certificates),
            *(f"docker://{reference}", target),
        )

    def copy(self, source: str, target: str) -> Finished:
        """Copy `HOST/NAME:TAG` to another one."""
        return self.run(
            *("copy", "--src-cert-dir", self._certificates),
            *("--dest-cert-dir", self._certificates),
            *(f"docker://{source}", f"docker://{target}"),
        )

    def digest_of(self, reference: str) -> str:
        """The digest that the registry gives for `HOST/NAME:TAG`."""
        done = self._with_certificates(
            "inspect", "--format", "{{.Digest}}", f"docker://{reference}"
        )
        return done.stdout.strip()

    def list_tags(self, repository: str) -> Finished:
        """The tags of `HOST/NAME`, as JSON on stdout."""
        return self._with_certificates("list-tags", f"docker://{repository}")

    def delete(self, reference: str) -> Finished:
        """Delete the image of `HOST/NAME:TAG`."""
        return self._with_certificates("delete", f"docker://{reference}")

    def _with_certificates(self, command: str, *words: str) -> Finished:
        return self.run(command, "--cert-dir", self._certificates, *words)
