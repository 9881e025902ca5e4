"""docs/architecture.md names modules that exist, and all that a pull goes through."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.frames import PACKAGE, measure
from tests.test_layers import ROOMS

DOCUMENT = Path(__file__).parents[1] / "docs" / "architecture.md"
NAMED = re.compile(r"`([a-z_]+(?:/[a-z_]+)+)`")


def section(title: str) -> str:
    """The text below a heading."""
    _, _, text = DOCUMENT.read_text().partition(f"## {title}\n")
    return text.partition("\n## ")[0]


class NamesTests(SynchronousTestCase):
    def test_modules(self) -> None:
        """Each module that is named exists."""
        for name in NAMED.findall(DOCUMENT.read_text()):
            path = Path(PACKAGE, name)
            if Path(PACKAGE, name.partition("/")[0]).is_dir():
                is_there = path.with_suffix(".py").exists() or path.is_dir()
                self.assertTrue(is_there, name)

    def test_rooms(self) -> None:
        """The table has the rooms from the highest to the lowest."""
        rows = re.findall(r"^\| `([a-z_/]+)/` \|", section("Rooms"), re.MULTILINE)
        shown = [row.replace("/", ".") for row in rows]
        # what is flat, and what stands as a title over its own rooms
        left_out = {"ground", "edges", "transport"}
        self.assertEqual(
            [room for room in shown if room not in left_out],
            [room for room in reversed(ROOMS) if room not in left_out],
        )


class WayTests(TestCase):
    async def test_pull(self) -> None:
        """The way of a pull names every module that it goes through."""
        directory = Path(self.mktemp())
        directory.mkdir()
        loop: Any = reactor
        profile = await measure(loop, directory.absolute())
        modules = {call.partition(".py:")[0] for call in profile.calls}
        text = section("The way of a pull")
        self.assertEqual({name for name in modules if f"`{name}`" not in text}, set())
