"""
The process that workers are forked from.

``python -m regbroker.workers.fork_server DESCRIPTOR MODULE...`` is how the process in
front starts it. It has imported what a worker needs, and those modules besides. It has
no threads and no reactor, and does nothing but fork. So a worker starts at once, shares
memory with the others, and has the same keys of TLS session tickets: a session of one
worker resumes at another.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NoReturn

from regbroker.assembly.main_reactor import install_reactor
from regbroker.runtime.blocking_messages import BlockingChannel
from regbroker.runtime.messages import Values
from regbroker.transport.tls.session_tickets import TicketKeys
from regbroker.workers.worker import run

#: Days for which all workers have the same ticket keys; 13 kB and a millisecond each.
TICKET_DAYS = 366

#: Seconds between two looks for ticket keys that are over.
LOOK_SECONDS = 600.0

#: Signals of a whole terminal or service: the process in front says what to do.
_NOT_FOR_US = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM)


class ForkServer:
    """Forks on request, and tells of the end of what it has forked."""

    def __init__(self, channel: BlockingChannel, tickets: TicketKeys) -> None:
        self._channel = channel
        self._tickets = tickets
        self._children: set[int] = set()
        self._messages: deque[tuple[Values, list[int]]] = deque()
        #: Becomes readable when a child has ended.
        self._wakes, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Serve until the process in front is gone; never returns in a child."""
        for each in (self._wakes, self._woken):
            each.setblocking(False)
        # Without a handler, the signal would wake nobody.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        while True:
            channel, wakes = self._channel.fileno(), self._wakes.fileno()
            ready, _, _ = select.select([channel, wakes], [], [], LOOK_SECONDS)
            self._tickets.forget_old()
            if wakes in ready:
                self._wakes.recv(4096)
                self._reap()
            if channel in ready:
                messages = self._channel.receive()
                if messages is None:
                    return
                self._messages.extend(messages)
                while self._messages:
                    self._hear(*self._messages.popleft())

    def _hear(self, message: Values, descriptors: list[int]) -> None:
        if message.get("tell") == "kill":
            process = message["values"]["pid"]
            # Of one that has ended, the id may be another process's by now.
            if process in self._children:
                os.kill(process, signal.SIGKILL)
            return
        (descriptor,) = descriptors
        try:
            process = os.fork()
        except OSError as error:
            self._channel.answer_problem(message, f"cannot fork: {error.strerror}")
        else:
            if process == 0:
                self._be_a_worker(descriptor)
            self._children.add(process)
            self._channel.answer(message, {"pid": process})
        os.close(descriptor)

    def _be_a_worker(self, descriptor: int) -> NoReturn:
        """Be a child, until the end of the process."""
        # The channels of others: who holds one open hides that its worker has ended.
        for _, others in self._messages:
            for other in others:
                os.close(other)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._wakes.close()
        self._woken.close()
        self._channel.close()
        # Each process has its own, so it comes after the fork.
        install_reactor()
        from twisted.internet import reactor as _reactor

        reactor: Any = _reactor
        run(reactor, descriptor, self._tickets)
        sys.exit(0)

    def _reap(self) -> None:
        while self._children:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            self._children.discard(process)
            code = os.waitstatus_to_exitcode(status)
            self._channel.tell("ended", {"pid": process, "code": code})


def main(descriptor: int, modules: Iterable[str] = ()) -> None:
    """Be the fork server until the end; `modules` are what workers need besides."""
    for number in _NOT_FOR_US:
        signal.signal(number, signal.SIG_IGN)
    for name in modules:
        import_module(name)
    tickets = TicketKeys(time.monotonic)
    tickets.make_ahead(TICKET_DAYS)
    # What is here stays shared with workers: their collectors leave it alone.
    gc.collect()
    gc.freeze()
    connection = socket.socket(fileno=descriptor)
    ForkServer(BlockingChannel(connection), tickets).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
