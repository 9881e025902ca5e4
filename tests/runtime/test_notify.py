"""What systemd is told, read from a socket such as systemd's."""

import os
import secrets
import socket
import time
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regbroker.runtime.notify import (
    STOP_MARGIN,
    Notifier,
    Watchdog,
    take_notifier,
    take_watchdog_seconds,
)


class NotifierTests(SynchronousTestCase):
    """Each message is one datagram."""

    def setUp(self) -> None:
        self.name = f"regbroker-test-{secrets.token_hex(8)}"
        self.socket = self.listen("\0" + self.name)
        self.notifier = Notifier("@" + self.name)

    def listen(self, address: str) -> socket.socket:
        """A socket that is told."""
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(told.close)
        told.bind(address)
        told.settimeout(10)
        return told

    def told(self) -> list[str]:
        """The lines of the next message."""
        return self.socket.recv(4096).decode().split("\n")

    def test_ready(self) -> None:
        """READY comes with a sentence for systemctl status."""
        self.notifier.ready("serving é")
        self.assertEqual(self.told(), ["READY=1", "STATUS=serving é"])

    def test_reloading(self) -> None:
        """RELOADING comes with the time on the clock that systemd looks at."""
        before = time.monotonic_ns() // 1000
        self.notifier.reloading()
        first, second = self.told()
        self.assertEqual(first, "RELOADING=1")
        name, _, microseconds = second.partition("=")
        self.assertEqual(name, "MONOTONIC_USEC")
        self.assertLessEqual(before, int(microseconds))
        self.assertLessEqual(int(microseconds), time.monotonic_ns() // 1000)

    def test_stopping(self) -> None:
        """STOPPING asks for the time that it may take, and some more."""
        self.notifier.stopping(90, "ending 2 transfers")
        self.assertEqual(
            self.told(),
            [
                "STOPPING=1",
                "STATUS=ending 2 transfers",
                f"EXTEND_TIMEOUT_USEC={int(90 + STOP_MARGIN) * 1_000_000}",
            ],
        )

    def test_path(self) -> None:
        """An address may be a path."""
        path = Path(self.mktemp())
        # A socket's path has 107 characters at most.
        self.socket = self.listen(os.path.relpath(path))
        Notifier(os.path.relpath(path)).alive()
        self.assertEqual(self.told(), ["WATCHDOG=1"])

    def test_nobody(self) -> None:
        """Without an address nothing is sent, and nothing is said of it."""
        Notifier("").ready("serving")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_gone(self) -> None:
        """A socket that is not there ends nothing."""
        self.socket.close()
        self.notifier.alive()

    def test_taken(self) -> None:
        """The address is taken out: programs that are started do not get it."""
        environment = {"NOTIFY_SOCKET": "@" + self.name, "HOME": "/"}
        take_notifier(environment).alive()
        self.assertEqual(self.told(), ["WATCHDOG=1"])
        self.assertEqual(environment, {"HOME": "/"})

    def test_watchdog(self) -> None:
        """The watchdog hears of the process at once, then in its interval."""
        clock = Clock()
        watchdog = Watchdog(self.notifier, 15.0, clock)
        watchdog.start()
        self.assertEqual(self.told(), ["WATCHDOG=1"])
        self.socket.setblocking(False)
        clock.advance(14)
        self.assertRaises(BlockingIOError, self.told)
        clock.advance(1)
        self.assertEqual(self.told(), ["WATCHDOG=1"])
        watchdog.stop()
        clock.advance(60)
        self.assertRaises(BlockingIOError, self.told)

    def test_not_well(self) -> None:
        """The watchdog hears nothing of a process that is not well."""
        clock, is_well = Clock(), [False]
        watchdog = Watchdog(self.notifier, 15.0, clock, lambda: is_well[0])
        watchdog.start()
        self.addCleanup(watchdog.stop)
        self.socket.setblocking(False)
        self.assertRaises(BlockingIOError, self.told)
        is_well[0] = True
        clock.advance(15)
        self.assertEqual(self.told(), ["WATCHDOG=1"])

    def test_no_watchdog(self) -> None:
        """Where nobody watches, nobody is told."""
        watchdog = Watchdog(self.notifier, None, Clock())
        watchdog.start()
        watchdog.stop()
        self.socket.setblocking(False)
        self.assertRaises(BlockingIOError, self.told)


class WatchdogSecondsTests(SynchronousTestCase):
    """Who watches, and how often."""

    def test_half(self) -> None:
        """It is told twice in its interval; the variables are taken out."""
        environment = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
        self.assertEqual(take_watchdog_seconds(environment), 15.0)
        self.assertEqual(environment, {})

    def test_any_process(self) -> None:
        """Without WATCHDOG_PID it is about this process."""
        self.assertEqual(take_watchdog_seconds({"WATCHDOG_USEC": "2000000"}), 1.0)

    def test_other_process(self) -> None:
        """A watchdog of another process is none."""
        environment = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}
        self.assertIsNone(take_watchdog_seconds(environment))

    def test_none(self) -> None:
        """Nor is one without a time, or with one that is no number."""
        for value in ("", "0", "soon", "-5", "²"):
            self.assertIsNone(take_watchdog_seconds({"WATCHDOG_USEC": value}), value)
        self.assertIsNone(take_watchdog_seconds({}))
