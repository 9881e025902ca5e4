"""
systemd as the first process of namespaces of its own, and nothing else in them.

It has the units that a test installs, and no other: none of the machine's is read. What
it writes is in memory, or in a copy below the test's directory; its network is a
loopback of its own, where all ports are free. Its control groups are below a new one of
cgroup2, which is removed.
"""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn
from unittest import SkipTest

from .certificates import Pair
from .nursery import REPOSITORY
from .processes import (
    Daemon,
    Finished,
    base_environment,
    poll,
    require_programs,
    run,
)

SYSTEMD = Path("/lib/systemd/systemd")
SETUP = Path(__file__).with_suffix(".sh")
UNITS = REPOSITORY / "etc" / "systemd"

NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")

TARGETS = ("sysinit", "basic", "multi-user", "network-online", "sockets", "shutdown")
"""What units are ordered by. The machine's own would start the machine."""

TARGET = "[Unit]\nDescription=a point in time\nDefaultDependencies=no\n"

JOURNAL = ("systemd-journald.service", "systemd-journald.socket")
"""The machine's units that are taken: they write what is told by all others."""

JOURNAL_OPTIONS = """\
[Journal]
Storage=volatile
ReadKMsg=no
Audit=no
RateLimitBurst=0
"""

PROGRAM = """\
#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/source:/opt/packages
export PYTHONUNBUFFERED=1
exec /opt/python/bin/{python} -m regbroker "$@"
"""

SECONDS = 60.0
"""systemd begins, and ends, within this; generous for a loaded machine."""

CLONE_NEWNET = 0x40000000


class PrivateSystemd:
    """
    systemd, with regbroker's units installed as docs/operating.md says.

    `etc` is its /etc. Skips the test where namespaces or control groups are not
    allowed: that is the machine's to decide, and nothing to install.
    """

    def __init__(self, directory: Path) -> None:
        require_programs("unshare", "nsenter", "setpriv", "systemctl", root=True)
        self.directory = directory
        self.etc = directory / "etc"
        self._environment = base_environment(directory / "home")
        self._daemon: Daemon | None = None
        self._lay_out()
        self._group = _new_control_group()

    def _lay_out(self) -> None:
        shutil.copytree("/etc", self.etc, symlinks=True)
        shutil.rmtree(self.etc / "systemd", ignore_errors=True)
        self._units = self.etc / "systemd" / "system"
        self._units.mkdir(parents=True)
        for target in TARGETS:
            (self._units / f"{target}.target").write_text(TARGET)
        wanted = self._units / "sysinit.target.wants"
        wanted.mkdir()
        for name in JOURNAL:
            shutil.copy(SYSTEMD.parent / "system" / name, self._units)
            (wanted / name).symlink_to(f"../{name}")
        for unit in UNITS.iterdir():
            shutil.copy(unit, self._units)
        (self.etc / "systemd" / "journald.conf").write_text(JOURNAL_OPTIONS)
        (self.etc / "machine-id").write_text("")
        self.configuration = self.etc / "regbroker" / "regbroker.ini"
        self.secrets = self.etc / "regbroker" / "secrets"
        self.secrets.mkdir(parents=True)
        self.secrets.chmod(0o700)
        opt = self.directory / "opt"
        for name in ("python", "source", "packages", "regbroker/bin"):
            (opt / name).mkdir(parents=True)
        python = Path(sys.executable).resolve().name
        program = opt / "regbroker" / "bin" / "regbroker"
        program.write_text(PROGRAM.format(python=python))
        program.chmod(0o755)

    def edit(self, text: str, unit: str = "regbroker.service") -> None:
        """Change a unit, as ``systemctl edit`` does; before its first start."""
        directory = self._units / f"{unit}.d"
        directory.mkdir(exist_ok=True)
        (directory / "override.conf").write_text(text)

    def install_pair(self, pair: Pair, name: str) -> None:
        """Put a certificate beside the configuration, and its key to the secrets."""
        certificate, _ = pair.write(self.secrets, name)
        certificate.rename(self.configuration.parent / f"{name}.pem")

    def start(self) -> None:
        """Start, and wait until units can be started."""
        group = self._group / "cgroup.procs"
        words = ["unshare", *NAMESPACES, "--fork", "--mount-proc", "--kill-child"]
        words += ["/bin/sh", str(SETUP), str(self.directory), sys.base_prefix]
        words += [str(REPOSITORY), sysconfig.get_path("purelib")]
        join = 'echo $$ > "$0" && exec setpriv --pdeathsig=KILL "$@"'
        self._daemon = daemon = Daemon(
            ["/bin/sh", "-c", join, group, *words],
            self.directory / "log",
            self._environment,
        )
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")

        def has_begun() -> bool:
            if not daemon.is_running():
                _refuse(f"namespaces of its own: {daemon.output()}")
            with suppress(OSError, ValueError):
                self._first = int(children.read_text())
                return Path(f"/proc/{self._first}/exe").samefile(SYSTEMD)
            return False

        poll(has_begun, "systemd to begin", SECONDS)
        poll(
            lambda: "running" in self.systemctl("is-system-running").stdout,
            "systemd to have started",
            SECONDS,
        )

    def stop(self) -> None:
        """End all that runs there, and remove its control groups."""
        if self._daemon is not None and self._daemon.is_running():
            # The first process goes with its parent, and takes all others along.
            os.kill(self._daemon.pid, signal.SIGKILL)
            self._daemon.wait()
        poll(self._are_removed, "the end of all processes", SECONDS)

    def _are_removed(self) -> bool:
        """Remove the control groups that no process is in any more."""
        groups = [self._group, *filter(Path.is_dir, self._group.rglob("*"))]
        for group in reversed(groups):
            with suppress(OSError):
                group.rmdir()
        return not self._group.exists()

    def run(self, *command: str) -> Finished:
        """Run a command there, as root."""
        enter = ("nsenter", f"--target={self._first}", "--mount", "--pid", "--net")
        return run([*enter, "--ipc", "--uts", "--", *command], self._environment)

    def systemctl(self, *arguments: str) -> Finished:
        """Run systemctl there."""
        return self.run("systemctl", "--no-pager", *arguments)

    def show(self, name: str, unit: str = "regbroker") -> str:
        """A property of a unit."""
        return self.systemctl("show", "--value", f"-p{name}", unit).stdout.strip()

    def read(self, path: str) -> str:
        """A file of there; a process's when it is of /proc."""
        return self.run("cat", path).stdout

    def journal(self) -> str:
        """What regbroker has printed, and what systemd has told of its units."""
        shown = ("--no-pager", "--output=cat", "--unit=regbroker.s*")
        return self.run("journalctl", *shown).stdout

    def connect(self, port: int) -> socket.socket:
        """Connect to a port of its loopback."""
        with self._network():
            return socket.create_connection(("127.0.0.1", port), 60)

    @contextmanager
    def _network(self) -> Iterator[None]:
        """Sockets that are made in here are of its network, whoever uses them."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(network: int) -> None:
            if libc.setns(network, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

        ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        theirs = os.open(f"/proc/{self._first}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(theirs)
            try:
                yield
            finally:
                enter(ours)
        finally:
            os.close(ours)
            os.close(theirs)


def _new_control_group() -> Path:
    """Make a control group of cgroup2 below our own."""
    mounts = Path("/proc/self/mountinfo").read_text()
    own = re.search(r"^0::(/.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    found = re.search(r"^\S+ \S+ \S+ / (\S+) .* - cgroup2 ", mounts, re.MULTILINE)
    if found is None or own is None:
        _refuse("control groups: cgroup2 is not mounted")
    group = Path(found[1], own[1][1:], f"regbroker-{secrets.token_hex(6)}")
    try:
        group.mkdir()
    except OSError as error:
        _refuse(f"a control group: {error}")
    return group


def _refuse(what: str) -> NoReturn:
    """Skip the test, for what this machine does not allow."""
    raise SkipTest(f"a systemd of the test's own cannot be had: {what.strip()}")
