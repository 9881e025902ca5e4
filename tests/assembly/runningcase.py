"""A service that is reloaded, in this process."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from regbroker.service import RegbrokerService
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config
from tests.proxycase import MANIFEST, ProxyTestCase
from tests.scripted import response
from tests.wire import RawClient

PORT = "tcp:0:interface=127.0.0.1"


class RunningTestCase(ProxyTestCase):
    """One service, and configurations that follow one another."""

    @property
    def service(self) -> RegbrokerService:
        """The service under test."""
        return self.services[0]

    def changed(self, *changes: str) -> Config:
        """The configuration with texts replaced: old and new in turns."""
        text = self.ini()
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            self.assertIn(old, text)
            text = text.replace(old, new)
        return parse_config(text, PurePath(self.directory), lambda _: None)

    def reload(self, *changes: str) -> None:
        """Turn to a changed configuration."""
        self.service.reload(self.changed(*changes))

    async def ask(
        self, client: RawClient, name: str = "acme_team", target: str = MANIFEST
    ) -> Any:
        """Ask for `target`, which the upstream is asked for by `name`."""
        client.request("GET", target)
        call = await self.upstream.call()
        self.assertEqual(call.target.split("/")[2], name)
        call.answer(response(200))
        reply = await client.reply()
        self.assertEqual(reply.status, 200)
        return reply
