"""The place of the admin listener, in a service that may have none."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any, cast

from twisted.application.service import MultiService
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from regbroker.admin.watched import Watched
from regbroker.assembly.admin_place import AdminPlace
from regbroker.assembly.part import Part
from regbroker.settings.config import Config
from regbroker.settings.ini import parse_config
from regbroker.transport.listening.entrance import build_entrance
from regbroker.transport.server.site import StreamingSite
from regbroker.web.serving import UnderWay

CONFIG = """
[regbroker]
listen = tcp:80
{main}
[registry *]
upstream = up
namespaces = * = *
[upstream up]
url = http://127.0.0.1:5000
"""


class AdminPlaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = cast(Any, MemoryReactorClock())
        self.parent = MultiService()
        self.part = Part()
        self.asked = 0
        self.place = AdminPlace(
            self.parent, self.reactor, lambda: False, self.part, self.watch
        )

    def watch(self) -> Watched:
        """What serves, another value each time."""
        self.asked += 1
        site = StreamingSite(Resource(), self.config().pace, self.reactor)
        entrance = build_entrance(self.reactor, (), 60, 10, 10)
        return Watched((), {}, UnderWay(), entrance, site)

    def config(self, main: str = "") -> Config:
        """A configuration, without an admin listener if it is not in `main`."""
        text = CONFIG.format(main=main)
        return parse_config(text, PurePath(Path.cwd()), lambda path: None)

    with_admin = "admin-listen = tcp:9000:interface=127.0.0.1"

    def test_none(self) -> None:
        """Without a listener there is nothing that anything is told to."""
        self.place.open(self.config())
        self.place.tell()
        self.assertIsNone(self.place.service)
        self.assertEqual(self.asked, 0)

    def test_open(self) -> None:
        """With one, it knows what serves from the beginning, and what does later."""
        self.place.open(self.config(self.with_admin))
        service = self.place.service
        assert service is not None
        self.assertIs(service.parent, self.parent)
        first = service.monitor.watched
        self.place.tell()
        self.assertIsNot(service.monitor.watched, first)
        self.assertEqual(self.asked, 2)

    def test_comes(self) -> None:
        """A reload may bring it, and takes it away again when it fails elsewhere."""
        before, config = self.config(), self.config(self.with_admin)
        self.place.prepare(config, before).abort()
        self.assertIsNone(self.place.service)
        self.assertEqual(list(self.parent), [])
        self.place.prepare(config, before).commit()
        self.assertEqual(list(self.parent), [self.place.service])

    def test_goes(self) -> None:
        """A reload without it ends it, but not before it is certain."""
        before, config = self.config(self.with_admin), self.config()
        self.place.open(before)
        self.place.prepare(config, before).abort()
        self.assertEqual(list(self.parent), [self.place.service])
        self.place.prepare(config, before).commit()
        self.assertIsNone(self.place.service)
        self.assertEqual(list(self.parent), [])
