"""
What systemd is told of the process: sd_notify(3), one datagram for each message.

Where nobody has set ``NOTIFY_SOCKET``, nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

#: Seconds that a message waits while the socket of systemd is full.
SEND_SECONDS = 1.0

#: systemd waits so long beyond what is asked for, in seconds, before it kills.
STOP_MARGIN = 15.0

_log = Logger()


class Notifier:
    """
    Sends messages to the address of a ``NOTIFY_SOCKET``; none where it is empty.

    An address that begins with ``@`` is an abstract one. A message that cannot be sent
    is a line in the log, and nothing else: the service itself is well.
    """

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Tell that the service has started, or has been reloaded."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Tell that a reload has begun; `ready` ends it."""
        # With Type=notify-reload, systemd compares this clock with its own.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self, seconds: float, status: str) -> None:
        """Tell that the service ends, and that this takes so many seconds at most."""
        extended = int((seconds + STOP_MARGIN) * 1_000_000)
        self._send("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={extended}")

    def alive(self) -> None:
        """Tell the watchdog that the process works."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        try:
            with socket.socket(socket.AF_UNIX, kind) as sender:
                sender.settimeout(SEND_SECONDS)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _log.warn(
                "NOTIFY_SOCKET: systemd cannot be told {what}: {problem}",
                what=lines[0],
                problem=error.strerror or str(error),
            )


def take_notifier(environment: MutableMapping[str, str]) -> Notifier:
    """
    Return the notifier that the environment asks for.

    ``NOTIFY_SOCKET`` is taken out: it is not for the programs that are started here.
    """
    return Notifier(environment.pop("NOTIFY_SOCKET", ""))


def take_watchdog_seconds(environment: MutableMapping[str, str]) -> float | None:
    """
    Return how often, in seconds, the watchdog wants to hear of this process.

    That is half of ``WATCHDOG_USEC``. None where there is no watchdog, or where it is
    for another process (``WATCHDOG_PID``). Both variables are taken out.
    """
    microseconds = environment.pop("WATCHDOG_USEC", "")
    process = environment.pop("WATCHDOG_PID", str(os.getpid()))
    if process != str(os.getpid()) or not microseconds.isascii():
        return None
    if not microseconds.isdigit() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2_000_000


class Watchdog:
    """
    Tells a notifier every `seconds` that the reactor turns; never, if None.

    Nor while `is_well` returns False.
    """

    def __init__(
        self,
        notifier: Notifier,
        seconds: float | None,
        clock: IReactorTime,
        is_well: Callable[[], bool] = lambda: True,
    ) -> None:
        self._notifier = notifier
        self._is_well = is_well
        self._seconds = seconds
        self._telling = LoopingCall(self._tell)
        self._telling.clock = clock

    def start(self) -> None:
        """Tell now, and from now on."""
        if self._seconds is not None:
            self._telling.start(self._seconds)

    def _tell(self) -> None:
        if self._is_well():
            self._notifier.alive()

    def stop(self) -> None:
        """Tell no more."""
        if self._telling.running:
            self._telling.stop()
