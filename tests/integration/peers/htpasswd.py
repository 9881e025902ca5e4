"""`htpasswd` from apache2-utils, and the file that it keeps."""

from __future__ import annotations

from pathlib import Path

from .processes import base_environment, require_programs, run

CHEAP = ("-B", "-C", "4")
"""bcrypt as cheap as it gets: what a test does not measure should not cost."""


class Htpasswd:
    """A file of users and passwords, written by the real program."""

    def __init__(self, path: Path) -> None:
        require_programs("htpasswd")
        self.path = path
        path.touch(mode=0o600)

    def set(self, user: str, password: str, *options: str) -> None:
        """Give a user, new or not, a password; `options` say what kind of hash."""
        self._run("-i", *(options or CHEAP), user, password=password)

    def remove(self, user: str) -> None:
        """Remove a user."""
        self._run("-D", user)

    def _run(self, *words: str, password: str = "") -> None:
        options, user = words[:-1], words[-1]
        done = run(
            ["htpasswd", *options, self.path, user],
            base_environment(self.path.parent / "htpasswd-home"),
            password,
        )
        if done.status != 0:
            raise AssertionError(f"htpasswd failed:\n{done.output}")
