"""Processes of regbroker that start at once: forked off one that has it loaded.

To load Python, Twisted and regbroker takes ten times as long as to start serving. So
one process for each worker of trial loads all that twistd would, and forks a process
off for each server that a test asks for: from there on twistd runs as it does from a
shell, with arguments, environment and reactor of its own. `tests/test_tap.py` and
`tests/test_packaging.py` start twistd from a shell, too.

A program other than twistd may be asked for, and one that coverage measures.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from select import select
from typing import NoReturn

REPOSITORY = Path(__file__).resolve().parents[3]

LOADED = (
    "twisted.internet.epollreactor",
    "twisted.scripts.twistd",
    "regbroker.accounts.ldap.source",
    "regbroker.cli.banner",
    "regbroker.cli.main",
    "regbroker.service",
    "regbroker.workers.fork_server",
)
"""What twistd imports for regbroker, but for the reactor: that cannot be forked."""

TWISTD = "from twisted.scripts.twistd import run; run()"

MAX_FILES = 8
"""Open files that come with one order."""

FIXED_ENVIRONMENT = {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
"""What Python itself reads when it starts: the same for all processes."""

MAX_ORDER_BYTES = 64 * 1024
"""Arguments and environment of one process."""


def environment(is_measured: bool = False) -> dict[str, str]:
    """Return ours, with the checkout that the tests are in, and without coverage.

    Coverage would cost time at each start, and other tests run the same lines. Where
    there are no others, `is_measured` leaves it.
    """
    ours = {
        name: value
        for name, value in os.environ.items()
        if is_measured or not name.startswith("COVERAGE_")
    }
    return ours | FIXED_ENVIRONMENT


class Forked:
    """A process that is no child of ours, with the methods of `subprocess.Popen`."""

    def __init__(self, status: int) -> None:
        """`status` is the pipe into which the process's parent writes of it."""
        self._status = os.fdopen(status, "rb")
        self.pid = int(self._status.readline())
        self._returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status; None while the process runs."""
        return self._look(0.0)

    def wait(self, timeout: float) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired`."""
        returncode = self._look(timeout)
        if returncode is None:
            raise subprocess.TimeoutExpired("forked process", timeout)
        return returncode

    def terminate(self) -> None:
        """Send SIGTERM; harmless when the process has ended."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL; harmless when the process has ended."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; harmless when the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def fileno(self) -> int:
        """Return what becomes readable when the process has ended, until it is seen."""
        return self._status.fileno()

    def _look(self, timeout: float) -> int | None:
        if self._returncode is None and select([self._status], [], [], timeout)[0]:
            self._returncode = int(self._status.readline())
            self._status.close()
        return self._returncode


class Nursery:
    """The process that has regbroker loaded."""

    def __init__(self, is_measured: bool = False) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env=environment(is_measured),
                cwd=REPOSITORY,
                pass_fds=[theirs.fileno()],
            )

    def start(
        self,
        arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        errors: Path | None = None,
        program: str = TWISTD,
        descriptors: Sequence[int] = (),
    ) -> Forked:
        """Start twistd with these arguments, in the directory of its log.

        It may open as many files as this process may now. Standard error goes to
        `errors`, or into the log as well. Another program, in Python, finds the open
        files that go with it in its variable `descriptors`.
        """
        files_allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        order = json.dumps(
            [
                program,
                list(arguments),
                str(log.parent),
                dict(environment),
                files_allowed,
            ]
        )
        reading, writing = os.pipe()
        with log.open("ab") as output, (errors or log).open("ab") as second:
            files = [writing, output.fileno(), second.fileno(), *descriptors]
            socket.send_fds(self._orders, [order.encode()], files)
        os.close(writing)
        return Forked(reading)

    def close(self) -> None:
        """End it, when it has written what coverage has measured."""
        self._orders.close()
        self._process.wait()


@cache
def nursery() -> Nursery:
    """Return the nursery of this process, made when it is asked for first."""
    return Nursery()


@cache
def measured_nursery() -> Nursery:
    """Return the same for processes that coverage measures, where it measures us."""
    made = Nursery(is_measured=True)
    atexit.register(made.close)
    return made


def serve(orders: socket.socket) -> None:
    """Fork processes off until nobody can ask for more."""
    for name in LOADED:
        import_module(name)
    # its file descriptors would be those of all processes
    assert "twisted.internet.reactor" not in sys.modules
    # who has been forked off here ends alone
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        order, files, _, _ = socket.recv_fds(orders, MAX_ORDER_BYTES, MAX_FILES)
        if not order:
            return
        if os.fork() == 0:
            orders.close()
            _watch(order, *files)
        for file in files:
            os.close(file)


def _watch(order: bytes, status: int, *files: int) -> None:
    """Fork the server off, and tell its id and its end; return in the server alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(status)
        _become(order, *files)
    for file in files:
        os.close(file)
    os.write(status, b"%d\n" % pid)
    _, ended = os.waitpid(pid, 0)
    # it is no matter when nobody waits for the end
    with suppress(BrokenPipeError):
        os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
    # without what happens at an exit: that is the server's
    os._exit(0)


def _become(order: bytes, output: int, errors: int, *descriptors: int) -> NoReturn:
    program, arguments, directory, environment, files_allowed = json.loads(order)
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(files_allowed))
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["twistd", *arguments]
    from regbroker.protocol import headers

    # It was made when the module was loaded, and tells processes apart.
    headers.PSEUDONYM = f"regbroker-{secrets.token_hex(4)}"
    status = 0
    try:
        exec(program, {"__name__": "__main__", "descriptors": descriptors})
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise
        status = ended.code or 0
    # Python's own end takes as much CPU time as all that most tests ask of a server:
    # of it, only what has been asked for at the exit is done.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as own:
        serve(own)
