"""Listeners that are changed all at once, or not at all."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource

from regbroker.errors import StateError
from regbroker.settings.endpoints import listener
from regbroker.transport.listening.connection_limits import ConnectionLimits
from regbroker.transport.listening.entrance import Entrance
from regbroker.transport.listening.listener_group import ListenerGroup
from regbroker.transport.server.site import StreamingSite

FIRST = "tcp:0:interface=127.0.0.1"
SECOND = "tcp:0:interface=127.0.0.2"

ASKED = b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"


class ListenerGroupTests(TestCase):
    """Real ports on loopback, without clients."""

    def setUp(self) -> None:
        loop: Any = reactor
        entrance = Entrance(ConnectionLimits(10, 10), (), Clock())
        site = StreamingSite(Resource(), reactor=loop)
        self.group = ListenerGroup(loop, site, entrance, "admin-listen")
        self.change(FIRST)
        self.group.startService()
        self.addCleanup(self.group.stopService)

    def change(self, *lines: str) -> None:
        """Turn to the listeners of these lines."""
        self.group.prepare([listener(line) for line in lines]).commit()

    @property
    def urls(self) -> list[str]:
        """Where it listens."""
        return [each.url for each in self.group.listeners]

    async def test_kept(self) -> None:
        """The same line keeps its port, wherever it stands."""
        (before,) = self.urls
        self.change(SECOND, FIRST)
        self.assertEqual(self.urls[1], before)
        self.assertIn("127.0.0.2", self.urls[0])

    async def test_becomes_redirect(self) -> None:
        """A port that redirects from now on keeps its socket, too."""
        (before,) = self.urls
        self.change(FIRST.replace("tcp:", "redirect:"))
        self.assertEqual(self.urls, [before])
        self.assertTrue(self.group.listeners[0].listener.redirects)

    async def test_tls_port(self) -> None:
        """Where no listener says otherwise, TLS is at 443."""
        self.assertEqual(self.group.tls_port(), 443)

    async def test_gone(self) -> None:
        """A line that is gone is no longer there."""
        self.change(SECOND)
        self.assertEqual(len(self.urls), 1)
        self.assertEqual(len(list(self.group)), 1)

    async def test_prepared(self) -> None:
        """Before it is committed, nothing has changed for those that are there."""
        before = self.urls
        prepared = self.group.prepare([listener(SECOND)])
        self.assertEqual(self.urls, before)
        self.assertEqual(len(list(self.group)), 2)
        prepared.abort()
        self.assertEqual(self.urls, before)
        self.assertEqual(len(list(self.group)), 1)

    async def test_waits_for_commit(self) -> None:
        """Who connects before waits: nobody knows yet how clients are served there."""
        prepared = self.group.prepare([listener(FIRST), listener("proxy:" + SECOND)])
        (new,) = [each for each in self.group if each not in self.group.listeners]
        address = new.port.getHost()
        with socket.create_connection((address.host, address.port), 10) as client:
            client.sendall(ASKED)
            # The next turn reads what this one has found.
            for _ in range(3):
                await deferLater(reactor, 0)
            prepared.commit(trusted=[ip_network("127.0.0.0/8")])
            self.assertIn(b" 404 ", await deferToThread(client.recv, 1000))

    async def test_taken(self) -> None:
        """A port that is taken is told with the option, and nothing stays open."""
        before = self.urls
        port = before[0].rpartition(":")[2]
        taken = f"tcp:{port}:interface=127.0.0.1"
        error = self.assertRaises(StateError, self.change, SECOND, taken)
        self.assertIn(f"admin-listen: cannot listen on {taken}", str(error))
        self.assertEqual(self.urls, before)
        self.assertEqual(len(list(self.group)), 1)

    async def test_winds_down(self) -> None:
        """Without clients, listening ends and nobody is waited for."""
        await self.group.stop_listening()
        self.assertEqual([each.port for each in self.group.listeners], [None])
