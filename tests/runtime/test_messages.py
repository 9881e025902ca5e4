"""Messages between processes."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase, TestCase

from regbroker.runtime.messages import (
    AskedInVain,
    MessageChannel,
    Values,
    connect,
    format_message,
    parse_messages,
)

reactor: Any = _reactor


class FramingTests(SynchronousTestCase):
    def test_pieces(self) -> None:
        """Messages come out whole and in order, wherever the stream is cut."""
        sent: list[Values] = [{"tell": "a"}, {"tell": "\u00e9" * 100}, {}]
        stream = b"".join(map(format_message, sent))
        self.assertEqual(format_message({}), b"\0\0\0\x02{}")
        self.assertEqual(parse_messages(stream), (sent, b""))
        for cut in range(len(stream)):
            first, rest = parse_messages(stream[:cut])
            second, after = parse_messages(rest + stream[cut:])
            self.assertEqual((first + second, after), (sent, b""), cut)


class MessagesTests(TestCase):
    """Two ends, both in this process."""

    def setUp(self) -> None:
        self.heard: list[tuple[str, Values]] = []
        self.file_numbers: list[int] = []
        self.lost: Deferred[None] = Deferred()
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.ours = self.channel(pair[0], lambda *_: None, lambda: None)
        self.theirs = self.channel(pair[1], self.hear, lambda: self.lost.callback(None))
        self.addCleanup(self.end)

    def channel(self, end: socket.socket, hear: Any, lost: Any) -> MessageChannel:
        """One end of a connection."""
        made = MessageChannel(reactor, hear, lost)
        end.setblocking(False)
        connect(reactor, end.fileno(), made)
        end.close()
        return made

    def end(self) -> Deferred[None]:
        """Close both ends."""
        self.ours.close()
        return self.lost

    def hear(self, kind: str, values: Values, files: list[int]) -> Values | None:
        """Note it, and answer some kinds."""
        self.heard.append((kind, values))
        self.file_numbers += files
        for file in files:
            os.write(file, b"x")
        if kind == "fail":
            raise AskedInVain("no such thing")
        if kind == "silence":
            self.theirs.close()
        return {"twice": values["number"] * 2} if "number" in values else None

    async def test_answers(self) -> None:
        """Each question has its own answer, in whatever order they come."""
        questions = [self.ours.ask("double", {"number": n}) for n in range(50)]
        answers = [await question for question in questions]
        self.assertEqual(
            [answer["twice"] for answer in answers], list(range(0, 100, 2))
        )

    async def test_told(self) -> None:
        """What is told comes in order; long texts, too."""
        text = "\N{SNOWMAN}" * 300_000
        self.ours.tell("long", {"text": text})
        await self.ours.ask("end", {})
        self.assertEqual(self.heard, [("long", {"text": text}), ("end", {})])

    async def test_problem(self) -> None:
        """What the other process cannot do is said by it."""
        problem = await self.assertFailure(self.ours.ask("fail", {}), AskedInVain)
        self.assertEqual(str(problem), "no such thing")

    async def test_files(self) -> None:
        """Open files go with their message, and are the same files."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        await self.ours.ask("with", {}, [writing, writing])
        os.close(writing)
        self.assertEqual(len(self.file_numbers), 2)
        self.assertEqual(os.read(reading, 10), b"xx")

    async def test_files_are_closed(self) -> None:
        """None is left open, also where what was asked fails, or needs no answer."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        await self.assertFailure(self.ours.ask("fail", {}, [writing]), AskedInVain)
        self.ours.tell("with", {}, [writing])
        await self.ours.ask("end", {})
        os.close(writing)
        # Nobody else can write.
        self.assertEqual(os.read(reading, 10), b"xx")
        self.assertEqual(os.read(reading, 10), b"")

    async def test_gone(self) -> None:
        """A question that nobody can answer any more fails, and so do later ones."""
        self.ours.tell("silence", {})
        await self.lost
        self.lost = Deferred()
        self.lost.callback(None)
        await self.assertFailure(self.ours.ask("double", {"number": 1}), ConnectionLost)
        self.ours.tell("nobody", {})
