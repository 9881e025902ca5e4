"""Programs: servers that run beside a test, commands that end by themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from unittest import SkipTest

START_SECONDS = 30.0
"""A server must say that it listens within this; generous for a loaded machine."""

STOP_SECONDS = 15.0
"""A server must end within this after SIGTERM, or it is killed."""

COMMAND_SECONDS = 300.0
"""A client command must end within this."""

POLL_SECONDS = 0.02
"""Between two looks that cost nothing; after others, three times what they took."""

POLL_MOST_SECONDS = 0.3


def require_programs(*programs: str, root: bool = False) -> None:
    """Skip the test when a peer program is missing; under `CI=true`, fail it.

    `root` says that the programs can only work for uid 0 here.
    """
    missing = [
        f"{program} is not installed"
        for program in programs
        if shutil.which(program, path=search_path()) is None
    ]
    if root and os.geteuid() != 0:
        missing.append(f"{', '.join(programs)} must be run as root here")
    if not missing:
        return
    message = "real peers wanted: " + "; ".join(missing)
    if os.environ.get("CI") == "true":
        raise AssertionError(message)
    raise SkipTest(message)


def search_path() -> str:
    """PATH with the system directories, where daemons are, at its end."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])


GO = {"GOGC": "off", "GOMEMLIMIT": "256MiB"}
"""Programs in Go collect no garbage below this: most end before that is worth it."""


def base_environment(home: Path) -> dict[str, str]:
    """An environment that leads no program to the files of whoever runs the tests."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": search_path(),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        **GO,
    }


def client_environment(home: Path) -> dict[str, str]:
    """The same for registry clients: what they find and leave is all in `home`."""
    for name in ("config/containers", "data", "cache", "run"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "run").chmod(0o700)
    policy = home / "config" / "containers" / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    registries = home / "registries.conf"
    registries.write_text("unqualified-search-registries = []\n")
    containers = home / "containers.conf"
    containers.write_text("")
    (home / "auth.json").write_text("{}")
    return base_environment(home) | {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "REGISTRY_AUTH_FILE": str(home / "auth.json"),
        "CONTAINERS_CONF": str(containers),
        "CONTAINERS_REGISTRIES_CONF": str(registries),
        # as root, skopeo and podman keep what they learnt about blobs below
        # /var/lib; for any other uid in here they use XDG_DATA_HOME
        "_CONTAINERS_ROOTLESS_UID": "1",
    }


def poll(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Return when `condition()` is true; fail, naming `what`, when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        begun = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(min(max(POLL_SECONDS, 3 * (now - begun)), POLL_MOST_SECONDS))


def open_files(process: int) -> Iterator[str]:
    """What the descriptors of a process are; nothing when it has ended."""
    with suppress(FileNotFoundError):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(FileNotFoundError):
                yield os.readlink(descriptor)


@dataclass(frozen=True)
class Finished:
    """How a command ended and everything that it printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams."""
        return self.stdout + self.stderr


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    stdin: str = "",
) -> Finished:
    """Run a client command to its end, or kill it when it takes too long."""
    done = subprocess.run(
        [str(word) for word in command],
        env=dict(environment),
        input=stdin,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=COMMAND_SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


class Process(Protocol):
    """What `Server` needs of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit status; None while the process runs."""

    def wait(self, timeout: float) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired`."""

    def terminate(self) -> None:
        """Send SIGTERM; harmless when the process has ended."""

    def kill(self) -> None:
        """Send SIGKILL; harmless when the process has ended."""


class Server:
    """A server process of our own whose output goes to a file.

    `start` starts it, and is told where its output belongs.
    """

    def __init__(self, name: str, log: Path, start: Callable[[Path], Process]) -> None:
        self.name = name
        self.log = log
        self._seen = log.stat().st_size if log.exists() else 0
        self._process = start(log)
        self.pid = self._process.pid

    def wait_for(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """The first match in what this process has printed; its early end fails."""
        deadline = time.monotonic() + seconds
        while True:
            ended = self._process.poll()
            if match := re.search(pattern, self.output()):
                return match
            if ended is not None:
                raise AssertionError(f"{self.name} ended ({ended}):\n{self.output()}")
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{self.name} has not printed {pattern!r}:\n{self.output()}"
                )
            time.sleep(POLL_SECONDS)

    def output(self) -> str:
        """What this process has printed so far, without earlier ones' output."""
        with self.log.open("rb") as log:
            log.seek(self._seen)
            return log.read().decode("utf-8", "backslashreplace")

    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the process to end by itself; its exit status."""
        return self._process.wait(seconds)

    def stop(self) -> None:
        """End the process; harmless when it has ended."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)


class Daemon(Server):
    """A server that is a command, started in the directory of its log."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> None:
        def start(log: Path) -> Process:
            with log.open("ab") as output:
                return subprocess.Popen(
                    [str(word) for word in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    cwd=log.parent,
                    pass_fds=pass_fds,
                )

        super().__init__(Path(str(command[0])).name, log, start)
