"""Messages in a process that waits for them."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from regbroker.runtime.blocking_messages import BlockingChannel
from regbroker.runtime.messages import AskedInVain, MessageChannel, Values, connect

reactor: Any = _reactor


class BlockingChannelTests(TestCase):
    """One end has a reactor, and the other one waits in a thread."""

    def setUp(self) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.heard: list[tuple[str, Values]] = []
        self.lost: Deferred[None] = Deferred()
        self.ours = MessageChannel(reactor, self.hear, lambda: self.lost.callback(None))
        ours.setblocking(False)
        connect(reactor, ours.fileno(), self.ours)
        ours.close()
        self.channel = BlockingChannel(self.theirs)
        self.addCleanup(self.end)

    def hear(self, kind: str, values: Values, _: list[int]) -> None:
        """Note it."""
        self.heard.append((kind, values))

    def end(self) -> Deferred[None]:
        """Close both ends."""
        self.channel.close()
        self.ours.close()
        return self.lost

    async def received(self, count: int) -> list[tuple[Values, list[int]]]:
        """So many messages."""
        messages: list[tuple[Values, list[int]]] = []
        while len(messages) < count:
            more = await deferToThread(lambda: self.channel.receive() or [])
            messages += more
        return messages

    async def test_asked(self) -> None:
        """Questions come with their open files, and have their answers."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        asked = [self.ours.ask("fork", {"n": n}, [write]) for n in range(3)]
        self.ours.tell("kill", {"long": "x" * 200_000})
        messages = await self.received(4)
        os.close(write)
        self.assertEqual([m.get("ask") for m, _ in messages], ["fork"] * 3 + [None])
        self.assertEqual(messages[3][0]["tell"], "kill")
        for number, (message, descriptors) in enumerate(messages[:3]):
            self.assertEqual(message["values"], {"n": number})
            (descriptor,) = descriptors
            self.assertEqual(os.write(descriptor, b"x"), 1)
            os.close(descriptor)
        self.assertEqual(os.read(read, 9), b"xxx")
        # It was closed everywhere.
        self.assertEqual(os.read(read, 9), b"")
        self.channel.answer(messages[1][0], {"pid": 7})
        self.channel.answer_problem(messages[0][0], "no room")
        self.channel.answer(messages[2][0], {"pid": 8})
        self.assertEqual(await asked[1], {"pid": 7})
        self.assertEqual(await asked[2], {"pid": 8})
        problem = await self.assertFailure(asked[0], AskedInVain)
        self.assertEqual(str(problem), "no room")

    async def test_told(self) -> None:
        """What is told needs no answer; the end is told, too."""
        self.channel.tell("ended", {"pid": 7})
        self.channel.close()
        await self.lost
        self.lost = Deferred()
        self.lost.callback(None)
        self.assertEqual(self.heard, [("ended", {"pid": 7})])

    async def test_gone(self) -> None:
        """When the other end is gone, there is nothing to wait for."""
        self.ours.close()
        self.assertIsNone(await deferToThread(self.channel.receive))

    async def test_unfinished(self) -> None:
        """Open files of a message that is not whole are closed in the end."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with first:
            channel = BlockingChannel(second)
            socket.send_fds(first, [b"\0\0"], [write])
            os.close(write)
            self.assertEqual(channel.receive(), [])
            channel.close()
            self.assertEqual(os.read(read, 1), b"")
