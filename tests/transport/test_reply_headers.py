"""Headers of replies that have control characters."""

from __future__ import annotations

from typing import Any

from regbroker.errors import (
    UpstreamMalformed,
)
from tests.connectionscase import ConnectionsTestCase


class UnsoundHeaderTests(ConnectionsTestCase):
    async def test_control_characters(self) -> None:
        """A header with one is no answer, wherever in the value it stands."""
        for control in (*range(9), 11, 12, 13, *range(14, 32), 127):
            for value in (b"a%cb", b"%cb", b"a%c", b"%c"):
                bad = b"X-Odd:" + value.replace(b"%c", bytes([control])) + b"; z\r\n"
                asking = self.ask()
                call = await self.upstream.call()
                call.answer(b"HTTP/1.1 200 OK\r\n" + bad + b"Content-Length: 0\r\n\r\n")
                error: Any = await self.assertFailure(asking, UpstreamMalformed)
                self.assertEqual(
                    error.message,
                    "what the upstream registry answered has a control character in a "
                    "header",
                )
        self.assertEqual(len(self.upstream.wires), len(self.upstream.calls))

    async def test_folded(self) -> None:
        """A folded header is one line for who is behind us (RFC 9112, 5.2)."""
        asking = self.ask()
        (await self.upstream.call()).answer(
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\td\r\nE: \xe9\tf\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        reply = await asking
        self.assertEqual(reply.header(b"A"), b"b c\td")
        self.assertEqual(reply.header(b"E"), b"\xe9\tf")

    async def test_folded_control_characters(self) -> None:
        """Nor does one hide behind a fold, or in what is not passed on."""
        for lines in (b"A: b\r\n c\x00d", b"Connection: \x01", b"A: b\rC: d"):
            asking = self.ask()
            (await self.upstream.call()).answer(
                b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nContent-Length: 0\r\n\r\n"
            )
            await self.assertFailure(asking, UpstreamMalformed)
