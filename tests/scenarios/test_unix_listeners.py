"""Unix sockets: whose they are, and whether a proxy behind one is believed."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory

from regbroker.errors import StateError
from tests.proxycase import MANIFEST, ProxyTestCase
from tests.wire import RawClient

USER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


class UnixListenerTests(ProxyTestCase):
    autostart = False

    async def set_up(self) -> None:
        await super().set_up()
        # The path of a socket has 107 bytes at most.
        directory = tempfile.mkdtemp()
        self.path = f"{directory}/s"

    async def tear_down(self) -> None:
        await super().tear_down()
        shutil.rmtree(os.path.dirname(self.path))

    async def start(self, options: str = "", trusted: str = "") -> None:
        """Serve on a socket with these options."""
        self.listen = f"unix:{self.path}{options}"
        self.main = f"trusted-proxies = {trusted}" if trusted else ""
        await self.serve()

    async def connect(self, tls: Any = None) -> RawClient:
        """Connect to the socket."""
        loop: Any = reactor
        factory = Factory.forProtocol(RawClient)
        factory.noisy = False
        client: Any = await UNIXClientEndpoint(loop, self.path).connect(factory)
        self.clients.append(client)
        wire: RawClient = client
        return wire

    async def seen(self) -> tuple[Any, Any]:
        """What the upstream and the log say of a request that a proxy passes on."""
        self.client = await self.connect()
        told = self.event()
        call = await self.relayed(
            "GET",
            MANIFEST,
            "X-Forwarded-For: 203.0.113.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: a.test",
        )
        call.reply(404)
        self.assertEqual((await self.client.reply()).status, 404)
        return call, (await told)["event"]

    async def test_believed(self) -> None:
        """What a proxy says is believed where trusted-proxies names unix sockets."""
        await self.start(trusted="10.0.0.0/8, unix")
        call, event = await self.seen()
        self.assertEqual(event.client, "203.0.113.7")
        self.assertEqual(call.header(b"X-Forwarded-For"), b"203.0.113.7")
        self.assertEqual(call.header(b"X-Forwarded-Proto"), b"https")
        self.assertEqual(call.header(b"X-Forwarded-Host"), b"a.test")

    async def test_stranger(self) -> None:
        """Else it is not, whatever networks there are."""
        await self.start(trusted="0.0.0.0/0, ::/0")
        call, event = await self.seen()
        self.assertEqual(event.client, "unix")
        self.assertEqual(call.header(b"X-Forwarded-For"), b"unix")
        self.assertEqual(call.header(b"X-Forwarded-Proto"), b"http")

    async def test_malformed(self) -> None:
        """What is no request comes from there, too."""
        await self.start()
        self.client = await self.connect()
        told = self.event()
        self.client.send(b"nonsense\r\n\r\n")
        event = (await told)["event"]
        self.assertEqual((event.client, event.status), ("unix", 400))

    async def test_owner(self) -> None:
        """The file has the mode, the user and the group that the line names."""
        await self.start(f":mode=640:user={USER}:group={GROUP}")
        status = os.stat(self.path)
        self.assertEqual(status.st_mode & 0o777, 0o640)
        self.assertEqual((status.st_uid, status.st_gid), (os.getuid(), os.getgid()))

    async def test_no_such_user(self) -> None:
        """A user or a group that the machine does not have ends the start."""
        for kind in ("user", "group"):
            with self.assertRaises(StateError) as caught:
                await self.start(f":{kind}=no-such-name")
            self.assertIn(
                f"this machine has no {kind} 'no-such-name'", str(caught.exception)
            )
            self.assertFalse(os.path.exists(self.path))
