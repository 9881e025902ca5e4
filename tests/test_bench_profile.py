"""Where time goes, by room: how it is added up."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import regbroker
from bench.profile import report, room_of, rooms

PACKAGE = Path(regbroker.__file__).parent
RELAY = (str(PACKAGE / "web" / "relay.py"), 10, "relay")
EVENTS = (str(PACKAGE / "events.py"), 20, "emit")
TCP = ("/x/site-packages/twisted/internet/tcp.py", 30, "doRead")
RECV = ("~", 0, "<method 'recv'>")

#: Calls, calls that count, seconds inside, seconds in all, and by whom.
STATS = {
    RELAY: (4, 4, 1.0, 6.0, {}),
    EVENTS: (4, 4, 0.5, 0.5, {RELAY: (4, 4, 0.5, 0.5)}),
    TCP: (2, 2, 0.25, 2.25, {}),
    RECV: (3, 3, 2.25, 2.25, {TCP: (2, 2, 2.0, 2.0), RELAY: (1, 1, 0.25, 0.25)}),
}


class RoomTests(SynchronousTestCase):
    def test_rooms(self) -> None:
        """A file belongs to its folder, or stands for itself."""
        for file, room in (
            (RELAY[0], "regbroker/web"),
            (EVENTS[0], "regbroker/events.py"),
            (TCP[0], "twisted/internet"),
            ("/x/site-packages/OpenSSL/SSL.py", "OpenSSL"),
            ("/usr/lib/python3.11/json/encoder.py", "standard library"),
        ):
            self.assertEqual(room_of(file), room)

    def test_compiled(self) -> None:
        """What is compiled counts for who calls it."""
        found = rooms(STATS)
        self.assertEqual(found["regbroker/web"].seconds, 1.25)
        self.assertEqual(found["twisted/internet"].seconds, 2.25)
        self.assertEqual(found["twisted/internet"].calls, 4)
        self.assertEqual(sum(each.seconds for each in found.values()), 4.0)

    def test_report(self) -> None:
        """The largest come first, with their shares."""
        by_room, by_function = report(STATS).split("\n\n")
        self.assertIn(
            "| twisted/internet | 2.25 | 56.2% | 4 |", by_room.splitlines()[2]
        )
        self.assertIn("| <method 'recv'> | 2.25 | 56.2% | 3 |", by_function)
