"""What the admin listener tells about is one value, and a reload brings another."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import PurePath

from regbroker.settings.ini import parse_config
from tests.admin.case import AdminTestCase


class WatchedTests(AdminTestCase):
    async def test_reload(self) -> None:
        """After a reload it has the new rules, and the objects that were kept."""
        before = self.monitor.watched
        text = self.ini().replace("team = acme_team", "team = other_team")
        self.services[0].reload(
            parse_config(text, PurePath(self.directory), lambda _: None)
        )
        after = self.monitor.watched
        self.assertIsNot(after, before)
        for watched, upstream_name in (
            (before, "acme_team/a"),
            (after, "other_team/a"),
        ):
            route = watched.registries[0].mapping.route("team/a")
            self.assertEqual(route.upstream_name, upstream_name)
        self.assertEqual(after.upstreams, before.upstreams)
        self.assertIs(after.under_way, before.under_way)
        self.assertIs(after.entrance, before.entrance)

    async def test_frozen(self) -> None:
        """Nobody changes what others are being told about."""
        with self.assertRaises(FrozenInstanceError):
            self.monitor.watched.registries = ()  # type: ignore[misc]
