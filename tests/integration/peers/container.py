"""Images built by buildah, and run as a container engine runs them, without one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import machine_image
from .processes import Daemon, base_environment, run, search_path

#: Run by sh inside new namespaces. Arguments: ROOT UID:GID PATH DIRECTORY, then
#: `ro` or `rw` and OUTSIDE=INSIDE for each mount, then `--` and the program.
ENTER = """\
set -eu
root=$1 user=$2 path=$3 directory=$4; shift 4
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mount --bind "${2%%=*}" "$root${2#*=}"
    mount -o "remount,bind,$1" "$root${2#*=}"
    shift 2
done
shift
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" "$root" \\
    /bin/sh -c 'PATH=$0; cd "$1"; shift; exec "$@"' "$path" "$directory" "$@"
"""


class Buildah:
    """buildah with a storage of its own below `home`."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self._home = home
        self._environment = base_environment(home)
        self._storage = (
            "--storage-driver=vfs",
            f"--root={home / 'storage'}",
            f"--runroot={home / 'run'}",
        )

    def __call__(self, *words: str | Path) -> str:
        """Return what a buildah command prints; it must succeed."""
        done = run(["buildah", *self._storage, *words], self._environment)
        if done.status:
            raise AssertionError(f"buildah {words[0]} fails:\n{done.output}")
        return done.stdout

    def import_machine(self, name: str) -> None:
        """Make an image of this machine's Python."""
        root = self._home / "machine"
        root.mkdir()
        machine_image.lay_out(root)
        container = self("from", "scratch").strip()
        self("copy", "--quiet", container, root, "/")
        self("commit", "--quiet", "--rm", container, name)

    def build(self, file: Path, context: Path, name: str, **arguments: str) -> None:
        """Build an image from those that are here; `arguments` are build arguments."""
        # isolated by chroot alone, since containers cannot be run everywhere
        words = ["build", "--isolation=chroot", "--pull-never"]
        words += [f"--build-arg={key}={value}" for key, value in arguments.items()]
        self(*words, "-f", file, "-t", name, context)

    def config(self, name: str) -> dict[str, Any]:
        """Return the image's configuration, as in the OCI image specification."""
        described = json.loads(self("inspect", "--type=image", name))
        config: dict[str, Any] = described["OCIv1"]["config"]
        return config

    def mount(self, name: str) -> Path:
        """Return the directory of a new container's files."""
        container = self("from", "--pull-never", name).strip()
        return Path(self("mount", container).strip())


class Container(Daemon):
    """
    What an image starts, as an engine starts it: process 1, its root read-only.

    Each of the mounts is `ro` or `rw`, the path outside, and the path inside.
    """

    def __init__(
        self,
        root: Path,
        config: dict[str, Any],
        mounts: Sequence[tuple[str, Path, str]],
        log: Path,
    ) -> None:
        for directory in ("/proc", "/dev", *(inside for _, _, inside in mounts)):
            (root / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
        environment = dict(line.split("=", 1) for line in config["Env"])
        super().__init__(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *("sh", "-c", ENTER, "enter", root, config["User"]),
                *(environment["PATH"], config["WorkingDir"]),
                *(
                    word
                    for mode, outside, inside in mounts
                    for word in (mode, f"{outside}={inside}")
                ),
                *("--", *config["Entrypoint"], *config["Cmd"]),
            ],
            log,
            environment | {"PATH": search_path()},
        )

    def process_one(self) -> int:
        """Return the number that process 1 has outside."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        (child,) = children.split()
        return int(child)
