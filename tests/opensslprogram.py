"""
OpenSSL's own programs at the other end of a TLS connection.

``openssl s_client`` and ``openssl s_server`` send what is typed, and print what comes.
A line with ``k`` means "update my keys", with ``K`` "and you yours", with ``R``
"negotiate anew".
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest

from tests.proxycase import SocketTestCase

#: A part of a body: several reads, and many records. No piece of it begins with a
#: letter that the programs take for a command.
LINE = b"sixty-four bytes of a body, which is many of them.".ljust(64, b".")
LINES = 16384
PART = LINE * LINES

NEW_KEYS = "KeyUpdate"


class OpenSSLProgram(ProcessProtocol):
    """What it prints; its list of TLS messages is in the file `messages`."""

    def __init__(self, messages: Path) -> None:
        self.messages = messages
        self.output = self.errors = b""
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.output += data

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)

    def type(self, text: bytes) -> None:
        """Type something, which is sent unless it is a command."""
        transport: Any = self.transport
        transport.write(text)

    def count(self, direction: str, message: str) -> int:
        """How many such messages have gone (``>>>``) or come (``<<<``)."""
        return sum(
            line.startswith(direction) and line.endswith(message)
            for line in self.messages.read_text().splitlines()
        )

    @property
    def port(self) -> int:
        """The port of a server that listens on one that the kernel has chosen."""
        found = re.search(rb"^ACCEPT .*:(\d+)$", self.output, re.MULTILINE)
        assert found is not None, self.output
        return int(found[1])


class OpenSSLTestCase(SocketTestCase):
    """Starts the programs, and ends them with the test."""

    async def set_up(self) -> None:
        self.openssl = shutil.which("openssl")
        if self.openssl is None:
            raise SkipTest("openssl is not installed")
        await super().set_up()

    async def run_openssl(self, *words: str, until: bytes) -> OpenSSLProgram:
        """Start one, and wait until it has printed that it is ready."""
        assert self.openssl is not None
        messages = Path(self.mktemp())
        program = OpenSSLProgram(messages)
        arguments = ["openssl", *words, "-msg", "-msgfile", str(messages)]
        process = self.reactor.spawnProcess(program, self.openssl, arguments)

        async def end() -> None:
            if not program.ended.called:
                process.signalProcess("KILL")
            await program.ended

        self.addCleanup(end)
        await self.until(lambda: until in program.output)
        return program

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait; the test's timeout is the deadline."""
        while not is_so():
            await deferLater(self.reactor, 0.01)

    async def parts(self, program: OpenSSLProgram, number: int) -> None:
        """Wait until it has printed so many parts of a body."""
        await self.until(lambda: program.output.count(LINE) == number * LINES)

    async def typed(
        self, program: OpenSSLProgram, command: bytes, message: str
    ) -> None:
        """Type a command, and wait until the message has gone out that it means."""
        before = program.count(">>>", message)
        program.type(command + b"\n")
        await self.until(lambda: program.count(">>>", message) > before)
