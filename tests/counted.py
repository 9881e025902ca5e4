"""
What a request costs, in figures that do not depend on the machine.

`Counted` sees what regbroker does in this process while it is profiled: calls of its
own functions, system calls on its sockets, timers, allocations. Client and upstream are
in the same process, and what they do is left out. Left out of the allocations is what
Twisted does with a log line, too: trial writes it otherwise than a server.

The most memory that is held at a time is that of the whole process, with the client's
and the upstream's buffers.
"""

from __future__ import annotations

import gc
import socket
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import twisted.logger
from memray import AllocatorType, FileReader, Tracker
from twisted.internet.epollreactor import EPollReactor

import regbroker
from tests.proxycase import HeldTime

PACKAGE = str(Path(regbroker.__file__).parent)

#: What works for the test, also where regbroker has called it.
_OTHERS = (str(Path(__file__).parent), str(Path(twisted.logger.__file__).parent))

_RELEASES = {AllocatorType.PYMALLOC_FREE, AllocatorType.FREE, AllocatorType.MUNMAP}

#: Each changes what the kernel watches by one epoll_ctl(2).
_EPOLL: Any = EPollReactor
_WATCHES = {_EPOLL._add.__code__, _EPOLL._remove.__code__}

#: The methods of a socket that enter the kernel.
_CALLS = frozenset(
    {
        *("accept", "close", "recv", "recvmsg", "send", "sendmsg"),
        *("getpeername", "getsockname", "getsockopt", "setsockopt", "shutdown"),
    }
)

_TIMER = HeldTime.callLater.__code__


@dataclass
class Counted:
    """
    What was counted; an observer of `sys.setprofile`.

    `server` and `upstream` are the ports whose connections have regbroker at one end.
    """

    server: int
    upstream: int
    #: Entries of a function, coroutine or generator of regbroker's.
    calls: int = 0
    #: Reads, writes and other calls on sockets, and changes of what is watched.
    system_calls: int = 0
    timers: int = 0
    #: Blocks asked of CPython's allocators or of malloc(3), also where one grows.
    allocations: int = 0
    #: Bytes held at most beyond those before, by all of this process.
    peak_bytes: int = 0

    def __call__(self, frame: FrameType, event: str, what: Any) -> None:
        """Note one event."""
        if event == "c_call":
            if what.__name__ in _CALLS:
                self.system_calls += self._is_ours(getattr(what, "__self__", None))
        elif event == "call":
            code = frame.f_code
            if code.co_filename.startswith(PACKAGE):
                self.calls += 1
            elif code is _TIMER:
                self.timers += 1
            elif code in _WATCHES:
                watched = frame.f_locals["xer"]
                self.system_calls += self._is_ours(getattr(watched, "socket", None))

    def _is_ours(self, connection: object) -> bool:
        if not isinstance(connection, socket.socket) or connection.fileno() < 0:
            return False
        try:
            peer = connection.getpeername()[1]
        except OSError:
            # What listens, or what the peer has closed.
            return bool(connection.getsockname()[1] == self.server)
        here = connection.getsockname()[1]
        return bool(here == self.server or peer == self.upstream)


@contextmanager
def counting(server: int, upstream: int) -> Iterator[Counted]:
    """Count what happens in the block. The garbage collector does not run in it."""
    counted = Counted(server, upstream)
    gc.collect()
    gc.disable()
    sys.setprofile(counted)
    try:
        yield counted
    finally:
        sys.setprofile(None)
        gc.enable()


@contextmanager
def allocating(counted: Counted) -> Iterator[None]:
    """
    Note how many allocations regbroker makes in the block, and what it calls.

    What CPython kept for use again is let go before the block, so that each count
    begins alike.
    """
    gc.collect()
    gc.disable()
    with TemporaryDirectory() as directory:
        path = Path(directory, "allocations")
        try:
            with Tracker(path, trace_python_allocators=True):
                yield
        finally:
            gc.enable()
        with FileReader(path) as reader:
            counted.allocations = sum(
                record.n_allocations
                for record in reader.get_allocation_records()
                if record.allocator not in _RELEASES and _is_own(record.stack_trace())
            )


def _is_own(stack: Iterable[tuple[str, str, int]]) -> bool:
    """Tell whose work an allocation is; the innermost function comes first."""
    for _, file, _ in stack:
        if file.startswith((PACKAGE, *_OTHERS)):
            return file.startswith(PACKAGE)
    return False


@contextmanager
def weighing(counted: Counted) -> Iterator[None]:
    """Note how much more memory the block holds at most than there was before it."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
        counted.peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
